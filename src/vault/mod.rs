//! Key Vault's secrets and certificates: what is under a name, a new version of it, what a whole vault holds, and taking an
//! old version out of use. An adapter: it carries out and reports back, it decides nothing, and it knows nothing of Kubernetes or
//! Graph. It never deletes, never recovers, and never sends a token to a host that is not a vault of the tenant's cloud.
//!
//! Every call goes out once: a PUT always makes a version, so whoever does not know whether one arrived reads, compares,
//! and then decides. (The SDK's first request to a vault is without a body, to ask where to sign in; the call follows.)
//!
//! Reading order: [`address`] (which hosts are vaults), [`tags`] and [`projection`] (what an entry says; pure),
//! [`entries`] (what is done to an entry), `secrets` and `certificates` (the calls), `trouble` and `remedy` (what a refusal means, and what to do; pure).

pub mod address;
mod certificates;
pub mod entries;
pub mod projection;
mod remedy;
mod secrets;
pub mod tags;
mod trouble;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use azure_core::{
    credentials::TokenCredential,
    error::ErrorKind,
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_security_keyvault_certificates::{CertificateClient, CertificateClientOptions};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use tokio::time::timeout;

pub use address::VaultSuffix;
pub use entries::{Listed, Version};
pub use projection::Projection;
pub use tags::Tags;

use crate::{
    api::{
        publish::VaultObjectType,
        values::{VaultName, VaultUrl},
    },
    facts::{Service, Trouble, VaultEntry},
    wire::{self, Scope, Way, in_time::OnlyInTime, ways::Passage},
};

/// How long one call may take, signing in included: the SDK's credentials sign in while they hold a lock, so that one
/// slow answer would stop everybody.
const CALL: Duration = Duration::from_secs(30);

/// The Key Vaults of a tenant, as one identity.
pub struct Vaults {
    transport: Transport,
    credential: Arc<dyn TokenCredential>,
    suffix: VaultSuffix,
    wire: Option<wire::Client>,
    /// Those of each vault: each has asked its vault once where to sign in.
    clients: Mutex<HashMap<VaultUrl, Arc<Clients>>>,
}

/// The SDK's two clients of a vault.
struct Clients {
    secrets: SecretClient,
    certificates: CertificateClient,
}

/// Which of a vault's limits a call counts in.
type Counts = fn(VaultUrl) -> Scope;

/// What is being done, to what, for messages.
#[derive(Debug, Clone, Copy)]
struct Call<'a> {
    doing: &'static str,
    url: &'a VaultUrl,
    name: Option<&'a VaultName>,
    object: VaultObjectType,
}

impl<'a> Call<'a> {
    const fn about(doing: &'static str, entry: &'a VaultEntry) -> Self {
        let VaultEntry { url, name, object } = entry;
        Self { doing, url, name: Some(name), object: *object }
    }

    /// What it is about, in a word.
    const fn noun(self) -> &'static str {
        match self.object {
            VaultObjectType::Secret => "secret",
            VaultObjectType::Certificate => "certificate",
        }
    }
}

impl Vaults {
    /// The vaults whose hosts end with `suffix`. `http` should follow no redirect, since a PUT carries a secret.
    #[must_use]
    pub fn new(http: reqwest::Client, credential: Arc<dyn TokenCredential>, suffix: VaultSuffix) -> Self {
        let transport = Transport::new(Arc::new(http));
        Self { transport, credential, suffix, wire: None, clients: Mutex::default() }
    }

    /// The same, sharing with all other calls what is counted, and what is known of who does not answer.
    #[must_use]
    pub fn sharing(self, wire: &wire::Client) -> Self {
        Self { wire: Some(wire.clone()), ..self }
    }

