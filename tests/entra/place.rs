//! A tenant with an operator that may write what it owns, and an application that it owns; and Keywright's view of it.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use keywright::{
    api::{ClientId, EntraTenantSpec, KeyId, TenantId},
    entra::{Cloud, Directory, Identity, Minted},
    facts::{ObjectId, Trouble},
    wire::{self, InTime, Metrics, Settings},
};
use keywright_sandbox::{
    Azure, Rule,
    azure::{GRAPH, NewApplication, NewPassword, Options, Password, Seeded, TOKEN},
};
use prometheus_client::registry::Registry;
use serde_json::json;
use uuid::Uuid;

pub const OWNED: &str = "Application.ReadWrite.OwnedBy";
pub const ALL: &str = "Application.ReadWrite.All";

pub struct Place {
    pub azure: Azure,
    pub tenant: Uuid,
    pub operator: Seeded,
    pub payments: Seeded,
    pub secret: Password,
}

impl Place {
    /// Where everything is known at once.
    pub async fn new(role: &str) -> Self {
        // Only the first of the tests finds none.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let azure = Azure::start(Options { scale: 0.0, ..Options::default() }).await.unwrap();
        let tenant = azure.seed_tenant();
        let operator = new(&azure, tenant, "keywright", vec![], vec![role.to_owned()]);
        let payments = new(&azure, tenant, "payments", vec![operator.principal], vec![]);
        let secret = azure.seed_password(&operator, NewPassword::default()).unwrap();
        azure.seed_password(&payments, NewPassword::default()).unwrap();
        Self { azure, tenant, operator, payments, secret }
    }

    /// Another application that the operator owns.
    pub fn application(&self, name: &str) -> Seeded {
        new(&self.azure, self.tenant, name, vec![self.operator.principal], vec![])
    }

    pub fn settings(&self) -> Settings {
        Settings { ca_file: Some(self.azure.ca_file().to_owned()), ..Settings::default() }
    }

    pub fn tenant_id(&self) -> TenantId {
        TenantId(self.tenant)
    }

    pub fn cloud(&self) -> Cloud {
        let endpoints = self.azure.endpoints();
        let tenant: EntraTenantSpec = serde_json::from_value(json!({
            "tenantId": self.tenant,
            "cloud": "Custom",
            "endpoints": {
                "authorityHost": endpoints.authority,
                "graphUrl": endpoints.graph,
                "keyVaultSuffix": "vault.localhost",
                "federatedAudience": "api://AzureADTokenExchange",
            },
        }))
        .unwrap();
        Cloud::of(&tenant).unwrap()
    }

    pub fn identity(&self) -> Identity {
        self.identity_with(&self.secret.value)
    }

    pub fn identity_with(&self, secret: &str) -> Identity {
        Identity::ClientSecret { client_id: ClientId(self.operator.client_id), secret: secret.into() }
    }

    pub fn directory(&self) -> Directory {
        self.directory_with(self.settings())
    }

    pub fn directory_with(&self, settings: Settings) -> Directory {
        Directory::new(&client(settings), self.tenant_id(), &self.cloud(), self.identity()).unwrap()
    }

    pub fn signing_in_by(&self, identity: Identity) -> Result<Directory, Trouble> {
        Directory::new(&client(self.settings()), self.tenant_id(), &self.cloud(), identity)
    }

    pub fn client_id(&self) -> ClientId {
        ClientId(self.payments.client_id)
    }

    pub fn object_id(&self) -> ObjectId {
        ObjectId(self.payments.object_id)
    }

    /// Adds a secret to `payments`.
    pub async fn mint(&self, directory: &Directory) -> Result<Minted, Trouble> {
        directory.add_password(self.object_id(), "kw1:abc", in_ninety_days(), InTime::always()).await
    }

    /// How many secrets `payments` truly has; the first was there before.
    pub fn secrets(&self) -> usize {
        self.azure.passwords(&self.payments).unwrap().len()
    }

    pub fn has(&self, key_id: KeyId) -> bool {
        self.azure.passwords(&self.payments).unwrap().iter().any(|secret| secret.key_id == key_id.0)
    }

    /// How often Graph was asked for this.
    pub fn calls(&self, verb: &str) -> usize {
        self.azure.journal().count(|entry| entry.service == GRAPH && entry.verb == verb)
    }

    /// How often anybody asked for a token.
    pub fn sign_ins(&self) -> usize {
        self.azure.journal().count(|entry| entry.service == TOKEN && entry.verb == "signIn")
    }

    pub fn fault(&self, rule: Rule) {
        self.azure.faults().add(rule);
    }
}

fn client(settings: Settings) -> wire::Client {
    wire::Client::new(settings).unwrap()
}

fn new(azure: &Azure, tenant: Uuid, name: &str, owners: Vec<Uuid>, roles: Vec<String>) -> Seeded {
    let new = NewApplication { display_name: name.to_owned(), owners, roles, ..NewApplication::default() };
    azure.seed_application(tenant, new).unwrap()
}

/// In whole seconds, as Entra keeps it.
pub fn in_ninety_days() -> Timestamp {
    let end = Timestamp::now() + SignedDuration::from_hours(24 * 90);
    Timestamp::from_second(end.as_second()).unwrap()
}

/// Counters, and what they show.
pub fn counters() -> (Metrics, impl Fn() -> String) {
    let mut registry = Registry::with_prefix("keywright");
    let metrics = Metrics::register(&mut registry);
    let shown = move || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    };
    (metrics, shown)
}

/// The error of something that has none worth printing.
pub fn refused<T: fmt::Debug>(ended: Result<T, Trouble>) -> Trouble {
    ended.unwrap_err()
}
