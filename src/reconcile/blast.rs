//! What the resources of a tenant share: the slots of its rotations, and the failures in a row by which it pauses itself.
//! What counts as a failure, and what a pause stops, is `plan`'s to say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::facts::Braked;

/// A resource: namespace and name.
pub type Key = (String, String);

/// What the resources of all tenants share.
#[derive(Debug, Default)]
pub struct Blast(Mutex<HashMap<String, Tenant>>);

#[derive(Debug, Default)]
struct Tenant {
    under_way: BTreeSet<Key>,
    waiting: BTreeSet<Key>,
    failing: BTreeMap<Key, Timestamp>,
    last_success: Option<Timestamp>,
}

impl Blast {
    /// Take a slot of a tenant, if fewer than `most` are taken. Whoever gets none is named when one gets free.
    pub fn take(&self, tenant: &str, key: &Key, most: usize) -> bool {
        let mut tenants = self.lock();
        let tenant = tenants.entry(tenant.to_owned()).or_default();
        if tenant.under_way.contains(key) || tenant.under_way.len() < most {
            tenant.under_way.insert(key.clone());
            tenant.waiting.remove(key);
            return true;
        }
        tenant.waiting.insert(key.clone());
        false
    }

    /// Give a slot back. Returns who is to be looked at, since there is one for them.
    pub fn give_back(&self, tenant: &str, key: &Key) -> Option<Key> {
        let mut tenants = self.lock();
        let tenant = tenants.get_mut(tenant)?;
        tenant.waiting.remove(key);
        if tenant.under_way.remove(key) { tenant.waiting.pop_first() } else { None }
    }

    /// Note how a resource fared. A success ends the row of all failures before it.
    pub fn fared(&self, tenant: &str, key: &Key, (failed, succeeded): (Option<Timestamp>, Option<Timestamp>)) {
        let mut tenants = self.lock();
        let tenant = tenants.entry(tenant.to_owned()).or_default();
        tenant.last_success = tenant.last_success.max(succeeded);
        match failed.filter(|failed| Some(*failed) > succeeded) {
            Some(failed) => tenant.failing.insert(key.clone(), failed),
            None => tenant.failing.remove(key),
        };
    }

    /// Whether as many as `most` resources in a row have failed since the tenant was last resumed.
    pub fn braked(&self, tenant: &str, resumed: Option<Timestamp>, most: usize) -> Option<Braked> {
        let tenants = self.lock();
        let tenant = tenants.get(tenant)?;
        let ended = resumed.max(tenant.last_success);
        let failing = tenant.failing.values().filter(|failed| Some(**failed) > ended);
        let failures = failing.clone().count();
        let since = failing.max().filter(|_| failures >= most)?;
        Some(Braked { since: *since, failures })
    }

    /// Forget a resource that is no more. Returns who is to be looked at, since there is a slot for them.
    pub fn forget(&self, key: &Key) -> Vec<Key> {
        let mut tenants = self.lock();
        let mut next = Vec::new();
        for tenant in tenants.values_mut() {
            tenant.failing.remove(key);
            tenant.waiting.remove(key);
            if tenant.under_way.remove(key) {
                next.extend(tenant.waiting.pop_first());
            }
        }
        next
    }

    /// A panic elsewhere cannot leave a set half-written.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Tenant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("payments".to_owned(), name.to_owned())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn who_gets_no_slot_is_named_when_one_gets_free() {
        let blast = Blast::default();
        assert!(blast.take("t", &key("a"), 1) && blast.take("t", &key("a"), 1), "a slot is taken once");
        assert!(!blast.take("t", &key("b"), 1));
        assert!(blast.take("other", &key("b"), 1), "each tenant has its own");
        assert_eq!(blast.give_back("t", &key("b")), None, "who has none gives none back");
        assert!(!blast.take("t", &key("b"), 1));
        assert_eq!(blast.give_back("t", &key("a")), Some(key("b")));
        assert!(blast.take("t", &key("b"), 1));
        assert!(!blast.take("t", &key("c"), 1));
        assert_eq!(blast.forget(&key("b")), [key("c")]);
    }

    #[test]
    fn failures_in_a_row_brake_and_a_success_or_a_person_ends_the_row_for_good() {
        let blast = Blast::default();
        let failed = |name, second| blast.fared("t", &key(name), (Some(at(second)), None));
        failed("a", 1);
        failed("a", 2);
        assert_eq!(blast.braked("t", None, 2), None, "one resource is no row");
        failed("b", 3);
        assert_eq!(blast.braked("t", None, 2), Some(Braked { since: at(3), failures: 2 }));
        assert_eq!(blast.braked("t", Some(at(3)), 2), None, "resumed");
        assert!(blast.braked("t", Some(at(1)), 2).is_some(), "resumed before that");
        blast.fared("t", &key("c"), (None, Some(at(2))));
        assert_eq!(blast.braked("t", None, 2), None);
        failed("a", 2);
        assert_eq!(blast.braked("t", None, 2), None, "looked at again, it has failed no later than before");
        failed("a", 4);
        assert!(blast.braked("t", None, 2).is_some());
    }
}
