//! A credential that counts as published is at every target that the spec names, now and from now on: each is written on
//! its own, and repaired from the record when it is something else.

use super::{
    scene::{Ruling, Scene, Wait, after, unless_passed},
    step::Step,
    target,
};
use crate::{
    api::Reason,
    facts::{Credential, Fate, Kept, Looked, Record, TargetId, TargetState},
};

/// Write what is missing, and note when nothing is.
pub(super) fn publish(scene: &Scene<'_>) -> Ruling {
    let Some(record) = scene.published() else { return Ruling::Pass };
    let Some(kept) = &record.entry.kept else { return Ruling::Pass };
    let declared = scene.declared();
    if declared.iter().any(|target| !record.entry.published_to.contains(target)) {
        // Remembered before it is written, so that no reader of it is ever overlooked.
        let entry = Scene::rewritten(record, |entry| entry.published_to = scene.every_target());
        return scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: false });
    }
    let mut missing = None;
    for target in &declared {
        match one(scene, record, kept, target) {
            Ruling::Pass => {}
            Ruling::Wait(wait) => missing = missing.or(Some(wait)),
            step @ Ruling::Do(_) => return step,
        }
    }
    if let Some(wait) = missing {
        return Ruling::Wait(wait);
    }
    if record.entry.published_at.is_none() {
        let entry = Scene::rewritten(record, |entry| entry.published_at = Some(scene.now));
        return scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: false });
    }
    Ruling::Pass
}

/// One target.
fn one(scene: &Scene<'_>, record: &Record, kept: &Kept, target: &TargetId) -> Ruling {
    let look = || scene.attempt(Step::ReadTarget { target: target.clone(), wanted: Some(record.entry.sequence) });
    let Some(Looked { at, found }) = scene.seen.targets.get(target) else { return look() };
    if matches!(target, TargetId::Vault { .. }) && scene.has_passed(*at, 2 * scene.timing.drift) {
        return look(); // a watch shows what happens to Secrets, and rounds should have shown what is in the vault
    }
    if carries(found, kept) {
        return Ruling::Pass;
    }
    if !scene.is_fresh(*at) {
        return look();
    }
    if let Some(wait) = target::obstacle(scene, target, found) {
        return Ruling::Wait(wait);
    }
    unless_passed!(not_ahead(scene, record, target, found));
    unless_passed!(authentic(scene, record, kept));
    let over = match found {
        TargetState::Present(carried) => Some(Box::new(carried.clone())),
        TargetState::Absent | TargetState::Troubled(_) => None,
    };
    scene.effect(Step::Publish { record: Box::new(record.clone()), target: target.clone(), over })
}

/// Whether a target has exactly what the credential makes of it.
pub(super) fn carries(state: &TargetState, kept: &Kept) -> bool {
    matches!(state, TargetState::Present(carried) if carried.agrees && carried.key_id == Some(kept.key_id))
}

/// A target is never put back to a lower number, and never over an attempt of ours that no record knows, as long as what
/// it carries is there in Entra.
fn not_ahead(scene: &Scene<'_>, record: &Record, id: &TargetId, state: &TargetState) -> Ruling {
    let Some(carried) = target::ours(state, &scene.seen.owner) else { return Ruling::Pass };
    if carried.key_id.is_none() || (carried.sequence <= Some(record.entry.sequence) && target::is_known(scene, carried))
    {
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

/// A record that says it is published is believed only with our mark on its credential in Graph, or our own memory of
/// having kept it: anybody who may create Secrets could write one, with a value of their own that signs in.
fn authentic(scene: &Scene<'_>, record: &Record, kept: &Kept) -> Ruling {
    let own =
        scene.seen.mine.attempts.iter().any(|own| {
            own.sequence == record.entry.sequence && own.fate == Fate::Kept && record.entry.knows(&own.nonce)
        });
    if own {
        return Ruling::Pass;
    }
    let Some(looked) = &scene.seen.application else { return scene.attempt(Step::ReadApplication) };
    let marked = looked.found.credentials.iter().find(|one| one.key_id == kept.key_id).and_then(Credential::mark);
    match marked {
        Some(mark) if mark.owner == scene.seen.owner && record.entry.knows(&mark.nonce) => Ruling::Pass,
        _ if scene.is_fresh(looked.at) && !scene.has_passed(kept.issued_at, scene.timing.absence) => {
            let what = format!("Entra's reads to show credential {}, which was minted a moment ago", kept.key_id);
            Ruling::wait(Reason::Publishing, what, Some(after(looked.at, scene.timing.fresh + scene.timing.margin)))
        }
        _ if scene.is_fresh(looked.at) => Ruling::Wait(Wait {
            reason: Reason::RecordForged,
            waiting_for: format!(
                "record {} names credential {}, which Entra does not show with our mark, so it is published nowhere anew: \
                     was it removed in Entra, or did somebody else write the record?",
                record.entry.name(),
                kept.key_id
            ),
            until: Some(after(scene.now, scene.timing.drift)),
        }),
        _ => scene.attempt(Step::ReadApplication),
    }
}
