//! When each resource was told to be where it should be, as anybody sees it who watches.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use kube::{
    Api,
    api::DynamicObject,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;

/// The times.
pub struct Published {
    begun: Instant,
    times: watch::Receiver<HashMap<String, Duration>>,
    _watch: AbortOnDropHandle<()>,
}

impl Published {
    /// Watch these, with the clock at zero, until the credential of this number is published.
    pub fn from_now_on(resources: Api<DynamicObject>, sequence: i64) -> Self {
        Self::since(Instant::now(), resources, sequence)
    }

    /// The same, with the clock at zero at another time.
    pub fn since(begun: Instant, resources: Api<DynamicObject>, sequence: i64) -> Self {
        let (told, times) = watch::channel(HashMap::new());
        let watching = tokio::spawn(async move {
            let mut changes = watcher(resources, watcher::Config::default()).applied_objects().boxed();
            loop {
                // An error is told, and the watch begun again.
                let Ok(Some(object)) = changes.try_next().await else { continue };
                if is_published(&object, sequence) {
                    let name = object.metadata.name.unwrap_or_default();
                    told.send_if_modified(|times: &mut HashMap<String, Duration>| {
                        let before = times.len();
                        times.entry(name).or_insert_with(|| begun.elapsed());
                        times.len() > before
                    });
                }
            }
        });
        Self { begun, times, _watch: AbortOnDropHandle::new(watching) }
    }

    /// Wait until so many are; the answer is after how long each was, the earliest first.
    pub async fn all(&self, count: usize, timeout: Duration) -> anyhow::Result<Vec<Duration>> {
        let mut times = self.times.clone();
        let waited = tokio::time::timeout(timeout, times.wait_for(|times| times.len() >= count)).await;
        let so_far = self.times.borrow().len();
        let late = || format!("{so_far} of {count} are published after {:?}", self.begun.elapsed());
        let mut all: Vec<Duration> = waited.with_context(late)??.values().copied().collect();
        all.sort_unstable();
        Ok(all)
    }
}

fn is_published(object: &DynamicObject, sequence: i64) -> bool {
    let current = object.data.pointer("/status/current/sequence").and_then(serde_json::Value::as_i64);
    let conditions = object.data.pointer("/status/conditions").and_then(|all| all.as_array());
    let mut ready = conditions.into_iter().flatten().filter(|one| one["type"] == "Ready");
    current == Some(sequence) && ready.any(|one| one["status"] == "True" && one["reason"] == "Published")
}
