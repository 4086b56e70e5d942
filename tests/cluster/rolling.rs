//! Workloads: what is seen of them, and a roll, which changes nothing but one annotation.

use std::time::Duration;

use k8s_openapi::{
    api::apps::v1::{DaemonSet, Deployment, StatefulSet},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use keywright::{
    api::{Reason, consumers::WorkloadKind},
    cluster::workloads::Workloads,
    facts::{Effect, Hindrance, Owner, WorkloadSeen},
};
use keywright_sandbox::{KUBERNETES, Rule};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::wait::{await_condition, conditions::is_crd_established},
};
use serde_json::{Value, json};

use crate::place::{PATIENCE, Place, made, outpaced, yes};

const KEY: &str = "keywright.dev/payments-api";

fn deployments(place: &Place) -> Api<Deployment> {
    Api::namespaced(place.admin.clone(), &place.namespace)
}

/// Somebody's annotation in the template of a Deployment, as a tool applies it.
async fn somebody_annotates(place: &Place, manager: &str, key: &str) {
    let annotations = json!({"metadata": {"annotations": {key: "theirs"}}});
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": annotations}});
    deployments(place).patch("web", &PatchParams::apply(manager), &Patch::Apply(body)).await.unwrap();
}

pub async fn workloads_say_what_they_read_and_how_far_they_are(place: Place) {
    place.somebody_deploys("web", "payments-api").await;
    let labels = json!({"app": "db"});
    let volume = json!({"name": "v", "secret": {"secretName": "payments-api", "items": [{"key": "k", "path": "k"}]}});
    let pod = json!({"containers": [{"name": "a", "image": "none"}], "volumes": [volume]});
    let template = json!({"metadata": {"labels": labels, "annotations": {KEY: "key"}}, "spec": pod});
    let of_set = |strategy: Value| {
        let spec = json!({"selector": {"matchLabels": labels}, "template": template, "updateStrategy": strategy});
        json!({"spec": spec})
    };
    place.somebody_makes::<StatefulSet>("db", of_set(json!({"rollingUpdate": {"partition": 2}}))).await;
    place.somebody_makes::<DaemonSet>("agent", of_set(json!({"type": "OnDelete"}))).await;
    let observed = |one: Option<&Deployment>| one.and_then(|one| one.status.as_ref()?.observed_generation).is_some();
    tokio::time::timeout(PATIENCE, await_condition(deployments(&place), "web", observed)).await.unwrap().unwrap();

    let seen = place.workloads.list(&place.namespace).await.unwrap();
    let words = |one: &WorkloadSeen| {
        let reads = one.reads.iter().map(|one| format!("{}/{:?}", one.secret, one.key)).collect::<Vec<_>>();
        format!(
            "{} reads {}, has {:?}, hindered by {:?}",
            one.id,
            reads.join(" "),
            one.annotations.get(KEY),
            one.hindrance
        )
    };
    assert_eq!(
        seen.iter().map(words).collect::<Vec<_>>(),
        [
            "deployment/web reads payments-api/None, has None, hindered by None",
            "statefulset/db reads payments-api/Some(\"k\"), has Some(\"key\"), hindered by Some(Partition(2))",
            "daemonset/agent reads payments-api/Some(\"k\"), has Some(\"key\"), hindered by Some(OnDelete)",
        ]
    );
    let progress = seen[0].progress;
    assert!(progress.observed && progress.desired == 1 && progress.available == 0, "{progress:?}");
    deployments(&place)
        .patch("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"paused": true}})))
        .await
        .unwrap();
    assert_eq!(place.workload("web").await.unwrap().hindrance, Some(Hindrance::Paused));
}

pub async fn a_roll_is_an_annotation_and_nothing_else(place: Place) {
    let (workloads, namespace) = (&place.workloads, place.namespace.as_str());
    place.somebody_deploys("web", "payments-api").await;
    somebody_annotates(&place, "gitops", "theirs").await;
    let seen = place.workload("web").await.unwrap();
    let mut before = deployments(&place).get("web").await.unwrap().spec;

    let another = Owner::of("cluster", namespace, "another");
    yes(workloads.roll(namespace, &seen, &another, ("keywright.dev/another", "1")).await);
    for value in ["1", "2", "2"] {
        let rolled = yes(workloads.roll(namespace, &seen, &place.owner(), (KEY, value)).await);
        assert_eq!(rolled.annotations.get(KEY).map(String::as_str), Some(value));
        assert_eq!((&rolled.id, &rolled.uid, &rolled.reads), (&seen.id, &seen.uid, &seen.reads));
    }
    let after = deployments(&place).get("web").await.unwrap();
    let annotations = before.template.metadata.as_mut().unwrap().annotations.as_mut().unwrap();
    annotations.extend([("keywright.dev/another", "1"), (KEY, "2")].map(|(key, value)| (key.into(), value.into())));
    assert_eq!(after.spec, before);
    assert_eq!(after.metadata.generation, Some(5), "the same once more is no change");
}

pub async fn an_annotation_that_somebody_else_keeps_is_theirs(place: Place) {
    place.somebody_deploys("web", "payments-api").await;
    somebody_annotates(&place, "gitops", KEY).await;
    let seen = place.workload("web").await.unwrap();
    let trouble = place.workloads.roll(&place.namespace, &seen, &place.owner(), (KEY, "1")).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::RolloutContested, Effect::Refused), "{trouble:?}");
    assert!(trouble.message.contains("gitops") && trouble.message.contains("deployment/web"), "{}", trouble.message);
    assert_eq!(place.workload("web").await.unwrap().annotations[KEY], "theirs");
}

