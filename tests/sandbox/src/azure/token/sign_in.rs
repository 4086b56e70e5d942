//! Whether a sign-in is accepted. The order of the questions is that of Entra: tenant, request, application, resource,
//! credential, service principal, Conditional Access; so a code about the scope says nothing about the secret, and one of
//! Conditional Access says that it was right. Pure but for the directory, which it holds.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::refusals::{Ids, Refusal};
use super::request::{self, Proof, Wanted};
use crate::azure::applications::{Application, Principal};
use crate::azure::call::Call;
use crate::azure::clouds::CLOUDS;
use crate::azure::directory::{self, State};
use crate::azure::log::{Cause, RefusedSignIn, What};
use crate::azure::quotas::{Scope, Verdict};
use crate::azure::server::Free;
use crate::azure::tenants::Tenant;
use crate::azure::tokens::Caller;
use crate::witness::Fingerprint;

/// What came of a sign-in.
pub(super) enum Outcome {
    Accepted(Accepted),
    Refused(Refusal),
    Throttled { plain: bool, refusal: Refusal },
}

/// A sign-in that was accepted.
pub(super) struct Accepted {
    pub(super) caller: Caller,
    pub(super) audience: String,
    key_id: Uuid,
}

/// A refusal and its true cause.
type Refused = (Refusal, Cause);

/// Decides, and writes down what was decided.
pub(super) fn decide(
    state: &mut State,
    call: &Call,
    tenant_name: &str,
    version_1: bool,
    free: &Free,
    ids: Ids,
) -> Outcome {
    let wanted = match request::read(call, version_1) {
        Ok(wanted) => wanted,
        Err(refusal) => {
            // Whose tenant it is comes first.
            let refusal = tenant(state, tenant_name).err().unwrap_or(refusal);
            note(state, tenant_name, None, Some(refusal.code), Cause::BadRequest, ids);
            return Outcome::Refused(refusal);
        }
    };
    if throttles(state, tenant_name, wanted.client_id, ids.now) {
        note(state, tenant_name, Some(&wanted), Some(90_055), Cause::Throttled, ids);
        return Outcome::Throttled { plain: state.dice.chance(0.5), refusal: Refusal::throttled() };
    }
    let decided = tenant(state, tenant_name)
        .map_err(|refusal| (refusal, Cause::BadRequest))
        .and_then(|tenant| check(tenant, &wanted, tenant_name, free, ids.now));
    match decided {
        Ok(accepted) => {
            let accepts = directory::Accepted { count: 0, last: ids.now };
            let accepts = state.accepted.entry(accepted.key_id).or_insert(accepts);
            accepts.count += 1;
            accepts.last = ids.now;
            Outcome::Accepted(accepted)
        }
        Err((refusal, cause)) => {
            note(state, tenant_name, Some(&wanted), Some(refusal.code), cause, ids);
            Outcome::Refused(refusal)
        }
    }
}

/// The tenant that is called so (AZURE 4.3: 900023, 90002).
pub(super) fn tenant<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Tenant, Refusal> {
    if matches!(name, "common" | "organizations" | "consumers") {
        return Err(Refusal::no_tenant_named());
    }
    if Uuid::try_parse(name).is_err() && !name.contains('.') {
        return Err(Refusal::not_a_tenant(name));
    }
    state.tenant_called(name).ok_or_else(|| Refusal::tenant_not_found(name))
}

fn throttles(state: &mut State, tenant_name: &str, client_id: Uuid, now: Timestamp) -> bool {
    let Some(limit) = state.limits.sign_ins else { return false };
    let Some(tenant) = state.tenant_called(tenant_name).map(|tenant| tenant.id) else { return false };
    matches!(state.quotas.count(Scope::SignIns(client_id, tenant), limit, 1, now), Verdict::Beyond(_))
}

fn check(
    tenant: &mut Tenant,
    wanted: &Wanted,
    tenant_name: &str,
    free: &Free,
    now: Timestamp,
) -> Result<Accepted, Refused> {
    let client_id = wanted.client_id;
    let Some(application) = tenant.for_sign_in(client_id, now) else {
        let truth = tenant.object_id(client_id).map(|object_id| tenant.truth(object_id));
        let cause = match truth {
            Some(Some(_)) => Cause::NotYetKnown,
            Some(None) => Cause::Deleted,
            None => Cause::BadRequest,
        };
        return Err((Refusal::application_not_found(client_id, tenant_name), cause));
    };
    let is_graph = audience(tenant, &wanted.resource, free)
        .ok_or_else(|| (Refusal::resource_not_found(&wanted.resource, tenant_name), Cause::BadRequest))?;
    let password = proven(tenant, &application, &wanted.proof, now)?;
    let principal = admitted(tenant, &application, now)?;
    let roles = if is_graph { principal.roles.clone() } else { vec![] };
    let caller = Caller { tenant: tenant.id, client_id, object_id: principal.object_id, roles };
    Ok(Accepted { caller, audience: wanted.resource.clone(), key_id: password })
}

