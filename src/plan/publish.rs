//! A credential that counts as published is at every target that the spec names, now and from now on: each is written on
//! its own, and repaired from the record when it is something else.

use super::{
    adopt, ending, migrate,
    scene::{Ruling, Scene, Wait, after, unless_passed},
    step::Step,
    target,
};
use crate::{
    api::Reason,
    facts::{Credential, Fate, Kept, Looked, Mark, Record, TargetId, TargetState, Verdict},
};

/// Write what is missing, and note when nothing is.
pub(super) fn publish(scene: &Scene<'_>) -> Ruling {
    let Some(record) = scene.published() else { return Ruling::Pass };
    let Some(kept) = &record.entry.kept else { return Ruling::Pass };
    if record.entry.taken_out_at.is_some() {
        // It is declared again before it went: whoever started meanwhile does not have it.
        let entry = Scene::rewritten(record, |entry| {
            (entry.taken_out_at, entry.published_at, entry.proven_at) = (None, None, None);
            entry.again = entry.again.saturating_add(1);
        });
        return scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized });
    }
    unless_passed!(nothing_later_was(scene));
    let declared = scene.declared();
    if declared.iter().any(|target| !record.entry.published_to.contains(target)) {
        // Remembered before it is written, so that no reader of it is ever overlooked.
        let entry = Scene::rewritten(record, |entry| entry.published_to = scene.every_target());
        return scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized });
    }
    // All of them before the first is written: one may carry a later credential, whose record is then written anew first.
    for target in declared.iter().filter(|target| !scene.seen.targets.contains_key(target)) {
        if let look @ Ruling::Do(_) = look(scene, record, target) {
            return look;
        }
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
        return scene.effect(Step::Note {
            record: Box::new(record.clone()),
            entry,
            finalized: ending::keeps_evidence(scene),
        });
    }
    Ruling::Pass
}

/// A credential whose record was lost and written anew from a target was published, and there are pods that bear its mark.
/// Nobody is given an earlier one until it is proven again, or given up.
fn nothing_later_was(scene: &Scene<'_>) -> Ruling {
    match scene.candidate() {
        Some(record) if !record.entry.published_to.is_empty() => {
            let what = format!("secret {} to be proven again, whose record was lost", record.entry.sequence);
            Ruling::wait(Reason::Proving, what, None)
        }
        _ => Ruling::Pass,
    }
}

fn look(scene: &Scene<'_>, record: &Record, target: &TargetId) -> Ruling {
    scene.attempt(Step::ReadTarget { target: target.clone(), wanted: Some(record.entry.sequence) })
}

/// One target.
fn one(scene: &Scene<'_>, record: &Record, kept: &Kept, target: &TargetId) -> Ruling {
    let look = || look(scene, record, target);
    let Some(Looked { at, found }) = scene.seen.targets.get(target) else { return look() };
    if matches!(target, TargetId::Vault(_)) && scene.has_passed(*at, 2 * scene.timing.drift) {
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
    // Before anything is made of what the target carries: to a record that is not ours everything else is a stranger.
    unless_passed!(authentic(scene, record, kept));
    unless_passed!(not_ahead(scene, record, target, found));
    unless_passed!(not_removed(scene, kept));
    unless_passed!(migrate::may_be_written_over(scene, found));
    let another = matches!(found, TargetState::Present(carried) if carried.key_id != Some(kept.key_id));
    if another && record.entry.published_at.is_some() {
        // Somebody has put an earlier one back. Whoever started a moment ago may have read it, so everything after the
        // publication begins anew.
        let entry = Scene::rewritten(record, |entry| {
            (entry.published_at, entry.proven_at) = (None, None);
            entry.again = entry.again.saturating_add(1);
        });
        return scene.effect(Step::Note {
            record: Box::new(record.clone()),
            entry,
            finalized: ending::keeps_evidence(scene),
        });
    }
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

/// What this process has removed is published nowhere anew, even if it is the last that the records still know: whoever
/// starts meanwhile waits, and does not keep what nobody can sign in with.
pub(super) fn not_removed(scene: &Scene<'_>, kept: &Kept) -> Ruling {
    let Kept { key_id, .. } = kept;
    if !scene.seen.mine.removed.contains_key(key_id) {
        return Ruling::Pass;
    }
    let what = format!("another credential: {key_id} was removed after its successor had come, whose record is gone");
    Ruling::wait(Reason::CredentialUnknown, what, Some(after(scene.now, scene.timing.drift)))
}

/// Whether a mark is of an attempt of this very record: one with another number has a record of its own.
fn is_of(mark: &Mark, scene: &Scene<'_>, record: &Record) -> bool {
    mark.owner == scene.seen.owner && mark.sequence == record.entry.sequence && record.entry.knows(&mark.nonce)
}

/// A record that says it is published is believed only with our mark on its credential in Graph, or our own memory of
/// having kept it: anybody who may create Secrets could write one, with a value of their own that signs in.
pub(super) fn authentic(scene: &Scene<'_>, record: &Record, kept: &Kept) -> Ruling {
    let own =
        scene.seen.mine.attempts.iter().any(|own| {
            own.sequence == record.entry.sequence && own.fate == Fate::Kept && record.entry.knows(&own.nonce)
        });
    if own {
        return Ruling::Pass;
    }
    let Some(looked) = &scene.seen.application else { return scene.attempt(Step::ReadApplication) };
    let marked = looked.found.credentials.iter().find(|one| one.key_id == kept.key_id).and_then(Credential::mark);
    if record.entry.adopted.is_some() && adopt::is_named(scene, kept.key_id) {
        // It has no mark; the spec names it, and its value is to sign in.
        let proof = scene.seen.mine.proof.as_ref().filter(|proof| proof.key_id == kept.key_id);
        return match proof.map(|proof| &proof.last) {
            Some(Verdict::Accepted) => Ruling::Pass,
            _ => scene.attempt(Step::SignIn { record: Box::new(record.clone()), key_id: kept.key_id }),
        };
    }
    match marked {
        Some(mark) if is_of(&mark, scene, record) => Ruling::Pass,
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

/// Whoever is refused since an older resource publishes to the same place looks now and then whether it still does.
pub(super) fn wait_for_elders(scene: &Scene<'_>) -> Ruling {
    let Some(elder) = scene.seen.elders.first() else { return Ruling::Pass };
    let until = after(scene.now, scene.timing.drift);
    Ruling::wait(Reason::TargetConflict, format!("{} to publish elsewhere", elder.name), Some(until))
}
