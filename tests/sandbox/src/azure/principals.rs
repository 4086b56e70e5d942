//! The service principals of a tenant, and what its replicas know of them: that one was created, what it may do, that it
//! is gone (AZURE 3: for minutes). Pure: time and chance are arguments. What follows from one is decided elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::applications::Principal;
use super::dice::Dice;
use super::replicas::{Lag, Replicated};

/// What a replica knows of a service principal: nothing once it was deleted.
type State = Option<Arc<Principal>>;

/// The service principals, by their object IDs.
#[derive(Debug)]
pub(crate) struct Principals {
    replicas: usize,
    entries: BTreeMap<Uuid, Entry>,
}

#[derive(Debug)]
struct Entry {
    client_id: Uuid,
    truth: State,
    known: Replicated<State>,
}

impl Principals {
    pub(crate) fn new(replicas: usize) -> Self {
        Self { replicas, entries: BTreeMap::new() }
    }

    /// Creates one, or replaces it by what it shall be from now on.
    pub(crate) fn put(&mut self, principal: Principal, lag: Lag, now: Timestamp, dice: &mut Dice) {
        let (id, client_id) = (principal.object_id, principal.client_id);
        let unheard_of = || Entry { client_id, truth: None, known: Replicated::unheard_of(self.replicas) };
        let entry = self.entries.entry(id).or_insert_with(unheard_of);
        entry.truth = Some(Arc::new(principal));
        entry.known.change(entry.truth.clone(), now, lag, dice);
    }

    /// Deletes one.
    pub(crate) fn delete(&mut self, id: Uuid, lag: Lag, now: Timestamp, dice: &mut Dice) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.truth = None;
            entry.known.change(None, now, lag, dice);
        }
    }

    /// All as they truly are.
    pub(crate) fn truths(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.entries.values().filter_map(|entry| entry.truth.as_ref())
    }

    /// An application's, as it truly is.
    pub(crate) fn truth_of(&self, client_id: Uuid) -> Option<&Arc<Principal>> {
        self.truths().find(|principal| principal.client_id == client_id)
    }

    /// All, as one of the replicas knows them.
    pub(crate) fn any(&self, now: Timestamp, dice: &mut Dice) -> Vec<Arc<Principal>> {
        let replica = dice.below(self.replicas);
        self.entries.values().filter_map(|entry| entry.known.at(replica, now)?.clone()).collect()
    }

    /// An application's, as one of the replicas knows it.
    pub(crate) fn any_of(&self, client_id: Uuid, now: Timestamp, dice: &mut Dice) -> State {
        let replica = dice.below(self.replicas);
        let mut of_it = self.entries.values().filter(|entry| entry.client_id == client_id);
        of_it.find_map(|entry| entry.known.at(replica, now)?.clone())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const MINUTES: Lag = Lag { least: SignedDuration::from_mins(1), most: SignedDuration::from_mins(5) };
    const CLIENT: Uuid = Uuid::from_u128(2);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn principal(roles: &[&str]) -> Principal {
        Principal {
            object_id: Uuid::from_u128(1),
            client_id: CLIENT,
            display_name: "payments".into(),
            enabled: true,
            blocked: false,
            roles: roles.iter().map(ToString::to_string).collect(),
        }
    }

    /// How many of 60 times so many roles are seen; none if the service principal is not known.
    fn seen(principals: &Principals, roles: Option<usize>, second: i64) -> usize {
        let mut dice = Dice::new(7);
        let known = (0..60).map(|_| principals.any_of(CLIENT, at(second), &mut dice));
        known.filter(|principal| principal.as_ref().map(|principal| principal.roles.len()) == roles).count()
    }

    /// AZURE 3: not found for minutes after it was created, by turns; role changes take as long; and so does its end.
    #[test]
    fn a_service_principal_becomes_known_in_time() {
        let (mut principals, mut dice) = (Principals::new(3), Dice::new(1));
        principals.put(principal(&[]), MINUTES, at(0), &mut dice);
        assert!(principals.truth_of(CLIENT).is_some());
        assert_eq!((seen(&principals, None, 59), seen(&principals, Some(0), 300)), (60, 60));
        assert!((60..300).any(|second| (1..60).contains(&seen(&principals, None, second))), "by turns");
        principals.put(principal(&["Application.ReadWrite.OwnedBy"]), MINUTES, at(1_000), &mut dice);
        assert_eq!((seen(&principals, Some(0), 1_059), seen(&principals, Some(1), 1_300)), (60, 60));
        principals.delete(Uuid::from_u128(1), MINUTES, at(2_000), &mut dice);
        assert!(principals.truth_of(CLIENT).is_none());
        assert_eq!((seen(&principals, Some(1), 2_059), seen(&principals, None, 2_300)), (60, 60));
    }
}
