//! Whether an assertion that somebody else has issued lets a client in (AZURE 4.3): first whether a federated credential
//! is for it, as one replica knows it, and then, once the issuer's keys are there, whether it is right. The order has it
//! that nobody is asked for keys but those whom the application trusts.

use jiff::Timestamp;
use uuid::Uuid;

use super::assertion::Assertion;
use super::refusals::Refusal;
use super::sign_in::Refused;
use crate::azure::applications::Application;
use crate::azure::federated::{Mismatch, Presented, matching};
use crate::azure::log::Cause;
use crate::azure::signing::PublicKey;
use crate::azure::tenants::Tenant;

/// The ID of the federated credential that is for it.
pub(super) fn matched(
    tenant: &mut Tenant,
    application: &Application,
    presented: &Presented,
    now: Timestamp,
) -> Result<Uuid, Refused> {
    tenant.let_in(application.object_id, presented, now).map_err(|shut| {
        let cause = if shut.knows_better { Cause::Remembered } else { why(tenant, application, presented) };
        (Refusal::no_match(shut.mismatch, presented), cause)
    })
}

/// Why a replica knows none, in truth.
fn why(tenant: &Tenant, application: &Application, presented: &Presented) -> Cause {
    if matching(&tenant.federated(application.object_id), presented).is_ok() {
        Cause::NotYetKnown
    } else if tenant.ever_let_in(application.client_id, presented) {
        Cause::Removed
    } else {
        Cause::WrongValue
    }
}

/// Whether it is right: signed by its issuer, and in time. A share of what is right is refused all the same (AZURE 3).
pub(super) fn proven(
    tenant: &mut Tenant,
    assertion: &Assertion,
    key: anyhow::Result<Option<PublicKey>>,
    now: Timestamp,
) -> Result<(), Refused> {
    let issuer = &assertion.presented.issuer;
    let key = key.map_err(|error| {
        tracing::debug!("{error:#}");
        (Refusal::issuer_out_of_reach(), Cause::IssuerUnreachable)
    })?;
    let key = key.ok_or_else(|| (Refusal::key_not_published(&assertion.key_id, issuer), Cause::WrongValue))?;
    if !assertion.is_signed_by(&key) {
        return Err((Refusal::bad_signature(), Cause::WrongValue));
    }
    if !assertion.is_valid(now) {
        return Err((Refusal::not_in_time(now, assertion.begin, assertion.end), Cause::BadRequest));
    }
    let noise = tenant.weather.noise;
    if noise > 0.0 && tenant.dice.chance(noise) {
        return Err((Refusal::no_match(Mismatch::Subject, &assertion.presented), Cause::Noise));
    }
    Ok(())
}
