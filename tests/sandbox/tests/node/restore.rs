//! A cluster that forgets: its nodes follow it, and not what they remember.

use k8s_openapi::api::core::v1::Pod;
use keywright_sandbox::witness::Testimonies;
use kube::api::DeleteParams;
use serde_json::json;

use crate::town::{SOON, Town, holds, is_ready, pod};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_api_no_longer_knows_is_killed() {
    let town = Town::new().await;
    let (nodes, here) = (town.node("restored").await, "restored");
    town.endpoint.knows("s");
    town.secret(here, "s").await;
    let start = async |name: &str| town.create::<Pod>(here, pod(here, name, &json!({}), &json!({}))).await;
    start("stays").await;
    start("comes-back").await;
    holds(&nodes, "stays", "s").await;
    holds(&nodes, "comes-back", "s").await;
    town.pod(here, "stays", is_ready).await;

    // An API server that is away disturbs nobody.
    let accepted = |seen: &Testimonies| seen.accepted(here, "stays");
    town.plane.kill_api().await.unwrap();
    let before = nodes.witnesses().read(accepted);
    nodes.witnesses().wait_for(|seen| accepted(seen) > before + 5, SOON).await.unwrap();
    town.plane.start_api().await.unwrap();

    town.plane.snapshot("before").await.unwrap();
    start("forgotten").await;
    town.pods(here).delete("comes-back", &DeleteParams::default()).await.unwrap();
    holds(&nodes, "forgotten", "s").await;
    town.gone(here, "comes-back").await;
    let held = |seen: &Testimonies| {
        let mut names: Vec<String> = seen.held().map(|holding| holding.who.pod.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(nodes.witnesses().read(held), ["forgotten", "stays"]);

    town.plane.restore("before").await.unwrap();
    nodes.witnesses().wait_for(|seen| held(seen) == ["comes-back", "stays"], SOON).await.unwrap();
    nodes.witnesses().read(|seen| {
        assert_eq!(seen.of_pod(here, "stays").count(), 1, "it was not disturbed");
        assert_eq!(seen.of_pod(here, "comes-back").count(), 2, "it was started anew");
    });

    // Whoever watches goes on where the restored cluster is, not where it was before.
    start("later").await;
    holds(&nodes, "later", "s").await;
    town.pods(here).delete("stays", &DeleteParams::default()).await.unwrap();
    town.gone(here, "stays").await;
    assert_eq!(nodes.witnesses().read(held), ["comes-back", "later"]);
    town.close().await;
}
