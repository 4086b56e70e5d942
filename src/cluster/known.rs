//! What is known of objects by the events of a watch, and what has changed with each event. A list that is being read counts
//! only as a whole, at its end: until then, what is missing in it may be about to come.

use std::{collections::HashMap, hash::Hash};

use kube::runtime::watcher::Event;

/// What matters of each object, as it was last seen.
pub(super) struct Known<Key, M> {
    objects: HashMap<Key, M>,
    /// The list that is being read.
    listed: HashMap<Key, M>,
}

/// An object of which something that matters has changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed<Key, M> {
    /// Which.
    pub key: Key,
    /// What mattered, if it was there.
    pub before: Option<M>,
    /// What matters, if it is there.
    pub now: Option<M>,
}

impl<Key, M> Default for Known<Key, M> {
    fn default() -> Self {
        Self { objects: HashMap::new(), listed: HashMap::new() }
    }
}

impl<Key: Eq + Hash + Clone, M: PartialEq + Clone> Known<Key, M> {
    /// What matters of all objects.
    pub(super) fn all(&self) -> impl Iterator<Item = &M> {
        self.objects.values()
    }

    /// The objects that, after this event, differ in what matters.
    pub(super) fn changed_by<K>(&mut self, event: &Event<K>, read: impl Fn(&K) -> (Key, M)) -> Vec<Changed<Key, M>> {
        match event {
            Event::Apply(object) => {
                let (key, now) = read(object);
                let before = self.objects.insert(key.clone(), now.clone());
                Changed::new(key, before, Some(now)).into_iter().collect()
            }
            Event::Delete(object) => {
                let (key, _) = read(object);
                let before = self.objects.remove(&key);
                Changed::new(key, before, None).into_iter().collect()
            }
            Event::Init => {
                self.listed.clear();
                vec![]
            }
            Event::InitApply(object) => {
                let (key, now) = read(object);
                self.listed.insert(key, now);
                vec![]
            }
            Event::InitDone => {
                let mut before = std::mem::replace(&mut self.objects, std::mem::take(&mut self.listed));
                let there = self.objects.iter();
                let there = there.map(|(key, now)| (key.clone(), before.remove(key), Some(now.clone())));
                let there: Vec<_> = there.collect();
                let gone = before.into_iter().map(|(key, before)| (key, Some(before), None));
                there.into_iter().chain(gone).filter_map(|(key, before, now)| Changed::new(key, before, now)).collect()
            }
        }
    }
}

impl<Key, M: PartialEq> Changed<Key, M> {
    pub(super) fn new(key: Key, before: Option<M>, now: Option<M>) -> Option<Self> {
        (before != now).then_some(Self { key, before, now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object: its name, and what matters.
    type Object = (&'static str, i64);

    #[derive(Default)]
    struct Story(Known<&'static str, i64>);

    impl Story {
        fn told(&mut self, event: &Event<Object>) -> Vec<String> {
            let shown = |one: Option<i64>| one.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let changed = self.0.changed_by(event, |object| *object);
            let mut told: Vec<_> = changed
                .into_iter()
                .map(|one| format!("{} {}>{}", one.key, shown(one.before), shown(one.now)))
                .collect();
            told.sort();
            told
        }

        fn relist(&mut self, objects: &[Object]) -> Vec<String> {
            assert!(self.told(&Event::Init).is_empty());
            for object in objects {
                assert!(self.told(&Event::InitApply(*object)).is_empty(), "told before the list is whole");
            }
            self.told(&Event::InitDone)
        }
    }

    #[test]
    fn only_what_matters_is_told() {
        let mut story = Story::default();
        assert_eq!(story.told(&Event::Apply(("a", 1))), ["a ->1"]);
        assert!(story.told(&Event::Apply(("a", 1))).is_empty());
        assert_eq!(story.told(&Event::Apply(("a", 2))), ["a 1>2"]);
        assert_eq!(story.told(&Event::Delete(("a", 2))), ["a 2>-"]);
        assert!(story.told(&Event::Delete(("a", 2))).is_empty());
        assert_eq!(story.told(&Event::Apply(("a", 2))), ["a ->2"], "re-created");
    }

    #[test]
    fn a_list_after_a_broken_watch_tells_what_changed_meanwhile_and_nothing_else() {
        let mut story = Story::default();
        let first = [("changed", 1), ("gone", 1), ("same", 1)];
        assert_eq!(story.relist(&first), ["changed ->1", "gone ->1", "same ->1"]);
        let second = [("changed", 2), ("new", 1), ("same", 1)];
        assert_eq!(story.relist(&second), ["changed 1>2", "gone 1>-", "new ->1"]);
        assert_eq!(story.0.all().count(), 3);
    }

    #[test]
    fn a_list_that_breaks_off_is_forgotten() {
        let mut story = Story::default();
        story.told(&Event::Init);
        story.told(&Event::InitApply(("half", 1)));
        assert_eq!(story.relist(&[("whole", 1)]), ["whole ->1"]);
    }
}
