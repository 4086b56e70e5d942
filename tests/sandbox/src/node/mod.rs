//! Nodes whose pods are real consumers of credentials: an agent that plays the kubelet of several nodes, as far as
//! somebody can see it who signs in. One watch for all; a small task for each pod; nothing runs in the containers but
//! their sign-ins, with exactly what they hold. It never judges what is held, and never spares anybody a refusal.
//!
//! - `registration`: the nodes' own objects.
//! - `wishes`, `pod`, `status`: how a pod behaves, its life, what is told of it. Pure.
//! - `cache`: what a node knows of Secrets and `ConfigMap`s, and how late.
//! - `environment`, `fields`, `volumes`, `credential`: what a container holds. Pure.
//! - `kubernetes`, `tokens`, `keeper`: carrying it out, for one pod.
//! - `sign_in`: what is done with it.

mod cache;
mod credential;
mod environment;
mod fields;
mod keeper;
mod kubernetes;
mod pod;
mod registration;
mod sign_in;
mod status;
mod tokens;
mod volumes;
mod wishes;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryFutureExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

pub use self::credential::{CERTIFICATE_FOLDER, SECRET_FILE};
pub use self::sign_in::{SignIn, USER_AGENT};
pub use self::wishes::{ENDS_AFTER, INIT_FOR, READS_AT, READY_AFTER, RESTART, RUN_FOR, SIGN_IN_EVERY};

use self::cache::Cache;
use self::keeper::{Household, Keeper, Seen};
use self::kubernetes::Kubernetes;
use self::registration::{HEARTBEAT, Registered};
use self::sign_in::Door;
use self::status::Place;
use self::wishes::Habits;
use crate::plane::Plane;
use crate::witness::Witnesses;

/// How long the agent waits before it asks an API server again that did not answer.
const AGAIN: Duration = Duration::from_millis(100);

/// What may be chosen about nodes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The nodes' names.
    pub names: Vec<String>,
    /// How long a node serves what it has read of a Secret or `ConfigMap` before it asks again.
    pub cache_lag: Duration,
    /// How often a pod's volumes are brought up to date.
    pub volume_delay: Duration,
    /// How long the tokens in volumes live at most, so that their renewal can be seen: none is as long as pods ask for.
    /// The API server issues none for less than ten minutes; the node renews them by this time all the same.
    pub token_life: Option<Duration>,
    /// After how long a container is ready, if its pod does not say.
    pub readiness: Duration,
    /// How long a container goes on after it was told to end, if its pod does not say.
    pub ends_after: Duration,
    /// After how long something is tried again that failed: a mount, a start, a write.
    pub retry: Duration,
    /// How containers sign in.
    pub sign_in: SignIn,
}

impl Default for Options {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            names: vec!["node-0".to_owned()],
            cache_lag: second,
            volume_delay: 2 * second,
            token_life: None,
            readiness: second,
            ends_after: second,
            retry: second,
            sign_in: SignIn::default(),
        }
    }
}

/// Nodes that run. Dropping them kills their pods at once, as when a machine loses its power: the objects stay.
pub struct Nodes {
    names: Vec<String>,
    witnesses: Witnesses,
    _agent: AbortOnDropHandle<()>,
    _hearts: Vec<AbortOnDropHandle<()>>,
}

impl Nodes {
    /// Registers the nodes and returns when pods are scheduled on them. They keep at it while the API server is stopped,
    /// killed, or restored.
    pub async fn start(plane: &Plane, options: Options) -> anyhow::Result<Self> {
        anyhow::ensure!(!options.names.is_empty(), "no nodes to start: give Options::names at least one");
        let client = plane.admin();
        let witnesses = Witnesses::default();
        let nodes: Vec<Registered> = options.names.iter().cloned().map(Registered::new).collect();
        let agent = Agent::new(client.clone(), &options, &nodes, witnesses.clone())?;
        for node in &nodes {
            node.beat(&client).await?;
        }
        let hearts = nodes.iter().map(|node| AbortOnDropHandle::new(tokio::spawn(live(node.clone(), client.clone()))));
        let hearts = hearts.collect();
        let agent = AbortOnDropHandle::new(tokio::spawn(agent.run()));
        futures::future::try_join_all(nodes.iter().map(|node| node.is_open(&client))).await?;
        Ok(Self { names: options.names, witnesses, _agent: agent, _hearts: hearts })
    }

