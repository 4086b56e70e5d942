//! Which identities are to be accepted, and what their tokens say: the cluster's issuer, byte for byte, and the
//! `ServiceAccount`; or what is declared of an identity outside.

use crate::{
    api::{
        EntraAppCredentialSpec,
        kinds::{FederatedServiceAccount, Identity as Declared},
    },
    facts::{Claims, Sibling},
    plan::{
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

/// The `ServiceAccount` of this namespace whose tokens have these claims, if they are of one.
pub(in crate::plan) fn account_of<'c>(namespace: &str, claims: &'c Claims) -> Option<&'c str> {
    claims.subject.strip_prefix("system:serviceaccount:")?.strip_prefix(namespace)?.strip_prefix(':')
}

/// Every identity that is declared, or what to do before that can be said. The issuer may be another when the cluster was
/// built anew, so it is asked for now and then.
pub(super) fn identities<'a>(scene: &Scene<'a>) -> Result<Vec<Identity<'a>>, Ruling> {
    let is_needed = accounts(scene.request.spec).next().is_some();
    match &scene.seen.federation.issuer {
        Some(looked) if !scene.has_passed(looked.at, scene.timing.drift) => Ok(known(scene)),
        _ if is_needed => Err(scene.attempt(Step::ReadIssuer)),
        _ => Ok(known(scene)),
    }
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
