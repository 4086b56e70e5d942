//! What people see: the status of a resource and, when something new is to be said, one Event.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Decision, Refusal, readable};
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
}

/// The report about a resource.
#[must_use]
pub fn report(seen: &Observation, decision: Decision, now: Timestamp) -> Report<EntraAppCredentialStatus> {
    let before = seen.resource.status.clone().unwrap_or_default();
    let generation = seen.resource.metadata.generation;
    let said = decision.refusal.as_ref().map(stopped).unwrap_or_default();
    let conditions = conditions::conditions(&before.conditions, said, generation, now);
    let event = news(&before.conditions, &conditions, decision.refusal);
    let status = EntraAppCredentialStatus {
        observed_generation: generation,
        type_: seen.resource.spec.as_ref().ok().and_then(readable::declared_kind),
        effective: decision.effective,
        conditions,
        ..before
    };
    Report { status, event }
}

/// The conditions of a resource for which nothing happens until a person does something.
pub(super) fn stopped(refusal: &Refusal) -> Vec<Says> {
    [(READY, Status::False), (STALLED, Status::True)]
        .map(|(type_, status)| Says { type_, status, reason: refusal.reason, message: refusal.message.clone() })
        .into()
}

/// A refusal is announced once: when `Ready` says something that it did not say before.
pub(super) fn news(before: &[Condition], after: &[Condition], refusal: Option<Refusal>) -> Option<Announcement> {
    let said = |conditions| conditions::find(conditions, READY).map(|one: &Condition| (&one.reason, &one.message));
    let refusal = refusal.filter(|_| said(before) != said(after))?;
    Some(Announcement { reason: refusal.reason, note: refusal.message })
}
