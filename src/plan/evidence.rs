//! Who certainly has the credential that is published. The evidence is time: whatever started after the publication and
//! the time in which nodes may still serve what was there before, has read what was published. So has a pod with our
//! annotation, which its template was given after that time; when an earlier credential was put back meanwhile, another
//! annotation is given.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    federated::{self, identity},
    scene::{GRAIN, Scene, before},
    target,
};
use crate::{
    api::{EntraAppCredentialSpec, GROUP, consumers::RolloutStrategy, grant::CredentialKind},
    facts::{
        CopyId, Identity, Kept, Maker, Means, PodSeen, Reading, Record, Stage, TargetId, WorkloadId, WorkloadSeen,
    },
};

/// A credential that is published, and from when on whatever starts has it.
#[derive(Clone, Copy)]
pub(super) struct Issue<'a> {
    pub record: &'a Record,
    pub kept: &'a Kept,
    pub published_at: Timestamp,
    /// Whatever starts after this has it, unless it reads a copy.
    pub certain_from: Timestamp,
}

impl Issue<'_> {
    /// Whether annotations of ours are those of this publication.
    pub(super) fn is_on(&self, annotations: &BTreeMap<String, String>) -> bool {
        annotations.get(&annotation(&self.record.entry.resource)) == self.record.entry.rollout_mark().as_ref()
    }
}

/// The annotation in a pod template that says which credential it was given.
#[must_use]
pub fn annotation(resource: &str) -> String {
    format!("{GROUP}/{resource}")
}

/// What is at every target, if it is; of what is federated, what is to be brought to everybody first.
pub(super) fn issue<'a>(scene: &Scene<'a>) -> Option<Issue<'a>> {
    issue_of(
        scene,
        match scene.request.kind {
            CredentialKind::Federated => federated::in_use(scene)?,
            CredentialKind::ClientSecret | CredentialKind::Certificate => scene.published()?,
        },
    )
}

/// Everything that is in use.
pub(super) fn issues<'a>(scene: &Scene<'a>) -> Vec<Issue<'a>> {
    match scene.request.kind {
        CredentialKind::Federated => {
            federated::all_in_use(scene).into_iter().filter_map(|record| issue_of(scene, record)).collect()
        }
        CredentialKind::ClientSecret | CredentialKind::Certificate => issue(scene).into_iter().collect(),
    }
}

/// The same of a record.
pub(super) fn issue_of<'a>(scene: &Scene<'a>, record: &'a Record) -> Option<Issue<'a>> {
    let (kept, published_at) = (record.entry.kept.as_ref()?, record.entry.published_at?);
    if record.entry.claims.is_some() {
        // Its pods show what they were made with.
        return Some(Issue { record, kept, published_at, certain_from: published_at });
    }
    // Where nothing was before, nothing else can be read. (Nobody else writes what only we may.)
    let begun = record.entry.verified_at.filter(|_| is_the_first(scene, record) && !target::shares(scene.request));
    // One in the second of the publication counts as one after it.
    let begun = begun.map(|at| before(at, GRAIN));
    let certain_from = begun.unwrap_or_else(|| scene.forgotten(published_at));
    Some(Issue { record, kept, published_at, certain_from })
}

/// Whether it is known of everything before it that it was never published. What has no record may have been anywhere.
fn is_the_first(scene: &Scene<'_>, record: &Record) -> bool {
    let entry = &record.entry;
    let never = |one: &&Record| one.entry.stage == Stage::Abandoned && one.entry.sequence < entry.sequence;
    let given_up = scene.seen.records.list.iter().filter(never).count();
    entry.replaces.is_none() && usize::try_from(entry.sequence.0) == Ok(given_up + 1)
}

/// What can be said of those who use a credential.
pub(super) struct Evidence<'s, 'a> {
    pub scene: &'s Scene<'a>,
    pub issue: Issue<'a>,
    /// Every Secret in which it is published, or was before.
    names: Vec<String>,
    /// The Secret in which it is published now.
    declared: Option<&'a str>,
    /// The `ServiceAccount` whose pods sign in by it, if it is federated.
    account: Option<&'a str>,
    copies: Vec<CopyId>,
}

