//! Attending to a namespace: a watch of its pods and workloads, for as long as some resource there needs it, and shared by
//! all that do. Of what is watched, only what matters of each object is kept.
//!
//! No resource at rest is attended to: the pods of a whole cluster are the most busy thing in it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    connect::Connection,
    follow::{each_event, listing_anew},
    known::{Changed, Known},
    pods::{Pod, pod},
    rolling::{Object, workload},
    workloads::{BELIEVED, Workloads, resource},
};
use crate::{
    api::consumers::WorkloadKind,
    facts::{Consumers, Maker, PodSeen, Reading, SeenBy, WorkloadId, WorkloadSeen},
};

/// How long to wait before it is asked again whether Argo's Rollouts are installed, when there was no answer.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Every kind of workload.
const KINDS: [WorkloadKind; 4] =
    [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet, WorkloadKind::Rollout];

/// Wakes a resource, by its namespace and its name.
type Wake = dyn Fn(&str, &str) + Send + Sync;

/// The namespaces that are attended to. Clones are the same.
#[derive(Clone)]
pub struct Attended(Arc<Inner>);

struct Inner {
    watches: Watches,
    rooms: Mutex<HashMap<String, Room>>,
}

/// What watching takes.
#[derive(Clone)]
struct Watches {
    client: Client,
    workloads: Workloads,
    wake: Arc<Wake>,
}

/// A namespace that is attended to.
struct Room {
    seen: Arc<Mutex<Seen>>,
    /// All its watches are one task, which ends with it.
    _watching: AbortOnDropHandle<()>,
}

/// What a resource wants to be woken for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// Whoever reads one of these Secrets.
    pub secrets: BTreeSet<String>,
    /// These workloads and their pods, whatever they read.
    pub workloads: BTreeSet<WorkloadId>,
    /// Whoever runs as one of these `ServiceAccount`s.
    pub accounts: BTreeSet<String>,
}

/// As long as it lives, the namespace is attended to for a resource.
#[must_use = "nobody attends to the namespace once this is dropped"]
pub struct Attending {
    attended: Attended,
    namespace: String,
    id: u64,
}

impl Attended {
    /// None yet. Whenever something changes that a resource wants to be woken for, `wake` is called with its namespace and
    /// its name.
    pub fn new(cluster: &Connection, workloads: &Workloads, wake: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        let watches = Watches { client: cluster.client.clone(), workloads: workloads.clone(), wake: Arc::new(wake) };
        Self(Arc::new(Inner { watches, rooms: Mutex::default() }))
    }

    /// Attend to a namespace for a resource in it, which is woken once everything there has been read.
    pub fn attend(&self, namespace: &str, resource: &str, interest: Interest) -> Attending {
        let mut rooms = lock(&self.0.rooms);
        let room = rooms.entry(namespace.to_owned()).or_insert_with(|| self.0.watches.start(namespace));
        let id = lock(&room.seen).hold(resource, interest);
        Attending { attended: self.clone(), namespace: namespace.to_owned(), id }
    }

    /// What is in a namespace; nothing unless it is attended to and has been read once.
    #[must_use]
    pub fn consumers(&self, namespace: &str) -> Option<Consumers> {
        let seen = Arc::clone(&lock(&self.0.rooms).get(namespace)?.seen);
        lock(&seen).consumers()
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        let mut rooms = lock(&self.attended.0.rooms);
        if rooms.get(&self.namespace).is_some_and(|room| lock(&room.seen).release(self.id)) {
            rooms.remove(&self.namespace);
        }
    }
}

