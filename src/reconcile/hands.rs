//! What steps are carried out with: the adapters, shared by all resources.

use jiff::Timestamp;

use super::{connections::Connections, metrics::Metrics, turns::Turns};
use crate::{
    cluster::{self, Client, clock::ApiClock, records::Records, secrets::Secrets},
    facts::Nonce,
    plan::{Moment, Timing},
    wire,
};

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
    /// What every call outside shares.
    pub wire: wire::Client,
    /// The ways into the tenants.
    pub connections: Connections,
    /// Whose turn it is to write to an application.
    pub turns: Turns,
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
        wire: wire::Client,
        connections: Connections,
        metrics: Metrics,
        timing: Timing,
    ) -> Self {
        Self {
            client: cluster.client.clone(),
            clock: cluster.clock.clone(),
            records: Records::new(cluster),
            secrets: Secrets::new(cluster),
            wire,
            connections,
            turns: Turns::default(),
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
