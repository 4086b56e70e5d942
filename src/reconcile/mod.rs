//! observe → plan → report, and nothing else. Nothing is decided here: `plan` decides. What is here is order: which
//! object is looked at when, and that one object's trouble stays its own.

mod act;
mod adopt;
mod attending;
mod blast;
mod certificates;
pub mod connections;
mod consumers;
pub mod credential;
pub mod departed;
pub mod drift;
mod engine;
pub mod farewell;
mod federation;
mod guard;
pub mod hands;
pub mod index;
pub mod inflight;
pub mod memory;
mod metrics;
pub mod observe;
mod parting;
mod project;
mod retry;
pub mod said;
mod say;
mod shares;
mod targets;
pub mod tenant;
mod turns;
mod waiting;
pub mod wake;

use std::{
    convert::Infallible,
    fmt::Debug,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, Stream, StreamExt};
use jiff::Timestamp;
use kube::{
    Resource, ResourceExt,
    runtime::{
        Config, applier, controller,
        reflector::{ObjectRef, Store},
    },
};
use tokio_util::sync::CancellationToken;

use self::{
    drift::Drift,
    hands::Hands,
    inflight::{Inflight, Whose},
    observe::Labelled,
    retry::Retries,
    say::Speaker,
    shares::Shares,
    wake::{Queue, Resources},
};
pub use self::{metrics::Metrics, observe::World};
use crate::{
    api::{Declared, EntraAppCredential, EntraTenant, GROUP},
    cluster,
    facts::{Braked, Observation, SeenBy},
    plan::{self, Decision, Next},
};

/// Why one look at an object failed. The names are the metric's labels.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster could not be written to.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Our own code gave up. The place is in the log.
    #[error("looking at this object ended in a panic, which is a mistake in Keywright: please report it with the log")]
    Panicked,
    /// The plan never came to rest.
    #[error(
        "the plan for this object wants ever more steps, which is a mistake in Keywright: please report it with the log"
    )]
    Restless,
}

impl Error {
    const fn label(&self) -> &'static str {
        match self {
            Self::Cluster(_) => "cluster",
            Self::Panicked => "panicked",
            Self::Restless => "restless",
        }
    }
}

/// What every look at an object needs.
pub struct Context {
    world: World,
    hands: Hands,
    inflight: Inflight,
    drift: Drift,
    woken: Arc<Vec<Resources>>,
    tenants: Queue<Declared<EntraTenant>>,
    farewells: Vec<Queue<Labelled>>,
    speaker: Speaker,
    metrics: Metrics,
    retries: Retries,
    shares: Shares,
    stop: CancellationToken,
}

impl Context {
    /// For all kinds of objects.
    #[must_use]
    pub fn new(
        world: World,
        hands: Hands,
        woken: Arc<Vec<Resources>>,
        (tenants, farewells): (Queue<Declared<EntraTenant>>, Vec<Queue<Labelled>>),
        instance: String,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (speaker, metrics) = (Speaker::new(hands.client.clone(), instance), hands.metrics.clone());
        let (inflight, drift) = (Inflight::default(), Drift::default());
        let to_wake = Arc::clone(&woken);
        let shares = Shares::new(move |(namespace, name)| wake::wake(&to_wake, namespace, name));
        let retries = Retries::default();
        Arc::new(Self {
            world,
            hands,
            inflight,
            drift,
            woken,
            tenants,
            farewells,
            speaker,
            metrics,
            retries,
            shares,
            stop,
        })
    }
}

impl Context {
    /// Whether a tenant has paused itself.
    fn braked(&self, name: &str) -> Option<Braked> {
        let tenant = self.world.tenants.store.get(&ObjectRef::new(name))?;
        let resumed = tenant.annotations().get(&format!("{GROUP}/resume")).and_then(|time| time.trim().parse().ok());
        let most = plan::blast::most_failures(tenant.spec.as_ref().ok()?);
        self.hands.blast.braked(name, resumed, most)
    }

    /// Let go of what a look has not asked for any more.
    fn let_go(&self, seen: &Observation) {
        let asked = seen.mine.watching || seen.consumers.as_ref().is_some_and(|one| one.seen == SeenBy::Watch);
        if !asked {
            let key = (seen.resource.namespace().unwrap_or_default(), seen.resource.name_any());
            self.hands.attending.let_go(&key);
        }
    }

