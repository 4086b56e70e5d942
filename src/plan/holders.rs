//! Who uses the credential, and what is still to happen until each certainly has the one that is published: each
//! workload with its pods, each pod that nothing restarts, each copy, each holder outside.

use jiff::Timestamp;

use super::{
    evidence::{Evidence, Issue, copies, declared_copies, issues},
    federated::identity,
    scene::{Ruling, Scene, after},
    step::Step,
    usage,
};
use crate::{
    api::{
        GROUP, KeyId, Reason,
        consumers::{Confirmation, Consumers as Declared, Discovery, ExternalHolder, RolloutStrategy, WorkloadKind},
    },
    facts::{Consumers, CopyId, Hindrance, Maker, PodSeen, TargetId, WorkloadId, WorkloadSeen},
};

/// Somebody who uses the credential.
pub(super) struct Holder<'a> {
    /// Who, for people: `deployment/web`, `pod/batch-x7`, `external/sso`.
    pub name: String,
    /// The workload, if it is one.
    pub workload: Option<&'a WorkloadSeen>,
    /// What is still to happen; none if it certainly has the credential.
    pub pending: Option<Pending>,
}

/// Why a holder does not certainly have the credential that is published.
pub(super) struct Pending {
    /// In one word.
    pub reason: Reason,
    /// For people.
    pub because: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When it may be otherwise without anything happening in the cluster.
    pub until: Option<Timestamp>,
}

/// Everybody who uses the credential, workloads first.
pub(super) fn holders<'a>(scene: &Scene<'a>, issue: Issue<'a>, seen: &'a Consumers) -> Vec<Holder<'a>> {
    let view = View { evidence: Evidence::of(scene, issue), seen };
    let mut holders: Vec<Holder<'a>> = seen.workloads.iter().filter_map(|one| view.of_workload(one)).collect();
    holders.extend(seen.pods.iter().filter_map(|pod| view.of_pod(pod)));
    if issue.record.entry.taken_out_at.is_some() {
        return holders; // it is taken out of what is read: copies and outsiders have nothing of that
    }
    holders.extend(copies(scene).map(|copy| view.of_copy(&copy)));
    let declared = scene.request.spec.consumers.as_ref();
    holders.extend(declared.iter().flat_map(|declared| &declared.external).map(|one| Holder {
        name: format!("external/{}", one.name),
        workload: None,
        pending: outside(scene, issue, one),
    }));
    holders
}

/// Watch whoever may use the credential.
pub(super) fn watch(scene: &Scene<'_>) -> Step {
    let secret = |target: TargetId| match target {
        TargetId::Secret(name) => Some(name.to_string()),
        TargetId::Vault(_) => None,
    };
    let published = scene.every_target().into_iter().filter_map(secret);
    let named = scene.request.spec.consumers.iter().flat_map(|declared| &declared.workloads);
    Step::WatchConsumers {
        secrets: published.chain(declared_copies(scene.request.spec).map(|copy| copy.secret)).collect(),
        workloads: named.map(|one| WorkloadId { kind: one.kind, name: one.name.to_string() }).collect(),
        accounts: identity::every_account(scene),
    }
}

/// What is waited for until somebody has confirmed a credential, unless that was done.
pub(super) fn unconfirmed(scene: &Scene<'_>, holder: &str, key_id: KeyId) -> Option<String> {
    how_to_confirm(scene, holder, key_id).map(|how| format!("nobody has confirmed it: {how}"))
}

/// How somebody outside is to confirm a credential, unless that was done.
pub(super) fn how_to_confirm(scene: &Scene<'_>, holder: &str, key_id: KeyId) -> Option<String> {
    let key = format!("{GROUP}/confirmed.{holder}");
    let said = scene.seen.resource.metadata.annotations.as_ref().and_then(|all| all.get(&key));
    let confirmed = said.is_some_and(|said| said.trim() == key_id.to_string());
    let (resource, namespace) = (scene.request.name, scene.request.namespace);
    (!confirmed).then(|| format!("kubectl -n {namespace} annotate --overwrite eac {resource} {key}={key_id}"))
}

