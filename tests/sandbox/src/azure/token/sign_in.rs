//! Whether a sign-in is accepted. The order of the questions is that of Entra: tenant, request, application, resource,
//! credential, service principal, Conditional Access; so a code about the scope says nothing about the secret, and one of
//! Conditional Access says that it was right. Pure but for the directory, which it holds.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::assertion::Assertion;
use super::certificates;
use super::federated;
use super::refusals::{Ids, Refusal};
use super::request::{self, Proof, Wanted};
use crate::azure::applications::{Application, Principal};
use crate::azure::call::Call;
use crate::azure::clouds::CLOUDS;
use crate::azure::directory::{self, State};
use crate::azure::log::{Cause, RefusedSignIn};
use crate::azure::quotas::{Scope, Verdict};
use crate::azure::server::Free;
use crate::azure::signing::PublicKey;
use crate::azure::tenants::Tenant;
use crate::azure::tokens::Caller;
use crate::azure::usage::SignIn;
use crate::witness::Fingerprint;

/// What came of a sign-in.
pub(super) enum Outcome {
    Accepted(Accepted),
    Refused(Refusal),
    Throttled { plain: bool, refusal: Refusal },
}

/// How far a sign-in came without asking anybody else.
pub(super) enum Begun {
    Decided(Outcome),
    /// An issuer's key is needed to decide.
    Pending(Box<Pending>),
}

/// A sign-in that was not refused so far.
enum Checked {
    Accepted(Accepted),
    Pending(Box<Pending>),
}

/// A sign-in by a federated credential that is for it: what is left is whether the assertion is right.
pub(super) struct Pending {
    wanted: Wanted,
    assertion: Arc<Assertion>,
    sought: Sought,
    id: Uuid,
}

/// A sign-in that was accepted.
pub(super) struct Accepted {
    pub(super) caller: Caller,
    pub(super) audience: String,
    key_id: Uuid,
}

/// Who wants to sign in, and whether it is for Graph.
struct Sought {
    application: Arc<Application>,
    is_graph: bool,
}

/// A refusal and its true cause.
pub(super) type Refused = (Refusal, Cause);

impl Pending {
    /// Whose key is needed.
    pub(super) fn issuer(&self) -> &str {
        &self.assertion.presented.issuer
    }

    /// Which one.
    pub(super) fn key_id(&self) -> &str {
        &self.assertion.key_id
    }
}

/// Decides, unless an issuer's key is needed, and writes down what was decided.
pub(super) fn decide(
    state: &mut State,
    call: &Call,
    tenant_name: &str,
    version_1: bool,
    free: &Free,
    ids: Ids,
) -> Begun {
    let wanted = match request::read(call, version_1) {
        Ok(wanted) => wanted,
        Err(refusal) => {
            // Whose tenant it is comes first.
            let refusal = tenant(state, tenant_name).err().unwrap_or(refusal);
            note(state, tenant_name, None, Some(refusal.code), Cause::BadRequest, ids);
            return Begun::Decided(Outcome::Refused(refusal));
        }
    };
    if throttles(state, tenant_name, wanted.client_id, ids.now) {
        note(state, tenant_name, Some(&wanted), Some(90_055), Cause::Throttled, ids);
        let plain = state.dice.chance(0.5);
        return Begun::Decided(Outcome::Throttled { plain, refusal: Refusal::throttled() });
    }
    let checked = tenant(state, tenant_name)
        .map_err(|refusal| (refusal, Cause::BadRequest))
        .and_then(|tenant| check(tenant, wanted.clone(), tenant_name, free, ids.now));
    let decided = match checked {
        Ok(Checked::Pending(pending)) => return Begun::Pending(pending),
        Ok(Checked::Accepted(accepted)) => Ok(accepted),
        Err(refused) => Err(refused),
    };
    Begun::Decided(settle(state, tenant_name, &wanted, decided, ids))
}

/// Decides what could not be decided without an issuer's key, and writes it down.
pub(super) fn conclude(
    state: &mut State,
    pending: &Pending,
    tenant_name: &str,
    key: anyhow::Result<Option<PublicKey>>,
    ids: Ids,
) -> Outcome {
    let Pending { wanted, assertion, sought, id } = pending;
    let decided = tenant(state, tenant_name).map_err(|refusal| (refusal, Cause::BadRequest)).and_then(|tenant| {
        federated::proven(tenant, assertion, key, ids.now)?;
        accepted(tenant, wanted, sought, *id, ids.now)
    });
    settle(state, tenant_name, wanted, decided, ids)
}

