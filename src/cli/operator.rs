//! The operator put together: which watches feed which copies, who is woken by what, and in which order it starts.

use std::{future::Future, sync::Arc};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, CustomResourceExt, ResourceExt,
    core::PartialObjectMeta,
    runtime::{reflector::ObjectRef, watcher},
};
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{ClientId, Declared, EntraAppCredential, EntraTenant},
    cluster::{
        Client, definitions,
        follow::{Followed, follow},
    },
    reconcile::{
        self, Context, Metrics, World,
        wake::{Queue, Resources},
    },
    runtime::readiness::{Gate, Readiness},
};

/// Which namespaces are worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// These.
    Namespaces(Vec<String>),
}

impl Scope {
    /// No names are all namespaces.
    #[must_use]
    pub fn of(names: &[String]) -> Self {
        // A chart that has no value for it sets the variable all the same, to nothing.
        let mut names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        if names.is_empty() { Self::All } else { Self::Namespaces(names) }
    }
}

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
    pub client: Client,
    pub scope: Scope,
    pub instance: String,
    pub ambient_client_id: Option<ClientId>,
    pub metrics: Metrics,
    pub readiness: Readiness,
    /// Passed when everything has been read once.
    pub copies: Gate,
    pub stop: CancellationToken,
}

/// A kind that is watched: the copy of its objects, and the names of those to be looked at.
struct Watched<K: kube::Resource<DynamicType = ()> + Clone + 'static> {
    copy: Followed<K>,
    to_look_at: UnboundedReceiverStream<ObjectRef<K>>,
}

/// The watches, and what they feed.
struct Watches {
    world: World,
    tenants: Watched<Declared<EntraTenant>>,
    /// Of all namespaces, or of each that the operator is limited to.
    resources: Vec<Watched<Declared<EntraAppCredential>>>,
    running: JoinSet<()>,
}

impl Operator {
    /// Work until asked to stop: first the kinds must exist, then everything have been read once, and only then is
    /// anything looked at, so that no resource is told of a missing tenant that merely was not read yet.
    pub(super) async fn work(self) -> Result<(), Error> {
        if self.unless_stopped(self.definitions()).await.is_none() {
            return Ok(());
        }

        let mut watches = self.watch();
        if self.unless_stopped(watches.filled()).await.is_none() {
            return Ok(());
        }
        let mut looking = self.look(watches.world, watches.tenants, watches.resources);
        self.copies.pass();
        tracing::info!("watching");
        tokio::select! {
            Some(_) = watches.running.join_next() => Err(Error::WatchEnded),
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
        definitions::served::<K>(self.client.clone()).await;
        gate.pass();
    }

    /// Start the watches: of our resources, of the tenants that wake them, and of the namespaces whose labels do.
    fn watch(&self) -> Watches {
        let mut running = JoinSet::new();
        let mut resources = Vec::new();
        let mut woken = Vec::new();
        for api in self.resource_apis() {
            let (queue, to_look_at) = Queue::new();
            let changed = queue.clone();
            let (copy, task) = follow(api, watcher::Config::default(), version, move |one| changed.push(one));
            running.spawn(task);
            woken.push(Resources { store: copy.store.clone(), queue });
            resources.push(Watched { copy, to_look_at });
        }
        let woken = Arc::new(woken);
        let tenants = self.watch_tenants(&woken, &mut running);
        let world = World {
            tenants: tenants.copy.clone(),
            namespaces: self.watch_namespaces(&woken, &mut running),
            ambient_client_id: self.ambient_client_id,
            client: self.client.clone(),
        };
        Watches { world, tenants, resources, running }
    }

    fn watch_tenants(&self, woken: &Arc<Vec<Resources>>, running: &mut JoinSet<()>) -> Watched<Declared<EntraTenant>> {
        let (queue, to_look_at) = Queue::new();
        let woken = Arc::clone(woken);
        let api = Api::all(self.client.clone());
        let (copy, task) = follow(api, watcher::Config::default(), version, move |tenant| {
            woken.iter().for_each(|resources| resources.tenant_changed(&tenant));
            queue.push(tenant);
        });
        running.spawn(task);
        Watched { copy, to_look_at }
    }

    fn watch_namespaces(
        &self,
        woken: &Arc<Vec<Resources>>,
        running: &mut JoinSet<()>,
    ) -> Vec<Followed<PartialObjectMeta<Namespace>>> {
        let everything = watcher::Config::default;
        let selections = match &self.scope {
            Scope::All => vec![everything()],
            Scope::Namespaces(names) => {
                names.iter().map(|name| everything().fields(&format!("metadata.name={name}"))).collect()
            }
        };
        let follow_one = |selection| {
            let woken = Arc::clone(woken);
            let labels = |namespace: &PartialObjectMeta<Namespace>| namespace.labels().clone();
            let (namespaces, task) = follow(Api::all(self.client.clone()), selection, labels, move |namespace| {
                woken.iter().for_each(|resources| resources.namespace_changed(&namespace));
            });
            running.spawn(task);
            namespaces
        };
        selections.into_iter().map(follow_one).collect()
    }

    /// Start looking at what the queues name.
    fn look(
        &self,
        world: World,
        tenants: Watched<Declared<EntraTenant>>,
        resources: Vec<Watched<Declared<EntraAppCredential>>>,
    ) -> JoinSet<()> {
        let mut looking = JoinSet::new();
        let context = Context::new(world, self.client.clone(), self.instance.clone(), self.metrics.clone());
        let (look, stop) = (reconcile::tenant::look, || self.stop.clone());
        let Watched { copy, to_look_at } = tenants;
        looking.spawn(reconcile::look_at_each(copy.store, to_look_at, look, Arc::clone(&context), stop()));
        for Watched { copy, to_look_at } in resources {
            let look = reconcile::credential::look;
            looking.spawn(reconcile::look_at_each(copy.store, to_look_at, look, Arc::clone(&context), stop()));
        }
        looking
    }

    fn resource_apis(&self) -> Vec<Api<Declared<EntraAppCredential>>> {
        match &self.scope {
            Scope::All => vec![Api::all(self.client.clone())],
            Scope::Namespaces(names) => names.iter().map(|name| Api::namespaced(self.client.clone(), name)).collect(),
        }
    }
}

impl Watches {
    async fn filled(&self) {
        self.world.filled().await;
        for watched in &self.resources {
            watched.copy.filled().await;
        }
    }
}

/// What matters of our own kinds is everything: the status too, since somebody may have wiped it.
fn version<K: kube::Resource>(object: &K) -> Option<String> {
    object.resource_version()
}

async fn all_end(tasks: &mut JoinSet<()>) -> Result<(), Error> {
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(Error::LookingEnded)?;
    }
    Ok(())
}
