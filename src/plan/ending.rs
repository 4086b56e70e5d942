//! A resource that is deleted and whose spec says what is to go with it: `deletionPolicy: Revoke` its credentials, when
//! nobody uses them any more; `Delete` its Secret. Until then a finalizer detains it, so that it can say who is in the way,
//! and still be told otherwise. What was never published is taken back when it is gone, as that of any other.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    Next, Timing, Wait, evidence, forget, former_key, migrate,
    removable::Removable,
    removal::{self, advice, gone_a_while, marked, unknown},
    rollout,
    scene::{self, Ruling, Scene, after, unless_passed},
    step::Step,
};
use crate::{
    api::{
        EntraAppCredentialSpec, FINALIZER, KeyId, Reason,
        grant::CredentialKind,
        publish::{SecretCreationPolicy, SecretDeletionPolicy},
        rotation::DeletionPolicy,
    },
    facts::{
        Consumers, CopyId, Fate, Hindrance, Holder, Maker, Mark, Observation, PodSeen, Reading, Record, Stage,
        TargetId, TargetState, WorkloadId,
    },
};

/// Whether the credentials are to go with the resource.
pub(super) fn revokes(spec: &EntraAppCredentialSpec) -> bool {
    spec.deletion_policy == Some(DeletionPolicy::Revoke)
}

/// Whether the Secret is to go. One that was somebody's before it was ours stays.
fn deletes_its_secret(spec: &EntraAppCredentialSpec) -> bool {
    let secret = spec.publish.as_ref().and_then(|publish| publish.secret.as_ref());
    secret.is_some_and(|secret| {
        secret.deletion_policy == Some(SecretDeletionPolicy::Delete)
            && matches!(secret.creation_policy, None | Some(SecretCreationPolicy::Owner))
    })
}

/// Whether something is to go with the resource; none if its spec cannot be read.
fn is_asked(seen: &Observation) -> Option<bool> {
    let spec = seen.resource.spec.as_ref().ok()?;
    Some(revokes(spec) || deletes_its_secret(spec))
}

fn is_detained(seen: &Observation) -> bool {
    seen.resource.metadata.finalizers.iter().flatten().any(|one| one == FINALIZER)
}

fn is_deleted(seen: &Observation) -> bool {
    seen.resource.metadata.deletion_timestamp.is_some()
}

/// Whether the resource is being deleted, and clears up or has cleared up what is to go with it. Nothing further is minted,
/// published or restarted for it, however long it stays.
pub(super) fn is_ending(seen: &Observation) -> bool {
    !seen.gone && is_deleted(seen) && (is_detained(seen) || is_asked(seen) == Some(true))
}

/// Whether the records of what was published stay in a namespace that is being deleted, as evidence of what is ours.
pub(super) fn keeps_evidence(scene: &Scene<'_>) -> bool {
    !scene.seen.gone && revokes(scene.request.spec)
}

/// The resource as the API server has it now.
pub(super) fn fold(seen: &mut Observation, detained: bool, deleted_at: Option<Timestamp>) {
    let metadata = &mut Arc::make_mut(&mut seen.resource).metadata;
    let finalizers = metadata.finalizers.get_or_insert_default();
    finalizers.retain(|one| one != FINALIZER);
    if detained {
        finalizers.push(FINALIZER.to_owned());
    }
    metadata.deletion_timestamp = deleted_at.map(Time);
}

/// The finalizer stands on a resource for as long as its spec says that something is to go with it. It has to be there
/// before the deletion is: then nobody may add one.
pub(super) fn detain(scene: &Scene<'_>) -> Ruling {
    let asked = is_asked(scene.seen) == Some(true);
    if asked == is_detained(scene.seen) || is_deleted(scene.seen) {
        return Ruling::Pass;
    }
    scene.attempt(Step::Detain { detained: asked })
}

/// The finalizer of a record stands for as long as its credential is to go with the resource: with a namespace that is
/// deleted the records go first, and what no record knows is never removed.
pub(super) fn keep_the_evidence(scene: &Scene<'_>) -> Ruling {
    let keeps = keeps_evidence(scene);
    let differs = |record: &&Record| {
        let ours = record.entry.stage == Stage::Publishing && record.entry.retired_at.is_none();
        let may = if keeps { !record.deleting } else { record.entry.published_at.is_some() };
        ours && may && record.finalized != keeps
    };
    match scene.records().find(differs) {
        Some(record) => note(scene, record, keeps),
        None => Ruling::Pass,
    }
}

