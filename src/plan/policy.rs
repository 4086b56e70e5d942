//! The values in force: what the resource says, else the tenant's defaults, else what is built in. Each value knows
//! where it came from, so that a refusal can say which of them to change.

use std::fmt;

use super::{Refusal, readable::Request, window};
use crate::api::{
    EntraTenantSpec, Period, Reason,
    consumers::RolloutStrategy,
    grant::CredentialKind,
    rotation::Window,
    status::{EffectivePolicy, EffectiveRollout, EffectiveVerification},
    tenant::Cloud,
    values::Scope,
};

const VALIDITY: Period = Period::days(90);
const MAX_VALIDITY: Period = Period::days(180);
const MIN_OVERLAP: Period = Period::hours(24);
const CONSECUTIVE_SUCCESSES: i32 = 8;
const INTERVAL: Period = Period::seconds(5);
const VERIFICATION_TIMEOUT: Period = Period::minutes(15);
const MIN_AGE: Period = Period::minutes(5);
const MIN_AGE_FEDERATED: Period = Period::minutes(15);
const MAX_CONCURRENT: i32 = 5;
const ROLLOUT_TIMEOUT: Period = Period::minutes(30);

/// A value, and the field that set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chosen {
    value: Period,
    field: Field,
}

/// The field that set a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Resource(&'static str),
    Tenant(&'static str),
    BuiltIn(&'static str),
}

impl fmt::Display for Chosen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Field::Resource(field) => write!(out, "{field} ({})", self.value),
            Field::Tenant(field) => write!(out, "EntraTenant's {field} ({})", self.value),
            Field::BuiltIn(field) => write!(out, "{field} ({}, which is built in)", self.value),
        }
    }
}

