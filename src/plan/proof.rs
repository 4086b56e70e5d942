//! What becomes of a kept credential: it signs in until enough sign-ins in a row have succeeded, and is to be published; or
//! it is given up, and never is.

use jiff::Timestamp;

use super::{
    Timing, blast,
    certificate::list,
    due, removal, rollout,
    scene::{GRAIN, Ruling, Scene, after, unless_passed},
    step::Step,
    timing::doubling,
};
use crate::{
    api::{KeyId, Reason, status::EffectiveVerification},
    facts::{Kept, Proof, Record, Stage, Verdict},
};

/// A kept credential signs in until enough in a row have succeeded; then it is to be published, or in the end given up.
pub(super) fn prove(scene: &Scene<'_>, record: &Record, kept: &Kept) -> Ruling {
    if due::is_compromised(scene, kept.key_id) || scene.seen.mine.removed.contains_key(&kept.key_id) {
        // Its record came back with a restored etcd, and sign-ins may succeed for a while: a removal is heard of late, too.
        return give_up(scene, record, Some(kept));
    }
    let asked = &scene.policy.verification;
    let proof = scene.seen.mine.proof.as_ref().filter(|proof| proof.key_id == kept.key_id);
    if let Some(proof) = proof.filter(|proof| is_proven(proof, asked, scene.timing)) {
        return begin_publishing(scene, record, kept, proof);
    }
    if let Some(proof) = proof.filter(|proof| scene.has_passed(proof.since, asked.timeout.0)) {
        // A value that Entra does not know helps nobody who carries it: it may have been scribbled on before it was taken
        // from there. One that is merely blocked does.
        let useless = matches!(proof.last, Verdict::Refused(_));
        return give_up(scene, record, Some(kept).filter(|_| !useless));
    }
    let next = proof.map_or_else(
        || after(list::added_at(scene, kept), scene.timing.quiet_start),
        |proof| next_try(proof, asked, scene.timing),
    );
    if scene.now < next {
        return Ruling::wait(Reason::Proving, proving(kept.key_id, proof, asked), Some(next));
    }
    scene.attempt(Step::SignIn { record: Box::new(record.clone()), key_id: kept.key_id })
}

/// What the proof of a credential waits for. Progress is not counted here: each count would be a write.
fn proving(key_id: KeyId, proof: Option<&Proof>, asked: &EffectiveVerification) -> String {
    let wanted =
        format!("{} sign-ins in a row with {key_id}, each on a connection of its own", asked.consecutive_successes);
    match proof.map(|proof| &proof.last) {
        Some(Verdict::Blocked(trouble) | Verdict::Misasked(trouble)) => {
            format!("{wanted}: {}: {}", trouble.message, trouble.remedy)
        }
        _ => wanted,
    }
}

pub(super) fn is_proven(proof: &Proof, asked: &EffectiveVerification, timing: &Timing) -> bool {
    let enough = proof.successes >= asked.consecutive_successes.unsigned_abs();
    let spread = proof.first_success_at.is_some_and(|first| proof.last_at >= after(first, timing.spread));
    enough && (spread || asked.consecutive_successes <= 1)
}

/// Sign-ins are spread so that the number asked for just fills the least time.
pub(super) fn next_try(proof: &Proof, asked: &EffectiveVerification, timing: &Timing) -> Timestamp {
    let between = timing.spread / asked.consecutive_successes.unsigned_abs().saturating_sub(1).max(1);
    let pause = match &proof.last {
        Verdict::Accepted => asked.interval.0.max(between),
        Verdict::Unheard(trouble) => {
            doubling(timing.after_refusal, proof.misses).max(trouble.retry_after.unwrap_or_default())
        }
        Verdict::Blocked(_) | Verdict::Refused(_) | Verdict::Misasked(_) => {
            doubling(timing.after_refusal, proof.misses)
        }
    };
    after(proof.last_at, pause)
}