fn note(scene: &Scene<'_>, record: &Record, finalized: bool) -> Ruling {
    let entry = Box::new(record.entry.clone());
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized })
}

/// Take back what is to go, and let the resource go.
pub(super) fn take_back(scene: &Scene<'_>) -> Ruling {
    if !is_detained(scene.seen) {
        return Ruling::Pass; // somebody else still keeps it
    }
    let spec = scene.request.spec;
    if revokes(spec) {
        unless_passed!(nothing_is_unknown(scene));
    }
    // Before its credential goes: whoever starts now waits for a Secret, and is not refused.
    unless_passed!(take_the_secret(scene));
    if revokes(spec) {
        unless_passed!(take_credentials_back(scene, Removable::Revoked));
    }
    let_go(scene)
}

/// What was published goes, and then its records.
pub(super) fn take_credentials_back(scene: &Scene<'_>, because: Removable) -> Ruling {
    if scene.records().all(|record| record.entry.stage != Stage::Publishing) {
        return Ruling::Pass;
    }
    unless_passed!(nothing_is_unknown(scene));
    unless_passed!(remove(scene, because));
    forget_what_is_gone(scene)
}

/// Let the resource go, unless somebody else still keeps it.
pub(super) fn let_go(scene: &Scene<'_>) -> Ruling {
    if revokes(scene.request.spec) {
        unless_passed!(migrate::take_everything_back(scene));
    }
    if is_detained(scene.seen) { scene.effect(Step::Detain { detained: false }) } else { Ruling::Pass }
}

/// A resource goes at once if nothing is to go with it any more, or if nothing was ever begun for it: also one that is
/// refused, or suspended.
pub(super) fn leave(scene: &Scene<'_>) -> Ruling {
    leave_with(scene.seen, scene.timing, scene.now)
}

fn leave_with(seen: &Observation, timing: &Timing, now: Timestamp) -> Ruling {
    let in_memory = seen.mine.attempts.iter().any(|own| matches!(own.fate, Fate::Held { .. } | Fate::Lost { .. }));
    if seen.gone || !is_deleted(seen) || !is_detained(seen) || in_memory {
        return Ruling::Pass;
    }
    let let_go = || scene::attempt(seen, timing, now, Step::Detain { detained: false });
    match is_asked(seen) {
        Some(false) => let_go(),
        Some(true) if nothing_was_begun(seen) => match seen.records.listed_at {
            Some(at) if now <= after(at, timing.fresh) => let_go(),
            _ => scene::attempt(seen, timing, now, Step::ReadRecords),
        },
        Some(true) | None => Ruling::Pass,
    }
}

/// Whether there is no record of the application that the resource is about. What was published for one that it was about
/// before does not concern it.
fn nothing_was_begun(seen: &Observation) -> bool {
    let about =
        |record: &Record| seen.resource.spec.as_ref().is_ok_and(|spec| spec.client_id == record.entry.client_id);
    !seen.records.list.iter().any(about)
}

/// A resource that is gone or going, and whose tenant is not there.
pub(super) fn without_a_tenant(seen: &Observation, timing: &Timing, now: Timestamp) -> Next {
    match leave_with(seen, timing, now) {
        Ruling::Do(step) => Next::Do(step),
        Ruling::Wait(wait) => Next::Wait(vec![wait]),
        Ruling::Pass => forget::without_a_tenant(seen, timing, now),
    }
}

/// What is waited for, for people; without anything it is only a moment.
pub(super) fn said(waits: &[Wait]) -> (Reason, String) {
    let first = waits.iter().find(|wait| wait.reason != Reason::Idle).or_else(|| waits.first());
    first.map_or((Reason::Revoking, String::new()), |wait| (wait.reason, wait.waiting_for.clone()))
}

/// What there is of ours on the application, and was published, or may have been.
fn published<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (KeyId, &'a Record)> {
    marked(scene).filter_map(|(credential, mark)| Some((credential.key_id, knowing(scene, &mark)?)))
}

/// The record of what was published that knows a mark.
fn knowing<'a>(scene: &'a Scene<'_>, mark: &Mark) -> Option<&'a Record> {
    let record = scene.record(mark.sequence).filter(|record| record.entry.stage == Stage::Publishing)?;
    record.entry.knows(&mark.nonce).then_some(record)
}