    /// Bring what the resources of a tenant share up to what has become of one of them.
    fn share(&self, seen: &mut Observation, decision: &Decision, now: Timestamp) {
        let Ok(spec) = &seen.resource.spec else { return };
        let tenant = spec.tenant_ref.name.to_string();
        let key = (seen.resource.namespace().unwrap_or_default(), seen.resource.name_any());
        if !plan::blast::needs_its_slot(seen) {
            self.wake(self.hands.blast.give_back(&tenant, &key));
            seen.mine.slot = None;
        }
        // Who got none asks again when it is looked at again.
        seen.mine.slot = seen.mine.slot.filter(|taken| *taken);
        let waits = match &decision.next {
            Next::Wait(waits) => waits.as_slice(),
            Next::Do(_) => &[],
        };
        let before = self.braked(&tenant);
        plan::blast::note_a_stall(&mut seen.mine, waits, now);
        self.hands.blast.fared(&tenant, &key, plan::blast::fared(seen));
        if before.is_some() != self.braked(&tenant).is_some() {
            self.tenants.push(ObjectRef::new(&tenant));
        }
    }

    /// Have resources looked at.
    fn wake(&self, keys: impl IntoIterator<Item = blast::Key>) {
        keys.into_iter().for_each(|(namespace, name)| wake::wake(&self.woken, &namespace, &name));
    }
}

impl Context {
    /// Whether a resource is there, as far as the copies show.
    fn has(&self, resource: &ObjectRef<Declared<EntraAppCredential>>) -> bool {
        self.woken.iter().any(|resources| resources.store.get(resource).is_some())
    }

    /// Under what a resource is remembered, if it is there.
    fn whose(&self, resource: &ObjectRef<Declared<EntraAppCredential>>) -> Option<Whose> {
        let there = self.woken.iter().find_map(|resources| resources.store.get(resource))?;
        Some(Whose::of(&there))
    }

    /// Records of an application that a resource was about before are nothing that it is planned with; they are looked at
    /// by themselves.
    fn look_at_what_is_another_applications(&self, seen: &Observation) {
        let (namespace, spec) = (seen.resource.metadata.namespace.as_deref().unwrap_or_default(), &seen.resource.spec);
        let Ok(spec) = spec else { return };
        for record in seen.records.list.iter().filter(|record| record.entry.client_id != spec.client_id) {
            let secret = ObjectRef::new(&record.entry.name()).within(namespace);
            self.farewells.iter().for_each(|queue| queue.push(secret.clone()));
        }
    }

    /// Forget the ways into tenants that no tenant describes any more.
    fn forget_old_ways(&self) {
        let tenants = self.world.tenants.store.state();
        self.hands.connections.keep_only(tenants.iter().filter_map(|tenant| tenant.spec.as_deref().ok()));
    }
}

/// How long to collect changes of one object before looking at it: a client often writes twice in a row.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// When an object is to be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// When something changes.
    OnChange,
    /// After this, if nothing changes before.
    After(Duration),
    /// It was not looked at, since nobody was free to: it waits on, and is tried again after this at the latest.
    NotYet(Duration),
}

impl Again {
    fn after(time: Option<Duration>) -> Self {
        time.map_or(Self::OnChange, Self::After)
    }
}

/// Look at each object of `store` that `queue` names. Ends when `stop` is cancelled and what was begun has ended.
pub fn look_at_each<K, F>(
    store: Store<K>,
    queue: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    look: fn(Arc<K>, Arc<Context>) -> F,
    context: Arc<Context>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    F: Future<Output = Result<Again, Error>> + Send + 'static,
{
    let waiting = context.metrics.queue(&K::kind(&()));
    let (named, looked_at, failed, gone) = (waiting.clone(), waiting.clone(), waiting.clone(), waiting);
    let queue = queue.inspect(move |object| {
        named.due((object.namespace.clone().unwrap_or_default(), object.name.clone()), Instant::now() + DEBOUNCE);
    });
    applier(
        move |object, context| guard::guarded(object, context, look, looked_at.clone()).boxed(),
        move |object, _, context| guard::try_again(&*object, &context, &failed),
        context,
        store,
        queue.map(Ok::<_, Infallible>).take_until(stop.cancelled_owned()),
        Config::default().debounce(DEBOUNCE).concurrency(shares::ALL),
    )
    // Failures were logged by the guard; an object that is gone since it was named needs no look.
    .for_each(move |ended| {
        if let Err(controller::Error::ObjectNotFound(object)) = ended {
            gone.no_more(&(object.namespace.clone().unwrap_or_default(), object.name));
        }
        std::future::ready(())
    })
}
