//! How far a workload is with its last change, by its own status, as `kubectl rollout status` judges it; for Argo's
//! Rollouts as Argo does. A workload is read no further than this needs.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    core::{ApiResource, DynamicResourceScope},
};
use serde::{Deserialize, de::IgnoredAny};

use super::{argo, readers::PodSpec, stored::ours};
use crate::{
    api::consumers::WorkloadKind,
    facts::{Hindrance, Progress, ScheduleSeen, WorkloadId, WorkloadSeen},
};

/// A workload of any kind.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Object {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    replicas: Option<i64>,
    paused: Option<bool>,
    update_strategy: Option<Strategy>,
    /// Argo's; a Deployment has other things under this name.
    strategy: Option<argo::Strategy>,
    template: Option<Template>,
    /// A Rollout can have its template from a Deployment.
    workload_ref: Option<IgnoredAny>,
    /// A `CronJob` has its template in that of its Jobs.
    job_template: Option<JobTemplate>,
}

#[derive(Debug, Clone, Deserialize)]
struct JobTemplate {
    spec: JobSpec,
}

#[derive(Debug, Clone, Deserialize)]
struct JobSpec {
    template: Template,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Strategy {
    #[serde(rename = "type")]
    type_: Option<String>,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Debug, Clone, Deserialize)]
struct RollingUpdate {
    partition: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Template {
    metadata: Option<ObjectMeta>,
    spec: Option<PodSpec>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    observed_generation: Option<Generation>,
    replicas: Option<i64>,
    updated_replicas: Option<i64>,
    available_replicas: Option<i64>,
    // A DaemonSet has other words.
    desired_number_scheduled: Option<i64>,
    current_number_scheduled: Option<i64>,
    updated_number_scheduled: Option<i64>,
    number_available: Option<i64>,
    conditions: Option<Vec<Condition>>,
    // Argo's.
    phase: Option<String>,
    controller_pause: Option<bool>,
    pause_conditions: Option<Vec<argo::Pause>>,
    current_step_index: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    reason: Option<String>,
}

/// A number, which Argo writes as text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Generation {
    Number(i64),
    Text(String),
}

impl Resource for Object {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What matters of a `CronJob`.
pub(super) fn schedule(object: &Object) -> Option<ScheduleSeen> {
    let template = &object.spec.job_template.as_ref()?.spec.template;
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    let spec = template.spec.as_ref();
    Some(ScheduleSeen {
        name: format!("cronjob/{}", object.metadata.name.as_deref().unwrap_or_default()),
        reads: spec.map(PodSpec::reads).unwrap_or_default(),
        identity: spec.map(|spec| spec.identity(labels)).unwrap_or_default(),
    })
}

/// What matters of a workload; nothing of a Rollout whose template is a Deployment's, through which it is rolled.
pub(super) fn workload(kind: WorkloadKind, object: &Object) -> Option<WorkloadSeen> {
    let Object { metadata, spec, .. } = object;
    if spec.workload_ref.is_some() {
        return None;
    }
    let template = spec.template.as_ref();
    let metadata_of_pods = template.and_then(|template| template.metadata.as_ref());
    let annotations = metadata_of_pods.and_then(|metadata| metadata.annotations.as_ref());
    let labels = metadata_of_pods.and_then(|metadata| metadata.labels.as_ref());
    let pods = template.and_then(|template| template.spec.as_ref());
    Some(WorkloadSeen {
        id: WorkloadId { kind, name: metadata.name.clone().unwrap_or_default() },
        uid: metadata.uid.clone().unwrap_or_default(),
        reads: pods.map(PodSpec::reads).unwrap_or_default(),
        identity: pods.map(|pods| pods.identity(labels)).unwrap_or_default(),
        annotations: ours(annotations),
        progress: object.progress(kind),
        hindrance: object.hindrance(),
    })
}

impl Object {
    fn progress(&self, kind: WorkloadKind) -> Progress {
        match kind {
            WorkloadKind::Deployment | WorkloadKind::StatefulSet => self.of_replicas(),
            WorkloadKind::DaemonSet => self.of_nodes(),
            WorkloadKind::Rollout => self.of_argo(),
        }
    }

    /// A Deployment says when its time is over; a `StatefulSet` never does, and counts old pods among those available.
    fn of_replicas(&self) -> Progress {
        let Self { spec, status, .. } = self;
        let deadline = |condition: &Condition| {
            condition.type_ == "Progressing" && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
        };
        Progress {
            observed: self.is_observed(),
            desired: spec.replicas.unwrap_or(1),
            total: status.replicas.unwrap_or_default(),
            updated: status.updated_replicas.unwrap_or_default(),
            available: status.available_replicas.unwrap_or_default(),
            unfinished: false,
            stuck: status.conditions.iter().flatten().any(deadline),
        }
    }