/// Writes down what was decided.
fn settle(
    state: &mut State,
    tenant_name: &str,
    wanted: &Wanted,
    decided: Result<Accepted, Refused>,
    ids: Ids,
) -> Outcome {
    match decided {
        Ok(accepted) => {
            let accepts = directory::Accepted { count: 0, last: ids.now };
            let accepts = state.accepted.entry(accepted.key_id).or_insert(accepts);
            accepts.count += 1;
            accepts.last = ids.now;
            if !matches!(wanted.proof, Proof::Federated(_))
                && let Some(tenant) = state.tenants.get_mut(&accepted.caller.tenant)
            {
                let credential = (wanted.client_id, accepted.key_id);
                tenant.usage.note(credential, SignIn { at: ids.now, trace: ids.trace }, tenant.weather.report);
            }
            Outcome::Accepted(accepted)
        }
        Err((refusal, cause)) => {
            note(state, tenant_name, Some(wanted), Some(refusal.code), cause, ids);
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

/// Everything up to the credential; with a secret or a certificate, that as well.
fn check(
    tenant: &mut Tenant,
    wanted: Wanted,
    tenant_name: &str,
    free: &Free,
    now: Timestamp,
) -> Result<Checked, Refused> {
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
    let sought = Sought { application, is_graph };
    match &wanted.proof {
        Proof::Secret(secret) => {
            let password = proven(tenant, &sought.application, secret, now)?;
            accepted(tenant, &wanted, &sought, password, now).map(Checked::Accepted)
        }
        Proof::Signed(signed) => {
            let certificate = certificates::proven(tenant, &sought.application, signed, &wanted.origin, now)?;
            accepted(tenant, &wanted, &sought, certificate, now).map(Checked::Accepted)
        }
        Proof::Federated(assertion) => {
            let id = federated::matched(tenant, &sought.application, &assertion.presented, now)?;
            let assertion = Arc::clone(assertion);
            Ok(Checked::Pending(Box::new(Pending { wanted, assertion, sought, id })))
        }
    }
}

/// Who is let in, if nobody blocks it; its credential was right.
fn accepted(
    tenant: &mut Tenant,
    wanted: &Wanted,
    sought: &Sought,
    key_id: Uuid,
    now: Timestamp,
) -> Result<Accepted, Refused> {
    let principal = admitted(tenant, &sought.application, now)?;
    let roles = if sought.is_graph { principal.roles.clone() } else { vec![] };
    let caller = Caller { tenant: tenant.id, client_id: wanted.client_id, object_id: principal.object_id, roles };
    Ok(Accepted { caller, audience: wanted.resource.clone(), key_id })
}

/// The ID of the secret that proves it.
fn proven(tenant: &mut Tenant, seen: &Application, secret: &str, now: Timestamp) -> Result<Uuid, Refused> {
    let client_id = seen.client_id;
    let wrong = |cause| Err((Refusal::wrong_secret(client_id), cause));
    let Some(password) = seen.passwords.iter().find(|password| password.value == secret) else {
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
    if tenant.has_lost(client_id, minted.key_id) { Cause::Removed } else { Cause::NotYetKnown }
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
    let known = state.tenant_called(tenant_name).map(|tenant| &*tenant);
    let tenant = known.map(|tenant| tenant.id);
    let fingerprint = wanted.and_then(|wanted| match &wanted.proof {
        Proof::Secret(secret) => Some(Fingerprint::of(secret)),
        Proof::Federated(assertion) => {
            let presented = &assertion.presented;
            let audience = presented.audiences.first().map_or("", String::as_str);
            Some(Fingerprint::of_federated(
                &wanted.client_id.to_string(),
                &presented.issuer,
                &presented.subject,
                audience,
            ))
        }
        Proof::Signed(signed) => certificates::fingerprint(known?, wanted.client_id, signed),
    });
    let client_id = wanted.map(|wanted| wanted.client_id);
    let refused = RefusedSignIn { time: ids.now, trace_id: ids.trace, tenant, client_id, fingerprint, code, cause };
    state.refused.push(refused);
}
