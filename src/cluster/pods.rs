//! Which pods of a namespace read which Secrets, who makes them, and since when they may hold what they read. Nothing of the
//! pods is kept but that.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{self, ContainerStatus, PodStatus},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use kube::{
    Client, Resource,
    api::{ListParams, ObjectList},
    core::Request,
};
use serde::Deserialize;

use super::{call::ask, readers::PodSpec, stored::ours};
use crate::{
    api::consumers::WorkloadKind,
    facts::{Maker, PodSeen, Trouble, WorkloadId},
};

/// The labels by which a controller tells the `ReplicaSets` of a workload apart, and the kind of the workload.
const HASHES: [(&str, WorkloadKind); 2] =
    [("pod-template-hash", WorkloadKind::Deployment), ("rollouts-pod-template-hash", WorkloadKind::Rollout)];

/// A pod, read no further than is needed here.
#[derive(Debug, Clone, Deserialize, Resource)]
#[resource(inherit = v1::Pod)]
pub(super) struct Pod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

/// The pods of a namespace that have not ended, as they are now.
pub async fn seen(client: &Client, namespace: &str) -> Result<Vec<PodSeen>, Trouble> {
    let asked = Request::new(Pod::url_path(&(), Some(namespace))).list(&ListParams::default());
    let pods: ObjectList<Pod> = ask(client, || format!("list the pods of namespace {namespace}"), asked).await?;
    Ok(pods.items.iter().filter_map(pod).collect())
}

/// What matters of a pod; nothing of one that has ended, since its containers never start again.
pub(super) fn pod(pod: &Pod) -> Option<PodSeen> {
    let Pod { metadata, spec, status } = pod;
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) && running(status).next().is_none() {
        return None;
    }
    let ends = metadata.deletion_timestamp.as_ref().map(|Time(time)| *time);
    // The API server writes down when the time to end is over, not when it began.
    let grace = SignedDuration::from_secs(metadata.deletion_grace_period_seconds.unwrap_or_default());
    Some(PodSeen {
        name: metadata.name.clone().unwrap_or_default(),
        maker: maker(metadata),
        reads: spec.reads(),
        identity: spec.identity(metadata.labels.as_ref()),
        created_at: metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |Time(time)| *time),
        started_at: running(status).chain(initiated(status)).min(),
        terminating_since: ends.map(|ends| ends.checked_sub(grace).unwrap_or(ends)),
        lost: is_lost(status),
        annotations: ours(metadata.annotations.as_ref()),
    })
}

/// When the containers that run have started.
fn running(status: &PodStatus) -> impl Iterator<Item = Timestamp> {
    let all = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let started = |one: &ContainerStatus| Some(one.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0);
    all.into_iter().flatten().flatten().filter_map(started)
}

/// When the init containers that have ended had started.
fn initiated(status: &PodStatus) -> impl Iterator<Item = Timestamp> {
    let started = |one: &ContainerStatus| Some(one.state.as_ref()?.terminated.as_ref()?.started_at.as_ref()?.0);
    status.init_container_statuses.iter().flatten().filter_map(started)
}

/// Whether the node of a pod does not answer. Who says so is the controller of nodes, which cannot say more than that the
/// pod is not ready: for a reason that it does not give, as a node always does.
fn is_lost(status: &PodStatus) -> bool {
    let given_up = status.conditions.iter().flatten().any(|condition| {
        let reason = condition.reason.as_deref().unwrap_or_default();
        condition.type_ == "Ready" && condition.status == "False" && reason.is_empty()
    });
    given_up || status.phase.as_deref() == Some("Unknown") || status.reason.as_deref() == Some("NodeLost")
}

/// What makes pods like this one.
fn maker(metadata: &ObjectMeta) -> Option<Maker> {
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    Some(
        rolled(owner, metadata).map_or_else(
            || Maker::Other(format!("{}/{}", owner.kind.to_ascii_lowercase(), owner.name)),
            Maker::Workload,
        ),
    )
}

