//! What passes through the proxy, and what its journal says about it.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use keywright_sandbox::{KUBERNETES, Options, Plane, Proxy, Rule, Via};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::plane::client_of;

const SOON: Duration = Duration::from_secs(5);

pub fn note(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"word": "hush"}})).unwrap()
}

pub fn notes(client: &Client) -> Api<ConfigMap> {
    Api::default_namespaced(client.clone())
}

async fn verbs_are_journalled(plane: &Plane) {
    let proxy = Proxy::start(plane).await.unwrap();
    let all = notes(&proxy.admin().await.unwrap());
    let (create, delete) = (PostParams::default(), DeleteParams::default());
    let mut a = all.create(&create, &note("a")).await.unwrap();
    a.data = None;
    all.replace("a", &create, &a).await.unwrap();
    let merge = Patch::Merge(json!({"data": {"word": "loud"}}));
    all.patch("a", &PatchParams::default(), &merge).await.unwrap();
    all.get("a").await.unwrap();
    assert!(all.get_opt("b").await.unwrap().is_none());
    all.list(&ListParams::default().labels("none=such")).await.unwrap();
    all.delete("a", &delete).await.unwrap();
    all.delete_collection(&delete, &ListParams::default().labels("none=such")).await.unwrap();

    let entries = proxy.journal().entries();
    let told: Vec<(&str, u16)> = entries.iter().map(|entry| (entry.verb.as_str(), entry.status.unwrap())).collect();
    let expected = [
        ("create", 201),
        ("update", 200),
        ("patch", 200),
        ("get", 200),
        ("get", 404),
        ("list", 200),
        ("delete", 200),
        ("deletecollection", 200),
    ];
    assert_eq!(told, expected);
    let list = &entries[5];
    assert_eq!((list.service.as_str(), list.path.as_str()), (KUBERNETES, "/api/v1/namespaces/default/configmaps"));
    assert!(list.query.contains("labelSelector=none"), "{list}");
    assert!(list.took.unwrap() < SOON && list.fault.is_none());
    assert!(entries.iter().all(|entry| entry.body.is_none()), "bodies may hold secrets");

    proxy.journal().keep_bodies(true);
    all.create(&create, &note("b")).await.unwrap();
    let kept = proxy.journal().wait_for(|entry| entry.body.is_some(), SOON).await.unwrap();
    assert!(kept.body.unwrap().contains("hush"));
    all.delete("b", &delete).await.unwrap();
}

async fn a_watch_streams_without_delay(plane: &Plane) {
    let proxy = Proxy::start(plane).await.unwrap();
    let all = notes(&proxy.admin().await.unwrap());
    let since = all.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut seen = std::pin::pin!(all.watch(&WatchParams::default(), &since).await.unwrap());
    for round in 0..3 {
        let name = format!("watched-{round}");
        let begun = Instant::now();
        notes(&plane.admin()).create(&PostParams::default(), &note(&name)).await.unwrap();
        let event = tokio::time::timeout(SOON, seen.try_next()).await.unwrap().unwrap().unwrap();
        let WatchEvent::Added(added) = event else { panic!("{event:?}") };
        assert_eq!(added.metadata.name.unwrap(), name);
        println!("seen after {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    let entry = proxy.journal().wait_for(|entry| entry.verb == "watch", SOON).await.unwrap();
    assert_eq!(entry.status, Some(200));
}

async fn each_proxy_has_its_own_journal_and_rules(plane: &Plane) {
    let (one, two) = (Proxy::start(plane).await.unwrap(), Proxy::start(plane).await.unwrap());
    one.faults().add(Rule::at(KUBERNETES, "*", "**").answer(503));
    notes(&one.admin().await.unwrap()).get("kube-root-ca.crt").await.unwrap_err();
    notes(&two.admin().await.unwrap()).get("kube-root-ca.crt").await.unwrap();
    assert_eq!((one.journal().len(), two.journal().len()), (1, 1));
}

async fn many_requests_are_no_burden(plane: &Plane) {
    let proxy = Proxy::start(plane).await.unwrap();
    let through = notes(&proxy.admin().await.unwrap());
    let begun = Instant::now();
    for _ in 0..200 {
        through.get("kube-root-ca.crt").await.unwrap();
    }
    println!("through the proxy: {:?} per request", begun.elapsed() / 200);
    assert_eq!(proxy.journal().count(|entry| entry.status == Some(200)), 200);
}

async fn an_account_goes_through_the_proxy(plane: &Plane) {
    let proxy = Proxy::start(plane).await.unwrap();
    let kubeconfig = plane.kubeconfig_for("default", "default", Via::Proxy(&proxy)).await.unwrap();
    let all = notes(&client_of(&kubeconfig).await);
    let kube::Error::Api(refused) = all.list(&ListParams::default()).await.unwrap_err() else { panic!() };
    assert!(refused.message.contains("system:serviceaccount:default:default"), "{refused:?}");
    assert_eq!(proxy.journal().count(|entry| entry.status == Some(403)), 1);
}

async fn an_api_server_that_is_gone_looks_gone(plane: &Plane) {
    let proxy = Proxy::start(plane).await.unwrap();
    let client = proxy.admin().await.unwrap();
    let all = notes(&client);
    let since = all.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut seen = std::pin::pin!(all.watch(&WatchParams::default(), &since).await.unwrap());
    all.list(&ListParams::default()).await.unwrap(); // a second connection, which is idle when the server goes
    let before = proxy.journal().len();
    plane.kill_api().await.unwrap();
    let ended = tokio::time::timeout(SOON, seen.try_next()).await.expect("a watch ends with its server");
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
    tokio::time::sleep(Duration::from_millis(100)).await; // the end of the idle one is nobody's event
    let error = client.apiserver_version().await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error:?}");
    assert_eq!(proxy.journal().len(), before, "it never got there");
    plane.start_api().await.unwrap();
    client.apiserver_version().await.unwrap();
}

#[tokio::test]
async fn what_passes_through_a_proxy() {
    let plane = Plane::start(Options::default()).await.unwrap();
    verbs_are_journalled(&plane).await;
    a_watch_streams_without_delay(&plane).await;
    each_proxy_has_its_own_journal_and_rules(&plane).await;
    many_requests_are_no_burden(&plane).await;
    an_account_goes_through_the_proxy(&plane).await;
    an_api_server_that_is_gone_looks_gone(&plane).await;
    plane.stop().await.unwrap();
}
