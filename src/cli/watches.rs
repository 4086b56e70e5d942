//! Which watches feed which copies, and who is woken by what.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, OnceLock},
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
    cluster::follow::{Changed, Followed, follow},
    facts::record,
    reconcile::{
        World,
        departed::Departed,
        observe::{self, ByOwner, ByTarget, Labelled},
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
    /// The queue of those to be looked at.
    pub tenant_queue: Queue<Declared<EntraTenant>>,
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
        let (by_target, by_owner, cluster_id) = (ByTarget::default(), ByOwner::default(), Arc::default());
        let neighbours = Neighbours {
            by_target: by_target.clone(),
            changed: gone,
            tenants: tenant_queue.clone(),
            woken: Arc::default(),
        };
        let mut woken = Vec::new();
        let mut resources = Vec::new();
        for api in each(client, scope) {
            let (resource, queue) = watch_resources(api, &neighbours, &mut running);
            woken.push(Resources { store: resource.copy.store.clone(), queue });
            resources.push(resource);
        }
        let woken = Arc::clone(neighbours.woken.get_or_init(|| Arc::new(woken)));
        let mut farewells = Vec::new();
        let mut secrets = Vec::new();
        for api in each(client, scope) {
            let (secret, queue) = watch_secrets(api, &by_owner, &woken, &cluster_id, &mut running);
            farewells.push((secret.copy.store.clone(), queue));
            secrets.push(secret);
        }
        let (all_tenants, changed_tenants) = Queue::new();
        let tenants = watch_tenants(client, &woken, tenant_queue.clone(), all_tenants, &mut running);
        let tenants = Watched { copy: tenants, to_look_at: tenants_to_look_at };
        let world = World {
            tenants: tenants.copy.clone(),
            namespaces: watch_namespaces(client, scope, &woken, &mut running),
            resources: woken.iter().map(|resources| resources.store.clone()).collect(),
            by_target,
            secrets: secrets.iter().map(|watched| watched.copy.clone()).collect(),
            by_owner,
            is_limited: *scope != Scope::All,
            ambient_client_id,
            process: instance.to_owned(),
            cluster_id,
            client: client.clone(),
        };
        let departed = Departed { changed, tenants: changed_tenants, farewells, remembered: HashMap::new() };
        Self { world, woken, tenants, tenant_queue, resources, secrets, departed, running }
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

/// What the watch of resources tells besides.
#[derive(Clone)]
struct Neighbours {
    by_target: ByTarget,
    /// Every resource that has changed; it may be gone.
    changed: Queue<Declared<EntraAppCredential>>,
    tenants: Queue<Declared<EntraTenant>>,
    /// All resources, as soon as all are watched.
    woken: Arc<OnceLock<Arc<Vec<Resources>>>>,
}

impl Neighbours {
    /// Only the eldest of those that publish to a place may: when one has come or left, the others are looked at.
    fn moved(&self, resource: &ObjectRef<Declared<EntraAppCredential>>, places: BTreeSet<observe::Place>) {
        let moved = self.by_target.put(resource, places);
        let others = moved.iter().flat_map(|place| self.by_target.of(place)).filter(|other| other != resource);
        for other in others {
            self.woken.get().into_iter().flat_map(|woken| woken.iter()).for_each(|one| one.queue.push(other.clone()));
        }
    }
}

fn watch_resources(
    api: Api<Declared<EntraAppCredential>>,
    neighbours: &Neighbours,
    running: &mut JoinSet<()>,
) -> (Watched<Declared<EntraAppCredential>>, Queue<Declared<EntraAppCredential>>) {
    let (queue, to_look_at) = Queue::new();
    let (changed, neighbours) = (queue.clone(), neighbours.clone());
    let (copy, task) = follow(api, watcher::Config::default(), naming, move |copy, all| {
        for Changed { key, .. } in &all {
            neighbours.moved(key, copy.get(key).map(|resource| observe::places(&resource)).unwrap_or_default());
        }
        for Changed { key, before, now } in all {
            // A tenant that nothing has named before, or not for a while, is one of ours from now on.
            let named = |seen: Option<(_, Option<String>)>| seen.and_then(|(_, tenant)| tenant);
            let before = named(before);
            if let Some(name) = named(now).filter(|name| before.as_ref() != Some(name)) {
                neighbours.tenants.push(ObjectRef::new(&name));
            }
            neighbours.changed.push(key.clone());
            changed.push(key);
        }
    });
    running.spawn(task);
    (Watched { copy, to_look_at }, queue)
}

/// What matters of a Secret of ours: its version, and the resource that it says it belongs to.
fn belonging(secret: &Labelled) -> (Option<String>, Option<String>) {
    (secret.resource_version(), secret.annotations().get(record::RESOURCE).cloned())
}

fn watch_secrets(
    api: Api<Labelled>,
    by_owner: &ByOwner,
    woken: &Arc<Vec<Resources>>,
    cluster_id: &Arc<OnceLock<String>>,
    running: &mut JoinSet<()>,
) -> (Watched<Labelled>, Queue<Labelled>) {
    let (queue, to_look_at) = Queue::new();
    let (farewell, by_owner, woken) = (queue.clone(), by_owner.clone(), Arc::clone(woken));
    let cluster_id = Arc::clone(cluster_id);
    let ours = watcher::Config::default().labels(record::OWNER);
    let (copy, task) = follow(api, ours, belonging, move |copy, all| {
        for Changed { key: secret, before, now } in all {
            let said = now.or(before).and_then(|(_, said)| said);
            let now = copy.get(&secret).and_then(|secret| observe::owned_by(&secret));
            // Somebody may have made it another's: that is for both to look at.
            let mut owners: BTreeSet<_> = by_owner.put(&secret, now.iter().cloned().collect()).into_iter().collect();
            owners.extend(now);
            // Before the cluster has a name, nothing has been looked at, and everything will be.
            let Some(cluster_id) = cluster_id.get() else { continue };
            let wake = |(namespace, owner): &(String, String)| {
                let found = woken.iter().map(|one| one.secret_changed(cluster_id, namespace, owner, said.as_deref()));
                found.filter(|found| *found).count() > 0 // each is woken, also where another was found already
            };
            if owners.iter().map(wake).filter(|found| *found).count() == 0 {
                farewell.push(secret);
            }
        }
    });
    running.spawn(task);
    (Watched { copy, to_look_at }, queue)
}

fn watch_tenants(
    client: &Client,
    woken: &Arc<Vec<Resources>>,
    queue: Queue<Declared<EntraTenant>>,
    all: Queue<Declared<EntraTenant>>,
    running: &mut JoinSet<()>,
) -> Followed<Declared<EntraTenant>> {
    let woken = Arc::clone(woken);
    let (copy, task) = follow(Api::all(client.clone()), watcher::Config::default(), version, move |_, changed| {
        for Changed { key: tenant, .. } in changed {
            all.push(tenant.clone());
            woken.iter().for_each(|resources| resources.tenant_changed(&tenant));
            queue.push(tenant);
        }
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
        let (namespaces, task) = follow(Api::all(client.clone()), selection, matters, move |_, all| {
            for Changed { key, .. } in &all {
                woken.iter().for_each(|resources| resources.namespace_changed(key));
            }
        });
        running.spawn(task);
        namespaces
    };
    selections.into_iter().map(follow_one).collect()
}