/// Whether somebody has said that there is nobody to look for.
pub(super) fn are_none(declared: Option<&Declared>) -> bool {
    declared.and_then(|declared| declared.discovery) == Some(Discovery::None)
}

/// What somebody outside has still to do, or what is waited for there.
fn outside(scene: &Scene<'_>, issue: Issue<'_>, holder: &ExternalHolder) -> Option<Pending> {
    let pending =
        |because, until| Pending { reason: Reason::NotConfirmed, because, since: Some(issue.published_at), until };
    match (holder.confirm, holder.after) {
        (Confirmation::After, Some(period)) => {
            let until = after(issue.published_at, period.0);
            (scene.now < until).then(|| pending(format!("it counts as confirmed at {until:.0}"), Some(until)))
        }
        (Confirmation::SignInReport, _) => {
            usage::unshown(scene, issue, holder).map(|(because, until)| pending(because, until))
        }
        (Confirmation::Manual | Confirmation::After, _) => {
            unconfirmed(scene, holder.name.as_str(), issue.kept.key_id).map(|how| pending(how, None))
        }
    }
}

/// Whether everybody outside has something that is in use, as a look at the last moment.
pub(super) fn confirmed_outside(scene: &Scene<'_>) -> Ruling {
    let issues = issues(scene);
    let declared = scene.request.spec.consumers.iter().flat_map(|declared| &declared.external);
    for holder in declared {
        let mut pending = issues.iter().map(|issue| outside(scene, *issue, holder));
        // A confirmation names one of several: it was asked for each of them.
        let first = pending.next().flatten();
        if let Some(first) = first.filter(|_| pending.all(|one| one.is_some())) {
            let what = format!("external/{}: {}", holder.name, first.because);
            return Ruling::wait(first.reason, what, first.until);
        }
    }
    Ruling::Pass
}

struct View<'s, 'a> {
    evidence: Evidence<'s, 'a>,
    seen: &'a Consumers,
}

