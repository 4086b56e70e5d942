//! Following what is declared: a copy of each object in memory, and word of each one that has changed.
//!
//! kube's `Controller` would follow our own kinds by itself, but keep the copies of tenants to itself too, so that a
//! resource could be woken by one watch and read the tenant from the older copy of another. One watch a kind feeds one
//! copy here, and word is given only after the copy has the change.
//!
//! A watch that breaks off is not taken up where it was, but begun with a list: the etcd behind it may have been restored, and
//! versions that were seen are then in the future. An API server takes a watch from there, and shows nothing.

use std::{collections::HashMap, fmt::Debug, future::Future, pin::pin, sync::Arc};

use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

pub use super::known::Changed;

/// A copy of objects in memory.
#[derive(Clone)]
pub struct Followed<K: Resource<DynamicType = ()> + Clone + 'static> {
    /// The copy.
    pub store: Store<K>,
    lists: watch::Receiver<u64>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Followed<K> {
    /// Wait until everything has been read once. (The store's own way to wait wakes only one of several who wait.)
    pub async fn filled(&self) {
        // An error means that the watch has ended, which whoever runs it notices.
        if self.lists.clone().wait_for(|lists| *lists > 0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// How often everything has been read. With every list, time may have run backwards.
    #[must_use]
    pub fn lists(&self) -> u64 {
        *self.lists.borrow()
    }
}

/// Keep a copy of the objects that `config` selects, and give word of those of which what `matters` has changed, all that
/// changed at once, with the copy.
///
/// The future never ends; it must be polled for anything to happen.
pub fn follow<K, M>(
    api: Api<K>,
    config: watcher::Config,
    matters: fn(&K) -> M,
    changed: impl Fn(&Store<K>, Vec<Changed<ObjectRef<K>, M>>) + Send + 'static,
) -> (Followed<K>, impl Future<Output = ()> + Send)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    M: PartialEq + Send + 'static,
{
    let (store, mut writer) = reflector::store();
    let (listed, lists) = watch::channel(0);
    let copy = store.clone();
    let following = async move {
        let events = listing_anew(api, config).default_backoff().modify(lighten);
        each_event(events, &K::kind(&()), move |event| {
            changed(&copy, taken_in(&event, &copy, &mut writer, matters));
            if matches!(event, Event::InitDone) {
                listed.send_modify(|lists| *lists += 1);
            }
        })
        .await;
    };
    (Followed { store, lists }, following)
}

/// Bring the copy up to an event. Returns the objects that then differ in what matters; what mattered before, the copy knew.
fn taken_in<K, M>(
    event: &Event<K>,
    copy: &Store<K>,
    writer: &mut Writer<K>,
    matters: fn(&K) -> M,
) -> Vec<Changed<ObjectRef<K>, M>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    M: PartialEq,
{
    let concerned = || match event {
        Event::Apply(object) | Event::Delete(object) => copy.get(&ObjectRef::from_obj(object)).into_iter().collect(),
        Event::InitDone => copy.state(),
        // The copy takes a list only as a whole, at its end, so nothing is said before.
        Event::Init | Event::InitApply(_) => vec![],
    };
    let read = |object: Arc<K>| (ObjectRef::from_obj(&*object), matters(&object));
    let mut before: HashMap<_, _> = concerned().into_iter().map(read).collect();
    writer.apply_watcher_event(event);
    let mut changed: Vec<_> = concerned()
        .into_iter()
        .map(read)
        .filter_map(|(key, now)| {
            let before = before.remove(&key);
            Changed::new(key, before, Some(now))
        })
        .collect();
    changed.extend(before.into_iter().filter_map(|(key, before)| Changed::new(key, Some(before), None)));
    changed
}

/// A watch that begins with a list, after every error too.
pub(super) fn listing_anew<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    stream::unfold(None, move |watching| {
        let begun = || watcher(api.clone(), config.clone()).boxed();
        let mut watching = watching.unwrap_or_else(begun);
        async move {
            let event = watching.next().await?;
            let unbroken = event.is_ok().then_some(watching);
            Some((event, unbroken))
        }
    })
}

/// The larger half of an object is who wrote which of its fields, and nobody asks for that here.
fn lighten<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Do something with each event of a watch, which is started again whenever it breaks off.
pub(super) async fn each_event<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    kind: &str,
    mut with: impl FnMut(Event<K>),
) {
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => with(event),
            Err(error) => tracing::warn!(kind, %error, "a watch broke off; starting it again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    /// An object: its name, and what matters of it.
    fn object((name, generation): (&str, i64)) -> ConfigMap {
        let mut object = ConfigMap::default();
        (object.metadata.name, object.metadata.generation) = (Some(name.to_owned()), Some(generation));
        object
    }

    struct Story(Store<ConfigMap>, Writer<ConfigMap>);

    impl Story {
        fn begin() -> Self {
            let (copy, writer) = reflector::store();
            Self(copy, writer)
        }

        fn told(&mut self, event: &Event<ConfigMap>) -> Vec<String> {
            let shown = |one: Option<i64>| one.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let changed = taken_in(event, &self.0, &mut self.1, |one| one.metadata.generation.unwrap_or_default());
            let told =
                changed.into_iter().map(|one| format!("{} {}>{}", one.key.name, shown(one.before), shown(one.now)));
            let mut told: Vec<_> = told.collect();
            told.sort();
            told
        }

        fn relist(&mut self, objects: &[(&str, i64)]) -> Vec<String> {
            assert!(self.told(&Event::Init).is_empty());
            for one in objects {
                assert!(self.told(&Event::InitApply(object(*one))).is_empty(), "told before the list is whole");
            }
            self.told(&Event::InitDone)
        }
    }

    #[test]
    fn only_what_matters_is_told() {
        let mut story = Story::begin();
        assert_eq!(story.told(&Event::Apply(object(("a", 1)))), ["a ->1"]);
        assert!(story.told(&Event::Apply(object(("a", 1)))).is_empty());
        assert_eq!(story.told(&Event::Apply(object(("a", 2)))), ["a 1>2"]);
        assert_eq!(story.told(&Event::Delete(object(("a", 2)))), ["a 2>-"]);
        assert!(story.told(&Event::Delete(object(("a", 2)))).is_empty());
        assert_eq!(story.told(&Event::Apply(object(("a", 2)))), ["a ->2"], "re-created");
    }

    #[test]
    fn a_list_after_a_broken_watch_tells_what_changed_meanwhile_and_nothing_else() {
        let mut story = Story::begin();
        let first = [("changed", 1), ("gone", 1), ("same", 1)];
        assert_eq!(story.relist(&first), ["changed ->1", "gone ->1", "same ->1"]);
        let second = [("changed", 2), ("new", 1), ("same", 1)];
        assert_eq!(story.relist(&second), ["changed 1>2", "gone 1>-", "new ->1"]);
    }
}
