//! What containers hold when, and what keeps them from starting.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use keywright_sandbox::Nodes;
use keywright_sandbox::node::{Options, RESTART, SECRET_FILE};
use keywright_sandbox::witness::Fingerprint;
use kube::Api;
use serde_json::json;

use crate::town::{SOON, Town, holds, is_ready, is_running, pod, waits, with_files};

pub async fn variables_stay_until_a_restart_and_files_follow(town: &Town) {
    let (nodes, here) = (town.node("following").await, "following");
    town.endpoint.knows("old");
    town.endpoint.knows("new");
    town.secret(here, "old").await;
    let file = json!({SECRET_FILE: "/etc/entra/AZURE_CLIENT_SECRET"});
    town.create::<Pod>(here, pod(here, "variables", &json!({}), &json!({}))).await;
    town.create::<Pod>(here, pod(here, "files", &file, &with_files())).await;
    holds(&nodes, "variables", "old").await;
    holds(&nodes, "files", "old").await;

    town.secret(here, "new").await;
    holds(&nodes, "files", "new").await;
    let still = |seen: &keywright_sandbox::witness::Testimonies| {
        seen.holders_of(Fingerprint::of("old")).map(|holding| holding.who.pod.clone()).collect::<Vec<_>>()
    };
    assert_eq!(nodes.witnesses().read(still), ["variables"]);

    town.annotate(here, "variables", RESTART, "1").await;
    holds(&nodes, "variables", "new").await;
    let restarted = town.pod(here, "variables", |pod| restarts(pod) == 1 && is_ready(pod)).await;
    assert!(is_running(&restarted));
    nodes.witnesses().read(|seen| {
        assert_eq!(still(seen), [""; 0]);
        assert_eq!(seen.of_pod(here, "variables").count(), 2);
        assert!(seen.refusals.is_empty(), "{:?}", seen.refusals);
    });
}

pub async fn a_missing_key_keeps_a_container_from_being_created(town: &Town) {
    let (nodes, here) = (town.node("missing").await, "missing");
    town.endpoint.knows("s5");
    town.secret(here, "s5").await;
    let key = json!({"secretKeyRef": {"name": "later", "key": "AZURE_CLIENT_SECRET"}});
    let entra = json!([{"secretRef": {"name": "entra"}}]);
    let container = json!({"name": "app", "image": "example.org/app", "envFrom": entra, "env": [{"name": "MORE", "valueFrom": key}]});
    town.create::<Pod>(here, pod(here, "web", &json!({}), &json!({"containers": [container]}))).await;
    let error = |message: &str| Some(("CreateContainerConfigError".to_owned(), message.to_owned()));
    town.pod(here, "web", |pod| waits(pod) == error("secret \"later\" not found")).await;

    town.kubectl(here, "create secret generic later --from-literal=OTHER=x").await;
    let missing = "couldn't find key AZURE_CLIENT_SECRET in Secret missing/later";
    town.pod(here, "web", |pod| waits(pod) == error(missing)).await;
    let told = town.kubectl(here, "describe pod web").await;
    assert!(told.contains("Error: secret \"later\" not found") && told.contains("kubelet"), "{told}");
    assert!(nodes.witnesses().read(|seen| seen.holdings.is_empty()));

    let patch = r#"patch secret later -p {"stringData":{"AZURE_CLIENT_SECRET":"x"}}"#;
    town.kubectl(here, patch).await;
    holds(&nodes, "web", "s5").await;
    town.pod(here, "web", is_ready).await;
}

pub async fn a_missing_secret_keeps_a_volume_from_being_mounted(town: &Town) {
    let (nodes, here) = (town.node("unmounted").await, "unmounted");
    town.endpoint.knows("s6");
    let file = json!({SECRET_FILE: "/etc/entra/AZURE_CLIENT_SECRET"});
    town.create::<Pod>(here, pod(here, "web", &file, &with_files())).await;
    let waiting = town.pod(here, "web", |pod| waits(pod).is_some()).await;
    assert_eq!(waits(&waiting), Some(("ContainerCreating".to_owned(), String::new())));
    let failed = "get events --field-selector reason=FailedMount -o jsonpath={.items[0].message}";
    let told = town.kubectl(here, failed).await;
    assert_eq!(told, "MountVolume.SetUp failed for volume \"entra\" : secret \"entra\" not found");
    town.secret(here, "s6").await;
    holds(&nodes, "web", "s6").await;
}

pub async fn a_node_that_lags_gives_a_new_pod_the_old_value(town: &Town) {
    let here = "lagging";
    town.inhabit(here).await;
    let lag = Duration::from_mins(10);
    let options = Options { cache_lag: lag, ..town.options(&["lagging-0", "lagging-1"]) };
    let nodes = Nodes::start(&town.plane, options).await.unwrap();
    town.endpoint.knows("older");
    town.endpoint.knows("newer");
    town.secret(here, "older").await;
    let start = |name: &'static str, node: &'static str| {
        let pods: Api<Pod> = town.pods(here);
        let pod = serde_json::from_value(pod(node, name, &json!({}), &json!({}))).unwrap();
        async move { pods.create(&kube::api::PostParams::default(), &pod).await.unwrap() }
    };
    start("before", "lagging-0").await;
    holds(&nodes, "before", "older").await;
    town.secret(here, "newer").await;
    start("after", "lagging-0").await;
    start("elsewhere", "lagging-1").await;
    holds(&nodes, "elsewhere", "newer").await; // a node that has never read it reads it afresh
    holds(&nodes, "after", "older").await;
    nodes.witnesses().wait_for(|seen| seen.held().count() == 3, SOON).await.unwrap();
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    statuses.iter().map(|status| status.restart_count).sum()
}