    /// The nodes' names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What their pods have seen.
    #[must_use]
    pub const fn witnesses(&self) -> &Witnesses {
        &self.witnesses
    }
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nodes({})", self.names.join(", "))
    }
}

/// Keeps a node alive.
async fn live(node: Registered, client: Client) {
    loop {
        let beaten = node.beat(&client).inspect_err(|error| tracing::debug!("{error:#}")).await;
        tokio::time::sleep(if beaten.is_ok() { HEARTBEAT } else { AGAIN }).await;
    }
}

/// The pods of all nodes.
struct Agent {
    client: Client,
    household: Arc<Household>,
    nodes: BTreeMap<String, (Registered, Kubernetes)>,
    pods: HashMap<String, Kept>,
    listing: u64,
}

/// A pod that is kept. Dropping it kills the pod.
struct Kept {
    tell: watch::Sender<Seen>,
    _task: AbortOnDropHandle<()>,
}

impl Agent {
    fn new(client: Client, options: &Options, nodes: &[Registered], witnesses: Witnesses) -> anyhow::Result<Self> {
        let Options { cache_lag, volume_delay, token_life, readiness, ends_after, retry, sign_in, .. } = options;
        let household = Household {
            habits: Habits { readiness: *readiness, ends_after: *ends_after, sign_in_every: sign_in.every },
            retry: *retry,
            volume_delay: *volume_delay,
            token_life: *token_life,
            door: Arc::new(Door::new(sign_in)?),
            witnesses,
        };
        let turns = Arc::new(Semaphore::new(kubernetes::AT_ONCE));
        let kubernetes = || Kubernetes {
            client: client.clone(),
            cache: Cache::new(client.clone(), *cache_lag),
            turns: Arc::clone(&turns),
        };
        let nodes = nodes.iter().map(|node| (node.name.clone(), (node.clone(), kubernetes()))).collect();
        Ok(Self { client, household: Arc::new(household), nodes, pods: HashMap::new(), listing: 0 })
    }

    async fn run(mut self) {
        loop {
            if let Err(error) = self.watch().await {
                tracing::debug!("the pods of the nodes could not be watched: {error}");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Lists the pods and watches them until the watch ends. What comes after is a list again, and not a watch from
    /// where this one ended: after a restore, resource versions that were seen are in the future, and an API server
    /// keeps silent until it gets there.
    async fn watch(&mut self) -> kube::Result<()> {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let bound = match self.nodes.keys().next() {
            Some(name) if self.nodes.len() == 1 => format!("spec.nodeName={name}"),
            _ => "spec.nodeName!=".to_owned(),
        };
        let listed = pods.list(&ListParams::default().fields(&bound)).await?;
        let version = listed.metadata.resource_version.clone().unwrap_or_default();
        self.listing += 1;
        let mut there = HashMap::new();
        for pod in listed {
            there.extend(pod.metadata.uid.clone().map(|uid| (uid, pod)));
        }
        self.pods.retain(|uid, _| there.contains_key(uid));
        for pod in there.into_values() {
            self.sees(pod);
        }
        let mut events = pods.watch(&WatchParams::default().fields(&bound), &version).await?.boxed();
        while let Some(event) = events.next().await {
            match event? {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => self.sees(pod),
                WatchEvent::Deleted(pod) => drop(pod.metadata.uid.and_then(|uid| self.pods.remove(&uid))),
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Error(error) => return Err(kube::Error::Api(error)),
            }
        }
        Ok(())
    }

    fn sees(&mut self, mut pod: Pod) {
        pod.metadata.managed_fields = None; // nobody here reads them, and they are half of a pod
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        let Some((node, kubernetes)) = node.and_then(|node| self.nodes.get(node)) else { return };
        let Some(uid) = pod.metadata.uid.clone() else { return };
        let seen = Seen { pod: Arc::new(pod), listing: self.listing };
        if let Some(kept) = self.pods.get(&uid) {
            kept.tell.send_replace(seen);
            return;
        }
        let (tell, told) = watch::channel(seen);
        let place = Place { host_ip: node.ip.clone(), pod_ip: address() };
        let keeper = Keeper::new(Arc::clone(&self.household), kubernetes.clone(), node.name.clone(), place, told);
        let task = AbortOnDropHandle::new(tokio::spawn(keeper.keep()));
        self.pods.insert(uid, Kept { tell, _task: task });
    }
}

/// An address that no other pod of this process has.
fn address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, high, middle, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("10.{}.{middle}.{low}", 100 + high)
}