    /// Asks a vault for something, which counts as this.
    async fn ask<T, F>(
        &self,
        call: Call<'_>,
        counts: Counts,
        send: impl FnOnce(Arc<Clients>) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = azure_core::Result<T>>,
    {
        let client = self.vault(call)?;
        self.answered(call, counts, send(client)).await
    }

    /// A vault to be asked. Whether its host is one of the cloud's is looked at first; that its challenge asks for a token
    /// of that very cloud is looked at by the SDK, before it signs in.
    fn vault(&self, call: Call<'_>) -> Result<Arc<Clients>, Trouble> {
        let Some(origin) = self.suffix.origin(call.url) else { return Err(trouble::elsewhere(call, &self.suffix)) };
        self.client(origin).map_err(|error| trouble::of(call, &error))
    }

    /// One request and its answer, unless the vault is known not to answer, or was asked too much.
    async fn answered<T>(
        &self,
        call: Call<'_>,
        counts: Counts,
        sent: impl Future<Output = azure_core::Result<T>>,
    ) -> Result<T, Trouble> {
        let passage = self.wire.as_ref().map(|wire| self.go(wire, call, counts)).transpose()?;
        let ended = timeout(CALL, sent).await;
        let is_answer = |error: &azure_core::Error| matches!(error.kind(), ErrorKind::HttpResponse { .. });
        if let (Some(passage), Ok(answer)) = (passage, &ended)
            && answer.as_ref().err().is_none_or(is_answer)
        {
            passage.answered();
        }
        match ended {
            Ok(answer) => answer.map_err(|error| trouble::of(call, &error)),
            Err(_) => Err(trouble::silence(call, CALL)),
        }
    }

    fn go<'a>(&self, wire: &'a wire::Client, call: Call<'_>, counts: Counts) -> Result<Passage<'a>, Trouble> {
        let (doing, url) = (call.to_string(), self.suffix.origin(call.url).unwrap_or_else(|| call.url.clone()));
        let passage = wire.ways().go(Way::Vault(url.clone()), &doing)?;
        wire.quotas().take(Service::KeyVault, &doing, &[counts(url)])?;
        Ok(passage)
    }

    fn client(&self, origin: VaultUrl) -> azure_core::Result<Arc<Clients>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&origin) {
            return Ok(Arc::clone(client));
        }
        let counting = self.wire.iter().map(|wire| wire.metrics().counting(Service::KeyVault));
        let client_options = ClientOptions {
            transport: Some(self.transport.clone()),
            retry: RetryOptions::none(),
            per_try_policies: counting.chain([Arc::new(OnlyInTime) as _]).collect(),
            ..ClientOptions::default()
        };
        let secrets = SecretClientOptions { client_options: client_options.clone(), ..SecretClientOptions::default() };
        let certificates = CertificateClientOptions { client_options, ..CertificateClientOptions::default() };
        let credential = || Arc::clone(&self.credential);
        let client = Arc::new(Clients {
            secrets: SecretClient::new(origin.as_str(), credential(), Some(secrets))?,
            certificates: CertificateClient::new(origin.as_str(), credential(), Some(certificates))?,
        });
        clients.insert(origin, Arc::clone(&client));
        Ok(client)
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { doing, url, name, .. } = self;
        match name {
            Some(name) => write!(out, "{doing} {} {name} of {url}", self.noun()),
            None => write!(out, "{doing} the {}s of {url}", self.noun()),
        }
    }
}

#[cfg(test)]
mod tests {
    use azure_core::credentials::{AccessToken, TokenRequestOptions};

    use super::*;
    use crate::{
        api::Reason,
        facts::Effect,
        wire::{InTime, Limits, quotas::Limit},
    };

    #[derive(Debug)]
    struct Nobody;

    #[async_trait::async_trait]
    impl TokenCredential for Nobody {
        async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_answers_ends_and_the_next_is_not_even_made() {
        let wire = wire::Client::new(wire::Settings::default()).unwrap();
        let vaults = Vaults::new(wire.http().clone(), Arc::new(Nobody), "vault.azure.net".into()).sharing(&wire);
        let (url, name) = (VaultUrl::from("https://kv-a.vault.azure.net"), VaultName::from("a"));
        let entry = VaultEntry::secret(&url, &name);
        let call = Call::about("write", &entry);
        let trouble = vaults
            .answered(call, Scope::VaultCalls, std::future::pending::<azure_core::Result<()>>())
            .await
            .unwrap_err();
        assert_eq!(trouble.effect, Effect::Unknown);
        assert_eq!(
            trouble.message,
            "could not write secret a of https://kv-a.vault.azure.net: there was no answer within 30s"
        );
        let next = vaults.answered(call, Scope::VaultCalls, std::future::ready(Ok(()))).await.unwrap_err();
        assert_eq!(next.effect, Effect::NotSent);
        assert_eq!(
            next.message,
            "could not write secret a of https://kv-a.vault.azure.net: nothing was sent, because \
             https://kv-a.vault.azure.net did not answer a moment ago"
        );
    }

    #[tokio::test]
    async fn more_than_a_vault_takes_is_not_sent() {
        let none = |per| Limit { most: 0, per: Duration::from_secs(per) };
        let limits = Limits { vault_creates: none(7), vault_calls: none(9), ..Limits::default() };
        let wire = wire::Client::new(wire::Settings { limits, ..wire::Settings::default() }).unwrap();
        let vaults = Vaults::new(wire.http().clone(), Arc::new(Nobody), "vault.azure.net".into()).sharing(&wire);
        let url = VaultUrl::from("https://KV-a.vault.azure.net/");
        let (wanted, entry) = (projection::tests::projection(), VaultEntry::secret(&url, &"a".into()));
        let write = vaults.write(&entry, &wanted, InTime::always()).await.unwrap_err();
        assert_eq!((write.reason, write.effect), (Reason::Throttled, Effect::NotSent));
        assert_eq!(write.retry_after, Some(Duration::from_secs(7)));
        let list = vaults.list(&url, VaultObjectType::Secret).await.unwrap_err();
        assert_eq!((list.reason, list.retry_after), (Reason::Throttled, Some(Duration::from_secs(9))));
        assert!(list.message.contains("limit on calls of https://kv-a.vault.azure.net"), "{}", list.message);
    }
}