impl<'s, 'a> Evidence<'s, 'a> {
    pub(super) fn of(scene: &'s Scene<'a>, issue: Issue<'a>) -> Self {
        let name = |target| match target {
            TargetId::Secret(name) => Some(name.to_string()),
            TargetId::Vault(_) => None,
        };
        let declared = scene.request.secret_name();
        // A Secret that says only where to sign in is read by those who sign in by a token.
        let without = |name: &String| issue.record.entry.claims.is_some() && declared == Some(name.as_str());
        let names = scene.every_target().into_iter().filter_map(name).filter(|name| !without(name)).collect();
        let account = issue.record.entry.claims.as_ref().and_then(|claims| identity::account_with(scene, claims));
        // No copy is made of what was taken out.
        let copies = copies(scene).filter(|_| issue.record.entry.taken_out_at.is_none()).collect();
        Self { scene, issue, names, declared, account, copies }
    }

    /// Whether a workload was named as one that uses the credential.
    pub(super) fn is_named(&self, id: &WorkloadId) -> bool {
        let named = self.scene.request.spec.consumers.iter().flat_map(|declared| &declared.workloads);
        named.into_iter().any(|one| one.kind == id.kind && one.name.as_str() == id.name)
    }

    /// Whether a workload uses the credential by what it reads.
    pub(super) fn reads_it(&self, workload: &WorkloadSeen) -> bool {
        self.uses(&workload.identity, &workload.reads)
    }

    /// Whoever still reads a former secret signs in with that, and is made anew when it is taken out of the template: not
    /// before, since nobody looks after what was published there any more.
    fn uses(&self, identity: &Identity, reads: &[Reading]) -> bool {
        let reads = || reads.iter().any(|reading| self.is_ours(reading));
        if self.issue.record.entry.claims.is_some() { self.runs_as_it(identity) && !reads() } else { reads() }
    }

    /// Whether it is by this identity that a pod is to sign in. Whoever does not ask for a token may have no need of one.
    fn runs_as_it(&self, identity: &Identity) -> bool {
        self.account == Some(identity.account.as_str()) && (identity.asks || identity.signs_in_as.is_some())
    }

    /// Whether a pod has what it needs to sign in by its identity; none if it is not by that.
    fn signs_in(&self, pod: &PodSeen) -> Option<bool> {
        self.account?;
        Some(identity::signs_in(self.scene.request, &pod.identity))
    }

    /// What a pod lacks that is to sign in by its identity.
    pub(super) fn lacks(&self, pod: &PodSeen) -> Option<String> {
        let (account, name) = (self.account?, &pod.name);
        Some(match &pod.identity.signs_in_as {
            None => format!(
                "pod/{name} was given no token: is the workload identity webhook installed, and does it look at this namespace?"
            ),
            Some(other) if other.is_empty() => {
                format!("pod/{name} was not told which application, which serviceaccount/{account} says by now")
            }
            Some(other) => format!("pod/{name} signs in as application {other}"),
        })
    }

    /// Whether a pod uses the credential.
    pub(super) fn concerns(&self, pod: &PodSeen) -> bool {
        self.uses(&pod.identity, &pod.reads) || matches!(&pod.maker, Some(Maker::Workload(id)) if self.is_named(id))
    }

    /// Whether it is the credential that is read, now or under a name that it was published under before.
    fn is_ours(&self, reading: &Reading) -> bool {
        let published = || reading.may_be_secret() && self.names.contains(&reading.secret);
        self.copies.iter().any(|copy| is_of(reading, copy)) || published()
    }