/// The ID of the credential that proves it.
fn proven(tenant: &mut Tenant, seen: &Application, proof: &Proof, now: Timestamp) -> Result<Uuid, Refused> {
    let secret = match proof {
        Proof::Secret(secret) => secret,
        // No application has certificates or federated identities yet, so none of them matches.
        Proof::Signed => return Err((Refusal::certificate_not_registered(), Cause::WrongValue)),
        Proof::Federated => return Err((Refusal::no_federated_identity(), Cause::WrongValue)),
    };
    let client_id = seen.client_id;
    let wrong = |cause| Err((Refusal::wrong_secret(client_id), cause));
    let Some(password) = seen.passwords.iter().find(|password| password.value == *secret) else {
        return wrong(why_unknown(tenant, client_id, secret));
    };
    if now >= password.end {
        return Err((Refusal::secret_expired(client_id), Cause::Expired));
    }
    if now < password.start {
        return wrong(Cause::NotYetValid);
    }
    let noise = tenant.weather.noise;
    if noise > 0.0 && tenant.dice.chance(noise) {
        return wrong(Cause::Noise);
    }
    Ok(password.key_id)
}

/// Why a replica does not know a value, in truth.
fn why_unknown(tenant: &Tenant, client_id: Uuid, secret: &str) -> Cause {
    let given = Uuid::try_parse(secret).ok();
    if tenant.minted(client_id).any(|password| given == Some(password.key_id)) {
        return Cause::IdForValue;
    }
    let Some(minted) = tenant.minted(client_id).find(|password| password.value == secret) else {
        return Cause::WrongValue;
    };
    let removed = |what: &What| {
        matches!(what, What::Deleted) || matches!(what, What::Removed(key_id) if *key_id == minted.key_id)
    };
    let is_removed = tenant.log.iter().any(|change| change.client_id == client_id && removed(&change.what));
    if is_removed { Cause::Removed } else { Cause::NotYetKnown }
}

/// The service principal, if it may sign in.
fn admitted(tenant: &mut Tenant, application: &Application, now: Timestamp) -> Result<Arc<Principal>, Refused> {
    let client_id = application.client_id;
    let refused = |refusal| Err((refusal, Cause::Blocked));
    let Some(principal) = tenant.principal_for_sign_in(client_id, now) else {
        return refused(Refusal::no_service_principal(client_id, tenant.id));
    };
    if application.disabled || !principal.enabled {
        return refused(Refusal::disabled(client_id, &application.display_name));
    }
    if principal.blocked {
        return refused(Refusal::blocked(principal.object_id));
    }
    Ok(principal)
}

/// Whether there is such a resource in the tenant, and whether it is Graph.
fn audience(tenant: &Tenant, resource: &str, free: &Free) -> Option<bool> {
    let resource = resource.trim_end_matches('/');
    let of_host = |hosts: &[&str]| hosts.iter().any(|host| resource.strip_prefix("https://") == Some(host));
    let is_graph = resource == "00000003-0000-0000-c000-000000000000"
        || CLOUDS.iter().any(|cloud| of_host(cloud.graphs))
        || free.graph == resource;
    if is_graph {
        return Some(true);
    }
    let is_vault = resource == "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"
        || CLOUDS.iter().any(|cloud| of_host(&[cloud.vaults]))
        || [&free.vault, &free.vaults].into_iter().any(|vault| vault == resource);
    let named = resource.strip_prefix("api://").unwrap_or(resource);
    let is_application =
        || Uuid::try_parse(named).is_ok_and(|client_id| tenant.principals.truth_of(client_id).is_some());
    (is_vault || resource == "https://management.azure.com" || is_application()).then_some(false)
}

fn note(state: &mut State, tenant_name: &str, wanted: Option<&Wanted>, code: Option<u32>, cause: Cause, ids: Ids) {
    let tenant = state.tenant_called(tenant_name).map(|tenant| tenant.id);
    let fingerprint = wanted.and_then(|wanted| match &wanted.proof {
        Proof::Secret(secret) => Some(Fingerprint::of(secret)),
        Proof::Signed | Proof::Federated => None,
    });
    let client_id = wanted.map(|wanted| wanted.client_id);
    let refused = RefusedSignIn { time: ids.now, trace_id: ids.trace, tenant, client_id, fingerprint, code, cause };
    state.refused.push(refused);
}
