//! How the operator signs in to a tenant, and the Azure SDK's credential for each way. The SDK never repeats a request:
//! when to try again is planned elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    cloud::CustomConfiguration,
    credentials::{Secret, TokenCredential},
    error::ErrorKind,
    http::{
        ClientOptions, Context, Request, RetryOptions, Transport, UserAgentOptions,
        policies::{Policy, PolicyResult},
    },
};
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use secrecy::{ExposeSecret, SecretString};

use super::{Cloud, assertion::Signer};
use crate::{
    api::{ClientId, TenantId},
    certificate::Unsuited,
    wire,
};

/// How the operator signs in. Printing it shows no value.
#[derive(Debug, Clone)]
pub enum Identity {
    /// By a token of its ServiceAccount, exchanged at Entra.
    WorkloadIdentity {
        /// The application or managed identity; by default the one in `AZURE_CLIENT_ID`.
        client_id: Option<ClientId>,
    },
    /// By a managed identity of the machine.
    ManagedIdentity {
        /// Which; by default the machine's own.
        client_id: Option<ClientId>,
    },
    /// By a client secret.
    ClientSecret {
        /// The operator's application.
        client_id: ClientId,
        /// The value.
        secret: SecretString,
    },
    /// By a certificate.
    Certificate {
        /// The operator's application.
        client_id: ClientId,
        /// The certificate and its RSA key, in PEM.
        pem: SecretString,
    },
    /// By what is signed in on a developer's machine.
    DeveloperTools,
}

/// Why an identity cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// Its certificate or key is not suited.
    #[error(transparent)]
    Certificate(#[from] Unsuited),
    /// The surroundings do not have what it needs.
    #[error(transparent)]
    Surroundings(#[from] azure_core::Error),
}

impl Identity {
    /// The application that signs in, if it is not left to the surroundings.
    #[must_use]
    pub fn client_id(&self) -> Option<ClientId> {
        match self {
            Self::WorkloadIdentity { client_id } | Self::ManagedIdentity { client_id } => *client_id,
            Self::ClientSecret { client_id, .. } | Self::Certificate { client_id, .. } => Some(*client_id),
            Self::DeveloperTools => None,
        }
    }

    /// A new credential, which has no token yet.
    pub(super) fn credential(
        &self,
        wire: &wire::Client,
        tenant: TenantId,
        cloud: &Cloud,
    ) -> Result<Arc<dyn TokenCredential>, Unusable> {
        let client_options = options(wire.http(), cloud);
        let text = |id: &ClientId| id.to_string();
        Ok(match self {
            Self::WorkloadIdentity { client_id } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: client_id.as_ref().map(text),
                    tenant_id: Some(tenant.to_string()),
                    ..Default::default()
                }))?
            }
            Self::ManagedIdentity { client_id } => {
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.as_ref().map(text).map(UserAssignedId::ClientId),
                    client_options: options(wire.metadata(), cloud),
                }))?
            }
            Self::ClientSecret { client_id, secret } => ClientSecretCredential::new(
                &tenant.to_string(),
                text(client_id),
                Secret::new(secret.expose_secret().to_owned()),
                Some(ClientSecretCredentialOptions { client_options }),
            )?,
            Self::Certificate { client_id, pem } => ClientAssertionCredential::new(
                tenant.to_string(),
                text(client_id),
                Signer::new(pem.expose_secret(), *client_id, cloud.token_url(tenant))?,
                Some(ClientAssertionCredentialOptions { client_options }),
            )?,
            Self::DeveloperTools => DeveloperToolsCredential::new(None)?,
        })
    }

    /// What to look at when Entra refuses it.
    pub(super) fn remedy(&self) -> String {
        let named = self.client_id().map_or_else(|| "AZURE_CLIENT_ID".to_owned(), |id| id.to_string());
        match self {
            Self::WorkloadIdentity { .. } => format!(
                "Check that application {named} has a federated credential whose issuer, subject and audience are, byte for byte, those of the operator's ServiceAccount token."
            ),
            Self::ManagedIdentity { .. } => {
                "Check that the machines on which the operator runs have the managed identity that spec.identity.managedIdentity of the EntraTenant names."
                    .to_owned()
            }
            Self::ClientSecret { .. } => format!(
                "Check that the Secret in spec.identity.clientSecret of the EntraTenant has the value, not the ID, of an unexpired client secret of application {named}."
            ),
            Self::Certificate { .. } => format!(
                "Check that the Secret in spec.identity.certificate of the EntraTenant has an unexpired certificate that is registered on application {named}, and its RSA key."
            ),
            Self::DeveloperTools => "Sign in with `az login`, to this tenant.".to_owned(),
        }
    }
}

fn options(http: &reqwest::Client, cloud: &Cloud) -> ClientOptions {
    let mut custom = CustomConfiguration::default();
    cloud.authority().clone_into(&mut custom.authority_host);
    ClientOptions {
        // By default a request is sent up to nine times, and a Retry-After of an hour is slept through.
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(http.clone()))),
        user_agent: UserAgentOptions { application_id: Some(env!("CARGO_PKG_NAME").to_owned()) },
        cloud: Some(Arc::new(custom.into())),
        per_try_policies: vec![Arc::new(Refusals)],
        ..Default::default()
    }
}

/// Makes an error of an answer that is a refusal, before the SDK does: it would lose status and headers of one that is
/// not JSON, as Entra's "Too Many Requests" may be.
#[derive(Debug)]
struct Refusals;

#[async_trait]
impl Policy for Refusals {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let answer = next[0].send(context, request, &next[1..]).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let raw_response = Some(Box::new(answer.try_into_raw_response().await?));
        let kind = ErrorKind::HttpResponse { status, error_code: None, raw_response };
        Err(azure_core::Error::with_message(kind, "the sign-in was refused"))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn whoever_prints_an_identity_sees_no_value() {
        let (client_id, value) = (ClientId(Uuid::nil()), "abc8Q~value");
        for identity in [
            Identity::ClientSecret { client_id, secret: value.into() },
            Identity::Certificate { client_id, pem: value.into() },
        ] {
            assert!(!format!("{identity:?} {}", identity.remedy()).contains(value));
        }
    }
}
