//! Objects by what they are looked for: a copy of a thousand objects is not to be searched through at every look at one
//! of them. It holds names only; what an object is now, the copy knows.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{Resource, runtime::reflector::ObjectRef};

/// The names of objects, by key. Clones are the same index.
pub struct Index<O, K>(Arc<Mutex<Names<K>>>, PhantomData<fn() -> O>);

/// Lists of exactly what is in them: most have one, and sets would have room for eleven.
struct Names<K> {
    by_key: HashMap<K, Box<[Name]>>,
    keys: HashMap<Name, Box<[K]>>,
}

/// Namespace and name.
type Name = (String, String);

impl<O, K> Clone for Index<O, K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<O, K> Default for Index<O, K> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Names { by_key: HashMap::new(), keys: HashMap::new() })), PhantomData)
    }
}

impl<O: Resource<DynamicType = ()>, K: Hash + Ord + Clone> Index<O, K> {
    /// An object is found under these keys from now on, and under no others; one that is gone, under none. Returns the keys
    /// that it has come to, or left.
    #[must_use]
    pub fn put(&self, object: &ObjectRef<O>, keys: BTreeSet<K>) -> Vec<K> {
        let mut names = self.lock();
        let name = (object.namespace.clone().unwrap_or_default(), object.name.clone());
        let before = names.keys.remove(&name).unwrap_or_default();
        let left = before.iter().filter(|key| !keys.contains(key)).cloned();
        let come_to = keys.iter().filter(|key| !before.contains(key)).cloned();
        let (left, come_to): (Vec<K>, Vec<K>) = (left.collect(), come_to.collect());
        for key in &left {
            names.change(key, |found| found.retain(|other| *other != name));
        }
        for key in &come_to {
            names.change(key, |found| found.push(name.clone()));
        }
        if !keys.is_empty() {
            names.keys.insert(name, keys.into_iter().collect());
        }
        [left, come_to].concat()
    }

    /// The objects under a key, sorted by their names.
    #[must_use]
    pub fn of(&self, key: &K) -> Vec<ObjectRef<O>> {
        let names = self.lock();
        let found = names.by_key.get(key).into_iter().flatten();
        found.map(|(namespace, name)| ObjectRef::new(name).within(namespace)).collect()
    }

    /// A panic elsewhere cannot leave the maps half-written.
    fn lock(&self) -> MutexGuard<'_, Names<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone> Names<K> {
    fn change(&mut self, key: &K, change: impl FnOnce(&mut Vec<Name>)) {
        let mut found = self.by_key.remove(key).unwrap_or_default().into_vec();
        change(&mut found);
        found.sort_unstable();
        if !found.is_empty() {
            self.by_key.insert(key.clone(), found.into_boxed_slice());
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;

    use super::*;

    fn names(index: &Index<Secret, u8>, key: u8) -> Vec<String> {
        index.of(&key).into_iter().map(|object| object.name).collect()
    }

    #[test]
    fn an_object_is_found_under_its_last_keys_only() {
        let index = Index::<Secret, u8>::default();
        let put =
            |name: &str, keys: &[u8]| index.put(&ObjectRef::new(name).within("here"), keys.iter().copied().collect());
        assert_eq!((put("b", &[1, 2]), put("a", &[1])), (vec![1, 2], vec![1]));
        assert_eq!((names(&index, 1), names(&index, 2)), (vec!["a".into(), "b".into()], vec!["b".into()]));
        assert_eq!(put("b", &[2, 3]), [1, 3], "left one, and come to one");
        assert_eq!((names(&index, 1), names(&index, 3)), (vec!["a".into()], vec!["b".into()]));
        assert_eq!((put("a", &[]), put("b", &[])), (vec![1], vec![2, 3]));
        assert!([1, 2, 3].into_iter().all(|key| names(&index, key).is_empty()));
        assert!(index.lock().by_key.is_empty() && index.lock().keys.is_empty(), "nothing is left of what is gone");
    }
}
