//! What a node knows of Secrets and `ConfigMap`s: all its pods read through it, and what was read once is served for
//! a while, as kubelets do. So a pod that starts just after a change may still get the old value. It is asked for one
//! object at a time, and never watches.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};

/// The two kinds of objects that containers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Secret,
    ConfigMap,
}

/// Where entries come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The keys and values of a Secret or a `ConfigMap`.
pub(crate) type Entries = BTreeMap<String, Bytes>;

/// What was found of the objects that somebody needs; what does not exist is absent.
pub(crate) type Found = BTreeMap<Source, Arc<Entries>>;

/// What one node knows; clones know the same.
#[derive(Clone)]
pub(crate) struct Cache {
    client: Client,
    lag: Duration,
    shelves: Arc<Mutex<HashMap<Source, Arc<tokio::sync::Mutex<Shelf>>>>>,
}

/// What is known of one object.
#[derive(Default)]
struct Shelf(Option<Kept>);

struct Kept {
    entries: Arc<Entries>,
    read: Timestamp,
}

impl Cache {
    pub(crate) fn new(client: Client, lag: Duration) -> Self {
        Self { client, lag, shelves: Arc::default() }
    }

    /// All of these that exist, as far as this node knows.
    pub(crate) async fn read(&self, sources: impl IntoIterator<Item = Source>) -> kube::Result<Found> {
        let mut found = Found::new();
        for source in sources {
            if let Some(entries) = self.look_up(&source).await? {
                found.insert(source, entries);
            }
        }
        Ok(found)
    }

    /// Those who want the same object at once wait for one answer.
    async fn look_up(&self, wanted: &Source) -> kube::Result<Option<Arc<Entries>>> {
        let place = {
            let mut all = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(wanted.clone()).or_default())
        };
        let mut known = place.lock().await;
        if let Some(entries) = known.serves(Timestamp::now(), self.lag) {
            return Ok(Some(entries));
        }
        match self.ask(wanted).await {
            Ok(answer) => Ok(known.keep(answer, Timestamp::now())),
            Err(error) => known.in_spite_of(error),
        }
    }

    async fn ask(&self, Source { kind, namespace, name }: &Source) -> kube::Result<Option<Entries>> {
        match kind {
            Kind::Secret => {
                let secret = Api::<Secret>::namespaced(self.client.clone(), namespace).get_opt(name).await?;
                Ok(secret.map(|secret| binary(secret.data).collect()))
            }
            Kind::ConfigMap => {
                let map = Api::<ConfigMap>::namespaced(self.client.clone(), namespace).get_opt(name).await?;
                let text = |data: Option<BTreeMap<String, String>>| data.into_iter().flatten();
                let text = |data| text(data).map(|(key, value)| (key, value.into()));
                Ok(map.map(|map| text(map.data).chain(binary(map.binary_data)).collect()))
            }
        }
    }
}

fn binary(data: Option<BTreeMap<String, ByteString>>) -> impl Iterator<Item = (String, Bytes)> {
    data.into_iter().flatten().map(|(key, value)| (key, value.0.into()))
}

impl Shelf {
    /// What is served without asking again.
    fn serves(&self, now: Timestamp, lag: Duration) -> Option<Arc<Entries>> {
        let fresh = self.0.as_ref().filter(|kept| now.duration_since(kept.read).unsigned_abs() < lag);
        fresh.map(|kept| Arc::clone(&kept.entries))
    }

    /// An answer. Absence is not kept, or what was missing would heal late; and what has not changed stays the same
    /// allocation, so that readers see at a glance that there is nothing to do.
    fn keep(&mut self, answer: Option<Entries>, now: Timestamp) -> Option<Arc<Entries>> {
        let before = self.0.take().map(|kept| kept.entries);
        let entries = match (answer, before) {
            (Some(answer), Some(before)) if *before == answer => before,
            (Some(answer), _) => Arc::new(answer),
            (None, _) => return None,
        };
        self.0 = Some(Kept { entries: Arc::clone(&entries), read: now });
        Some(entries)
    }

    /// While the API server does not answer, what is known is served, however old.
    fn in_spite_of(&self, error: kube::Error) -> kube::Result<Option<Arc<Entries>>> {
        self.0.as_ref().map(|kept| Some(Arc::clone(&kept.entries))).ok_or(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entries(value: &'static str) -> Entries {
        Entries::from([("key".to_owned(), Bytes::from(value))])
    }

    #[test]
    fn what_was_read_is_served_until_it_is_too_old() {
        let (mut shelf, lag) = (Shelf::default(), Duration::from_secs(10));
        assert!(shelf.serves(at(100), lag).is_none());
        shelf.keep(Some(entries("old")), at(100));
        assert_eq!(*shelf.serves(at(109), lag).unwrap(), entries("old"));
        assert!(shelf.serves(at(110), lag).is_none());
        assert!(shelf.serves(at(100), Duration::ZERO).is_none());
    }

    #[test]
    fn what_has_not_changed_stays_the_same_allocation() {
        let mut shelf = Shelf::default();
        let first = shelf.keep(Some(entries("old")), at(100)).unwrap();
        assert!(Arc::ptr_eq(&first, &shelf.keep(Some(entries("old")), at(101)).unwrap()));
        assert!(!Arc::ptr_eq(&first, &shelf.keep(Some(entries("new")), at(102)).unwrap()));
    }

    #[test]
    fn absence_is_not_kept() {
        let (mut shelf, lag) = (Shelf::default(), Duration::from_secs(10));
        shelf.keep(Some(entries("old")), at(100));
        assert!(shelf.keep(None, at(101)).is_none());
        assert!(shelf.serves(at(101), lag).is_none());
    }

    #[test]
    fn what_is_known_is_served_while_nobody_answers() {
        let mut shelf = Shelf::default();
        assert!(shelf.in_spite_of(kube::Error::LinesCodecMaxLineLengthExceeded).is_err());
        shelf.keep(Some(entries("old")), at(100));
        let served = shelf.in_spite_of(kube::Error::LinesCodecMaxLineLengthExceeded).unwrap();
        assert_eq!(*served.unwrap(), entries("old"));
    }
}
