//! The attempts at a record: which of them a record must still know, and how many it can hold.

use super::{
    removal::marked,
    scene::{Ruling, Scene, after},
};
use crate::{
    api::Reason,
    facts::{Attempt, Fate, Record, TargetId, TargetState},
};

/// More than any record has that are not over. What a record says has to fit into the annotations of a Secret.
const MOST: usize = 100;

/// Whether an attempt can have left nothing, so that nobody will ever ask for it. As long as anything may bear its nonce the
/// record must know it, or what bears it could never be told from a rival's.
pub(super) fn is_over(
    scene: &Scene<'_>,
    targets: &[(TargetId, &TargetState)],
    record: &Record,
    attempt: &Attempt,
) -> bool {
    let own = scene.own_attempt(record.entry.sequence, &attempt.nonce);
    match own.map(|own| &own.fate) {
        Some(Fate::Announced | Fate::Rehearsed | Fate::Nothing) => return true, // nothing was sent
        Some(Fate::Held { .. } | Fate::Lost { .. }) => return false,
        Some(Fate::Unknown { .. } | Fate::Kept) | None => {}
    }
    // Whatever it sent would have arrived by now, and been shown.
    let timing = scene.timing;
    let shown_by = after(attempt.at, timing.mint_within + timing.late_mint + timing.absence + timing.margin);
    let in_vain = scene.seen.application.as_ref().is_some_and(|looked| looked.at >= shown_by);
    let on_application = marked(scene).any(|(_, mark)| mark.nonce == attempt.nonce);
    let nonce = Some(&attempt.nonce);
    let at_target = targets
        .iter()
        .any(|(_, state)| matches!(state, TargetState::Present(carried) if carried.nonce.as_ref() == nonce));
    in_vain && !on_application && !at_target
}

/// Whether a record has room for one attempt more than those that are not over.
pub(super) fn room(scene: &Scene<'_>, record: &Record, others: usize) -> Ruling {
    if others < MOST {
        return Ruling::Pass;
    }
    let what = format!(
        "room in record {}: {MOST} attempts at it may each have left a credential on application {}, of which nobody has the \
         value; remove those whose names begin with kw1:{}.{}. there",
        record.entry.name(),
        record.entry.client_id,
        record.entry.owner,
        record.entry.sequence
    );
    Ruling::wait(Reason::TooManyCredentials, what, Some(after(scene.now, scene.timing.drift)))
}
