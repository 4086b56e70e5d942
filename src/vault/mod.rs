//! Key Vault's secrets: what is under a name, a new version of it, what a whole vault holds, and taking an old version
//! out of use. An adapter: it carries out and reports back, it decides nothing, and it knows nothing of Kubernetes or
//! Graph. It never deletes, never recovers, and never sends a token to a host that is not a vault of the tenant's cloud.
//!
//! Every call goes out once: a PUT always makes a version, so whoever does not know whether one arrived reads, compares,
//! and then decides. (The SDK's first request to a vault is without a body, to ask where to sign in; the call follows.)
//!
//! Reading order: [`address`] (which hosts are vaults), [`tags`] and [`projection`] (what an entry says; pure),
//! [`secrets`] (the calls), `trouble` (what a refusal means; pure).

pub mod address;
pub mod projection;
pub mod secrets;
pub mod tags;
mod trouble;

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, RetryOptions, Transport, policies::Policy},
};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};

pub use address::VaultSuffix;
pub use projection::Projection;
pub use secrets::{Listed, Version};
pub use tags::Tags;

use crate::{
    api::values::{VaultName, VaultUrl},
    facts::{Service, Trouble},
    wire,
};

/// How long one call may take, signing in included: the SDK's credentials sign in while they hold a lock, so that one
/// slow answer would stop everybody.
const CALL: Duration = Duration::from_secs(30);

/// The Key Vaults of a tenant, as one identity.
pub struct Vaults {
    transport: Transport,
    credential: Arc<dyn TokenCredential>,
    suffix: VaultSuffix,
    counting: Option<Arc<dyn Policy>>,
    /// One per vault: each has asked its vault once where to sign in.
    clients: Mutex<HashMap<VaultUrl, Arc<SecretClient>>>,
}

/// What is being done, to what, for messages.
#[derive(Debug, Clone, Copy)]
struct Call<'a> {
    doing: &'static str,
    url: &'a VaultUrl,
    name: Option<&'a VaultName>,
}

impl Vaults {
    /// The vaults whose hosts end with `suffix`. `http` should follow no redirect, since a PUT carries a secret.
    #[must_use]
    pub fn new(http: reqwest::Client, credential: Arc<dyn TokenCredential>, suffix: VaultSuffix) -> Self {
        let transport = Transport::new(Arc::new(http));
        Self { transport, credential, suffix, counting: None, clients: Mutex::default() }
    }

    /// The same, with every call counted.
    #[must_use]
    pub fn counted(self, metrics: &wire::Metrics) -> Self {
        Self { counting: Some(metrics.counting(Service::KeyVault)), ..self }
    }

    /// Asks a vault for something. Whether its host is one of the cloud's is looked at first; that its challenge asks for a
    /// token of that very cloud is looked at by the SDK, before it signs in.
    async fn ask<T, F>(&self, call: Call<'_>, send: impl FnOnce(Arc<SecretClient>) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = azure_core::Result<T>>,
    {
        let Some(origin) = self.suffix.origin(call.url) else { return Err(trouble::elsewhere(call, &self.suffix)) };
        let client = self.client(origin).map_err(|error| trouble::of(call, &error))?;
        within(call, send(client)).await
    }

    fn client(&self, origin: VaultUrl) -> azure_core::Result<Arc<SecretClient>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&origin) {
            return Ok(Arc::clone(client));
        }
        let client_options = ClientOptions {
            transport: Some(self.transport.clone()),
            retry: RetryOptions::none(),
            per_try_policies: self.counting.iter().cloned().collect(),
            ..ClientOptions::default()
        };
        let options = SecretClientOptions { client_options, ..SecretClientOptions::default() };
        let client = Arc::new(SecretClient::new(origin.as_str(), Arc::clone(&self.credential), Some(options))?);
        clients.insert(origin, Arc::clone(&client));
        Ok(client)
    }
}

/// A call within its time limit.
async fn within<T>(call: Call<'_>, sent: impl Future<Output = azure_core::Result<T>>) -> Result<T, Trouble> {
    match tokio::time::timeout(CALL, sent).await {
        Ok(answer) => answer.map_err(|error| trouble::of(call, &error)),
        Err(_) => Err(trouble::silence(call, CALL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Effect;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_answers_ends() {
        let (url, name) = (VaultUrl::from("https://kv-a.vault.azure.net"), VaultName::from("a"));
        let call = Call { doing: "write", url: &url, name: Some(&name) };
        let trouble = within(call, std::future::pending::<azure_core::Result<()>>()).await.unwrap_err();
        assert_eq!(trouble.effect, Effect::Unknown);
        assert_eq!(
            trouble.message,
            "could not write secret a of https://kv-a.vault.azure.net: there was no answer within 30s"
        );
    }
}
