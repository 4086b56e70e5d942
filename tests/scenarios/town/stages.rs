//! The stages of a first issue, each by the request that ends it; while that is held up, something else can happen.

use std::time::Duration;

use keywright_sandbox::{
    KUBERNETES, Rule,
    azure::{GRAPH, TOKEN, VAULT},
    faults::Point,
    journal::Entry,
    node::USER_AGENT,
};
use libtest_mimic::Failed;

use super::{Firm, PATIENCE, chain};

/// A stage, by its name and the request that ends it.
#[derive(Clone, Copy)]
pub struct Stage {
    pub name: &'static str,
    service: &'static str,
    verb: &'static str,
    path: &'static str,
    nth: usize,
}

const SECRETS: &str = "/api/v1/namespaces/*/secrets";
const SECRET: &str = "/api/v1/namespaces/*/secrets/*";

const fn stage(name: &'static str, service: &'static str, verb: &'static str, path: &'static str, nth: usize) -> Stage {
    Stage { name, service, verb, path, nth }
}

/// The record is opened.
pub const OPENING: Stage = stage("opening", KUBERNETES, "create", SECRETS, 1);
/// The secret is added to the application.
pub const MINTING: Stage = stage("minting", GRAPH, "addPassword", "/v1.0/applications/*/addPassword", 1);
/// Its value is put into the record.
pub const KEEPING: Stage = stage("keeping", KUBERNETES, "update", SECRET, 2);
/// It signs in: the operator itself has signed in to Graph and to the vault before.
pub const PROVING: Stage = stage("proving", TOKEN, "signIn", "/*/oauth2/v2.0/token", 3);
/// The record says that it counts as published.
pub const PUBLISHING: Stage = stage("publishing", KUBERNETES, "patch", SECRET, 1);

/// All of them, in their order.
pub const STAGES: [Stage; 9] = [
    OPENING,
    stage("rehearsing", KUBERNETES, "update", SECRET, 1),
    MINTING,
    KEEPING,
    PROVING,
    PUBLISHING,
    stage("secret", KUBERNETES, "create", SECRETS, 2),
    stage("vault", VAULT, "setSecret", "/*/secrets/*", 1),
    stage("noting", KUBERNETES, "patch", SECRET, 2),
];

/// A federated credential is added to the application.
pub const ESTABLISHING: Stage =
    stage("adding", GRAPH, "createFederated", "/v1.0/applications*/federatedIdentityCredentials", 1);
/// Its record says which it is.
pub const NOTING: Stage = stage("noting", KUBERNETES, "patch", SECRET, 1);
/// The stages of a federated credential, in their order.
pub const FEDERATING: [Stage; 7] = [
    OPENING,
    ESTABLISHING,
    NOTING,
    stage("asking", KUBERNETES, "create", "/api/v1/namespaces/*/serviceaccounts/*/token", 1),
    stage("beginning", KUBERNETES, "patch", SECRET, 2),
    stage("telling", KUBERNETES, "patch", "/api/v1/namespaces/*/serviceaccounts/*", 1),
    stage("used", KUBERNETES, "patch", SECRET, 3),
];

impl Stage {
    /// The request that ends it.
    pub fn point(&self) -> Point {
        Rule::at(self.service, self.verb, self.path).sparing(USER_AGENT).nth(self.nth)
    }
}

impl Firm {
    /// Hold the request up that ends a stage, for so long; it is carried out then.
    pub fn hold(&self, stage: &Stage, time: Duration) {
        let point = stage.point();
        self.faults_at(&point).add(point.delay(time));
    }

    /// Wait until a stage is held up.
    pub async fn is_held(&self, stage: &Stage) -> Result<(), Failed> {
        self.held(stage, |_| true).await
    }

    /// Wait until the request that was held up has been carried out.
    pub async fn is_through(&self, stage: &Stage) -> Result<(), Failed> {
        self.held(stage, |entry| entry.status.is_some()).await
    }

    async fn held(&self, stage: &Stage, is_so: impl Fn(&Entry) -> bool) -> Result<(), Failed> {
        let journal = if stage.service == KUBERNETES { self.proxy.journal() } else { self.azure.journal() };
        let delayed = |entry: &Entry| entry.fault.as_ref().is_some_and(|fault| fault.starts_with("delay"));
        journal.wait_for(|entry| delayed(entry) && is_so(entry), PATIENCE).await.map_err(chain)?;
        Ok(())
    }
}