    fn of_nodes(&self) -> Progress {
        let status = &self.status;
        Progress {
            observed: self.is_observed(),
            desired: status.desired_number_scheduled.unwrap_or_default(),
            total: status.current_number_scheduled.unwrap_or_default(),
            updated: status.updated_number_scheduled.unwrap_or_default(),
            available: status.number_available.unwrap_or_default(),
            unfinished: false,
            stuck: false,
        }
    }

    /// Argo's phase has the last word: numbers know nothing of steps, of analyses, and of services that are still to be
    /// switched over. Once it is healthy, old pods that are left are about to go, when a delay is over that may be long.
    fn of_argo(&self) -> Progress {
        let status = &self.status;
        let is_healthy = status.phase.as_deref() == Some("Healthy");
        let unpausing =
            status.controller_pause == Some(true) && status.pause_conditions.iter().flatten().next().is_none();
        let all = self.of_replicas();
        Progress {
            observed: all.observed && status.phase.is_some() && !unpausing,
            total: if is_healthy { all.updated } else { all.total },
            available: if is_healthy { all.updated } else { all.available },
            unfinished: !is_healthy,
            stuck: status.phase.as_deref() == Some("Degraded"),
            ..all
        }
    }

    fn is_observed(&self) -> bool {
        let observed = match &self.status.observed_generation {
            Some(Generation::Number(number)) => Some(*number),
            Some(Generation::Text(text)) => text.parse().ok(),
            None => None,
        };
        observed.is_some_and(|observed| observed > 0 && Some(observed) >= self.metadata.generation)
    }

    fn hindrance(&self) -> Option<Hindrance> {
        let Self { metadata, spec, status } = self;
        let strategy = spec.update_strategy.as_ref();
        let is_paused = status.phase.as_deref() == Some("Paused");
        let pauses = status.pause_conditions.as_deref().unwrap_or_default();
        let resumes = spec.strategy.as_ref().is_some_and(|argo| argo.resumes(pauses, status.current_step_index));
        if metadata.deletion_timestamp.is_some() {
            Some(Hindrance::Deleting)
        } else if spec.paused == Some(true) || (is_paused && !resumes) {
            Some(Hindrance::Paused)
        } else if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete")) {
            Some(Hindrance::OnDelete)
        } else {
            let partition = strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.partition);
            partition.filter(|partition| *partition > 0).map(Hindrance::Partition)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(kind: WorkloadKind, spec: &Value, status: &Value) -> WorkloadSeen {
        let metadata = json!({"name": "web", "uid": "1-2", "generation": 7});
        let object = json!({"metadata": metadata, "spec": spec, "status": status});
        workload(kind, &serde_json::from_value(object).unwrap()).unwrap()
    }

    /// The figures of a workload in a line; before them a mark if its controller has not seen the change, is stuck, or has
    /// more to do than they show.
    fn figures(kind: WorkloadKind, spec: &Value, status: &Value) -> String {
        let progress = seen(kind, spec, status).progress;
        let Progress { observed, desired, total, updated, available, unfinished, stuck } = progress;
        let mark = match (observed, stuck, unfinished) {
            (false, ..) => "unseen ",
            (true, true, _) => "stuck ",
            (true, false, true) => "unfinished ",
            (true, false, false) => "",
        };
        format!("{mark}{updated} of {desired} updated, {available} available, {total} in all")
    }

    #[test]
    fn a_template_says_what_is_read_and_which_annotations_of_ours_it_has() {
        let container = json!({"name": "a", "envFrom": [{"secretRef": {"name": "payments-api"}}]});
        let annotations = json!({"keywright.dev/payments-api": "key", "keywright.devil/x": "no", "other": "no"});
        let template = json!({"metadata": {"annotations": annotations}, "spec": {"containers": [container]}});
        let seen = seen(WorkloadKind::Deployment, &json!({"template": template}), &json!({}));
        assert_eq!((seen.id.to_string().as_str(), seen.uid.as_str()), ("deployment/web", "1-2"));
        assert_eq!(seen.reads.iter().map(|one| one.secret.as_str()).collect::<Vec<_>>(), ["payments-api"]);
        assert_eq!(seen.annotations.keys().collect::<Vec<_>>(), ["keywright.dev/payments-api"]);
    }

