use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

fn made<T: DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

/// The spec of a pod that reads a Secret.
fn reading(secret: &str) -> Value {
    json!({"containers": [{"name": "a", "envFrom": [{"secretRef": {"name": secret}}]}]})
}

fn a_pod(name: &str, secret: &str) -> Pod {
    made(json!({"metadata": {"name": name}, "spec": reading(secret)}))
}

fn a_workload(name: &str, secret: &str) -> Object {
    made(json!({"metadata": {"name": name}, "spec": {"template": {"spec": reading(secret)}}}))
}

fn interest(secret: &str) -> Interest {
    Interest { secrets: BTreeSet::from([secret.to_owned()]), ..Interest::default() }
}

/// Everything has been read, and nothing is there.
fn filled() -> Seen {
    let mut seen = Seen::default();
    seen.pods_changed(&Event::InitDone);
    for kind in KINDS {
        seen.workloads_changed(kind, &Event::InitDone);
    }
    seen
}

fn names(woken: &BTreeSet<String>) -> Vec<&str> {
    woken.iter().map(String::as_str).collect()
}

#[test]
fn nothing_is_known_before_every_watch_has_been_read_and_then_everybody_is_woken() {
    let mut seen = Seen::default();
    seen.hold("api", Interest::default());
    assert!(seen.pods_changed(&Event::InitApply(a_pod("web-0", "payments-api"))).is_empty());
    assert!(seen.pods_changed(&Event::InitDone).is_empty());
    for kind in [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet] {
        assert!(seen.workloads_changed(kind, &Event::InitDone).is_empty());
    }
    assert_eq!(seen.consumers(), None);
    assert_eq!(names(&seen.has_none(WorkloadKind::Rollout)), ["api"]);
    let consumers = seen.consumers().unwrap();
    assert_eq!((consumers.seen, consumers.workloads.len(), consumers.pods.len()), (SeenBy::Watch, 0, 1));
    assert!(seen.has_none(WorkloadKind::Rollout).is_empty(), "only once");
}

#[test]
fn whoever_is_concerned_by_what_was_or_is_there_is_woken() {
    let mut seen = filled();
    seen.hold("api", interest("payments-api"));
    seen.hold("other", interest("other"));
    let kind = WorkloadKind::Deployment;
    assert_eq!(names(&seen.pods_changed(&Event::Apply(a_pod("web-0", "payments-api")))), ["api"]);
    assert!(seen.pods_changed(&Event::Apply(a_pod("web-0", "payments-api"))).is_empty(), "nothing has changed");
    assert_eq!(names(&seen.workloads_changed(kind, &Event::Apply(a_workload("web", "payments-api")))), ["api"]);
    let moved = Event::Apply(a_workload("web", "other"));
    assert_eq!(names(&seen.workloads_changed(kind, &moved)), ["api", "other"], "it reads another now");
    assert!(seen.pods_changed(&Event::Apply(a_pod("web-1", "none"))).is_empty());
    assert_eq!(names(&seen.pods_changed(&Event::Delete(a_pod("web-0", "payments-api")))), ["api"]);
}

#[test]
fn workloads_that_are_named_concern_whatever_they_read() {
    let mut seen = filled();
    let id = WorkloadId { kind: WorkloadKind::StatefulSet, name: "db".into() };
    seen.hold("api", Interest { workloads: BTreeSet::from([id]), ..Interest::default() });
    let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "1", "controller": true});
    let made_by = made(json!({"metadata": {"name": "db-0", "ownerReferences": [owner]}, "spec": {"containers": []}}));
    assert_eq!(names(&seen.pods_changed(&Event::Apply(made_by))), ["api"]);
    let workload = || Event::Apply(made(json!({"metadata": {"name": "db"}, "spec": {}})));
    assert_eq!(names(&seen.workloads_changed(WorkloadKind::StatefulSet, &workload())), ["api"]);
    assert!(seen.workloads_changed(WorkloadKind::DaemonSet, &workload()).is_empty());
}

#[test]
fn a_pod_that_can_hold_nothing_is_not_kept() {
    let mut seen = filled();
    seen.pods_changed(&Event::Apply(made(json!({"metadata": {"name": "idle"}, "spec": {"containers": []}}))));
    seen.pods_changed(&Event::Apply(a_pod("web-0", "payments-api")));
    let pods: Vec<String> = seen.consumers().unwrap().pods.into_iter().map(|pod| pod.name).collect();
    assert_eq!(pods, ["web-0"]);
}

#[tokio::test]
async fn watches_are_shared_and_end_with_the_last_who_needs_them() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cluster = Connection::to(kube::Config::new(format!("http://{nobody}").parse().unwrap())).unwrap();
    let attended = Attended::new(&cluster, &Workloads::new(&cluster, true), |_, _| ());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let one = attended.attend("payments", "api", Interest::default());
    let two = attended.attend("payments", "api", Interest::default());
    let elsewhere = attended.attend("orders", "api", Interest::default());
    assert_eq!(tasks(), before + 2);
    drop((one, elsewhere));
    while tasks() > before + 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(lock(&attended.0.rooms).keys().collect::<Vec<_>>(), ["payments"]);
    drop(two);
    while tasks() > before {
        tokio::task::yield_now().await;
    }
    assert_eq!(attended.consumers("payments"), None);
}
