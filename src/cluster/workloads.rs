//! Workloads: what their pods read, how far their last change is, and rolling them, which is one annotation in the template
//! of their pods. Whether and when one is rolled is `plan`'s to decide.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::{apps::v1, batch::v1::CronJob};
use kube::{
    Client, Resource,
    api::{ListParams, ObjectList, Patch, PatchParams},
    core::{ApiResource, Request, Status},
};
use serde_json::{Value, json};

use super::{
    Error, Written,
    call::ask,
    connect::Connection,
    rolling::{Object, schedule, workload},
    stored::manager,
    trouble::{rivals, trouble},
};
use crate::{
    api::{Reason, consumers::WorkloadKind},
    facts::{Effect, Owner, ScheduleSeen, Trouble, WorkloadId, WorkloadSeen},
};

/// How long it is believed that Argo Rollouts is not installed.
pub(super) const BELIEVED: Duration = Duration::from_mins(5);

/// The kinds that every cluster has.
const KINDS: [WorkloadKind; 3] = [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet];

/// The workloads of this cluster. Clones are the same.
#[derive(Clone)]
pub struct Workloads {
    client: Client,
    once: Client,
    argo: Argo,
}

/// When it was last seen that there are no Rollouts in this cluster.
#[derive(Clone, Default)]
struct Argo {
    /// Whether they are not to be looked at, wherever they are.
    ignored: bool,
    absent: Arc<Mutex<Option<Instant>>>,
}

impl Argo {
    fn is_absent(&self) -> bool {
        let absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        self.ignored || absent.is_some_and(|since| since.elapsed() < BELIEVED)
    }

    fn is(&self, there: bool) {
        *self.absent.lock().unwrap_or_else(PoisonError::into_inner) = (!there).then(Instant::now);
    }
}

impl Workloads {
    /// The workloads of a cluster, Argo's Rollouts among them if they are to be looked at.
    #[must_use]
    pub fn new(cluster: &Connection, argo_rollouts: bool) -> Self {
        let argo = Argo { ignored: !argo_rollouts, ..Argo::default() };
        Self { client: cluster.client.clone(), once: cluster.once.clone(), argo }
    }

    /// The workloads of a namespace, as they are now.
    pub async fn list(&self, namespace: &str) -> Result<Vec<WorkloadSeen>, Trouble> {
        let [deployments, stateful_sets, daemon_sets] = KINDS.map(|kind| self.list_kind(namespace, kind));
        let rollouts = self.list_rollouts(namespace);
        let lists = futures::try_join!(deployments, stateful_sets, daemon_sets, rollouts)?;
        let mut all: Vec<WorkloadSeen> = [lists.0, lists.1, lists.2, lists.3].into_iter().flatten().collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(all)
    }

    /// The same of Argo's Rollouts: none where they are not installed.
    async fn list_rollouts(&self, namespace: &str) -> Result<Vec<WorkloadSeen>, Error> {
        if self.argo.is_absent() {
            return Ok(vec![]);
        }
        let listed = self.list_kind(namespace, WorkloadKind::Rollout).await;
        let there = !listed.as_ref().is_err_and(Error::is_gone);
        self.argo.is(there);
        if there { listed } else { Ok(vec![]) }
    }

    /// Whether Argo's Rollouts are installed.
    pub(super) async fn has_rollouts(&self, namespace: &str) -> Result<bool, Error> {
        self.list_rollouts(namespace).await?;
        Ok(!self.argo.is_absent())
    }

    /// The `CronJob`s of a namespace, as they are now.
    pub async fn schedules(&self, namespace: &str) -> Result<Vec<ScheduleSeen>, Trouble> {
        let doing = || format!("list the CronJobs of namespace {namespace}");
        let url = Object::url_path(&ApiResource::erase::<CronJob>(&()), Some(namespace));
        let listed: ObjectList<Object> =
            ask(&self.client, doing, Request::new(url).list(&ListParams::default())).await?;
        Ok(listed.items.iter().filter_map(schedule).collect())
    }

    async fn list_kind(&self, namespace: &str, kind: WorkloadKind) -> Result<Vec<WorkloadSeen>, Error> {
        let doing = || format!("list the {}s of namespace {namespace}", kind.as_str());
        let asked = requests(namespace, kind).list(&ListParams::default());
        let listed: ObjectList<Object> = ask(&self.client, doing, asked).await?;
        Ok(listed.items.iter().filter_map(|object| workload(kind, object)).collect())
    }