/// The workload to roll for other pods than this one. Others have kinds of the same names.
fn rolled(owner: &OwnerReference, metadata: &ObjectMeta) -> Option<WorkloadId> {
    let named = |kind, name: &str| Some(WorkloadId { kind, name: name.to_owned() });
    match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("apps/v1", "StatefulSet") => named(WorkloadKind::StatefulSet, &owner.name),
        ("apps/v1", "DaemonSet") => named(WorkloadKind::DaemonSet, &owner.name),
        ("apps/v1", "ReplicaSet") => HASHES.into_iter().find_map(|(label, kind)| {
            let hash = metadata.labels.as_ref()?.get(label)?;
            named(kind, owner.name.strip_suffix(hash)?.strip_suffix('-')?)
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A pod with a spec, a status and more metadata.
    fn given(spec: &Value, status: &Value, metadata: &Value) -> Pod {
        let mut whole = json!({"metadata": metadata, "spec": spec, "status": status});
        whole["metadata"]["name"] = json!("web-0");
        whole["metadata"]["creationTimestamp"] = json!("2026-11-21T08:00:00Z");
        serde_json::from_value(whole).unwrap()
    }

    fn idle() -> Value {
        json!({"containers": []})
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_earliest_container_that_runs_says_since_when_a_value_may_be_held() {
        let runs = |at: &str| json!({"name": "a", "state": {"running": {"startedAt": at}}});
        let ended = |at: &str| json!({"name": "a", "state": {"terminated": {"exitCode": 0, "startedAt": at}}});
        let status = json!({
            "phase": "Running",
            "containerStatuses": [ended("2026-11-21T08:00:01Z"), runs("2026-11-21T08:00:09Z"), runs("2026-11-21T08:00:05Z"), {"name": "w", "state": {"waiting": {}}}],
        });
        let running = pod(&given(&idle(), &status, &json!({}))).unwrap();
        assert_eq!(running.started_at, Some(time("2026-11-21T08:00:05Z")));
        let mut initiated = status.clone();
        initiated["initContainerStatuses"] = json!([ended("2026-11-21T08:00:03Z"), runs("2026-11-21T08:00:04Z")]);
        let initiated = pod(&given(&idle(), &initiated, &json!({}))).unwrap();
        assert_eq!(initiated.started_at, Some(time("2026-11-21T08:00:03Z")), "it may have left a value to the others");
        let pending = pod(&given(&idle(), &json!({"phase": "Pending"}), &json!({}))).unwrap();
        assert_eq!((pending.started_at, pending.created_at), (None, time("2026-11-21T08:00:00Z")));
    }

    #[test]
    fn a_pod_that_has_ended_holds_nothing_and_one_that_is_lost_does() {
        let phase = |phase: &str| pod(&given(&idle(), &json!({"phase": phase}), &json!({})));
        assert!(phase("Succeeded").is_none() && phase("Failed").is_none());
        assert!(phase("Unknown").is_some() && phase("Running").is_some());
    }

    #[test]
    fn a_pod_that_its_node_does_not_speak_for_is_lost() {
        let lost = |status: Value| pod(&given(&idle(), &status, &json!({}))).unwrap().lost;
        let ready = |status: &str, reason: Value| {
            let conditions = json!([{"type": "Initialized", "status": "False"}, {"type": "Ready", "status": status, "reason": reason}]);
            json!({"phase": "Running", "conditions": conditions})
        };
        assert!(lost(ready("False", json!(null))) && lost(ready("False", json!(""))));
        assert!(lost(json!({"phase": "Unknown"})) && lost(json!({"phase": "Running", "reason": "NodeLost"})));
        assert!(!lost(ready("False", json!("ContainersNotReady"))) && !lost(ready("True", json!(null))));
    }

    #[test]
    fn who_makes_pods_like_it_is_found_by_their_controller_and_their_hash() {
        let maker = |api: &str, kind: &str, name: &str, labels: Value| {
            let owners = json!([
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "no", "uid": "1"},
                {"apiVersion": api, "kind": kind, "name": name, "uid": "2", "controller": true},
            ]);
            let metadata = json!({"ownerReferences": owners, "labels": labels});
            match pod(&given(&idle(), &json!({}), &metadata)).unwrap().maker.unwrap() {
                Maker::Workload(id) => id.to_string(),
                Maker::Other(other) => format!("other {other}"),
            }
        };
        let hash = json!({"pod-template-hash": "5d4f"});
        let argo = json!({"rollouts-pod-template-hash": "5d4f"});
        assert_eq!(maker("apps/v1", "ReplicaSet", "web-5d4f", hash.clone()), "deployment/web");
        assert_eq!(maker("apps/v1", "ReplicaSet", "web-5d4f", argo), "rollout/web");
        assert_eq!(maker("apps/v1", "ReplicaSet", "web-5d4f", json!({})), "other replicaset/web-5d4f");
        assert_eq!(maker("apps/v1", "ReplicaSet", "web", hash.clone()), "other replicaset/web");
        assert_eq!(maker("apps/v1", "StatefulSet", "db", json!({})), "statefulset/db");
        assert_eq!(maker("apps/v1", "DaemonSet", "agent", json!({})), "daemonset/agent");
        assert_eq!(maker("batch/v1", "Job", "batch-7", json!({})), "other job/batch-7");
        assert_eq!(maker("apps.kruise.io/v1beta1", "StatefulSet", "db", hash), "other statefulset/db");
        assert_eq!(pod(&given(&idle(), &json!({}), &json!({}))).unwrap().maker, None);
    }

    #[test]
    fn a_terminating_pod_is_alive_since_it_was_told_to_end() {
        let metadata = json!({
            "deletionTimestamp": "2026-11-21T08:00:40Z", "deletionGracePeriodSeconds": 30,
            "annotations": {"keywright.dev/payments-api": "key", "other": "no"},
        });
        let leaving = pod(&given(&idle(), &json!({"phase": "Running"}), &metadata)).unwrap();
        assert_eq!(leaving.terminating_since, Some(time("2026-11-21T08:00:10Z")));
        assert_eq!(
            leaving.annotations.into_iter().collect::<Vec<_>>(),
            [("keywright.dev/payments-api".to_owned(), "key".to_owned())]
        );
    }
}
