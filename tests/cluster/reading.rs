//! What is only read: pods, the operator's own credential, the name of the cluster, the time; and Events, which are only
//! told.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    core::v1::{Namespace, Pod},
    events::v1::Event,
};
use keywright::{
    api::Reason,
    cluster::{events::Reporter, identity, pods},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::place::{Place, made};

pub async fn pods_say_what_they_read_and_since_when(place: Place) {
    let api: Api<Pod> = Api::namespaced(place.admin.clone(), &place.namespace);
    let pod = |name: &str, grace: i64| {
        json!({
            "metadata": {"name": name, "annotations": {"keywright.dev/payments-api": "key", "other": "x"}},
            "spec": {
                "nodeName": "nowhere", "terminationGracePeriodSeconds": grace, "automountServiceAccountToken": false,
                "containers": [{"name": "web", "image": "none", "envFrom": [{"secretRef": {"name": "payments-api"}}]}],
                "volumes": [{"name": "tls", "secret": {"secretName": "payments-tls"}}],
            },
        })
    };
    for name in ["runs", "waits", "leaves", "over"] {
        api.create(&PostParams::default(), &made(pod(name, 3600))).await.unwrap();
    }
    let status = async |name: &str, status: Value| {
        let patch = json!({"status": status});
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    };
    let started: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
    let running = json!([{"name": "web", "image": "none", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": started}}}]);
    status("runs", json!({"phase": "Running", "containerStatuses": running})).await;
    status("leaves", json!({"phase": "Running", "containerStatuses": running})).await;
    status("over", json!({"phase": "Succeeded"})).await;
    api.delete("leaves", &DeleteParams::default()).await.unwrap();

    let mut seen = pods::seen(&place.way.client, &place.namespace).await.unwrap();
    seen.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<&str> = seen.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(names, ["leaves", "runs", "waits"]);
    for pod in &seen {
        let reads: Vec<_> = pod.reads.iter().map(|reading| reading.secret.as_str()).collect();
        assert_eq!(reads, ["payments-api", "payments-tls"]);
        assert_eq!(pod.annotations.keys().collect::<Vec<_>>(), ["keywright.dev/payments-api"]);
    }
    let starts: Vec<_> = seen.iter().map(|pod| pod.started_at).collect();
    assert_eq!(starts, [Some(started), Some(started), None]);
    let since = seen[0].terminating_since.unwrap();
    let age = place.way.clock.now().duration_since(since);
    assert!(age > SignedDuration::from_secs(-2) && age < SignedDuration::from_mins(2), "since {since}, not in an hour");
    assert!(seen[1..].iter().all(|pod| pod.terminating_since.is_none()));
}

pub async fn the_operator_reads_what_it_signs_in_with(place: Place) {
    let (client, namespace) = (&place.way.client, place.namespace.as_str());
    place
        .somebody_creates(
            json!({"metadata": {"name": "own"}, "stringData": {"AZURE_CLIENT_SECRET": "a", "other": "b"}}),
        )
        .await;
    let read = async |reference: Value| identity::client_secret(client, namespace, &made(reference)).await;
    assert_eq!(read(json!({"name": "own"})).await.unwrap().expose_secret(), "a");
    assert_eq!(read(json!({"name": "own", "key": "other"})).await.unwrap().expose_secret(), "b");
    for (reference, words) in [
        (json!({"name": "none"}), format!("there is no Secret {namespace}/none")),
        (json!({"name": "own", "key": "lacking"}), format!("Secret {namespace}/own has no text in its key lacking")),
    ] {
        let trouble = read(reference).await.unwrap_err();
        assert_eq!(trouble.reason, Reason::OperatorCannotSignIn);
        assert!(trouble.message.contains(&words), "{}", trouble.message);
    }

    let data = json!({"tls.crt": "chain", "tls.key": "key"});
    place.somebody_creates(json!({"metadata": {"name": "tls"}, "type": "kubernetes.io/tls", "stringData": data})).await;
    let certificate = identity::certificate(client, namespace, &made(json!({"name": "tls"}))).await.unwrap();
    assert_eq!((certificate.chain.as_str(), certificate.key.expose_secret()), ("chain", "key"));
    let trouble = identity::certificate(client, namespace, &made(json!({"name": "own"}))).await.unwrap_err();
    assert!(trouble.message.contains("no text in its key tls.crt"), "{}", trouble.message);
}

pub async fn the_cluster_names_itself(place: Place) {
    let system = Api::<Namespace>::all(place.admin.clone()).get("kube-system").await.unwrap();
    assert_eq!(identity::cluster_id(&place.way.client).await.ok(), system.metadata.uid);
}

pub async fn events_say_once_what_went_well(place: Place) {
    let about = place.somebody_creates(json!({"metadata": {"name": "about"}})).await;
    let reporter = Reporter::new(place.way.client.clone(), "one".into());
    for note in ["key 1", "key 1", "key 2"] {
        reporter.tell(&about, "Published", note).await.unwrap();
    }
    reporter.warn(&about, "NotProven", "key 3").await.unwrap();
    let events: Api<Event> = Api::namespaced(place.admin.clone(), &place.namespace);
    let about = |event: &Event| event.regarding.as_ref().and_then(|one| one.name.as_deref()) == Some("about");
    let told = |event: Event| [event.type_, event.reason, event.note].map(Option::unwrap_or_default).join(" ");
    let listed = events.list(&ListParams::default()).await.unwrap();
    let mut told: Vec<String> = listed.items.into_iter().filter(about).map(told).collect();
    told.sort();
    assert_eq!(told, ["Normal Published key 1", "Normal Published key 2", "Warning NotProven key 3"]);
}

pub async fn the_clock_is_the_api_server_s(place: Place) {
    let record = place.opened(1).await;
    let listed = place.records.list(&place.namespace, &place.owner()).await.unwrap();
    let late = listed.at.duration_since(record.created_at);
    assert!(late > SignedDuration::from_secs(-2) && late < SignedDuration::from_mins(1), "{late:?}");
}