    /// Roll a workload, if it is still the one that was seen: give the template of its pods an annotation, whose key is ours
    /// and in which its value was not yet. Whatever else is in the template stays as it is, and so does an annotation that
    /// somebody else keeps.
    pub async fn roll(
        &self,
        namespace: &str,
        seen: &WorkloadSeen,
        owner: &Owner,
        (key, value): (&str, &str),
    ) -> Result<Written<WorkloadSeen>, Trouble> {
        let WorkloadId { kind, name } = &seen.id;
        let doing = || format!("roll {} of namespace {namespace}", seen.id);
        let body = body(namespace, seen, (key, value));
        // Never with force: what somebody else keeps in a template of theirs is theirs.
        let apply = PatchParams::apply(&manager(owner));
        let asked = requests(namespace, *kind).patch(name, &apply, &Patch::Apply(body));
        match ask::<Object>(&self.once, doing, asked).await {
            Ok(object) => Ok(workload(*kind, &object).map_or(Written::Outpaced, Written::Yes)),
            Err(error) => {
                let rivals = error.status().map(rivals).unwrap_or_default();
                if rivals.is_empty() {
                    return Ok(error.unless_outpaced()?);
                }
                let code = error.status().map(|status: &Status| status.reason.clone());
                Err(Trouble { code, ..contested(&doing(), key, &rivals) })
            }
        }
    }
}

/// Requests about the workloads of a kind in a namespace.
fn requests(namespace: &str, kind: WorkloadKind) -> Request {
    Request::new(Object::url_path(&resource(kind), Some(namespace)))
}

/// What the API server calls a kind.
pub(super) fn resource(kind: WorkloadKind) -> ApiResource {
    match kind {
        WorkloadKind::Deployment => ApiResource::erase::<v1::Deployment>(&()),
        WorkloadKind::StatefulSet => ApiResource::erase::<v1::StatefulSet>(&()),
        WorkloadKind::DaemonSet => ApiResource::erase::<v1::DaemonSet>(&()),
        WorkloadKind::Rollout => ApiResource {
            group: "argoproj.io".into(),
            version: "v1alpha1".into(),
            api_version: "argoproj.io/v1alpha1".into(),
            kind: "Rollout".into(),
            plural: "rollouts".into(),
        },
    }
}

/// What is applied: the annotation, and nothing else. With the UID, since an apply would bring back what somebody has deleted.
fn body(namespace: &str, seen: &WorkloadSeen, (key, value): (&str, &str)) -> Value {
    let resource = resource(seen.id.kind);
    json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": {"name": seen.id.name, "namespace": namespace, "uid": seen.uid},
        "spec": {"template": {"metadata": {"annotations": {key: value}}}},
    })
}

fn contested(doing: &str, key: &str, rivals: &[String]) -> Trouble {
    let remedy = "Take the annotation out of what the other manager applies to the template; an empty `annotations: {}` claims all of them, too.";
    let message = format!("could not {doing}: somebody else keeps the annotation {key}: {}", rivals.join("; "));
    trouble((Reason::RolloutContested, Effect::Refused, remedy), message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::facts::{Identity, Progress};

    #[test]
    fn what_is_applied_is_the_annotation_and_nothing_else() {
        let seen = WorkloadSeen {
            id: WorkloadId { kind: WorkloadKind::Rollout, name: "web".into() },
            uid: "1-2".into(),
            reads: vec![],
            identity: Identity::default(),
            annotations: BTreeMap::new(),
            progress: Progress::default(),
            hindrance: None,
        };
        assert_eq!(
            body("payments", &seen, ("keywright.dev/api", "key")),
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "web", "namespace": "payments", "uid": "1-2"},
                "spec": {"template": {"metadata": {"annotations": {"keywright.dev/api": "key"}}}},
            })
        );
    }

    #[test]
    fn that_argo_is_absent_is_believed_until_it_is_seen() {
        let argo = Argo::default();
        assert!(!argo.is_absent());
        argo.is(false);
        assert!(argo.is_absent() && argo.clone().is_absent());
        argo.is(true);
        assert!(!argo.is_absent());
    }
}