pub async fn a_workload_that_has_gone_is_not_brought_back(place: Place) {
    place.somebody_deploys("web", "payments-api").await;
    let seen = place.workload("web").await.unwrap();
    let roll = async || place.workloads.roll(&place.namespace, &seen, &place.owner(), (KEY, "1")).await;
    deployments(&place).delete("web", &DeleteParams::default()).await.unwrap();
    outpaced(&roll().await);
    assert_eq!(place.workload("web").await, None);
    place.somebody_deploys("web", "payments-api").await;
    outpaced(&roll().await);
    assert!(place.workload("web").await.unwrap().annotations.is_empty(), "it is another one of the same name");
}

pub async fn a_lost_answer_of_a_roll_is_unknown(place: Place) {
    place.somebody_deploys("web", "payments-api").await;
    let seen = place.workload("web").await.unwrap();
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/web", place.namespace);
    let at = || Rule::at(KUBERNETES, "patch", &path).times(1);
    for (rule, value, done) in [(at().answer(503), "1", false), (at().cut_after(), "2", true)] {
        let (before, _) = (place.sent("patch"), place.proxy.faults().add(rule));
        let trouble = place.workloads.roll(&place.namespace, &seen, &place.owner(), (KEY, value)).await.unwrap_err();
        assert_eq!((trouble.effect, place.sent("patch") - before), (Effect::Unknown, 1), "{trouble:?}");
        let has = place.workload("web").await.unwrap().annotations.get(KEY).is_some_and(|there| there == value);
        assert_eq!(has, done);
    }
}

pub async fn rollouts_of_argo_s_count_where_it_is_installed(place: Place) {
    let asked = || place.proxy.journal().count(|entry| entry.path.contains("argoproj.io"));
    for _ in 0..2 {
        assert!(place.workloads.list(&place.namespace).await.unwrap().is_empty());
    }
    assert_eq!(asked(), 1, "what is not installed is not asked for at each look");

    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout"));
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition: CustomResourceDefinition = made(json!({
        "metadata": {"name": "rollouts.argoproj.io"},
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced", "names": {"kind": "Rollout", "plural": "rollouts"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}],
        },
    }));
    let definitions: Api<CustomResourceDefinition> = Api::all(place.admin.clone());
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    let established = await_condition(definitions, "rollouts.argoproj.io", is_crd_established());
    tokio::time::timeout(PATIENCE, established).await.unwrap().unwrap();

    let rollouts: Api<DynamicObject> = Api::namespaced_with(place.admin.clone(), &place.namespace, &resource);
    let container =
        json!({"name": "a", "envFrom": [{"secretRef": {"name": "payments-api"}}], "resources": {"limits": {"cpu": 1}}});
    let rollout = DynamicObject::new("web", &resource)
        .data(json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}}}));
    // The API server serves a new kind a moment after it says so.
    let created = async {
        while rollouts.create(&PostParams::default(), &rollout).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, created).await.unwrap();
    let status =
        json!({"status": {"observedGeneration": "1", "phase": "Healthy", "updatedReplicas": 1, "replicas": 3}});
    rollouts.patch_status("web", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();

    let workloads = Workloads::new(&place.way, true);
    let seen = workloads.list(&place.namespace).await.unwrap().remove(0);
    assert_eq!((seen.id.kind, seen.reads.len(), seen.progress.total), (WorkloadKind::Rollout, 1, 1));
    let rolled = yes(workloads.roll(&place.namespace, &seen, &place.owner(), (KEY, "1")).await);
    assert_eq!((rolled.annotations[KEY].as_str(), rolled.progress.observed), ("1", false));
    assert_eq!(rolled.reads, seen.reads);
    rollouts.delete("web", &DeleteParams::default()).await.unwrap();
    outpaced(&workloads.roll(&place.namespace, &seen, &place.owner(), (KEY, "2")).await);
    assert!(workloads.list(&place.namespace).await.unwrap().is_empty(), "nothing has brought it back");
}
