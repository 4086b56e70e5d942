//! Which identities are to be accepted, and what their tokens say: the cluster's issuer, byte for byte, and the
//! `ServiceAccount`; or what is declared of an identity outside.

use std::collections::BTreeSet;

use crate::{
    api::{
        EntraAppCredentialSpec,
        kinds::{FederatedServiceAccount, Identity as Declared},
    },
    facts::{self, Claims, Sibling},
    plan::{
        readable::Request,
        scene::{Ruling, Scene},
        step::Step,
    },
};

/// An identity that is to be accepted.
pub(in crate::plan) struct Identity<'a> {
    /// What it is called in the spec.
    pub name: &'a str,
    /// Its `ServiceAccount`, unless it is one outside.
    pub account: Option<&'a FederatedServiceAccount>,
    /// What its tokens say.
    pub claims: Claims,
}

fn declared(spec: &EntraAppCredentialSpec) -> impl Iterator<Item = &Declared> {
    spec.federated.iter().flat_map(|federated| &federated.identities)
}

/// The `ServiceAccount`s that are to sign in.
pub(in crate::plan) fn accounts(spec: &EntraAppCredentialSpec) -> impl Iterator<Item = &FederatedServiceAccount> {
    declared(spec).filter_map(|identity| identity.service_account.as_ref())
}

/// The `ServiceAccount` that is declared to have these claims in its tokens.
pub(in crate::plan) fn account_with<'a>(scene: &Scene<'a>, wanted: &Claims) -> Option<&'a str> {
    let found = known(scene).into_iter().find(|identity| identity.claims == *wanted)?;
    found.account.map(|account| account.name.as_str())
}

/// Whether a pod signs in as the application with a token of its own: it is told so, or the Secret says so that is declared.
pub(in crate::plan) fn signs_in(request: &Request<'_>, identity: &facts::Identity) -> bool {
    let told = identity.signs_in_as.as_deref();
    let by_secret = request.secret_name().and_then(|name| told?.strip_prefix("secret/").map(|by| by == name));
    told == Some(request.spec.client_id.to_string().as_str()) || by_secret == Some(true)
}

/// Every `ServiceAccount` of this namespace that signs in as the application, or did.
pub(in crate::plan) fn every_account(scene: &Scene<'_>) -> Vec<String> {
    let declared = accounts(scene.request.spec).map(|account| account.name.as_str());
    let recorded = scene.seen.records.list.iter().filter_map(|record| record.entry.claims.as_ref());
    let recorded = recorded.filter_map(|claims| named(scene.request.namespace, claims));
    declared.chain(recorded).map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The `ServiceAccount` of this namespace that a subject names. A cluster of which nothing is seen may have one of this name.
pub(super) fn named<'c>(namespace: &str, claims: &'c Claims) -> Option<&'c str> {
    claims.subject.strip_prefix("system:serviceaccount:")?.strip_prefix(namespace)?.strip_prefix(':')
}

/// The `ServiceAccount` whose tokens have these claims, if this cluster issues them, or what to do before that can be said.
pub(super) fn account_of<'c>(scene: &Scene<'_>, claims: &'c Claims) -> Result<Option<&'c str>, Ruling> {
    let Some(account) = named(scene.request.namespace, claims) else { return Ok(None) };
    let issuer = issuer(scene)?;
    Ok((claims.issuer == issuer).then_some(account))
}

/// How the cluster spells its issuer. It may be another when the cluster was built anew, so it is asked for now and then.
fn issuer<'a>(scene: &Scene<'a>) -> Result<&'a str, Ruling> {
    match &scene.seen.federation.issuer {
        Some(looked) if !scene.has_passed(looked.at, scene.timing.drift) => Ok(&looked.found),
        _ => Err(scene.attempt(Step::ReadIssuer)),
    }
}

/// Every identity that is declared, or what to do before that can be said.
pub(super) fn identities<'a>(scene: &Scene<'a>) -> Result<Vec<Identity<'a>>, Ruling> {
    if accounts(scene.request.spec).next().is_some() {
        issuer(scene)?;
    }
    Ok(known(scene))
}

/// The same by what was last known, for reports.
pub(super) fn known<'a>(scene: &Scene<'a>) -> Vec<Identity<'a>> {
    let one = |identity: &'a Declared| {
        let claims = claims(scene, scene.request.namespace, identity)?;
        Some(Identity { name: identity.name.as_str(), account: identity.service_account.as_ref(), claims })
    };
    declared(scene.request.spec).filter_map(one).collect()
}

/// The name of another resource that wants these tokens accepted, too.
pub(super) fn other_that_wants<'a>(scene: &Scene<'a>, wanted: &Claims) -> Option<&'a str> {
    let wants = |sibling: &&Sibling| {
        let mut identities = sibling.identities.iter();
        identities.any(|identity| claims(scene, &sibling.namespace, identity).as_ref() == Some(wanted))
    };
    scene.seen.siblings.iter().find(wants).map(|sibling| sibling.name.as_str())
}

/// What the tokens say of an identity that a resource of a namespace declares.
fn claims(scene: &Scene<'_>, namespace: &str, identity: &Declared) -> Option<Claims> {
    let issuer = scene.seen.federation.issuer.as_ref().map_or("", |looked| &looked.found);
    let audience = scene.request.tenant.federated_audience();
    match (&identity.service_account, &identity.external) {
        (Some(account), _) => Some(Claims::of_account(issuer, namespace, account.name.as_str(), audience)),
        (None, Some(outside)) => Some(Claims {
            issuer: outside.issuer.to_string(),
            subject: outside.subject.to_string(),
            audience: outside.audience.as_ref().map_or(audience, |audience| audience.as_str()).to_owned(),
        }),
        (None, None) => None, // the API server lets in none of these
    }
}