/// While there is a mark that no record knows, nobody can tell who else there is.
fn nothing_is_unknown(scene: &Scene<'_>) -> Ruling {
    if let Err(ruling) = scene.application() {
        return ruling;
    }
    let Some((credential, mark)) = unknown(scene).next() else { return Ruling::Pass };
    to_be_told_apart(scene, credential.key_id, &mark)
}

/// A credential that no record knows is in the way.
pub(super) fn to_be_told_apart(scene: &Scene<'_>, key_id: KeyId, mark: &Mark) -> Ruling {
    let what = format!("credential {key_id} to be told apart: {}", advice(scene, key_id, mark));
    Ruling::wait(Reason::UnknownCredential, what, None)
}

/// How somebody who is in the way of a deletion keeps what is to go.
pub(super) fn to_keep(scene: &Scene<'_>) -> String {
    let (name, namespace) = (scene.request.name, scene.request.namespace);
    format!(
        ". To keep them instead: kubectl -n {namespace} patch eac {name} --type merge -p \
         '{{\"spec\":{{\"deletionPolicy\":\"Retain\"}}}}'"
    )
}

/// The Secret goes with the resource, if it is to.
pub(super) fn take_the_secret(scene: &Scene<'_>) -> Ruling {
    let goes = is_detained(scene.seen) && deletes_its_secret(scene.request.spec);
    if goes { delete_the_secret(scene) } else { Ruling::Pass }
}

/// The Secret goes if it is ours, and what we have looked at.
fn delete_the_secret(scene: &Scene<'_>) -> Ruling {
    let Some(id) = scene.request.secret_name().map(|name| TargetId::Secret(name.into())) else { return Ruling::Pass };
    let carried = match scene.target(&id, None) {
        Ok(TargetState::Present(carried)) if carried.holder == Holder::Owned(scene.seen.owner.clone()) => carried,
        Ok(TargetState::Present(_) | TargetState::Absent) => return Ruling::Pass,
        Ok(TargetState::Troubled(trouble)) => {
            return Ruling::wait(trouble.reason, format!("a look at {id}: {}", trouble.message), None);
        }
        Err(ruling) => return ruling,
    };
    if revokes(scene.request.spec) {
        unless_passed!(nobody_uses_it(scene));
    }
    scene.effect(Step::Unpublish { target: id, over: Box::new(carried.clone()) })
}

/// All that is ours, one after the other.
fn remove(scene: &Scene<'_>, because: Removable) -> Ruling {
    let Some((key_id, record)) = published(scene).find(|(key_id, _)| !gone_a_while(scene, *key_id)) else {
        return Ruling::Pass;
    };
    let may_go = removal::gate(scene, key_id, None, because);
    unless_passed!(match because {
        Removable::Migrated => migrate::part_with(scene, record, may_go),
        _ => may_go,
    });
    removal::take_away(scene, key_id, because)
}

/// Whether nobody is left who uses what was published, under whatever name.
pub(super) fn nobody_uses_it(scene: &Scene<'_>) -> Ruling {
    let leads_over = scene.request.former && !is_ending(scene.seen);
    let in_the_way = |who: &str, until| {
        let what = if leads_over {
            format!("{who}, before the former secret goes")
        } else {
            format!("{who}, before the credentials go with the resource{}", to_keep(scene))
        };
        Ruling::wait(Reason::StillInUse, what, until)
    };
    // Where another kind takes the place of this one, whoever is outside has confirmed that.
    let declared = scene.request.spec.consumers.iter().filter(|_| !leads_over);
    if let Some(outside) = declared.flat_map(|declared| &declared.external).next() {
        let who =
            format!("external/{} to be taken out of spec.consumers.external, when it has no use for it", outside.name);
        return in_the_way(&who, None);
    }
    match rollout::in_the_way(scene, Reason::Revoking, |seen| user(scene, seen)) {
        Ok(Some((who, until))) => in_the_way(&who, until),
        Ok(None) => Ruling::Pass,
        Err(ruling) => ruling,
    }
}

