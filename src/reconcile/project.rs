//! What a credential makes of an entry of a Key Vault.

use secrecy::SecretString;

use crate::{
    api::{
        ClientId, EntraAppCredentialSpec,
        grant::CredentialKind,
        values::{HttpsUrl, Template as DeclaredTemplate},
    },
    certificate::{Bundle, Unsuited},
    facts::{Entry, NotATemplate, Template, VaultEntry, template::Values},
    plan::readable::whole_value,
    vault::Projection,
};

/// Why there is nothing to be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProjection {
    /// Nothing has been kept in the record.
    #[error("the record has no credential yet")]
    Open,
    /// The certificate and its key do not belong together, or cannot be read.
    #[error("what the record keeps is no certificate with its key: {0}")]
    Unsuited(#[from] Unsuited),
    /// The template cannot be read.
    #[error("spec.publish.keyVaults[{name}].template: {why}")]
    Template {
        /// The name of the entry.
        name: String,
        /// What is wrong with it.
        why: NotATemplate,
    },
}

/// What an entry is to be with a credential.
pub fn vault_entry(
    spec: &EntraAppCredentialSpec,
    place: &VaultEntry,
    entry: &Entry,
    value: &SecretString,
    authority: &str,
) -> Result<Projection, NoProjection> {
    let pem = (entry.kind == CredentialKind::Certificate).then(|| Bundle::of(value)).transpose()?;
    let pem = pem.as_ref().map(Bundle::texts);
    let declared = place.declared_in(spec).and_then(|one| one.template.as_ref());
    let text = declared.map_or_else(|| whole_value(entry.kind), DeclaredTemplate::as_str);
    let name = || place.name.to_string();
    let template = Template::parse(text, entry.kind).map_err(|why| NoProjection::Template { name: name(), why })?;
    let client_id: ClientId = entry.client_id;
    let values = Values {
        client_secret: pem.is_none().then_some(value),
        certificate: pem.as_ref(),
        client_id,
        tenant_id: entry.tenant,
        authority_host: authority,
        key_id: entry.kept.as_ref().map(|kept| kept.key_id),
        expires_at: entry.kept.as_ref().and_then(|kept| kept.expires_at),
    };
    Projection::of(entry, &HttpsUrl::from(authority), template.render(&values)).ok_or(NoProjection::Open)
}
