//! Which pods of a namespace read which Secrets, from one list. No watch, and nothing of the pods is kept but that.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerStatus, EnvFromSource, EnvVar, EphemeralContainer, Pod, PodSpec, PodStatus, Volume,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Client, Resource,
    api::{ListParams, ObjectList},
    core::Request,
};

use super::call::ask;
use crate::{
    api::GROUP,
    facts::{PodSeen, Trouble},
};

/// The pods of a namespace that have not ended, as they are now.
pub async fn seen(client: &Client, namespace: &str) -> Result<Vec<PodSeen>, Trouble> {
    let asked = Request::new(Pod::url_path(&(), Some(namespace))).list(&ListParams::default());
    let pods: ObjectList<Pod> = ask(client, || format!("list the pods of namespace {namespace}"), asked).await?;
    Ok(pods.items.into_iter().filter_map(pod).collect())
}

/// What matters of a pod; nothing of one that has ended, since its containers never start again.
fn pod(pod: Pod) -> Option<PodSeen> {
    let status = pod.status.unwrap_or_default();
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) && running(&status).next().is_none() {
        return None;
    }
    let metadata = pod.metadata;
    let prefix = format!("{GROUP}/");
    let annotations = metadata.annotations.unwrap_or_default();
    let ends = metadata.deletion_timestamp.map(|Time(time)| time);
    // The API server writes down when the time to end is over, not when it began.
    let grace = SignedDuration::from_secs(metadata.deletion_grace_period_seconds.unwrap_or_default());
    Some(PodSeen {
        name: metadata.name.unwrap_or_default(),
        reads: pod.spec.map(|spec| read_by(&spec).into_iter().collect()).unwrap_or_default(),
        created_at: metadata.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |Time(time)| time),
        started_at: running(&status).min(),
        terminating_since: ends.map(|ends| ends.checked_sub(grace).unwrap_or(ends)),
        annotations: annotations.into_iter().filter(|(key, _)| key.starts_with(&prefix)).collect(),
    })
}

/// When the containers that run have started.
fn running(status: &PodStatus) -> impl Iterator<Item = Timestamp> {
    let all = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let started = |one: &ContainerStatus| Some(one.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0);
    all.into_iter().flatten().flatten().filter_map(started)
}

/// The Secrets that a pod reads.
fn read_by(spec: &PodSpec) -> BTreeSet<String> {
    let plain = |one: &Container| by_environment(one.env.as_deref(), one.env_from.as_deref());
    let ephemeral = |one: &EphemeralContainer| by_environment(one.env.as_deref(), one.env_from.as_deref());
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers).flat_map(plain);
    let others = spec.ephemeral_containers.iter().flatten().flat_map(ephemeral);
    containers.chain(others).chain(spec.volumes.iter().flatten().flat_map(as_files)).collect()
}

fn by_environment(env: Option<&[EnvVar]>, env_from: Option<&[EnvFromSource]>) -> Vec<String> {
    let one = |variable: &EnvVar| Some(variable.value_from.as_ref()?.secret_key_ref.as_ref()?.name.clone());
    let all = |source: &EnvFromSource| Some(source.secret_ref.as_ref()?.name.clone());
    env.into_iter().flatten().filter_map(one).chain(env_from.into_iter().flatten().filter_map(all)).collect()
}

/// The Secrets behind a volume: its files, or what a CSI driver signs in with, which for Azure's is an application's
/// credential.
fn as_files(volume: &Volume) -> Vec<String> {
    let secret = volume.secret.iter().filter_map(|source| source.secret_name.clone());
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let projected = sources.filter_map(|source| Some(source.secret.as_ref()?.name.clone()));
    let driver = volume.csi.iter().filter_map(|csi| Some(csi.node_publish_secret_ref.as_ref()?.name.clone()));
    secret.chain(projected).chain(driver).collect()
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
    fn every_way_to_read_a_secret_counts() {
        let env = |name: &str| json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}, {"name": "B", "value": "no"}]);
        let from = |name: &str| json!([{"secretRef": {"name": name}}, {"configMapRef": {"name": "no"}}]);
        let spec = json!({
            "initContainers": [{"name": "i", "env": env("init-env"), "envFrom": from("init-from")}],
            "containers": [{"name": "a", "env": env("env")}, {"name": "b", "envFrom": from("from")}, {"name": "c"}],
            "ephemeralContainers": [{"name": "e", "env": env("debug"), "envFrom": from("debug-from")}],
            "volumes": [
                {"name": "v", "secret": {"secretName": "files"}},
                {"name": "p", "projected": {"sources": [{"secret": {"name": "projected"}}, {"configMap": {"name": "no"}}]}},
                {"name": "c", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "driver"}}},
                {"name": "twice", "secret": {"secretName": "env"}},
                {"name": "n", "emptyDir": {}},
            ],
        });
        let reads = pod(given(&spec, &json!({}), &json!({}))).unwrap().reads;
        assert_eq!(
            reads,
            ["debug", "debug-from", "driver", "env", "files", "from", "init-env", "init-from", "projected"]
        );
    }

    #[test]
    fn the_earliest_container_that_runs_says_since_when_a_value_may_be_held() {
        let runs = |at: &str| json!({"name": "a", "state": {"running": {"startedAt": at}}});
        let status = json!({
            "phase": "Running",
            "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 0, "startedAt": "2026-11-21T08:00:01Z"}}}],
            "containerStatuses": [runs("2026-11-21T08:00:09Z"), runs("2026-11-21T08:00:05Z"), {"name": "w", "state": {"waiting": {}}}],
        });
        let running = pod(given(&idle(), &status, &json!({}))).unwrap();
        assert_eq!(running.started_at, Some(time("2026-11-21T08:00:05Z")));
        let pending = pod(given(&idle(), &json!({"phase": "Pending"}), &json!({}))).unwrap();
        assert_eq!((pending.started_at, pending.created_at), (None, time("2026-11-21T08:00:00Z")));
    }

    #[test]
    fn a_pod_that_has_ended_holds_nothing_and_one_that_is_lost_does() {
        let phase = |phase: &str| pod(given(&idle(), &json!({"phase": phase}), &json!({})));
        assert!(phase("Succeeded").is_none() && phase("Failed").is_none());
        assert!(phase("Unknown").is_some() && phase("Running").is_some());
    }

    #[test]
    fn a_terminating_pod_is_alive_since_it_was_told_to_end() {
        let metadata = json!({
            "deletionTimestamp": "2026-11-21T08:00:40Z", "deletionGracePeriodSeconds": 30,
            "annotations": {"keywright.dev/payments-api": "key", "other": "no"},
        });
        let leaving = pod(given(&idle(), &json!({"phase": "Running"}), &metadata)).unwrap();
        assert_eq!(leaving.terminating_since, Some(time("2026-11-21T08:00:10Z")));
        assert_eq!(
            leaving.annotations.into_iter().collect::<Vec<_>>(),
            [("keywright.dev/payments-api".to_owned(), "key".to_owned())]
        );
    }
}