/// The first that is given.
fn choose(
    resource: (Option<Period>, &'static str),
    tenant: (Option<Period>, &'static str),
    built_in: (Period, &'static str),
) -> Chosen {
    let chosen = |value, field| Chosen { value, field };
    resource
        .0
        .map(|value| chosen(value, Field::Resource(resource.1)))
        .or_else(|| tenant.0.map(|value| chosen(value, Field::Tenant(tenant.1))))
        .unwrap_or_else(|| chosen(built_in.0, Field::BuiltIn(built_in.1)))
}

/// The values in force for one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Of credentials whose end Keywright chooses: how long they live, and how long before it they are replaced.
    life: Option<(Chosen, Chosen)>,
    min_overlap: Chosen,
    verification: EffectiveVerification,
    rollout: EffectiveRollout,
}

/// Find the values in force.
#[must_use]
pub fn resolve(request: &Request<'_>) -> Policy {
    let defaults = request.tenant.defaults.as_ref();
    let retirement = request.spec.retirement.as_ref();
    Policy {
        life: request.expires_by_our_choice().then(|| life(request)),
        min_overlap: choose(
            (retirement.and_then(|one| one.min_overlap), "spec.retirement.minOverlap"),
            (defaults.and_then(|one| one.min_overlap), "spec.defaults.minOverlap"),
            (MIN_OVERLAP, "minOverlap"),
        ),
        verification: verification(request),
        rollout: rollout(request),
    }
}

fn life(request: &Request<'_>) -> (Chosen, Chosen) {
    let spec = request.spec;
    let defaults = request.tenant.defaults.as_ref();
    let own = match &spec.client_secret {
        Some(secret) => (secret.validity, "spec.clientSecret.validity"),
        None => (
            spec.certificate.as_ref().and_then(|one| one.generate.as_ref()).and_then(|one| one.validity),
            "spec.certificate.generate.validity",
        ),
    };
    // A tenant that allows less than is built in means that, and not that nothing is allowed.
    let built_in = VALIDITY.min(max_validity(request.tenant));
    let validity =
        choose(own, (defaults.and_then(|one| one.validity), "spec.defaults.validity"), (built_in, "validity"));
    let third = Period::seconds(validity.value.0.as_secs() / 3);
    let renew_before = choose(
        (spec.rotation.as_ref().and_then(|one| one.renew_before), "spec.rotation.renewBefore"),
        (defaults.and_then(|one| one.renew_before), "spec.defaults.renewBefore"),
        (third, "renewBefore, a third of the validity"),
    );
    (validity, renew_before)
}

fn verification(request: &Request<'_>) -> EffectiveVerification {
    let said = request.spec.verification.clone().unwrap_or_default();
    let min_age = if request.kind == CredentialKind::Federated { MIN_AGE_FEDERATED } else { MIN_AGE };
    EffectiveVerification {
        consecutive_successes: said.consecutive_successes.unwrap_or(CONSECUTIVE_SUCCESSES),
        interval: said.interval.unwrap_or(INTERVAL),
        timeout: said.timeout.unwrap_or(VERIFICATION_TIMEOUT),
        min_age: said.min_age.unwrap_or(min_age),
        scope: said.scope.unwrap_or_else(|| graph_scope(request.tenant)),
    }
}

/// The scope that needs no permission granted: that of Graph in the cloud of the tenant.
fn graph_scope(tenant: &EntraTenantSpec) -> Scope {
    let graph = match tenant.cloud {
        Cloud::Public => "https://graph.microsoft.com",
        Cloud::USGovernment => "https://graph.microsoft.us",
        Cloud::USGovernmentDoD => "https://dod-graph.microsoft.us",
        Cloud::China => "https://microsoftgraph.chinacloudapi.cn",
        Cloud::Custom => tenant.endpoints.as_ref().map_or("", |endpoints| endpoints.graph_url.as_str()),
    };
    Scope(format!("{}/.default", graph.trim_end_matches('/')))
}

fn rollout(request: &Request<'_>) -> EffectiveRollout {
    let own = request.spec.consumers.as_ref().and_then(|one| one.rollout.clone()).unwrap_or_default();
    let tenant = request.tenant.defaults.as_ref().and_then(|one| one.rollout.clone()).unwrap_or_default();
    EffectiveRollout {
        strategy: own.strategy.or(tenant.strategy).unwrap_or(RolloutStrategy::Rolling),
        max_concurrent: own.max_concurrent.or(tenant.max_concurrent).unwrap_or(MAX_CONCURRENT),
        timeout: own.timeout.or(tenant.timeout).unwrap_or(ROLLOUT_TIMEOUT),
    }
}

/// The windows in force, and the field that has them.
fn windows<'a>(request: &Request<'a>) -> (&'static str, &'a [Window]) {
    let own = request.spec.rotation.as_ref().map(|one| one.windows.as_slice()).unwrap_or_default();
    let tenant = request.tenant.defaults.as_ref().map(|one| one.windows.as_slice()).unwrap_or_default();
    if own.is_empty() { ("EntraTenant's spec.defaults.windows", tenant) } else { ("spec.rotation.windows", own) }
}

impl Policy {
    /// The values for people to read.
    #[must_use]
    pub fn effective(self, request: &Request<'_>) -> EffectivePolicy {
        EffectivePolicy {
            validity: self.life.map(|(validity, _)| validity.value),
            renew_before: self.life.map(|(_, renew_before)| renew_before.value),
            min_overlap: self.min_overlap.value,
            windows: windows(request).1.to_vec(),
            verification: self.verification,
            rollout: self.rollout,
            secret_name: request.secret_name().map(str::to_owned),
        }
    }
}

/// Why the values in force make no sense together. The API server has compared those of one object; here they meet.
#[must_use]
pub fn refusal(request: &Request<'_>, policy: &Policy) -> Option<Refusal> {
    let message = too_long(request, policy)
        .or_else(|| renewed_too_early(policy))
        .or_else(|| overlap_too_long(policy))
        .or_else(|| proof_too_long(&policy.verification))
        .or_else(|| no_time_to_roll(&policy.rollout))
        .or_else(|| nothing_for_a_vault(request))
        .or_else(|| {
            let (field, windows) = windows(request);
            window::refusal(field, windows)
        })?;
    Some(Refusal::new(Reason::InvalidPolicy, message))
}

fn too_long(request: &Request<'_>, policy: &Policy) -> Option<String> {
    let (validity, _) = policy.life?;
    let most = max_validity(request.tenant);
    (validity.value > most).then(|| {
        format!(
            "{validity} is longer than EntraTenant {} allows (spec.limits.maxValidity, {most}). Ask for at most {most}.",
            request.tenant_name
        )
    })
}

/// The longest validity that a tenant allows.
pub(super) fn max_validity(tenant: &EntraTenantSpec) -> Period {
    tenant.limits.as_ref().and_then(|limits| limits.max_validity).unwrap_or(MAX_VALIDITY)
}

fn renewed_too_early(policy: &Policy) -> Option<String> {
    let (validity, renew_before) = policy.life?;
    (renew_before.value >= validity.value).then(|| {
        format!(
            "{renew_before} must be shorter than {validity}, or each credential would be replaced as soon as it is \
             there. Set spec.rotation.renewBefore, for example to a third of the validity."
        )
    })
}

fn overlap_too_long(policy: &Policy) -> Option<String> {
    let (_, renew_before) = policy.life?;
    (policy.min_overlap.value >= renew_before.value).then(|| {
        format!(
            "{} must be shorter than {renew_before}, or the old credential would expire during the overlap. Set \
             spec.retirement.minOverlap, for example to half of renewBefore.",
            policy.min_overlap
        )
    })
}

fn proof_too_long(proof: &EffectiveVerification) -> Option<String> {
    let least = u64::from(proof.consecutive_successes.unsigned_abs()) * proof.interval.0.as_secs();
    (least >= proof.timeout.0.as_secs()).then(|| {
        format!(
            "{} sign-ins, one every {}, do not fit into spec.verification.timeout ({}). Ask for fewer, or allow more \
             time, for example timeout: 15m.",
            proof.consecutive_successes, proof.interval, proof.timeout
        )
    })
}

/// The API server refuses this too, but not of what it has stored before.
fn nothing_for_a_vault(request: &Request<'_>) -> Option<String> {
    let vaults = request.spec.publish.as_ref().is_some_and(|publish| !publish.key_vaults.is_empty());
    (vaults && request.spec.federated.is_some()).then(|| {
        "spec.publish.keyVaults is declared beside spec.federated. An entry of a Key Vault has one value, the credential, and \
         a federated resource has none. Remove spec.publish.keyVaults; spec.publish.secret says where to sign in, and as what."
            .to_owned()
    })
}

fn no_time_to_roll(rollout: &EffectiveRollout) -> Option<String> {
    (rollout.timeout.0.is_zero()).then(|| {
        "The rollout timeout is 0s, so every workload would count as stalled at once. Set \
         spec.consumers.rollout.timeout, for example to 30m."
            .to_owned()
    })
}
