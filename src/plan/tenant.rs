//! What is to be said about a tenant.

use jiff::Timestamp;

use super::{
    Refusal, policy,
    report::{self, Report},
};
use crate::{
    api::{
        EntraTenantSpec, EntraTenantStatus, Reason,
        conditions::{self, READY, STALLED, Says, Status},
    },
    facts::TenantObservation,
};

/// The report about a tenant.
#[must_use]
pub fn report(seen: &TenantObservation, now: Timestamp) -> Report<EntraTenantStatus> {
    let before = seen.tenant.status.clone().unwrap_or_default();
    let generation = seen.tenant.metadata.generation;
    let refusal = refusal(seen);
    let said = refusal.as_ref().map_or_else(|| reached(seen), report::stopped);
    let conditions = conditions::conditions(&before.conditions, said, generation, now);
    let event = report::news(&before.conditions, &conditions);
    Report { status: EntraTenantStatus { observed_generation: generation, conditions, ..before }, event }
}

fn refusal(seen: &TenantObservation) -> Option<Refusal> {
    match &seen.tenant.spec {
        Ok(spec) => default_too_long(spec),
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
