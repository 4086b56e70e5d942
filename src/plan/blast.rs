//! How much may go wrong at once in a tenant: so many rotations touch workloads at the same time, and after so many
//! failures in a row none begins any more until a person says so.

use jiff::Timestamp;

use super::{
    Wait, due, ending,
    scene::{Ruling, Scene, after},
    step::Step,
};
use crate::{
    api::{EntraTenantSpec, GROUP, Reason},
    facts::{Mine, Observation, Stage},
};

const MAX_IN_FLIGHT: i32 = 20;
const PAUSE_AFTER_FAILURES: i32 = 5;

/// How many rotations of a tenant may touch workloads at the same time.
fn most_in_flight(tenant: &EntraTenantSpec) -> usize {
    let limit = tenant.limits.as_ref().and_then(|limits| limits.max_in_flight).unwrap_or(MAX_IN_FLIGHT);
    usize::try_from(limit).unwrap_or_default()
}

/// After how many failures in a row a tenant pauses itself.
#[must_use]
pub fn most_failures(tenant: &EntraTenantSpec) -> usize {
    let limit = tenant.limits.as_ref().and_then(|limits| limits.pause_after_failures).unwrap_or(PAUSE_AFTER_FAILURES);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How a tenant resumes.
#[must_use]
pub fn how_to_resume(tenant: &str) -> String {
    format!(
        "find out why they fail, then: kubectl annotate --overwrite etenant {tenant} {GROUP}/resume=$(date -u +%FT%TZ)"
    )
}

/// Whether the brake is off, or what is to be done helps somebody who cannot sign in.
pub(super) fn brake_is_off(scene: &Scene<'_>) -> Ruling {
    match &scene.seen.braked {
        Some(_) if scene.published().is_none() || !due::is_urgent(scene) => {
            let tenant = scene.request.tenant_name;
            // How many have failed is told by the tenant: told here, it would be told anew with each that follows.
            let what = format!(
                "EntraTenant {tenant} to be resumed, which has paused itself after failures in a row; {}",
                how_to_resume(tenant)
            );
            Ruling::wait(Reason::TenantPaused, what, None)
        }
        _ => Ruling::Pass,
    }
}

/// Whether this rotation may touch workloads now. What nobody has yet, and what helps somebody who cannot sign in, needs
/// no leave.
pub(super) fn has_a_slot(scene: &Scene<'_>) -> Ruling {
    if scene.published().is_none() || due::is_urgent(scene) {
        return Ruling::Pass;
    }
    match scene.seen.mine.slot {
        Some(true) => Ruling::Pass,
        Some(false) => {
            let most = most_in_flight(scene.request.tenant);
            let tenant = scene.request.tenant_name;
            let what = format!("one of the {most} rotations of EntraTenant {tenant} that are under way to end");
            // Whoever a slot was offered to may have no use for it just then.
            Ruling::wait(Reason::Queued, what, Some(after(scene.now, scene.timing.drift)))
        }
        None => scene.attempt(Step::TakeSlot { most: most_in_flight(scene.request.tenant) }),
    }
}

/// What was under way before this process began counts too, however many there are; what needs no leave does not.
pub(super) fn count_it(scene: &Scene<'_>) -> Ruling {
    match scene.seen.mine.slot {
        Some(true) => Ruling::Pass,
        _ if due::is_urgent(scene) => Ruling::Pass,
        Some(false) | None => scene.attempt(Step::TakeSlot { most: usize::MAX }),
    }
}

/// Whether a resource still needs the slot that it has.
#[must_use]
pub fn needs_its_slot(seen: &Observation) -> bool {
    let records = || seen.records.list.iter();
    let newest = records().filter(|one| one.entry.stage == Stage::Publishing).max_by_key(|one| one.entry.sequence);
    newest.is_some_and(|one| one.entry.proven_at.is_none()) && !ending::is_ending(seen)
}

/// Remember since when workloads stall: a row of failures that was ended must not begin anew with every look at them.
pub fn note_a_stall(mine: &mut Mine, waits: &[Wait], now: Timestamp) {
    let stalls = waits.iter().any(|wait| wait.reason == Reason::RolloutStalled);
    mine.stalled_at = stalls.then(|| mine.stalled_at.unwrap_or(now));
}

/// When a resource last failed, and when it last succeeded, as far as its records and its workloads tell.
#[must_use]
pub fn fared(seen: &Observation) -> (Option<Timestamp>, Option<Timestamp>) {
    let records = || seen.records.list.iter().map(|record| &record.entry);
    let succeeded = records().filter(|entry| entry.stage == Stage::Publishing).filter_map(|entry| entry.proven_at);
    let given_up = records().filter(|entry| entry.kept.is_some()).filter_map(|entry| entry.abandoned_at);
    (given_up.chain(seen.mine.stalled_at).max(), succeeded.max())
}
