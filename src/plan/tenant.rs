//! What is to be said about a tenant.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    Refusal, blast, policy,
    report::{self, Announcement, Report},
    scene::after,
    told, window,
};
use crate::{
    api::{
        EntraTenantSpec, EntraTenantStatus, Reason,
        conditions::{self, PAUSED, READY, STALLED, Says, Status},
    },
    facts::TenantObservation,
};

/// The report about a tenant.
#[must_use]
pub fn report(seen: &TenantObservation, now: Timestamp) -> Report<EntraTenantStatus> {
    let before = seen.tenant.status.clone().unwrap_or_default();
    let generation = seen.tenant.metadata.generation;
    let refusal = refusal(seen);
    let mut said = refusal.as_ref().map_or_else(|| reached(seen), report::stopped);
    said.extend(paused(seen));
    let conditions = conditions::conditions(&before.conditions, said, generation, now);
    let news = report::news(&before.conditions, &conditions).into_iter();
    let events = news.chain(braked(&before.conditions, &conditions)).collect();
    let care =
        seen.care.map(|care| (Some(count(care.applications)), Some(count(care.credentials)), care.nearest_expiry));
    let (applications, credentials, nearest_expiry) = care.unwrap_or_default();
    let status = EntraTenantStatus {
        observed_generation: generation,
        conditions,
        applications: applications.or(before.applications),
        credentials: credentials.or(before.credentials),
        nearest_expiry: if care.is_some() { nearest_expiry.map(time) } else { before.nearest_expiry },
        throttled_until: throttled_until(seen).map(time),
    };
    Report { status, events }
}

fn time(at: Timestamp) -> Time {
    Time(told::second(at))
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Until when Graph has asked us to wait, when it was last tried.
fn throttled_until(seen: &TenantObservation) -> Option<Timestamp> {
    let looked = seen.reached.as_ref()?;
    let trouble = looked.found.as_ref().err().filter(|trouble| trouble.reason == Reason::Throttled)?;
    Some(after(looked.at, trouble.retry_after?))
}

fn refusal(seen: &TenantObservation) -> Option<Refusal> {
    match &seen.tenant.spec {
        Ok(spec) => default_too_long(spec).or_else(|| default_never_opens(spec)),
        Err(error) => Some(Refusal::new(
            Reason::SpecUndecodable,
            format!(
                "This version of Keywright cannot read the spec: {error}. Every resource of this tenant waits. Update \
                 Keywright, or write the spec as the definition of this version has it (`kubectl explain etenant.spec`)."
            ),
        )),
    }
}

fn default_too_long(spec: &EntraTenantSpec) -> Option<Refusal> {
    let validity = spec.defaults.as_ref()?.validity?;
    let most = policy::max_validity(spec);
    (validity > most).then(|| {
        Refusal::new(
            Reason::InvalidPolicy,
            format!(
                "spec.defaults.validity ({validity}) is longer than spec.limits.maxValidity ({most}), so every resource \
                 without a validity of its own would be refused. Set it to at most {most}."
            ),
        )
    })
}

fn default_never_opens(spec: &EntraTenantSpec) -> Option<Refusal> {
    let why = window::refusal("spec.defaults.windows", &spec.defaults.as_ref()?.windows)?;
    let message = format!("{why} Until then every resource without windows of its own is refused.");
    Some(Refusal::new(Reason::InvalidPolicy, message))
}

/// Whether the tenant has paused itself.
fn paused(seen: &TenantObservation) -> Option<Says> {
    let braked = seen.braked?;
    let name = seen.tenant.metadata.name.as_deref().unwrap_or_default();
    let message = format!(
        "{} resources in a row have failed, the last at {:.0}. Nothing is rotated until the tenant is resumed: {}.",
        braked.failures,
        braked.since,
        blast::how_to_resume(name)
    );
    Some(Says { type_: PAUSED, status: Status::True, reason: Reason::TenantPaused, message })
}

/// A pause is announced once.
fn braked(before: &[Condition], after: &[Condition]) -> Option<Announcement> {
    let paused = conditions::find(after, PAUSED).filter(|_| conditions::find(before, PAUSED).is_none())?;
    Some(Announcement { reason: Reason::TenantPaused, note: paused.message.clone(), warning: true })
}

/// Whether the operator can do its work in the tenant.
fn reached(seen: &TenantObservation) -> Vec<Says> {
    let says = |type_, status, reason, message: String| Says { type_, status, reason, message };
    match seen.reached.as_ref().map(|looked| &looked.found) {
        Some(Ok(())) => {
            let message = "Keywright can sign in, and read the applications of the tenant.".to_owned();
            vec![says(READY, Status::True, Reason::Reached, message)]
        }
        Some(Err(trouble)) => {
            let message = format!("{}: {}", trouble.message, trouble.remedy);
            let mut said = vec![says(READY, Status::False, trouble.reason, message.clone())];
            if trouble.reason.needs_a_person() {
                said.push(says(STALLED, Status::True, trouble.reason, message));
            }
            said
        }
        None => vec![says(READY, Status::Unknown, Reason::Idle, "Not tried yet.".to_owned())],
    }
}
