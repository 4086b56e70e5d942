//! A vault to try things in, as the operator sees it: through the SDK, a proxy and a sign-in.

use std::{collections::BTreeMap, sync::Arc};

use azure_core::{
    credentials::{Secret, TokenCredential},
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use jiff::Timestamp;
use keywright::{
    api::{ClientId, KeyId, TenantId, grant::CredentialKind},
    facts::{Attempt, Carried, Entry, Kept, Nonce, Owner, Sequence, Stage, TargetState, Trouble, VaultEntry},
    vault::{Projection, Vaults},
    wire::InTime,
};
use keywright_sandbox::{
    Azure,
    azure::{Grant, Options, Password, Role, SecretChange, SecretEdit, SecretWhat, Seeded},
};
use reqwest::{Client, redirect};
use uuid::Uuid;

use crate::place::{AUTHORITY, application, through};

pub const VAULT: &str = "kv-payments";
pub const URL: &str = "https://kv-payments.vault.azure.net";
pub const SUFFIX: &str = "vault.azure.net";

pub struct Town {
    pub azure: Azure,
    pub tenant: Uuid,
    pub operator: Seeded,
    pub secret: Password,
    pub http: Client,
    pub vaults: Vaults,
    pub entry: VaultEntry,
}

/// A vault in which the operator may do this much.
pub async fn town_with(grant: impl FnOnce(Uuid) -> Grant) -> Town {
    let azure = Azure::start(Options { scale: 0.0, ..Options::default() }).await.unwrap();
    let tenant = azure.seed_tenant();
    azure.seed_vault(tenant, VAULT).unwrap();
    let (operator, secret) = application(&azure, tenant, "keywright");
    azure.seed_grant(VAULT, grant(operator.principal)).unwrap();
    let http = through(&azure, &azure.endpoints().proxy).redirect(redirect::Policy::none()).build().unwrap();
    let vaults = Vaults::new(http.clone(), credential(&http, &operator, &secret.value), SUFFIX.into());
    let entry = VaultEntry::secret(&URL.into(), &"payments-api".into());
    Town { azure, tenant, operator, secret, http, vaults, entry }
}

/// A vault in which the operator may do everything.
pub async fn town() -> Town {
    town_with(|principal| Grant::role(principal, Role::SecretsOfficer, None)).await
}

pub fn credential(http: &Client, application: &Seeded, secret: &str) -> Arc<dyn TokenCredential> {
    let client_options = ClientOptions {
        transport: Some(Transport::new(Arc::new(http.clone()))),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    };
    let options = ClientSecretCredentialOptions { client_options };
    let (tenant, client_id) = (application.tenant.to_string(), application.client_id.to_string());
    ClientSecretCredential::new(&tenant, client_id, Secret::new(secret.to_owned()), Some(options)).unwrap()
}

/// Whose everything is here.
pub fn owner() -> Owner {
    Owner::of("cluster", "payments", "api")
}

/// What the credential of this number makes of an entry.
pub fn projection(sequence: u32, value: &str) -> Projection {
    Projection::of(&entry(sequence), &AUTHORITY.into(), value.into()).unwrap()
}

/// What the record of a credential of this number says.
pub fn entry(sequence: u32) -> Entry {
    let key_id = KeyId(Uuid::from_u128(sequence.into()));
    let chance = u8::try_from(sequence).unwrap();
    Entry {
        kept: Some(Kept {
            key_id,
            issued_at: Timestamp::UNIX_EPOCH,
            expires_at: Some("2027-02-03T04:05:06.789Z".parse().unwrap()),
            thumbprint: None,
        }),
        stage: Stage::Publishing,
        ..Entry::opened(
            owner(),
            "api",
            (TenantId(Uuid::from_u128(1)), ClientId(Uuid::from_u128(2)), CredentialKind::ClientSecret),
            Sequence(sequence),
            Attempt { nonce: Nonce::of([chance; 10]), holder: "one".into(), at: Timestamp::UNIX_EPOCH },
        )
    }
}

impl Town {
    pub async fn read(&self, wanted: Option<&Projection>) -> TargetState {
        self.vaults.read(&self.entry, wanted).await
    }

    pub async fn write(&self, wanted: &Projection) -> Result<Carried, Trouble> {
        self.vaults.write(&self.entry, wanted, InTime::always()).await
    }

    /// Writes what may be written.
    pub async fn published(&self, sequence: u32, value: &str) -> Carried {
        let carried = self.write(&projection(sequence, value)).await.unwrap();
        assert!(carried.agrees);
        carried
    }

    /// Puts a value by hand.
    pub fn by_hand(&self, value: &str, edit: SecretEdit) {
        self.azure.put_secret(VAULT, self.entry.name.as_str(), value, edit).unwrap();
    }

    /// How many versions were ever written.
    pub fn versions(&self) -> usize {
        let stored = |change: &SecretChange| matches!(change.what, SecretWhat::Stored { .. });
        self.azure.secret_changes(self.tenant).iter().filter(|change| stored(change)).count()
    }

    /// How often something was asked of the vault, challenges left out.
    pub fn asked(&self, verb: &str) -> usize {
        let asked = |entry: &keywright_sandbox::journal::Entry| entry.service == "vault" && entry.verb == verb;
        self.azure.journal().count(|entry| asked(entry) && entry.status != Some(401))
    }

    pub fn tags(&self) -> BTreeMap<String, String> {
        let told = self.azure.inspect_vaults();
        let versions = told[0]["secrets"][0]["versions"].as_array().unwrap().clone();
        serde_json::from_value(versions.last().unwrap()["tags"].clone()).unwrap()
    }
}

/// What is there.
pub fn present(state: TargetState) -> Carried {
    match state {
        TargetState::Present(carried) => carried,
        other => panic!("{other:?}"),
    }
}

/// Why it cannot be seen.
pub fn troubled(state: TargetState) -> Trouble {
    match state {
        TargetState::Troubled(trouble) => trouble,
        other => panic!("{other:?}"),
    }
}
