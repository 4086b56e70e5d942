//! What the API and kubectl show of pods, from their start to their end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use keywright_sandbox::node::{ENDS_AFTER, INIT_FOR, READY_AFTER, RUN_FOR};
use keywright_sandbox::witness::Testimonies;
use kube::Api;
use kube::api::DeleteParams;
use kube::runtime::conditions::is_job_completed;
use kube::runtime::wait::await_condition;
use serde_json::json;

use crate::town::{SOON, Town, condition, holds, is_ready, is_running, pod, template};

pub async fn a_deployment_is_rolled_out_and_kubectl_shows_it(town: &Town) {
    let (nodes, here) = (town.node("rolled").await, "rolled");
    town.endpoint.knows("s1");
    town.secret(here, "s1").await;
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": template(here, &json!({}))});
    let spec = json!({"replicas": 3, "selector": {"matchLabels": labels}, "template": template});
    town.create::<Deployment>(here, json!({"metadata": {"name": "web"}, "spec": spec})).await;
    let told = town.kubectl(here, "rollout status deployment/web --timeout=60s").await;
    assert!(told.contains("deployment \"web\" successfully rolled out"), "{told}");
    nodes.witnesses().wait_for(|seen| seen.held().filter(|held| held.accepted > 0).count() == 3, SOON).await.unwrap();

    let told = town.kubectl(here, "get node rolled -o wide").await;
    assert!(told.contains(" Ready ") && told.contains("Keywright sandbox"), "{told}");
    let told = town.kubectl(here, "get pods -o wide").await;
    assert_eq!(told.matches("1/1     Running").count(), 3, "{told}");
    let told = town.kubectl(here, "describe pods").await;
    assert!(
        told.contains("PodScheduled      True") && told.contains("ContainersReady   True") && told.contains("/10.0.0."),
        "{told}"
    );
    let addresses = town.kubectl(here, "get pods -o jsonpath={.items[*].status.podIP}").await;
    let unique: BTreeSet<&str> = addresses.split(' ').collect();
    assert_eq!(unique.len(), 3, "{addresses}");

    town.kubectl(here, "rollout restart deployment/web").await;
    town.kubectl(here, "rollout status deployment/web --timeout=60s").await;
    town.kubectl(here, "delete deployment/web --wait --cascade=foreground --timeout=60s").await;
    nodes.witnesses().wait_for(|seen| seen.held().count() == 0, SOON).await.unwrap();
    nodes.witnesses().read(|seen| assert_eq!((seen.holdings.len(), seen.refusals.len()), (6, 0)));
}

pub async fn a_stateful_set_gives_names_to_others(town: &Town) {
    let (nodes, here) = (town.node("named").await, "named");
    town.endpoint.knows("s8");
    town.secret(here, "s8").await;
    let labels = json!({"app": "db"});
    let template = json!({"metadata": {"labels": labels}, "spec": template(here, &json!({}))});
    let spec = json!({
        "replicas": 2, "serviceName": "db", "podManagementPolicy": "Parallel", "selector": {"matchLabels": labels},
        "template": template,
    });
    town.create::<StatefulSet>(here, json!({"metadata": {"name": "db"}, "spec": spec})).await;
    town.kubectl(here, "rollout status statefulset/db --timeout=60s").await;
    town.kubectl(here, "rollout restart statefulset/db").await;
    town.kubectl(here, "rollout status statefulset/db --timeout=60s").await;
    holds(&nodes, "db-0", "s8").await;
    holds(&nodes, "db-1", "s8").await;
    nodes.witnesses().read(|seen| {
        let of =
            |pod: &str| seen.of_pod(here, pod).map(|holding| holding.who.uid.clone()).collect::<BTreeSet<_>>().len();
        assert_eq!((of("db-0"), of("db-1"), seen.held().count()), (2, 2, 2));
    });
}

/// AZURE 8: whoever still holds the old one has to be counted, and a pod that is being deleted still does.
pub async fn a_deleted_pod_signs_in_until_it_ends(town: &Town) {
    let (nodes, here) = (town.node("ending").await, "ending");
    town.endpoint.knows("s2");
    town.secret(here, "s2").await;
    town.create::<Pod>(here, pod(here, "slow", &json!({ENDS_AFTER: "3s"}), &json!({}))).await;
    holds(&nodes, "slow", "s2").await;

    let deleted = Timestamp::now();
    town.pods(here).delete("slow", &DeleteParams::default()).await.unwrap();
    let count = |seen: &Testimonies| seen.accepted(here, "slow");
    let before = nodes.witnesses().read(count);
    town.pod(here, "slow", |pod| pod.metadata.deletion_timestamp.is_some()).await;
    nodes.witnesses().wait_for(|seen| count(seen) > before + 3, SOON).await.unwrap();
    town.gone(here, "slow").await;
    nodes.witnesses().read(|seen| {
        let held = Timestamp::duration_since(seen.holdings[0].until.unwrap(), deleted);
        assert!(held.as_millis() >= 2_900, "{held}");
    });
}

pub async fn a_stubborn_pod_is_killed_after_its_grace_period(town: &Town) {
    let (nodes, here) = (town.node("stubborn").await, "stubborn");
    town.endpoint.knows("s3");
    town.secret(here, "s3").await;
    town.create::<Pod>(here, pod(here, "web", &json!({ENDS_AFTER: "never"}), &json!({}))).await;
    holds(&nodes, "web", "s3").await;
    let begun = Instant::now();
    town.pods(here).delete("web", &DeleteParams::default().grace_period(2)).await.unwrap();
    town.gone(here, "web").await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(nodes.witnesses().read(|seen| seen.held().count()), 0);
}

pub async fn a_job_completes(town: &Town) {
    let (nodes, here) = (town.node("working").await, "working");
    town.endpoint.knows("s4");
    town.secret(here, "s4").await;
    let spec = template(here, &json!({"restartPolicy": "Never"}));
    let template = json!({"metadata": {"annotations": {RUN_FOR: "500ms"}}, "spec": spec});
    let job = json!({"metadata": {"name": "sums"}, "spec": {"completions": 2, "parallelism": 2, "template": template}});
    town.create::<Job>(here, job).await;
    let done = await_condition(Api::<Job>::namespaced(town.client(), here), "sums", is_job_completed());
    tokio::time::timeout(SOON, done).await.unwrap().unwrap();
    nodes.witnesses().read(|seen| assert_eq!((seen.holdings.len(), seen.held().count()), (2, 0)));
}

pub async fn init_containers_come_first_and_a_pod_may_never_be_ready(town: &Town) {
    let (_nodes, here) = (town.node("preparing").await, "preparing");
    let spec = json!({"initContainers": [{"name": "one", "image": "example.org/app"}, {"name": "two", "image": "example.org/app"}], "containers": [{"name": "app", "image": "example.org/app"}]});
    town.create::<Pod>(here, pod(here, "web", &json!({INIT_FOR: "700ms", READY_AFTER: "never"}), &spec)).await;
    let first = town.pod(here, "web", |pod| condition(pod, "Initialized") == "False").await;
    assert!(!is_running(&first));
    let running = town.pod(here, "web", is_running).await;
    let inits = running.status.as_ref().unwrap().init_container_statuses.clone().unwrap();
    let codes = inits.iter().map(|init| init.state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code);
    assert_eq!(codes.collect::<Vec<_>>(), [0, 0]);
    assert_eq!(condition(&running, "Initialized"), "True");
    town.annotate(here, "web", READY_AFTER, "0s").await;
    town.pod(here, "web", is_ready).await;
}