/// A panic elsewhere cannot leave anything here half-written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watches {
    fn start(&self, namespace: &str) -> Room {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let watching = self.clone().watch(namespace.to_owned(), Arc::clone(&seen));
        Room { seen, _watching: AbortOnDropHandle::new(tokio::spawn(watching)) }
    }

    async fn watch(self, namespace: String, seen: Arc<Mutex<Seen>>) {
        let tell = |woken: BTreeSet<String>| woken.iter().for_each(|resource| (self.wake)(&namespace, resource));
        let pods = listing_anew(Api::<Pod>::namespaced(self.client.clone(), &namespace), watcher::Config::default());
        let pods = each_event(pods.default_backoff(), "Pod", |event| {
            let woken = lock(&seen).pods_changed(&event);
            tell(woken);
        });
        let of_kind = async |kind: WorkloadKind| {
            let api = Api::<Object>::namespaced_with(self.client.clone(), &namespace, &resource(kind));
            let events = listing_anew(api, watcher::Config::default()).default_backoff();
            each_event(events, kind.as_str(), |event| {
                let woken = lock(&seen).workloads_changed(kind, &event);
                tell(woken);
            })
            .await;
        };
        let rollouts = async {
            while let Some(pause) = self.until_rollouts(&namespace).await {
                let woken = lock(&seen).has_none(WorkloadKind::Rollout);
                tell(woken);
                tokio::time::sleep(pause).await;
            }
            of_kind(WorkloadKind::Rollout).await;
        };
        let [deployments, stateful_sets, daemon_sets] =
            [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet].map(of_kind);
        futures::join!(pods, deployments, stateful_sets, daemon_sets, rollouts);
    }

    /// How long to wait before it is looked again whether Rollouts are installed; nothing if they are.
    async fn until_rollouts(&self, namespace: &str) -> Option<Duration> {
        loop {
            match self.workloads.has_rollouts(namespace).await {
                Ok(true) => return None,
                Ok(false) => return Some(BELIEVED),
                Err(error) => tracing::warn!(%error, "cannot tell whether there are Rollouts; asking again"),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

/// What is seen in a namespace, and for whom.
#[derive(Default)]
struct Seen {
    held: u64,
    holders: BTreeMap<u64, (String, Interest)>,
    pods: Watched<PodSeen>,
    workloads: BTreeMap<WorkloadKind, Watched<WorkloadSeen>>,
}

/// Objects of a kind by their names; of some, nothing matters.
struct Watched<M> {
    known: Known<String, Option<M>>,
    /// Whether all have been read once.
    filled: bool,
}

impl<M> Default for Watched<M> {
    fn default() -> Self {
        Self { known: Known::default(), filled: false }
    }
}

impl<M: PartialEq + Clone> Watched<M> {
    /// What has changed, as it was and as it is.
    fn changed_by<K: kube::Resource>(&mut self, event: &Event<K>, read: impl Fn(&K) -> Option<M>) -> Vec<M> {
        let named = |object: &K| (object.meta().name.clone().unwrap_or_default(), read(object));
        let changed = self.known.changed_by(event, named);
        self.filled |= matches!(event, Event::InitDone);
        let both = |Changed { before, now, .. }: Changed<String, Option<M>>| [before.flatten(), now.flatten()];
        changed.into_iter().flat_map(both).flatten().collect()
    }
}

impl Seen {
    fn hold(&mut self, resource: &str, interest: Interest) -> u64 {
        self.held += 1;
        self.holders.insert(self.held, (resource.to_owned(), interest));
        self.held
    }

    /// Returns whether nobody is left.
    fn release(&mut self, id: u64) -> bool {
        self.holders.remove(&id);
        self.holders.is_empty()
    }

    fn is_filled(&self) -> bool {
        let filled = |kind| self.workloads.get(&kind).is_some_and(|watched| watched.filled);
        self.pods.filled && KINDS.into_iter().all(filled)
    }

    fn consumers(&self) -> Option<Consumers> {
        let workloads = self.workloads.values().flat_map(|watched| watched.known.all().flatten().cloned());
        self.is_filled().then(|| Consumers {
            seen: SeenBy::Watch,
            workloads: sorted(workloads),
            pods: self.pods.known.all().flatten().cloned().collect(),
            schedules: vec![],
        })
    }

    /// Returns whom to wake.
    fn pods_changed(&mut self, event: &Event<Pod>) -> BTreeSet<String> {
        let was_filled = self.is_filled();
        let changed = self.pods.changed_by(event, |object| pod(object).filter(is_a_consumer));
        self.concerned(was_filled, |interest| changed.iter().any(|pod| interest.has_pod(pod)))
    }

    /// Returns whom to wake.
    fn workloads_changed(&mut self, kind: WorkloadKind, event: &Event<Object>) -> BTreeSet<String> {
        let was_filled = self.is_filled();
        let watched = self.workloads.entry(kind).or_default();
        let changed = watched.changed_by(event, |object| workload(kind, object));
        self.concerned(was_filled, |interest| changed.iter().any(|workload| interest.has_workload(workload)))
    }

    /// The cluster has no such kind. Returns whom to wake.
    fn has_none(&mut self, kind: WorkloadKind) -> BTreeSet<String> {
        let was_filled = self.is_filled();
        self.workloads.entry(kind).or_default().filled = true;
        self.concerned(was_filled, |_| false)
    }

    /// Those who are concerned; nobody before everything has been read, and then everybody once.
    fn concerned(&self, was_filled: bool, concerned: impl Fn(&Interest) -> bool) -> BTreeSet<String> {
        let is_filled = self.is_filled();
        let woken = self.holders.values().filter(|(_, interest)| is_filled && (!was_filled || concerned(interest)));
        woken.map(|(resource, _)| resource.clone()).collect()
    }
}

/// By name, as lists are.
fn sorted(workloads: impl Iterator<Item = WorkloadSeen>) -> Vec<WorkloadSeen> {
    let mut workloads: Vec<WorkloadSeen> = workloads.collect();
    workloads.sort_by(|one, other| one.id.cmp(&other.id));
    workloads
}

/// Whether a pod may hold a credential: it reads a Secret, or may have it from a Key Vault and can be rolled.
fn is_a_consumer(pod: &PodSeen) -> bool {
    let signs_in = pod.identity.asks || pod.identity.signs_in_as.is_some();
    signs_in || !pod.reads.is_empty() || matches!(pod.maker, Some(Maker::Workload(_)))
}

impl Interest {
    fn has_pod(&self, pod: &PodSeen) -> bool {
        let made = matches!(&pod.maker, Some(Maker::Workload(id)) if self.workloads.contains(id));
        made || self.reads(&pod.reads) || self.accounts.contains(&pod.identity.account)
    }

    fn has_workload(&self, workload: &WorkloadSeen) -> bool {
        let named = self.workloads.contains(&workload.id) || self.accounts.contains(&workload.identity.account);
        named || self.reads(&workload.reads)
    }

    fn reads(&self, reads: &[Reading]) -> bool {
        reads.iter().any(|reading| self.secrets.contains(&reading.secret))
    }
}

#[cfg(test)]
mod tests;
