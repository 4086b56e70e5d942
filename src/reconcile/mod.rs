//! observe → plan → report, and nothing else. Nothing is decided here: `plan` decides. What is here is order: which
//! object is looked at when, and that one object's trouble stays its own.

pub mod credential;
mod guard;
pub mod metrics;
pub mod observe;
mod retry;
mod say;
pub mod tenant;
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

pub use self::{metrics::Metrics, observe::World};
use self::{retry::Retries, say::Speaker};
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
}

impl Error {
    const fn label(&self) -> &'static str {
        match self {
            Self::Cluster(_) => "cluster",
            Self::Panicked => "panicked",
        }
    }
}

/// What every look at an object of one kind needs.
pub struct Context {
    world: World,
    speaker: Speaker,
    metrics: Metrics,
    retries: Retries,
}

impl Context {
    /// For one kind of object.
    #[must_use]
    pub fn new(world: World, client: cluster::Client, instance: String, metrics: Metrics) -> Arc<Self> {
        let speaker = Speaker::new(client, instance);
        Arc::new(Self { world, speaker, metrics, retries: Retries::default() })
    }
}

/// How long to collect changes of one object before looking at it: a client often writes twice in a row.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// How many objects of one kind are looked at, at the same time.
const CONCURRENCY: u16 = 16;

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
