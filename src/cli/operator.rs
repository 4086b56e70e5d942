//! The operator put together: what it works with, and in which order it starts.

use std::{future::Future, time::Duration};

use kube::CustomResourceExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    scope::Scope,
    watches::{Watched, Watches},
};
use crate::{
    api::{ClientId, EntraAppCredential, EntraTenant},
    cluster::{connect::Connection, definitions, identity},
    reconcile::{self, Context, World, hands::Hands},
    runtime::readiness::{Gate, Readiness},
};

/// How long to wait before the API server is asked again for what nothing can begin without.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Why the operator ended on its own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A watch never ends, unless its task is gone.
    #[error(
        "a watch of the Kubernetes API has ended by itself, which is a mistake in Keywright: please report it with the log"
    )]
    WatchEnded,
    /// A panic outside of a single look.
    #[error("looking at resources has ended by itself, which is a mistake in Keywright: please report it with the log")]
    LookingEnded(#[source] tokio::task::JoinError),
}

/// What the operator works with.
pub(super) struct Operator {
    pub cluster: Connection,
    pub scope: Scope,
    pub instance: String,
    /// What tells this cluster from others, if somebody has named it.
    pub cluster_id: Option<String>,
    pub ambient_client_id: Option<ClientId>,
    pub hands: Hands,
    pub readiness: Readiness,
    /// Passed when everything has been read once.
    pub copies: Gate,
    pub stop: CancellationToken,
}

impl Operator {
    /// Work until asked to stop: first the kinds must exist, then everything have been read once, and only then is
    /// anything looked at, so that no resource is told of a missing tenant that merely was not read yet.
    pub(super) async fn work(self) -> Result<(), Error> {
        if self.unless_stopped(self.definitions()).await.is_none() {
            return Ok(());
        }
        let watches = Watches::start(&self.cluster.client, &self.scope, &self.instance, self.ambient_client_id);
        let known = async {
            watches.filled().await;
            self.name_the_cluster(&watches.world).await;
        };
        if self.unless_stopped(known).await.is_none() {
            return Ok(());
        }
        let Self { hands, instance, stop, copies, .. } = self;
        let Watches { world, woken, tenants, tenant_queue, resources, secrets, departed, mut running } = watches;
        hands.woken.get_or_init(|| woken.clone());
        let farewells = departed.farewells.iter().map(|(_, queue)| queue.clone()).collect();
        let context = Context::new(world, hands, woken, (tenant_queue, farewells), instance, stop.clone());
        running.spawn(departed.work(context.clone()));
        let mut looking = JoinSet::new();
        let Watched { copy, to_look_at } = tenants;
        let look = reconcile::tenant::look;
        looking.spawn(reconcile::look_at_each(copy.store, to_look_at, look, context.clone(), stop.clone()));
        for Watched { copy, to_look_at } in resources {
            let look = reconcile::credential::look;
            looking.spawn(reconcile::look_at_each(copy.store, to_look_at, look, context.clone(), stop.clone()));
        }
        for Watched { copy, to_look_at } in secrets {
            let look = reconcile::farewell::look;
            looking.spawn(reconcile::look_at_each(copy.store, to_look_at, look, context.clone(), stop.clone()));
        }
        copies.pass();
        tracing::info!("watching");
        tokio::select! {
            Some(_) = running.join_next() => Err(Error::WatchEnded),
            all = all_end(&mut looking) => all,
        }
    }

    /// The outcome, or nothing if the operator is to stop first.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            outcome = work => Some(outcome),
        }
    }

    async fn definitions(&self) {
        futures::join!(self.definition::<EntraAppCredential>(), self.definition::<EntraTenant>());
    }

    async fn definition<K: CustomResourceExt>(&self) {
        let gate = self.readiness.wait_for(format!("definition {} (install the files of crds/)", K::crd_name()));
        definitions::served::<K>(self.cluster.client.clone()).await;
        gate.pass();
    }

    /// What tells this cluster from others stands in the name of everything that is minted, so nothing is looked at before.
    async fn name_the_cluster(&self, world: &World) {
        let id = loop {
            match &self.cluster_id {
                Some(id) => break id.clone(),
                None => match identity::cluster_id(&self.cluster.client).await {
                    Ok(id) => break id,
                    Err(error) => tracing::warn!(%error, "cannot name this cluster yet; asking again"),
                },
            }
            tokio::time::sleep(ASK_AGAIN).await;
        };
        world.cluster_id.get_or_init(|| id);
    }
}

async fn all_end(tasks: &mut JoinSet<()>) -> Result<(), Error> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(Error::LookingEnded)?;
    }
    Ok(())
}
