//! observe → plan → report, and nothing else. Nothing is decided here: `plan` decides. What is here is order: which
//! object is looked at when, and that one object's trouble stays its own.

mod act;
pub mod connections;
pub mod credential;
pub mod departed;
pub mod drift;
mod engine;
pub mod farewell;
mod guard;
pub mod hands;
pub mod inflight;
pub mod metrics;
pub mod observe;
mod project;
mod retry;
mod say;
pub mod tenant;
mod turns;
pub mod wake;

use std::{convert::Infallible, fmt::Debug, future::Future, sync::Arc, time::Duration};

use futures::{FutureExt, Stream, StreamExt};
use kube::{
    Resource,
    runtime::{
        Config, applier,
        controller::Action,
        reflector::{ObjectRef, Store},
    },
};
use tokio_util::sync::CancellationToken;

use self::{drift::Drift, hands::Hands, inflight::Inflight, retry::Retries, say::Speaker, wake::Resources};
pub use self::{metrics::Metrics, observe::World};
use crate::cluster;

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
    speaker: Speaker,
    metrics: Metrics,
    retries: Retries,
    stop: CancellationToken,
}

impl Context {
    /// For all kinds of objects.
    #[must_use]
    pub fn new(
        world: World,
        hands: Hands,
        woken: Arc<Vec<Resources>>,
        instance: String,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (speaker, metrics) = (Speaker::new(hands.client.clone(), instance), hands.metrics.clone());
        let (inflight, drift, retries) = (Inflight::default(), Drift::default(), Retries::default());
        Arc::new(Self { world, hands, inflight, drift, woken, speaker, metrics, retries, stop })
    }
}

/// How long to collect changes of one object before looking at it: a client often writes twice in a row.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// How many objects of one kind are looked at, at the same time.
const CONCURRENCY: u16 = 64;

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
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    applier(
        move |object, context| guard::guarded(object, context, look).boxed(),
        guard::try_again,
        context,
        store,
        queue.map(Ok::<_, Infallible>).take_until(stop.cancelled_owned()),
        Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY),
    )
    // Failures were logged by the guard; an object that is gone since it was named needs no look.
    .for_each(|_| std::future::ready(()))
}