/// Somebody who uses what was published now or before, or is about to: a pod until it has ended, whatever it has; a workload
/// that is to have pods.
fn user(scene: &Scene<'_>, seen: &Consumers) -> Option<String> {
    let former = scene.request.former && !is_ending(scene.seen);
    let every = if former { migrate::still_carrying(scene) } else { scene.every_target() };
    // Of a Secret whose key was taken out, only those have the key that read it before.
    let rid = former_key::who_is_rid(scene);
    let is_rid = |reading: &Reading| rid.is_some() && scene.request.secret_name() == Some(reading.secret.as_str());
    let published = |reading: &Reading| {
        let names = |target: &TargetId| matches!(target, TargetId::Secret(name) if name.as_str() == reading.secret);
        let copied =
            |copy: CopyId| reading.secret == copy.secret && reading.key.as_ref().is_none_or(|key| *key == copy.key);
        // Where there is no secret, whoever reads anything of it does without the Secret first.
        let may_be_it = reading.may_be_secret() || scene.request.kind == CredentialKind::Federated;
        (may_be_it && every.iter().any(names) && !is_rid(reading)) || evidence::copies(scene).any(copied)
    };
    let has_it = |pod: &PodSeen| rid.as_ref().is_some_and(|rid| rid.concerns(pod) && !rid.has_it(pod));
    let named = |id: &WorkloadId| {
        let mut declared = scene.request.spec.consumers.iter().flat_map(|declared| &declared.workloads);
        declared.any(|one| (one.kind, one.name.as_str()) == (id.kind, id.name.as_str()))
    };
    let is_of_named = |pod: &&PodSeen| matches!(&pod.maker, Some(Maker::Workload(id)) if named(id));
    let what = |reads: &[Reading]| reads.iter().find(|one| published(one)).map(|one| format!("secret/{}", one.secret));
    // What was published to it stays a Secret that opens nothing: whoever has no pods now would read that some day.
    let workload = || {
        seen.workloads.iter().filter(|one| one.hindrance != Some(Hindrance::Deleting)).find_map(|one| {
            match what(&one.reads) {
                Some(what) if former => Some(format!("{} to be deleted or rid of {what}", one.id)),
                _ if former && named(&one.id) => {
                    Some(format!("{} to be taken out of spec.consumers.workloads, when it is rid of it", one.id))
                }
                what if one.progress.desired > 0 && (what.is_some() || named(&one.id)) => {
                    let what = what.as_deref().unwrap_or("it");
                    Some(format!("{} to be deleted, scaled to zero or rid of {what}", one.id))
                }
                _ => None,
            }
        })
    };
    let pod = || {
        let pod = seen.pods.iter().find(|pod| what(&pod.reads).is_some() || is_of_named(pod) || has_it(pod));
        pod.map(|pod| format!("pod/{} to end", pod.name))
    };
    let schedule = || {
        let mut schedules = seen.schedules.iter();
        schedules.find_map(|one| Some(format!("{} to be deleted or rid of {}", one.name, what(&one.reads)?)))
    };
    workload().or_else(pod).or_else(schedule)
}

/// The records of what is not shown any more are deleted, when nothing with their number can show itself.
fn forget_what_is_gone(scene: &Scene<'_>) -> Ruling {
    for record in scene.records().filter(|record| record.entry.stage == Stage::Publishing) {
        unless_passed!(forget_one(scene, record));
    }
    Ruling::Pass
}

fn forget_one(scene: &Scene<'_>, record: &Record) -> Ruling {
    let Some(looked) = &scene.seen.application else { return scene.attempt(Step::ReadApplication) };
    let (mine, timing) = (&scene.seen.mine, scene.timing);
    let kept = record.entry.kept.as_ref().map(|kept| kept.key_id);
    let shown = |key_id| looked.found.credentials.iter().any(|one| Some(one.key_id) == key_id);
    if shown(kept) && published(scene).all(|(key_id, _)| Some(key_id) != kept) {
        // It has no mark of ours: it was adopted, or somebody forged the record. What is not ours stays.
        return if record.finalized { note(scene, record, false) } else { Ruling::Pass };
    }
    let tried = record.entry.attempts.iter().map(|attempt| attempt.at).max().unwrap_or(record.created_at);
    let removed = kept.and_then(|key_id| mine.removed.get(&key_id)).map(|at| after(*at, timing.absence));
    let bound = after(tried, timing.mint_within + timing.late_mint + timing.absence).max(removed.unwrap_or(tried));
    let still = published(scene).any(|(_, of)| of.entry.sequence == record.entry.sequence);
    if looked.at < bound || still {
        let next = if looked.at < bound { bound } else { after(looked.at, timing.absence) };
        if scene.now >= next {
            return scene.attempt(Step::ReadApplication);
        }
        let what = format!("Entra's reads to show that credential {} is gone", record.entry.sequence);
        return Ruling::wait(Reason::Revoking, what, Some(next));
    }
    if record.finalized {
        return note(scene, record, false);
    }
    scene.effect(Step::Forget { record: Box::new(record.clone()) })
}
