//! Following what is declared: a copy of each object in memory, and word of each one that has changed.
//!
//! kube's `Controller` would follow our own kinds by itself, but keep the copies of tenants to itself too, so that a
//! resource could be woken by one watch and read the tenant from the older copy of another. One watch a kind feeds one
//! copy here, and word is given only after the copy has the change.

use std::{collections::HashMap, fmt::Debug, future::Future, pin::pin};

use futures::StreamExt;
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

/// A copy of objects in memory.
#[derive(Clone)]
pub struct Followed<K: Resource<DynamicType = ()> + Clone + 'static> {
    /// The copy.
    pub store: Store<K>,
    filled: watch::Receiver<bool>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Followed<K> {
    /// Wait until everything has been read once. (The store's own way to wait wakes only one of several who wait.)
    pub async fn filled(&self) {
        // An error means that the watch has ended, which whoever runs it notices.
        if self.filled.clone().wait_for(|filled| *filled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Keep a copy of the objects that `config` selects, and give word of each when what `matters` of it has changed, with what
/// matters now, or mattered last of one that is gone.
///
/// The future never ends; it must be polled for anything to happen.
pub fn follow<K, M>(
    api: Api<K>,
    config: watcher::Config,
    matters: fn(&K) -> M,
    changed: impl Fn(ObjectRef<K>, M) + Send + 'static,
) -> (Followed<K>, impl Future<Output = ()> + Send)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    M: PartialEq + Clone + Send + 'static,
{
    let (store, writer) = reflector::store();
    let (fill, filled) = watch::channel(false);
    let following = async move {
        let mut events = pin!(watcher(api, config).default_backoff().reflect(writer));
        let mut known = Known { matters, objects: HashMap::new(), listed: HashMap::new() };
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    known.changed_by(&event).into_iter().for_each(|(object, matters)| changed(object, matters));
                    if matches!(event, Event::InitDone) {
                        fill.send_replace(true);
                    }
                }
                Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "a watch broke off; starting it again"),
            }
        }
    };
    (Followed { store, filled }, following)
}

/// What mattered of each object when it was last seen.
struct Known<K: Resource<DynamicType = ()>, M> {
    matters: fn(&K) -> M,
    objects: HashMap<ObjectRef<K>, M>,
    /// The list that is being read. The copy takes it only as a whole, at its end, so nothing is said before.
    listed: HashMap<ObjectRef<K>, M>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static, M: PartialEq + Clone> Known<K, M> {
    /// The objects that, after this event, differ in what matters.
    fn changed_by(&mut self, event: &Event<K>) -> Vec<(ObjectRef<K>, M)> {
        match event {
            Event::Apply(object) => {
                let (key, now) = (ObjectRef::from_obj(object), (self.matters)(object));
                let before = self.objects.insert(key.clone(), now.clone());
                if before.as_ref() == Some(&now) { vec![] } else { vec![(key, now)] }
            }
            Event::Delete(object) => {
                let key = ObjectRef::from_obj(object);
                self.objects.remove(&key).map(|last| (key, last)).into_iter().collect()
            }
            Event::Init => {
                self.listed.clear();
                vec![]
            }
            Event::InitApply(object) => {
                self.listed.insert(ObjectRef::from_obj(object), (self.matters)(object));
                vec![]
            }
            Event::InitDone => {
                let mut before = std::mem::replace(&mut self.objects, std::mem::take(&mut self.listed));
                let mut changed = Vec::new();
                for (key, now) in &self.objects {
                    if before.remove(key).as_ref() != Some(now) {
                        changed.push((key.clone(), now.clone()));
                    }
                }
                changed.extend(before); // gone while nobody watched
                changed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str, generation: i64) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.into());
        object.metadata.generation = Some(generation);
        object
    }

    struct Story(Known<ConfigMap, Option<i64>>);

    impl Story {
        fn begin() -> Self {
            Self(Known { matters: |one| one.metadata.generation, objects: HashMap::new(), listed: HashMap::new() })
        }

        fn told(&mut self, event: &Event<ConfigMap>) -> Vec<String> {
            let mut names: Vec<_> = self.0.changed_by(event).into_iter().map(|(key, _)| key.name).collect();
            names.sort();
            names
        }

        fn relist(&mut self, objects: &[ConfigMap]) -> Vec<String> {
            assert!(self.told(&Event::Init).is_empty());
            for object in objects {
                assert!(self.told(&Event::InitApply(object.clone())).is_empty(), "told before the copy has it");
            }
            self.told(&Event::InitDone)
        }
    }

    #[test]
    fn only_what_matters_is_told() {
        let mut story = Story::begin();
        assert_eq!(story.told(&Event::Apply(object("a", 1))), ["a"]);
        assert!(story.told(&Event::Apply(object("a", 1))).is_empty());
        assert_eq!(story.told(&Event::Apply(object("a", 2))), ["a"]);
        assert_eq!(story.told(&Event::Delete(object("a", 2))), ["a"]);
        assert_eq!(story.told(&Event::Apply(object("a", 2))), ["a"], "re-created");
    }

    #[test]
    fn a_list_after_a_broken_watch_tells_what_changed_meanwhile_and_nothing_else() {
        let mut story = Story::begin();
        let first = [object("changed", 1), object("gone", 1), object("same", 1)];
        assert_eq!(story.relist(&first), ["changed", "gone", "same"]);
        assert_eq!(
            story.relist(&[object("changed", 2), object("new", 1), object("same", 1)]),
            ["changed", "gone", "new"]
        );
    }

    #[test]
    fn a_list_that_breaks_off_is_forgotten() {
        let mut story = Story::begin();
        story.told(&Event::Init);
        story.told(&Event::InitApply(object("half", 1)));
        assert_eq!(story.relist(&[object("whole", 1)]), ["whole"]);
    }
}
