//! What people see: the conditions of a resource and, when something new is to be said, an Event. (The rest of its
//! status is in `told`.) Only a report: nothing is ever decided from it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Decision, Moment, Next, Refusal, Timing, readable, scene::Scene, standing::Standing, told};
use crate::{
    api::{
        EntraAppCredentialStatus, Reason,
        conditions::{self, READY, ROLLED_OUT, ROTATING, STALLED, Says, Status},
    },
    facts::Observation,
};

/// What is to be written about a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<S> {
    /// All of its status.
    pub status: S,
    /// What to announce that was not said before.
    pub events: Vec<Announcement>,
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
        type_: seen.resource.spec.as_deref().ok().and_then(readable::declared_kind),
        effective: decision.effective.clone(),
        ..before.clone()
    };
    let mut others = vec![];
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
            others.extend(told::newly_unknown(&scene, &before).map(|note| (Reason::UnknownCredential, note)));
            others.extend(told::rotation_ahead(&scene, &before).map(|note| (Reason::RotationAhead, note)));
            standing.says(&told::published(&scene))
        }
        (Some(refusal), ..) => stopped(refusal),
        _ => vec![],
    };
    status.conditions = conditions::conditions(&before.conditions, said, generation, moment.now);
    // The stages of what is on its way say nothing new beside what `Ready` says.
    let stage = || stage_news(&before.conditions, &status.conditions);
    let first = news(&before.conditions, &status.conditions).or_else(stage);
    let others = others.iter().map(|(reason, note)| announcement(*reason, note));
    let events = first.into_iter().chain(others).collect();
    Report { status, events }
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
    let reason = Reason::ALL.iter().find(|one| one.as_str() == reason)?;
    Some(announcement(*reason, message))
}

/// While a proven credential is published, the stages of its successor are announced that say something to people.
fn stage_news(before: &[Condition], after: &[Condition]) -> Option<Announcement> {
    let said = |conditions, type_| conditions::find(conditions, type_).map(|one: &Condition| one.reason.clone());
    let types = [ROLLED_OUT, ROTATING];
    let changed = types.into_iter().find(|type_| said(before, type_) != said(after, type_))?;
    let condition = conditions::find(after, changed)?;
    let reason = Reason::ALL.iter().find(|one| one.as_str() == condition.reason)?;
    let telling = matches!(reason, Reason::Opening | Reason::RollingOut | Reason::RolledOut | Reason::Retiring);
    (telling || reason.is_trouble()).then(|| announcement(*reason, &condition.message))
}

fn announcement(reason: Reason, message: &str) -> Announcement {
    Announcement { reason, note: message.to_owned(), warning: reason.needs_a_person() }
}
