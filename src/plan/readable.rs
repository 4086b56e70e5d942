//! Can this resource be spoken of at all: can its spec be read, is its tenant there? What passes becomes a [`Request`],
//! in which nothing is missing, so that the checks after it need not ask again.

use std::collections::BTreeMap;

use super::Refusal;
use crate::{
    api::{ClientId, EntraAppCredentialSpec, EntraTenantSpec, Reason, grant::CredentialKind},
    facts::{Observation, TenantSeen},
};

/// What a resource asks for, and of whom.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The name of the resource.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The labels of the namespace.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// What is asked for.
    pub spec: &'a EntraAppCredentialSpec,
    /// The kind of credential.
    pub kind: CredentialKind,
    /// Whether the spec does not declare this kind any more, and it is to go.
    pub former: bool,
    /// The name of the tenant.
    pub tenant_name: &'a str,
    /// What the tenant says.
    pub tenant: &'a EntraTenantSpec,
    /// The application that the operator's surroundings sign in as, if they say so.
    pub ambient_client_id: Option<ClientId>,
}

impl Request<'_> {
    /// The name of the Secret that is published, if one is.
    #[must_use]
    pub fn secret_name(&self) -> Option<&str> {
        secret_name(self.spec, self.name)
    }

    /// Whether Keywright itself chooses when the credential expires.
    #[must_use]
    pub fn expires_by_our_choice(&self) -> bool {
        match self.kind {
            CredentialKind::ClientSecret => true,
            CredentialKind::Certificate => self.spec.certificate.as_ref().is_some_and(|one| one.generate.is_some()),
            CredentialKind::Federated => false,
        }
    }
}

/// The template of an entry of a vault that says nothing about it: the value, and nothing else.
#[must_use]
pub const fn whole_value(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Certificate => "{{ credentialPem }}",
        CredentialKind::ClientSecret | CredentialKind::Federated => "{{ clientSecret }}",
    }
}

/// The name of the Secret that a resource of this name publishes, if it publishes one.
#[must_use]
pub fn secret_name<'a>(spec: &'a EntraAppCredentialSpec, resource: &'a str) -> Option<&'a str> {
    match &spec.publish {
        Some(publish) => {
            let secret = publish.secret.as_ref()?;
            Some(secret.name.as_ref().map_or(resource, |name| name.as_str()))
        }
        None => spec.federated.is_none().then_some(resource),
    }
}

/// The request that an observation contains, or why there is none.
pub fn request(seen: &Observation) -> Result<Request<'_>, Refusal> {
    let spec = seen.resource.spec.as_ref().map_err(|error| spec_undecodable(error))?;
    let tenant_name = spec.tenant_ref.name.as_str();
    let tenant = match &seen.tenant {
        TenantSeen::Present(tenant) => tenant,
        TenantSeen::Missing => return Err(tenant_not_found(tenant_name)),
        TenantSeen::Undecodable(error) => return Err(tenant_undecodable(tenant_name, error)),
    };
    Ok(Request {
        name: seen.resource.metadata.name.as_deref().unwrap_or_default(),
        namespace: seen.resource.metadata.namespace.as_deref().unwrap_or_default(),
        namespace_labels: &seen.namespace.labels,
        kind: kind(spec)?,
        former: false,
        spec,
        tenant_name,
        tenant,
        ambient_client_id: seen.ambient_client_id,
    })
}

/// The one kind that is declared. The API server sees to it that there is one; a definition from another version may not.
fn kind(spec: &EntraAppCredentialSpec) -> Result<CredentialKind, Refusal> {
    match (&spec.client_secret, &spec.certificate, &spec.federated) {
        (Some(_), None, None) => Ok(CredentialKind::ClientSecret),
        (None, Some(_), None) => Ok(CredentialKind::Certificate),
        (None, None, Some(_)) => Ok(CredentialKind::Federated),
        _ => Err(spec_undecodable("it has not exactly one of clientSecret, certificate and federated")),
    }
}

/// The kind of a spec for a report, where there is exactly one.
#[must_use]
pub fn declared_kind(spec: &EntraAppCredentialSpec) -> Option<CredentialKind> {
    kind(spec).ok()
}

fn spec_undecodable(error: &str) -> Refusal {
    Refusal::new(
        Reason::SpecUndecodable,
        format!(
            "This version of Keywright cannot read the spec: {error}. Nothing is done for this resource. \
             Update Keywright, or write the spec as the definition of this version has it (`kubectl explain eac.spec`)."
        ),
    )
}

fn tenant_not_found(name: &str) -> Refusal {
    Refusal::new(
        Reason::TenantNotFound,
        format!(
            "There is no EntraTenant {name}. Ask the platform team for the name of the tenant (`kubectl get \
             entratenants`) and create this resource with it in spec.tenantRef.name, or have them create EntraTenant {name}."
        ),
    )
}

fn tenant_undecodable(name: &str, error: &str) -> Refusal {
    Refusal::new(
        Reason::TenantUndecodable,
        format!(
            "This version of Keywright cannot read the spec of EntraTenant {name}: {error}. Ask the platform team to \
             update Keywright, or to write the tenant as the definition of this version has it."
        ),
    )
}
