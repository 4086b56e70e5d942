//! What an application signs in with: a client secret, or a certificate, by which it signs a statement of its own each time.

use jiff::Timestamp;
use secrecy::SecretString;

use super::{assertion::statement, presented::Presented};
use crate::{
    api::{ClientId, grant::CredentialKind},
    certificate::{Bundle, Unsuited},
};

/// What an application signs in with.
#[derive(Debug)]
pub enum Key {
    /// A client secret.
    Secret(SecretString),
    /// A certificate with its key.
    Certificate {
        /// Both.
        bundle: Box<Bundle>,
        /// The thumbprints of the certificates that the application is known to have, by which a refusal is explained.
        listed: Vec<String>,
    },
}

impl Key {
    /// What the value of a credential is.
    pub fn of(kind: CredentialKind, value: &SecretString, listed: Vec<String>) -> Result<Self, Unsuited> {
        Ok(match kind {
            CredentialKind::Certificate => Self::Certificate { bundle: Box::new(Bundle::of(value)?), listed },
            CredentialKind::ClientSecret | CredentialKind::Federated => Self::Secret(value.clone()),
        })
    }

    /// The statement that is presented to whoever issues tokens at this address; none for a secret, which is presented itself.
    pub(super) fn statement(&self, client_id: ClientId, audience: &str) -> Option<SecretString> {
        let Self::Certificate { bundle, .. } = self else { return None };
        statement(bundle, client_id, audience, Timestamp::now()).map(SecretString::from)
    }

    /// What is presented; nothing if it could not sign.
    pub(super) fn presented<'a>(&'a self, statement: Option<&'a SecretString>) -> Option<Presented<'a>> {
        match self {
            Self::Secret(secret) => Some(Presented::Secret(secret)),
            Self::Certificate { bundle, listed } => Some(Presented::Statement(statement?, bundle, listed)),
        }
    }
}