    #[test]
    fn a_deployment_is_judged_by_its_replicas_and_its_deadline() {
        let kind = WorkloadKind::Deployment;
        let status = json!({"observedGeneration": 7, "replicas": 5, "updatedReplicas": 2, "availableReplicas": 4});
        let four = json!({"replicas": 4});
        assert_eq!(figures(kind, &four, &status), "2 of 4 updated, 4 available, 5 in all");
        assert_eq!(figures(kind, &json!({}), &json!({})), "unseen 0 of 1 updated, 0 available, 0 in all");
        let mut older = status.clone();
        older["observedGeneration"] = json!(6);
        assert!(figures(kind, &four, &older).starts_with("unseen"));
        let mut late = status;
        let reason =
            |reason: &str| json!([{"type": "Available", "reason": "x"}, {"type": "Progressing", "reason": reason}]);
        late["conditions"] = reason("ProgressDeadlineExceeded");
        assert!(figures(kind, &four, &late).starts_with("stuck"));
        late["conditions"] = reason("ReplicaSetUpdated");
        assert!(figures(kind, &four, &late).starts_with('2'));
    }

    #[test]
    fn a_daemon_set_is_judged_by_its_nodes() {
        let status = json!({
            "observedGeneration": 7, "desiredNumberScheduled": 4, "currentNumberScheduled": 3,
            "updatedNumberScheduled": 2, "numberAvailable": 1,
        });
        assert_eq!(figures(WorkloadKind::DaemonSet, &json!({}), &status), "2 of 4 updated, 1 available, 3 in all");
    }

    #[test]
    fn a_rollout_of_argo_s_is_done_when_argo_says_that_it_is_healthy() {
        let argo = |phase: &str| {
            let mut status =
                json!({"observedGeneration": "7", "replicas": 8, "updatedReplicas": 4, "availableReplicas": 4});
            status["phase"] = json!(phase);
            status
        };
        let kind = WorkloadKind::Rollout;
        let four = json!({"replicas": 4, "strategy": {"blueGreen": {}}});
        assert_eq!(figures(kind, &four, &argo("Progressing")), "unfinished 4 of 4 updated, 4 available, 8 in all");
        assert_eq!(figures(kind, &four, &argo("Healthy")), "4 of 4 updated, 4 available, 4 in all");
        assert!(figures(kind, &four, &argo("Degraded")).starts_with("stuck 4 of 4 updated, 4 available"));
        let mut resuming = argo("Healthy");
        resuming["controllerPause"] = json!(true);
        assert!(figures(kind, &four, &resuming).starts_with("unseen"), "promoted, and not yet noticed");
        let mut older = argo("Healthy");
        older["observedGeneration"] = json!("6");
        assert!(figures(kind, &four, &older).starts_with("unseen"));
        assert!(figures(kind, &four, &json!({"observedGeneration": "7"})).starts_with("unseen"), "no phase yet");
    }

    #[test]
    fn a_rollout_with_the_template_of_a_deployment_is_rolled_through_it() {
        let spec = json!({"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}});
        let object: Object = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap();
        assert_eq!(workload(WorkloadKind::Rollout, &object), None);
    }

    #[test]
    fn what_keeps_pods_from_being_replaced_is_named() {
        let hindrance = |kind, spec: Value, status: Value| seen(kind, &spec, &status).hindrance;
        let (deployment, set) = (WorkloadKind::Deployment, WorkloadKind::StatefulSet);
        let partition = |partition: i64| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}});
        let on_delete = json!({"updateStrategy": {"type": "OnDelete"}});
        assert_eq!(hindrance(deployment, json!({"paused": true}), json!({})), Some(Hindrance::Paused));
        assert_eq!(hindrance(deployment, json!({"paused": false}), json!({})), None);
        assert_eq!(hindrance(set, partition(2), json!({})), Some(Hindrance::Partition(2)));
        assert_eq!(hindrance(set, partition(0), json!({})), None);
        for kind in [set, WorkloadKind::DaemonSet] {
            assert_eq!(hindrance(kind, on_delete.clone(), json!({})), Some(Hindrance::OnDelete));
        }
        assert_eq!(hindrance(WorkloadKind::Rollout, json!({}), json!({"phase": "Paused"})), Some(Hindrance::Paused));
        let going =
            json!({"metadata": {"name": "web", "deletionTimestamp": "2026-11-21T08:00:00Z"}, "spec": {"paused": true}});
        let going: Object = serde_json::from_value(going).unwrap();
        assert_eq!(workload(deployment, &going).unwrap().hindrance, Some(Hindrance::Deleting));
    }
}