    /// A Secret that a pod reads the credential from, and in which nothing new is published.
    pub(super) fn reads_in_vain<'r>(&self, reads: &'r [Reading]) -> Option<&'r str> {
        let is_renewed = |one: &Reading| {
            self.declared == Some(one.secret.as_str()) || self.copies.iter().any(|copy| is_of(one, copy))
        };
        let old = reads.iter().find(|one| self.is_ours(one) && !is_renewed(one));
        old.map(|reading| reading.secret.as_str())
    }

    /// The copies that are read.
    pub(super) fn copies_in<'r>(&'r self, reads: &'r [Reading]) -> impl Iterator<Item = &'r CopyId> {
        self.copies.iter().filter(|copy| reads.iter().any(|one| is_of(one, copy)))
    }

    /// Since when a copy is known to be one of what is published.
    pub(super) fn copied_at(&self, copy: &CopyId) -> Option<Timestamp> {
        let seen = self.scene.seen.mine.copies.get(copy)?;
        seen.since.filter(|_| seen.key_id == self.issue.kept.key_id)
    }

    /// From when on whatever starts and reads this has what is published; the copy that is not known to have it itself.
    pub(super) fn certain_from<'r>(&'r self, reads: &'r [Reading]) -> Result<Timestamp, &'r CopyId> {
        self.copies_in(reads).try_fold(self.issue.certain_from, |from, copy| {
            let copied_at = self.copied_at(copy).ok_or(copy)?;
            Ok(from.max(self.scene.forgotten(copied_at)))
        })
    }

    /// Whether a pod certainly has what is published: it started late enough, or is said to reload files by itself.
    pub(super) fn has_it(&self, pod: &PodSeen) -> bool {
        if let Some(signs_in) = self.signs_in(pod) {
            return signs_in;
        }
        if self.reads_in_vain(&pod.reads).is_some() {
            return false;
        }
        let Ok(from) = self.certain_from(&pod.reads) else { return false };
        let started = pod.started_at.map_or_else(
            // News of a start come later than the start, but not by much.
            || pod.created_at > from || self.scene.has_passed(from, self.scene.timing.late_mint),
            |at| at > from,
        );
        let replaced = from.max(self.scene.forgotten(self.issue.published_at));
        started || self.was_given_it(pod) || (self.reloads(pod) && self.scene.now > replaced)
    }

    /// Whether a pod was made for what is published. A copy that has gone back since makes that void.
    fn was_given_it(&self, pod: &PodSeen) -> bool {
        let rolled_at = match &pod.maker {
            Some(Maker::Workload(id)) => self.rolled_at(id),
            Some(Maker::Other(_)) | None => None,
        };
        let lacked_at = |copy: &CopyId| self.scene.seen.mine.copies.get(copy)?.lacked_at;
        let holds = |copy| lacked_at(copy).is_none_or(|lacked_at| rolled_at > Some(lacked_at));
        self.issue.is_on(&pod.annotations) && self.copies_in(&pod.reads).all(holds)
    }

    /// Since when a workload is known to have had the annotation of this publication.
    pub(super) fn rolled_at(&self, id: &WorkloadId) -> Option<Timestamp> {
        let rolled = self.scene.seen.mine.rolled.get(id)?;
        // A federated credential that is used anew, such as after etcd went back, is another publication by the same mark.
        let before = self.issue.record.entry.claims.is_some() && rolled.since < self.issue.published_at;
        (!before && Some(&rolled.mark) == self.issue.record.entry.rollout_mark().as_ref()).then_some(rolled.since)
    }

    fn reloads(&self, pod: &PodSeen) -> bool {
        let mut ours = pod.reads.iter().filter(|reading| self.is_ours(reading)).peekable();
        self.scene.policy.rollout.strategy == RolloutStrategy::None
            && ours.peek().is_some()
            && ours.all(|reading| reading.by == Means::File)
    }
}

/// The copies that other tools make; none of what has no value.
pub(super) fn copies<'a>(scene: &Scene<'a>) -> impl Iterator<Item = CopyId> + use<'a> {
    let has_value = scene.request.kind != CredentialKind::Federated;
    declared_copies(scene.request.spec).filter(move |_| has_value)
}

/// The copies that somebody has said that there are.
pub(super) fn declared_copies(spec: &EntraAppCredentialSpec) -> impl Iterator<Item = CopyId> {
    let declared = spec.consumers.iter().flat_map(|declared| &declared.synced_secrets);
    declared.map(|copy| CopyId { secret: copy.name.to_string(), key: copy.key.to_string() })
}

/// Whether it is a copy that is read.
fn is_of(reading: &Reading, copy: &CopyId) -> bool {
    reading.secret == copy.secret && reading.key.as_ref().is_none_or(|key| *key == copy.key)
}
