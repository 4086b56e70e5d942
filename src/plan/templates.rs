//! Templates are read before anything is minted, so that a mistake in one is told at once and not in the middle.

use super::{Refusal, readable::Request};
use crate::{
    api::{Reason, grant::CredentialKind},
    facts::Template,
};

/// Which template cannot be read, and why.
#[must_use]
pub fn refusal(request: &Request<'_>) -> Option<Refusal> {
    let publish = request.spec.publish.as_ref()?;
    let keys = publish.secret.iter().flat_map(|secret| &secret.template).flat_map(|template| &template.data);
    let keys = keys.map(|(key, text)| (format!("spec.publish.secret.template.data[{key}]"), text));
    let entries = publish.key_vaults.iter().filter_map(|entry| Some((entry, entry.template.as_ref()?)));
    let entries = entries.map(|(entry, text)| (format!("spec.publish.keyVaults[{}].template", entry.name), text));
    let (field, why) = keys
        .chain(entries)
        .find_map(|(field, text)| Some((field, Template::parse(text.as_str(), request.kind).err()?)))?;
    Some(Refusal::new(Reason::InvalidTemplate, format!("{field}: {why}{}", beside(request.kind))))
}

/// Why there is less than elsewhere.
const fn beside(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Federated => {
            ". A federated resource has no secret: whoever signs in by a token needs none, and what is published says only \
             where to sign in, and as what. Take the placeholder out, or declare clientSecret"
        }
        CredentialKind::ClientSecret | CredentialKind::Certificate => "",
    }
}
