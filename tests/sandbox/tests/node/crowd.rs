//! Many pods in one process.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use keywright_sandbox::Nodes;
use keywright_sandbox::node::{Options, SignIn};
use kube::Api;
use kube::runtime::wait::await_condition;
use serde_json::json;

use crate::town::{SOON, Town, template};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_small() {
    let (_, grown) = crowd(200, Duration::ZERO).await;
    assert!(grown < 50 << 20, "200 pods take {} MiB", grown >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the figures of the sandbox, on request"]
async fn a_thousand_pods_fit_into_300_mib() {
    let (all, _) = crowd(1000, Duration::from_secs(20)).await;
    assert!(all < 300 << 20, "the process has {} MiB", all >> 20);
}

/// The memory of this process with so many pods that sign in every 5 s, and by how much it has grown;
/// `measured` is how long they are watched when all are there.
async fn crowd(pods: usize, measured: Duration) -> (usize, usize) {
    let town = Town::new().await;
    town.inhabit("crowd").await;
    town.endpoint.knows("s");
    town.secret("crowd", "s").await;
    let (before, begun) = (memory(), Instant::now());
    let names = ["crowd-0", "crowd-1", "crowd-2", "crowd-3"];
    let options = town.options(&names);
    let sign_in = SignIn { every: Duration::from_secs(5), ..options.sign_in.clone() };
    let options = Options { names: options.names, sign_in, ..Options::default() };
    let nodes = Nodes::start(&town.plane, options).await.unwrap();
    let labels = json!({"app": "web"});
    let spec = template("", &json!({"nodeSelector": null}));
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let spec = json!({"replicas": pods, "selector": {"matchLabels": labels}, "template": template});
    town.create::<Deployment>("crowd", json!({"metadata": {"name": "web"}, "spec": spec})).await;
    let all = i32::try_from(pods).unwrap();
    let available = |web: Option<&Deployment>| {
        web.and_then(|web| web.status.as_ref()?.available_replicas).is_some_and(|available| available == all)
    };
    let ready = await_condition(Api::<Deployment>::namespaced(town.client(), "crowd"), "web", available);
    tokio::time::timeout(5 * SOON, ready).await.unwrap().unwrap();
    let took = begun.elapsed();

    let burnt = processor_time();
    tokio::time::sleep(measured).await; // it is time that is measured
    let burnt = processor_time().saturating_sub(burnt);
    let memory = memory();
    let grown = memory.saturating_sub(before);
    let accepted = nodes.witnesses().read(|seen| {
        assert_eq!((seen.held().count(), seen.refusals.len()), (pods, 0));
        seen.holdings.iter().map(|holding| holding.accepted).sum::<u64>()
    });
    println!(
        "{pods} pods: available after {took:.1?}; {} MiB, {} MiB more than without; {:.1} % of a processor; \
         {accepted} sign-ins",
        memory >> 20,
        grown >> 20,
        100.0 * burnt.as_secs_f64() / measured.as_secs_f64().max(f64::EPSILON),
    );
    drop(nodes);
    town.close().await;
    (memory, grown)
}

fn memory() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: u64 = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}
