//! Where to sign in, and as what: the Secret that a federated resource publishes if it is asked to. There is no value in it, so
//! it bears no key ID, no number and no attempt: it is made from what is declared, and repaired from that. Which record it is
//! written for says only that this resource still looks after the application.
//!
//! Where a secret was declared before, the Secret keeps its key for as long as `former_key` says.

use super::{identity::identities, record};
use crate::{
    api::{Reason, grant::CredentialKind},
    facts::{Effect, Looked, Record, Stage, TargetId, TargetState, Work},
    plan::{
        former_key, publish,
        scene::{Ruling, Scene, Wait, unless_passed},
        step::Step,
        target,
    },
};

/// The Secret that is declared.
pub(in crate::plan) fn declared(scene: &Scene<'_>) -> Option<TargetId> {
    scene.request.spec.federated.as_ref()?;
    scene.request.secret_name().map(|name| TargetId::Secret(name.into()))
}

/// The record that the Secret is written for; none while no federated credential is to be used.
fn bearer<'a>(scene: &Scene<'a>) -> Option<&'a Record> {
    let (client_id, tenant) = (scene.request.spec.client_id, scene.request.tenant.tenant_id);
    let bears = move |record: &&Record| {
        let entry = &record.entry;
        (entry.client_id, entry.tenant, entry.kind) == (client_id, tenant, CredentialKind::Federated)
            && (entry.stage, entry.retired_at) == (Stage::Publishing, None)
    };
    scene.seen.records.list.iter().filter(bears).min_by_key(|record| record.entry.sequence)
}

/// The record of what a target is to carry, if it is one of what is federated.
pub(in crate::plan) fn to_be_carried<'a>(scene: &Scene<'a>, id: &TargetId) -> Option<&'a Record> {
    declared(scene).filter(|declared| declared == id)?;
    former_key::stays_in(scene, id).or_else(|| bearer(scene))
}

/// Whether a target says where to sign in, and as what, and nothing else.
pub(in crate::plan) fn carries(state: &TargetState) -> bool {
    matches!(state, TargetState::Present(carried) if carried.agrees && carried.key_id.is_none())
}

/// Whether a target is as it is to be now.
pub(in crate::plan) fn is_as_wanted(scene: &Scene<'_>, id: &TargetId, state: &TargetState) -> bool {
    match former_key::stays_in(scene, id).and_then(|record| record.entry.kept.as_ref()) {
        Some(kept) => publish::carries(state, kept),
        None => carries(state),
    }
}

/// Write the Secret if it is not as it is to be.
pub(super) fn keep_published(scene: &Scene<'_>) -> Ruling {
    let Some(id) = declared(scene) else { return Ruling::Pass };
    let Some(record) = to_be_carried(scene, &id) else { return Ruling::Pass };
    let look = || scene.attempt(Step::ReadTarget { target: id.clone(), wanted: Some(record.entry.sequence) });
    let Some(Looked { at, found }) = scene.seen.targets.get(&id) else { return look() };
    if is_as_wanted(scene, &id, found) {
        return Ruling::Pass; // a watch shows what happens to it
    }
    if !scene.is_fresh(*at) {
        return look();
    }
    if let Some(wait) = target::obstacle(scene, &id, found) {
        return Ruling::Wait(wait);
    }
    match former_key::stays_in(scene, &id) {
        Some(former) => unless_passed!(former_key::may_be_written(scene, former)),
        None => unless_passed!(may_begin(scene, &id, found)),
    }
    unless_passed!(what_is_there_may_go(scene, &id, found));
    if record.entry.claims.is_some() && !was_written(scene, &id) {
        // Remembered before it is written: from then on it is repaired whatever is set up beside it.
        let entry = Scene::rewritten(record, |entry| entry.published_to = vec![id.clone()]);
        return scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized });
    }
    let over = match found {
        TargetState::Present(carried) => Some(Box::new(carried.clone())),
        TargetState::Absent | TargetState::Troubled(_) => None,
    };
    scene.effect(Step::Publish { record: Box::new(record.clone()), target: id.clone(), over })
}

