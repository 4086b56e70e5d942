//! What steps are carried out with: the adapters, shared by all resources.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use super::{
    attending::Attendance,
    blast::Blast,
    connections::Connections,
    metrics::Metrics,
    turns::Turns,
    wake::{self, Resources},
};
use crate::{
    cluster::{
        self, Client, account_tokens::AccountTokens, accounts::Accounts, attend::Attended, clock::ApiClock,
        records::Records, secrets::Secrets, sources::Sources, workloads::Workloads,
    },
    facts::Nonce,
    plan::{Moment, Timing},
    wire,
};

/// All resources, as soon as they are watched.
pub type Woken = Arc<OnceLock<Arc<Vec<Resources>>>>;

/// The adapters.
pub struct Hands {
    /// For reads of the cluster, and what may be written twice.
    pub client: Client,
    /// The API server's clock.
    pub clock: ApiClock,
    /// Records.
    pub records: Records,
    /// Published Secrets.
    pub secrets: Secrets,
    /// Secrets that certificates are taken from.
    pub sources: Sources,
    /// Tokens of `ServiceAccount`s.
    pub tokens: AccountTokens,
    /// `ServiceAccount`s.
    pub accounts: Accounts,
    /// Workloads.
    pub workloads: Workloads,
    /// The namespaces in which somebody is being brought a new credential.
    pub attended: Attended,
    /// Who is woken by what happens there, as soon as resources are watched.
    pub woken: Woken,
    /// What every call outside shares.
    pub wire: wire::Client,
    /// The ways into the tenants.
    pub connections: Connections,
    /// Whose turn it is to write to an application.
    pub turns: Turns,
    /// For whose sake namespaces are attended to.
    pub(super) attending: Attendance,
    /// What the resources of a tenant share.
    pub(super) blast: Blast,
    /// What is counted.
    pub metrics: Metrics,
    /// How long everything takes.
    pub timing: Timing,
}

impl Hands {
    /// For one cluster.
    #[must_use]
    pub fn new(
        cluster: &cluster::connect::Connection,
        argo_rollouts: bool,
        wire: wire::Client,
        connections: Connections,
        metrics: Metrics,
        timing: Timing,
    ) -> Self {
        let workloads = Workloads::new(cluster, argo_rollouts);
        let woken = Woken::default();
        let to_wake = Arc::clone(&woken);
        let wake =
            move |namespace: &str, name: &str| wake::wake(to_wake.get().map_or(&[], |woken| woken), namespace, name);
        Self {
            client: cluster.client.clone(),
            clock: cluster.clock.clone(),
            records: Records::new(cluster),
            secrets: Secrets::new(cluster),
            sources: Sources::new(cluster),
            tokens: AccountTokens::new(cluster),
            accounts: Accounts::new(cluster),
            attended: Attended::new(cluster, &workloads, wake),
            workloads,
            woken,
            wire,
            connections,
            turns: Turns::default(),
            attending: Attendance::default(),
            blast: Blast::default(),
            metrics,
            timing,
        }
    }

    /// Now, with a nonce that nobody has used.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { now: self.now(), chance: Nonce::of(rand::random()) }
    }

    /// What time it is for the API server.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
