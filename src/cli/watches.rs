//! Which watches feed which copies, and who is woken by what.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    core::PartialObjectMeta,
    runtime::{reflector::ObjectRef, watcher},
};
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::scope::Scope;
use crate::{
    api::{ClientId, Declared, EntraAppCredential, EntraTenant},
    cluster::follow::{Followed, follow},
    facts::record,
    reconcile::{
        World,
        departed::Departed,
        observe::Labelled,
        wake::{Queue, Resources},
    },
};

/// A kind that is watched: the copy of its objects, and the names of those to be looked at.
pub(super) struct Watched<K: kube::Resource<DynamicType = ()> + Clone + 'static> {
    pub copy: Followed<K>,
    pub to_look_at: UnboundedReceiverStream<ObjectRef<K>>,
}

/// The watches, and what they feed.
pub(super) struct Watches {
    pub world: World,
    pub woken: Arc<Vec<Resources>>,
    pub tenants: Watched<Declared<EntraTenant>>,
    /// Of all namespaces, or of each that the operator is limited to.
    pub resources: Vec<Watched<Declared<EntraAppCredential>>>,
    /// Records and published Secrets, likewise. Those to be looked at may have lost their resource.
    pub secrets: Vec<Watched<Labelled>>,
    /// What is to be done when a resource is gone.
    pub departed: Departed,
    pub running: JoinSet<()>,
}

impl Watches {
    /// Start all of them: of our resources, and of what wakes them, which is tenants, the labels of namespaces, and the
    /// Secrets that are ours.
    pub(super) fn start(client: &Client, scope: &Scope, instance: &str, ambient_client_id: Option<ClientId>) -> Self {
        let mut running = JoinSet::new();
        let (gone, changed) = Queue::new();
        let (tenant_queue, tenants_to_look_at) = Queue::new();
        let mut woken = Vec::new();
        let mut resources = Vec::new();
        for api in each(client, scope) {
            let (resource, queue) = watch_resources(api, &gone, &tenant_queue, &mut running);
            woken.push(Resources { store: resource.copy.store.clone(), queue });
            resources.push(resource);
        }
        let woken = Arc::new(woken);
        let mut farewells = Vec::new();
        let mut secrets = Vec::new();
        for api in each(client, scope) {
            let (secret, queue) = watch_secrets(api, &woken, &mut running);
            farewells.push((secret.copy.store.clone(), queue));
            secrets.push(secret);
        }
        let tenants = watch_tenants(client, &woken, tenant_queue, &mut running);
        let tenants = Watched { copy: tenants, to_look_at: tenants_to_look_at };
        let world = World {
            tenants: tenants.copy.clone(),
            namespaces: watch_namespaces(client, scope, &woken, &mut running),
            resources: woken.iter().map(|resources| resources.store.clone()).collect(),
            secrets: secrets.iter().map(|watched| watched.copy.clone()).collect(),
            is_limited: *scope != Scope::All,
            ambient_client_id,
            process: instance.to_owned(),
            cluster_id: Arc::default(),
            client: client.clone(),
        };
        let departed = Departed { changed, farewells };
        Self { world, woken, tenants, resources, secrets, departed, running }
    }

    pub(super) async fn filled(&self) {
        self.world.filled().await;
        for watched in &self.resources {
            watched.copy.filled().await;
        }
    }
}

/// All namespaces at once, or each that the operator is limited to.
fn each<K>(client: &Client, scope: &Scope) -> Vec<Api<K>>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match scope {
        Scope::All => vec![Api::all(client.clone())],
        Scope::Namespaces(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
    }
}

/// What matters of our own kinds is everything: the status too, since somebody may have wiped it.
fn version<K: kube::Resource>(object: &K) -> Option<String> {
    object.resource_version()
}

