//! What people see: the conditions of a resource and, when something new is to be said, one Event. (The rest of its
//! status is in `told`.) Only a report: nothing is ever decided from it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Decision, Moment, Next, Refusal, Timing, readable, scene::Scene, standing::Standing, told};
use crate::{
    api::{
        EntraAppCredentialStatus, Reason,
        conditions::{self, READY, STALLED, Says, Status},
    },
    facts::Observation,
};

/// What is to be written about a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<S> {
    /// All of its status.
    pub status: S,
    /// What to announce, if it was not said before.
    pub event: Option<Announcement>,
}

/// Something new, for an Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Why, in one word.
    pub reason: Reason,
    /// What, and what to do.
    pub note: String,
    /// Whether something is wrong.
    pub warning: bool,
}

/// The report about a resource.
#[must_use]
pub fn report(
    seen: &Observation,
    decision: &Decision,
    timing: &Timing,
    moment: &Moment,
) -> Report<EntraAppCredentialStatus> {
    let before = seen.resource.status.clone().unwrap_or_default();
    let generation = seen.resource.metadata.generation;
    let mut status = EntraAppCredentialStatus {
        observed_generation: generation,
        type_: seen.resource.spec.as_ref().ok().and_then(readable::declared_kind),
        effective: decision.effective.clone(),
        ..before.clone()
    };
    let said = match (&decision.refusal, readable::request(seen), &decision.effective) {
        (None, Ok(request), Some(policy)) => {
            let (now, chance) = (moment.now, &moment.chance);
            let scene = Scene { seen, request: &request, policy, timing, now, chance };
            let waits = match &decision.next {
                Next::Wait(waits) => waits.as_slice(),
                Next::Do(_) => &[],
            };
            let standing = Standing::of(&scene, waits);
            told::tell(&scene, &standing, waits, &mut status);
            standing.says(&told::published(&scene))
        }
        (Some(refusal), ..) => stopped(refusal),
        _ => vec![],
    };
    status.conditions = conditions::conditions(&before.conditions, said, generation, moment.now);
    let event = news(&before.conditions, &status.conditions).or_else(|| unknown(&before, &status));
    Report { status, event }
}

/// The conditions of a resource for which nothing happens until a person does something.
pub(super) fn stopped(refusal: &Refusal) -> Vec<Says> {
    [(READY, Status::False), (STALLED, Status::True)]
        .map(|(type_, status)| Says { type_, status, reason: refusal.reason, message: refusal.message.clone() })
        .into()
}

/// What `Ready` says is announced once: when it gives a reason that it did not give before, or names another thing.
pub(super) fn news(before: &[Condition], after: &[Condition]) -> Option<Announcement> {
    let said = |conditions| conditions::find(conditions, READY).map(|one: &Condition| (&one.reason, &one.message));
    let (reason, message) = said(after).filter(|after| said(before).as_ref() != Some(after))?;
    let reason = *Reason::ALL.iter().find(|one| one.as_str() == reason)?;
    let warning = reason.needs_a_person();
    Some(Announcement { reason, note: message.clone(), warning })
}

/// A credential that no record knows is announced once.
fn unknown(before: &EntraAppCredentialStatus, status: &EntraAppCredentialStatus) -> Option<Announcement> {
    let note = told::newly_unknown(before, status)?;
    Some(Announcement { reason: Reason::UnknownCredential, note, warning: true })
}
