//! Every fault, as a client sees it, and whether the request had its effect.

use std::path::Path;
use std::time::{Duration, Instant};

use hyper::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use keywright_sandbox::{KUBERNETES, Operator, Options, Plane, Proxy, Rule};
use kube::api::{ListParams, PostParams};
use kube::client::Body;
use kube::{Api, Client, Error};

use crate::proxy::{note, notes};

const SOON: Duration = Duration::from_secs(5);
const NOTES: &str = "/api/v1/namespaces/default/configmaps";

/// A plane, a proxy in front of it, and a client that goes through it.
struct Town<'a> {
    plane: &'a Plane,
    proxy: Proxy,
    client: Client,
}

impl<'a> Town<'a> {
    async fn new(plane: &'a Plane) -> Self {
        let proxy = Proxy::start(plane).await.unwrap();
        let client = proxy.admin().await.unwrap();
        Self { plane, proxy, client }
    }

    fn rule(&self, rule: Rule) -> keywright_sandbox::faults::Added {
        self.proxy.faults().add(rule)
    }

    async fn create(&self, name: &str) -> kube::Result<ConfigMap> {
        notes(&self.client).create(&PostParams::default(), &note(name)).await
    }

    /// Whether it is there, asked past the proxy.
    async fn has(&self, name: &str) -> bool {
        notes(&self.plane.admin()).get_opt(name).await.unwrap().is_some()
    }

    /// The faults in the journal.
    fn told(&self) -> Vec<(Option<String>, Option<u16>)> {
        self.proxy.journal().entries().into_iter().map(|entry| (entry.fault, entry.status)).collect()
    }
}

fn told(fault: &str, status: Option<u16>) -> (Option<String>, Option<u16>) {
    (Some(fault.to_owned()), status)
}

fn is_cut(error: &Error) -> bool {
    matches!(error, Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_))
}

async fn an_answer_is_a_status_that_clients_understand(plane: &Plane) {
    let town = Town::new(plane).await;
    town.rule(Rule::at(KUBERNETES, "create", NOTES).nth(2).throttle(429, Duration::from_secs(7)));
    town.create("calm").await.unwrap();
    let Error::Api(status) = town.create("throttled").await.unwrap_err() else { panic!() };
    assert_eq!((status.code, status.reason.as_str()), (429, "TooManyRequests"));
    assert_eq!(status.details.unwrap().retry_after_seconds, 7);
    assert!(!town.has("throttled").await);

    let added = town.rule(Rule::at(KUBERNETES, "get", "/version").throttle(503, Duration::from_secs(3)));
    let answer = town.client.send(Request::get("/version").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"3".parse().unwrap()));
    assert_eq!(added.applied(), 1);
    added.lift();
    town.client.apiserver_version().await.unwrap();
    assert_eq!(town.told()[1], told("answer 429", Some(429)));
}

async fn a_delay_comes_before_the_effect(plane: &Plane) {
    let town = Town::new(plane).await;
    town.rule(Rule::at(KUBERNETES, "create", NOTES).times(1).delay(Duration::from_millis(400)));
    let begun = Instant::now();
    let (created, early) = tokio::join!(town.create("late"), async {
        town.proxy.journal().wait_for(|entry| entry.fault.is_some(), SOON).await.unwrap();
        town.has("late").await
    });
    created.unwrap();
    assert!(!early && begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    assert_eq!(town.told(), [told("delay 400ms", Some(201))]);
}

async fn what_hangs_is_never_answered(plane: &Plane) {
    let town = Town::new(plane).await;
    town.rule(Rule::at(KUBERNETES, "create", NOTES).hang());
    assert!(tokio::time::timeout(Duration::from_millis(300), town.create("hung")).await.is_err());
    assert!(!town.has("hung").await);
    assert_eq!(town.told(), [told("hang", None)]);
}

async fn cut_before_has_no_effect_and_cut_after_has(plane: &Plane) {
    let town = Town::new(plane).await;
    town.rule(Rule::at(KUBERNETES, "create", NOTES).nth(1).cut_before());
    town.rule(Rule::at(KUBERNETES, "create", NOTES).nth(2).cut_after());
    for (name, effect) in [("cut-before", false), ("cut-after", true)] {
        let error = town.create(name).await.unwrap_err();
        assert!(is_cut(&error), "{error:?}");
        assert_eq!(town.has(name).await, effect);
    }
    town.create("clear").await.unwrap();
    assert_eq!(town.told(), [told("cut before", None), told("cut after", Some(201)), (None, Some(201))]);
}

async fn a_truncated_answer_breaks_off(plane: &Plane) {
    let town = Town::new(plane).await;
    town.rule(Rule::at(KUBERNETES, "list", "**").times(1).truncate(40));
    town.rule(Rule::at(KUBERNETES, "get", "/version").times(1).truncate(10));
    let all: Api<ConfigMap> = notes(&town.client);
    let error = all.list(&ListParams::default()).await.unwrap_err();
    assert!(is_cut(&error), "{error:?}");
    all.list(&ListParams::default()).await.unwrap();

    // What comes before the break does arrive.
    let answer = town.client.send(Request::get("/version").body(Body::empty()).unwrap()).await.unwrap();
    let mut body = answer.into_body();
    let first = http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&first[..], b"{\n  \"major");
    assert!(http_body_util::BodyExt::frame(&mut body).await.unwrap().is_err());
}

async fn kill_points_kill_at_their_point(plane: &Plane) {
    let town = Town::new(plane).await;
    let kubeconfig = plane.kubeconfig();
    let victim = || Operator::start(Path::new("/bin/sleep"), &kubeconfig, ["60"], [("", ""); 0]).unwrap();
    let (one, two) = (victim(), victim());
    town.rule(Rule::at(KUBERNETES, "create", NOTES).nth(1).kill_before(one.kill_switch()));
    town.rule(Rule::at(KUBERNETES, "create", NOTES).nth(2).kill_after(two.kill_switch()));
    assert!(is_cut(&town.create("kill-before").await.unwrap_err()));
    assert!(!town.has("kill-before").await);
    one.exited(Duration::ZERO).await.expect("it was gone before its client knew");
    two.exited(Duration::ZERO).await.expect_err("it is not its turn");

    assert!(is_cut(&town.create("kill-after").await.unwrap_err()));
    assert!(town.has("kill-after").await);
    two.exited(Duration::ZERO).await.expect("it was gone before its client knew");
    assert_eq!(town.told(), [told("kill before", None), told("kill after", Some(201))]);
}

#[tokio::test]
async fn each_fault_is_what_it_says() {
    let plane = Plane::start(Options::default()).await.unwrap();
    an_answer_is_a_status_that_clients_understand(&plane).await;
    a_delay_comes_before_the_effect(&plane).await;
    what_hangs_is_never_answered(&plane).await;
    cut_before_has_no_effect_and_cut_after_has(&plane).await;
    a_truncated_answer_breaks_off(&plane).await;
    kill_points_kill_at_their_point(&plane).await;
    plane.stop().await.unwrap();
}