/// From here on it counts as published, whatever happens to the spec, so this is written before the first target is.
fn begin_publishing(scene: &Scene<'_>, record: &Record, kept: &Kept, proof: &Proof) -> Ruling {
    if scene.seen.namespace.terminating {
        return give_up(scene, record, Some(kept)); // no target could be written any more
    }
    if let (Some(last), 2..) = (record.entry.last_attempt(), record.entry.attempts.len()) {
        // Whoever is told to have started later holds nothing that an attempt before this one may have published: see
        // `removal`.
        let settled = after(scene.forgotten(last.at), GRAIN);
        if scene.now < settled {
            let what = "nodes to have forgotten what an attempt that was overtaken may have published";
            return Ruling::wait(Reason::Maturing, what, Some(settled));
        }
    }
    let mature = after(kept.issued_at, scene.policy.verification.min_age.0);
    if !due::is_dead(scene) && scene.now < mature {
        let what = format!("the credential to be {} old", scene.policy.verification.min_age);
        return Ruling::wait(Reason::Maturing, what, Some(mature));
    }
    unless_passed!(blast::brake_is_off(scene));
    unless_passed!(rollout::window(scene, "the credential to be published"));
    unless_passed!(blast::has_a_slot(scene));
    unless_passed!(list::holds(scene, record, kept));
    unless_passed!(still_signs_in(scene, record, proof));
    let entry = Scene::rewritten(record, |entry| {
        entry.stage = Stage::Publishing;
        entry.verified_at = Some(scene.now);
        entry.published_to = scene.every_target();
    });
    // Until it is written everywhere the record is the only evidence of it, so it must not go with its namespace.
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
}

/// A proof grows old while a window or a slot is waited for: somebody may have removed the credential meanwhile.
fn still_signs_in(scene: &Scene<'_>, record: &Record, proof: &Proof) -> Ruling {
    if proof.last == Verdict::Accepted && scene.is_fresh(proof.last_at) {
        return Ruling::Pass;
    }
    let asked = &scene.policy.verification;
    let next = next_try(proof, asked, scene.timing);
    if scene.now < next {
        return Ruling::wait(Reason::Proving, proving(proof.key_id, Some(proof), asked), Some(next));
    }
    scene.attempt(Step::SignIn { record: Box::new(record.clone()), key_id: proof.key_id })
}

/// Give a credential up for good: it is never published from here on, and leaves through the gate of `removal`. One that
/// works is not given up while anything carries it.
pub(super) fn give_up(scene: &Scene<'_>, record: &Record, kept: Option<&Kept>) -> Ruling {
    if let Some(kept) = kept {
        unless_passed!(removal::nothing_carries(scene, kept.key_id));
    }
    let entry = Scene::rewritten(record, |entry| {
        entry.stage = Stage::Abandoned;
        entry.abandoned_at = Some(scene.now);
    });
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
}

/// A resource that has been deleted publishes nothing more.
pub(super) fn give_everything_up(scene: &Scene<'_>) -> Ruling {
    match scene.records().find(|record| record.entry.stage == Stage::Unpublished) {
        Some(record) => give_up(scene, record, record.entry.kept.as_ref()),
        None => Ruling::Pass,
    }
}

/// What was to be published when its resource was deleted is given up as well if it got nowhere. If it got anywhere it stays,
/// as everything that was published does, and its record may go with the namespace.
pub(super) fn settle_what_was_being_published(scene: &Scene<'_>) -> Ruling {
    let begun = |record: &&Record| {
        record.entry.stage == Stage::Publishing && record.entry.published_at.is_none() && record.finalized
    };
    let Some(record) = scene.records().find(begun) else { return Ruling::Pass };
    let Some(kept) = &record.entry.kept else { return Ruling::Pass };
    match removal::carrier(scene, kept.key_id) {
        Ok(None) => give_up(scene, record, Some(kept)),
        Ok(Some(_)) => {
            let entry = Box::new(record.entry.clone());
            scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: false })
        }
        Err(ruling) => ruling,
    }
}

/// Records below the one that counts will never be published.
pub(super) fn close_what_was_overtaken(scene: &Scene<'_>) -> Ruling {
    let above = scene.candidate().or_else(|| scene.published()).map(|record| record.entry.sequence);
    let below = |record: &&Record| record.entry.stage == Stage::Unpublished && Some(record.entry.sequence) < above;
    match scene.records().find(below) {
        Some(record) => give_up(scene, record, record.entry.kept.as_ref()),
        None => Ruling::Pass,
    }
}