/// Whoever waits for the Secret starts when it is there, and would sign in too early as an identity that is not accepted yet.
/// What was there once is repaired whatever is set up beside it.
fn may_begin(scene: &Scene<'_>, id: &TargetId, state: &TargetState) -> Ruling {
    let identities = match identities(scene) {
        Ok(identities) => identities,
        Err(ruling) => return ruling,
    };
    let is_used = |record: &Record| record.entry.stage == Stage::Publishing;
    let late = identities.iter().find(|one| !record(scene, &one.claims).is_some_and(is_used));
    match late.filter(|_| target::ours(state, &scene.seen.owner).is_none() && !was_written(scene, id)) {
        None => Ruling::Pass,
        Some(late) => {
            let what = format!("identity {} to be accepted, before {id} is written", late.name);
            Ruling::wait(Reason::Publishing, what, None)
        }
    }
}

/// Whether the Secret was written before.
fn was_written(scene: &Scene<'_>, id: &TargetId) -> bool {
    let mut federated = scene.seen.records.list.iter().filter(|record| record.entry.claims.is_some());
    federated.any(|record| record.entry.retired_at.is_none() && record.entry.published_to.contains(id))
}

/// A key in the Secret is not written over that somebody may read and nobody knows of; and of one that was taken out and is
/// there again, it is noted first that pods may have it.
fn what_is_there_may_go(scene: &Scene<'_>, id: &TargetId, state: &TargetState) -> Ruling {
    let Some(carried) = target::ours(state, &scene.seen.owner) else { return Ruling::Pass };
    let Some(key_id) = carried.key_id else { return Ruling::Pass };
    unless_passed!(former_key::is_there_again(scene, key_id));
    let is_known = |record: &Record| record.entry.kept.as_ref().is_some_and(|kept| kept.key_id == key_id);
    if scene.seen.records.list.iter().any(is_known) {
        return Ruling::Pass;
    }
    match scene.application() {
        Ok(application) if target::is_there(scene, application, carried) => {
            Ruling::Wait(target::not_ours_to_write(scene, id))
        }
        Ok(_) => Ruling::Pass,
        Err(ruling) => ruling,
    }
}

/// What keeps the Secret from being what it is to be, for people.
pub(super) fn lacking(scene: &Scene<'_>) -> Option<(Reason, String)> {
    let id = declared(scene)?;
    let state = scene.seen.targets.get(&id).map(|looked| &looked.found);
    match state {
        Some(state) if is_as_wanted(scene, &id, state) || former_key::is_carried_by(scene, state) => None,
        Some(state) => match target::obstacle(scene, &id, state) {
            Some(Wait { reason, waiting_for, .. }) => Some((reason, waiting_for)),
            None => Some(refused(scene, &id).unwrap_or_else(|| unwritten(&id))),
        },
        // One that cannot be seen for a moment is believed to be as it was.
        None => refused(scene, &id).or_else(|| (!was_written(scene, &id)).then(|| unwritten(&id))),
    }
}

fn unwritten(id: &TargetId) -> (Reason, String) {
    (Reason::Publishing, format!("{id} to say where to sign in, and as what"))
}

fn refused(scene: &Scene<'_>, id: &TargetId) -> Option<(Reason, String)> {
    let work = [Work::Target(id.clone()), Work::Publishing(id.clone())];
    let mut failing = work.iter().filter_map(|work| scene.seen.mine.failing.get(work)).map(|failing| &failing.trouble);
    let trouble = failing.find(|trouble| trouble.effect == Effect::Refused)?;
    Some((trouble.reason, format!("{id}: {}: {}", trouble.message, trouble.remedy)))
}

/// What the Secret says, for people.
pub(super) fn said(scene: &Scene<'_>) -> String {
    match declared(scene) {
        Some(id) => format!(" {id} says where to sign in, and as what."),
        None => String::new(),
    }
}
