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
    let said = refusal.as_ref().map_or_else(not_tried, report::stopped);
    let conditions = conditions::conditions(&before.conditions, said, generation, now);
    let event = refusal.and_then(|_| report::news(&before.conditions, &conditions));
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

/// Until the operator signs in, whether it could is not known.
fn not_tried() -> Vec<Says> {
    let message = "Grants, defaults and limits.maxValidity are in force. This version of Keywright does not sign in to Microsoft \
                   Entra yet (spec.identity), so whether it could is not known; and as nothing is rotated yet, the other \
                   limits and spec.suspend have nothing to hold back.";
    [(READY, Status::Unknown), (STALLED, Status::False)]
        .map(|(type_, status)| Says { type_, status, reason: Reason::NotSupportedYet, message: message.to_owned() })
        .into()
}