/// The same of a resource, and the tenant that it names.
fn naming(resource: &Declared<EntraAppCredential>) -> (Option<String>, Option<String>) {
    let tenant = resource.spec.as_ref().ok().map(|spec| spec.tenant_ref.name.to_string());
    (version(resource), tenant)
}

fn watch_resources(
    api: Api<Declared<EntraAppCredential>>,
    gone: &Queue<Declared<EntraAppCredential>>,
    tenants: &Queue<Declared<EntraTenant>>,
    running: &mut JoinSet<()>,
) -> (Watched<Declared<EntraAppCredential>>, Queue<Declared<EntraAppCredential>>) {
    let (queue, to_look_at) = Queue::new();
    let (changed, gone, tenants) = (queue.clone(), gone.clone(), tenants.clone());
    let named = Mutex::new(BTreeSet::new());
    let (copy, task) = follow(api, watcher::Config::default(), naming, move |one, (_, tenant)| {
        gone.push(one.clone());
        changed.push(one);
        // The first resource that names a tenant makes it one of ours.
        let new = tenant.filter(|name| named.lock().is_ok_and(|mut named| named.insert(name.clone())));
        if let Some(name) = new {
            tenants.push(ObjectRef::new(&name));
        }
    });
    running.spawn(task);
    (Watched { copy, to_look_at }, queue)
}

/// What matters of a Secret of ours: its version, and the resource that it belongs to.
fn belonging(secret: &Labelled) -> (Option<String>, Option<String>) {
    (secret.resource_version(), secret.annotations().get(record::RESOURCE).cloned())
}

fn watch_secrets(
    api: Api<Labelled>,
    woken: &Arc<Vec<Resources>>,
    running: &mut JoinSet<()>,
) -> (Watched<Labelled>, Queue<Labelled>) {
    let (queue, to_look_at) = Queue::new();
    let (farewell, woken) = (queue.clone(), Arc::clone(woken));
    let ours = watcher::Config::default().labels(record::OWNER);
    let (copy, task) = follow(api, ours, belonging, move |secret: ObjectRef<Labelled>, (_, resource)| {
        let namespace = secret.namespace.clone().unwrap_or_default();
        let Some(resource) = resource else { return };
        if !woken.iter().any(|resources| resources.secret_changed(&namespace, &resource)) {
            farewell.push(secret);
        }
    });
    running.spawn(task);
    (Watched { copy, to_look_at }, queue)
}

fn watch_tenants(
    client: &Client,
    woken: &Arc<Vec<Resources>>,
    queue: Queue<Declared<EntraTenant>>,
    running: &mut JoinSet<()>,
) -> Followed<Declared<EntraTenant>> {
    let woken = Arc::clone(woken);
    let (copy, task) = follow(Api::all(client.clone()), watcher::Config::default(), version, move |tenant, _| {
        woken.iter().for_each(|resources| resources.tenant_changed(&tenant));
        queue.push(tenant);
    });
    running.spawn(task);
    copy
}

fn watch_namespaces(
    client: &Client,
    scope: &Scope,
    woken: &Arc<Vec<Resources>>,
    running: &mut JoinSet<()>,
) -> Vec<Followed<PartialObjectMeta<Namespace>>> {
    let everything = watcher::Config::default;
    let selections = match scope {
        Scope::All => vec![everything()],
        Scope::Namespaces(names) => {
            names.iter().map(|name| everything().fields(&format!("metadata.name={name}"))).collect()
        }
    };
    let follow_one = |selection| {
        let woken = Arc::clone(woken);
        let matters = |namespace: &PartialObjectMeta<Namespace>| {
            (namespace.labels().clone(), namespace.metadata.deletion_timestamp.is_some())
        };
        let (namespaces, task) = follow(Api::all(client.clone()), selection, matters, move |namespace, _| {
            woken.iter().for_each(|resources| resources.namespace_changed(&namespace));
        });
        running.spawn(task);
        namespaces
    };
    selections.into_iter().map(follow_one).collect()
}