impl<'a> View<'_, 'a> {
    fn of_workload(&self, workload: &'a WorkloadSeen) -> Option<Holder<'a>> {
        let evidence = &self.evidence;
        let makes = |pod: &&PodSeen| matches!(&pod.maker, Some(Maker::Workload(id)) if *id == workload.id);
        let pods = || self.seen.pods.iter().filter(makes).filter(|pod| evidence.concerns(pod));
        if !evidence.is_named(&workload.id) && !evidence.reads_it(workload) && pods().next().is_none() {
            return None;
        }
        let old: Vec<&PodSeen> = pods().filter(|pod| !evidence.has_it(pod)).collect();
        Some(Holder {
            name: workload.id.to_string(),
            workload: Some(workload),
            pending: self.still_to_do(workload, &old),
        })
    }

    /// A pod that no workload makes which could be restarted.
    fn of_pod(&self, pod: &'a PodSeen) -> Option<Holder<'a>> {
        let maker = match &pod.maker {
            Some(Maker::Workload(id)) if self.seen.workloads.iter().any(|one| one.id == *id) => return None,
            Some(Maker::Workload(id)) => format!(" of {id}, which is gone, or not looked at"),
            Some(Maker::Other(maker)) => format!(" of {maker}"),
            None => String::new(),
        };
        if !self.evidence.concerns(pod) {
            return None;
        }
        let straggles = || Pending {
            reason: Reason::StragglersRemain,
            because: format!("{}{maker}; nothing restarts it by itself", self.told(pod)),
            since: Some(pod.created_at),
            until: None,
        };
        let untold = || self.untold(&[pod]).filter(|_| self.evidence.reads_in_vain(&pod.reads).is_none());
        let pending = (!self.evidence.has_it(pod)).then(|| untold().unwrap_or_else(straggles));
        Some(Holder { name: format!("pod/{}", pod.name), workload: None, pending })
    }

    fn of_copy(&self, copy: &CopyId) -> Holder<'a> {
        let pending = self.evidence.copied_at(copy).is_none().then(|| Pending {
            reason: Reason::CopyBehind,
            because: "it does not have the new credential yet".to_owned(),
            since: Some(self.evidence.issue.published_at),
            until: None,
        });
        Holder { name: copy.to_string(), workload: None, pending }
    }

    /// What is still to happen to a workload some of whose pods are old.
    fn still_to_do(&self, workload: &WorkloadSeen, old: &[&PodSeen]) -> Option<Pending> {
        let pending = |reason, because, until| {
            Some(Pending { reason, because, since: self.evidence.rolled_at(&workload.id), until })
        };
        let rolling = self.evidence.issue.is_on(&workload.annotations);
        let Some(first) = old.first() else {
            // Those that were restarted for it are to be well again.
            return (rolling && !is_settled(workload)).then(|| self.on_its_way(workload, 0));
        };
        let pod = self.told(first);
        if self.evidence.reads_in_vain(&workload.reads).is_some() {
            return pending(Reason::StragglersRemain, pod, None);
        }
        if let Some(untold) = self.untold(old) {
            return Some(untold);
        }
        match workload.hindrance {
            Some(Hindrance::Deleting) => pending(Reason::StragglersRemain, format!("it is being deleted; {pod}"), None),
            Some(Hindrance::Paused) => {
                pending(Reason::WorkloadPaused, format!("it is paused, so its pods are not replaced; {pod}"), None)
            }
            Some(Hindrance::OnDelete) if rolling => {
                let because = format!("its pods are replaced only when somebody deletes them (OnDelete); {pod}");
                pending(Reason::WorkloadWaits, because, None)
            }
            Some(Hindrance::Partition(ordinal)) if rolling && is_settled(workload) => {
                let because = format!("its pods below {ordinal} are not replaced (partition); {pod}");
                pending(Reason::WorkloadWaits, because, None)
            }
            _ if self.evidence.scene.policy.rollout.strategy == RolloutStrategy::None => {
                pending(Reason::StragglersRemain, format!("rollout.strategy is None, and {pod}"), None)
            }
            _ if rolling && is_settled(workload) => match (self.ending_until(old), self.kept_until(workload)) {
                (Some(until), _) => pending(Reason::PodsEnding, pod, Some(until)),
                (None, Some(until)) => {
                    let because = format!("its old pods go when its scaleDownDelaySeconds are over; {pod}");
                    pending(Reason::PodsEnding, because, Some(until))
                }
                (None, None) => pending(Reason::StragglersRemain, pod, None),
            },
            _ if rolling => Some(self.on_its_way(workload, old.len())),
            _ if self.evidence.rolled_at(&workload.id).is_some() => {
                let because = format!("somebody has taken the annotation out of its template again, and {pod}");
                pending(Reason::RolloutContested, because, None)
            }
            _ => Some(self.is_to_be_restarted(workload, &pod)),
        }
    }

    /// What comes before a restart: who starts now may read from a node that has not heard of what was copied yet.
    fn is_to_be_restarted(&self, workload: &WorkloadSeen, pod: &str) -> Pending {
        let evidence = &self.evidence;
        let pending = |reason, because, until| Pending { reason, because, since: None, until };
        match evidence.certain_from(&workload.reads) {
            Err(copy) => pending(Reason::CopyBehind, format!("{copy} does not have the new credential yet"), None),
            Ok(from) if evidence.scene.now <= from => {
                let copies: Vec<String> = evidence.copies_in(&workload.reads).map(ToString::to_string).collect();
                let because = format!("nodes to have forgotten what was in {} before", copies.join(", "));
                pending(Reason::Settling, because, Some(after(from, evidence.scene.timing.margin)))
            }
            Ok(_) => pending(Reason::RollingOut, format!("it is to be restarted; {pod}"), None),
        }
    }

    /// Until when pods that are all ending are no stragglers.
    fn ending_until(&self, old: &[&PodSeen]) -> Option<Timestamp> {
        let since = |pod: &&PodSeen| pod.terminating_since.filter(|_| !pod.lost);
        let first = old.iter().map(since).min()??;
        let until = after(first, self.evidence.scene.policy.rollout.timeout.0);
        (self.evidence.scene.now < until).then_some(until)
    }

    /// Until when the old pods of a workload that is where it should be are no stragglers: Argo keeps those of a blue-green
    /// Rollout for a while, for whoever wants to go back.
    fn kept_until(&self, workload: &WorkloadSeen) -> Option<Timestamp> {
        let since = self.evidence.rolled_at(&workload.id).filter(|_| workload.id.kind == WorkloadKind::Rollout)?;
        let until = after(since, self.evidence.scene.policy.rollout.timeout.0);
        (self.evidence.scene.now < until).then_some(until)
    }

    fn on_its_way(&self, workload: &WorkloadSeen, old: usize) -> Pending {
        let timeout = self.evidence.scene.policy.rollout.timeout;
        let since = self.evidence.rolled_at(&workload.id);
        let until = since.map(|since| after(since, timeout.0));
        let progress = workload.progress;
        let (there, updated, wanted) = (progress.available, progress.updated, progress.desired);
        let done = format!("{updated} of {wanted} pods are new, {old} are old, {there} are available");
        if progress.stuck || until.is_some_and(|until| until <= self.evidence.scene.now) {
            let because = format!("{done} after {timeout}: find out why its new pods do not become available");
            return Pending { reason: Reason::RolloutStalled, because, since, until: None };
        }
        Pending { reason: Reason::RollingOut, because: done, since, until }
    }

    /// What of these pods is waited for although nobody has to do anything: none has told of a start. Those that wait
    /// for what is published will have it as soon as they start, so they are not restarted for it.
    fn untold(&self, old: &[&PodSeen]) -> Option<Pending> {
        if old.iter().any(|pod| self.evidence.lacks(pod).is_some()) {
            return None; // what it was made with shows before it starts
        }
        let may_tell = |pod: &&PodSeen| {
            let from = self.evidence.certain_from(&pod.reads).ok().filter(|_| pod.started_at.is_none() && !pod.lost)?;
            Some(after(from, self.evidence.scene.timing.late_mint))
        };
        let until: Option<Vec<Timestamp>> = old.iter().map(may_tell).collect();
        let (first, until) = (old.first()?, until?.into_iter().max());
        Some(Pending {
            reason: Reason::Settling,
            because: format!("pod/{} has not told yet whether it has started", first.name),
            since: Some(first.created_at),
            until,
        })
    }

    fn told(&self, pod: &PodSeen) -> String {
        let name = &pod.name;
        let begun = pod.started_at.unwrap_or(pod.created_at);
        if let Some(secret) = self.evidence.reads_in_vain(&pod.reads) {
            let now = self.evidence.scene.request.secret_name().unwrap_or("none");
            return format!(
                "pod/{name} reads secret/{secret}, where nothing new is published (now it is secret/{now})"
            );
        }
        if let Some(lacks) = self.evidence.lacks(pod) {
            return lacks;
        }
        match (pod.lost, pod.terminating_since) {
            (true, _) => format!("pod/{name} is on a node that does not answer, so it may still run"),
            (false, Some(since)) => format!("pod/{name} has been terminating since {since:.0}"),
            (false, None) if self.evidence.issue.record.entry.taken_out_at.is_some() => {
                format!("pod/{name} has been running since {begun:.0}, and may have the former key")
            }
            (false, None) => format!("pod/{name} has been running since {begun:.0}, before it could have the new one"),
        }
    }
}

/// Whether a workload is where its last change wants it, as `kubectl rollout status` judges it.
pub(super) fn is_settled(workload: &WorkloadSeen) -> bool {
    let progress = workload.progress;
    let updated = match workload.hindrance {
        Some(Hindrance::OnDelete | Hindrance::Paused | Hindrance::Deleting) => true,
        Some(Hindrance::Partition(ordinal)) => progress.updated >= (progress.desired - ordinal).max(0),
        None => progress.updated >= progress.desired,
    };
    // A DaemonSet's old pods count as its total, too; a Deployment's surplus is about to go.
    let surplus = workload.id.kind != WorkloadKind::DaemonSet && progress.total > progress.desired;
    progress.observed
        && !progress.unfinished
        && updated
        && progress.available >= progress.desired.min(progress.updated)
        && !surplus
}
