//! The federated credentials of a tenant's applications, and what its replicas know of them. They are no part of the
//! application: each is an object of its own, whose changes no delta of applications tells (AZURE 1.6), and which takes
//! far longer to become known to those who check sign-ins (AZURE 3). Pure: time is an argument.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Tenant, Weather};
use crate::azure::applications::{Application, Refusal};
use crate::azure::federated::{Federated, Key, Mismatch, NewFederated, Presented, matching};
use crate::azure::log::{Actor, What};
use crate::azure::replicas::Replicated;

/// All of an application, in the order in which they were made.
pub(crate) type All = Arc<[Federated]>;

/// What is known of those of one application.
#[derive(Debug)]
pub(super) struct Known {
    truth: All,
    reads: Replicated<All>,
    sign_ins: Replicated<All>,
}

/// What replicas remember having found no match for: until when, and what they said.
pub(super) type Memory = HashMap<(Uuid, usize, Presented), (Timestamp, Mismatch)>;

/// Somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shut {
    /// What the replica says.
    pub(crate) mismatch: Mismatch,
    /// By now it would say something else, if it looked again.
    pub(crate) knows_better: bool,
}

impl Tenant {
    /// Those of an application, as they truly are.
    pub(crate) fn federated(&self, object_id: Uuid) -> All {
        self.federated.get(&object_id).map(|known| Arc::clone(&known.truth)).unwrap_or_default()
    }

    /// An application and its federated credentials, as a replica of Graph knows both.
    pub(crate) fn read_federated(&mut self, object_id: Uuid, now: Timestamp) -> Option<(Arc<Application>, All)> {
        let replica = self.dice.below(self.replicas);
        let application = self.applications.get(&object_id)?.reads.at(replica, now)?.clone()?;
        let known = self.federated.get(&object_id).and_then(|known| known.reads.at(replica, now)).cloned();
        Some((application, known.unwrap_or_default()))
    }

    /// The one that lets somebody in, as one of the replicas knows it that sign-ins are checked by. A replica that knew
    /// none says so again for a while without looking (AZURE 3): whoever comes too early waits longer.
    pub(crate) fn let_in(&mut self, object_id: Uuid, presented: &Presented, now: Timestamp) -> Result<Uuid, Shut> {
        let replica = self.dice.below(self.replicas);
        let known = self.federated.get(&object_id).and_then(|known| known.sign_ins.at(replica, now));
        let found = matching(known.map_or(&[], |all| &all[..]), presented).map(|found| found.id);
        self.shut.retain(|_, (until, _)| now < *until);
        let key = (object_id, replica, presented.clone());
        if let Some((_, mismatch)) = self.shut.get(&key) {
            return Err(Shut { mismatch: *mismatch, knows_better: found.is_ok() });
        }
        found.map_err(|mismatch| {
            self.shut.insert(key, (now + self.weather.memory, mismatch));
            Shut { mismatch, knows_better: false }
        })
    }

    /// Whether an application ever had a federated credential that would have let somebody in.
    pub(crate) fn ever_let_in(&self, client_id: Uuid, presented: &Presented) -> bool {
        let of_it = self.log.iter().filter(|change| change.client_id == client_id);
        of_it.into_iter().any(|change| match &change.what {
            What::Federated(one) | What::FederatedEdited(one) => matching(std::slice::from_ref(one), presented).is_ok(),
            _ => false,
        })
    }

    /// Adds one.
    pub(crate) fn add_federated(
        &mut self,
        object_id: Uuid,
        wanted: NewFederated,
        by: Actor,
        now: Timestamp,
    ) -> Result<Federated, Refusal> {
        self.claim(object_id, now)?;
        let (all, new) = (self.federated(object_id), wanted.with_id(self.dice.uuid()));
        new.fits(&all).map_err(Refusal::Unfit)?;
        let all = all.iter().cloned().chain([new.clone()]).collect();
        self.write_federated(object_id, all, by, What::Federated(new.clone()), now);
        Ok(new)
    }

    /// Changes one; a replica that has not heard of it yet knows none to change.
    pub(crate) fn edit_federated(
        &mut self,
        object_id: Uuid,
        key: &Key,
        edit: impl FnOnce(&mut Federated) -> Result<(), Refusal>,
        by: Actor,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut changed = self.claimed_federated(object_id, key, now)?;
        edit(&mut changed)?;
        let all = self.federated(object_id);
        changed.fits(&all).map_err(Refusal::Unfit)?;
        let one_by_one = all.iter().map(|one| if one.id == changed.id { changed.clone() } else { one.clone() });
        self.write_federated(object_id, one_by_one.collect(), by, What::FederatedEdited(changed.clone()), now);
        Ok(())
    }

    /// Removes one; a replica that has not heard of it yet knows none to remove.
    pub(crate) fn remove_federated(
        &mut self,
        object_id: Uuid,
        key: &Key,
        by: Actor,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let removed = self.claimed_federated(object_id, key, now)?.id;
        let rest = self.federated(object_id).iter().filter(|one| one.id != removed).cloned().collect();
        self.write_federated(object_id, rest, by, What::Removed(removed), now);
        Ok(())
    }

    /// Replaces all of an application by what they shall be from now on.
    pub(crate) fn write_federated(&mut self, object_id: Uuid, all: All, by: Actor, what: What, now: Timestamp) {
        let Weather { reads, federated, write_window, .. } = self.weather;
        let Some(application) = self.applications.get_mut(&object_id) else { return };
        application.written = Some(now).filter(|_| !write_window.is_zero());
        let Some(client_id) = application.truth.as_ref().map(|application| application.client_id) else { return };
        let unheard_of = || Replicated::unheard_of(self.replicas);
        let known = self.federated.entry(object_id);
        let known =
            known.or_insert_with(|| Known { truth: All::default(), reads: unheard_of(), sign_ins: unheard_of() });
        known.truth = Arc::clone(&all);
        known.reads.change(Arc::clone(&all), now, reads, &mut self.dice);
        let settled = known.sign_ins.change(all, now, federated, &mut self.dice);
        self.note(client_id, by, what, settled, now);
    }

    /// The one that is meant, if no other write is in the way.
    fn claimed_federated(&mut self, object_id: Uuid, key: &Key, now: Timestamp) -> Result<Federated, Refusal> {
        let (_, seen) = self.read_federated(object_id, now).ok_or(Refusal::NoSuchObject)?;
        self.claim(object_id, now)?;
        let seen = seen.iter().find(|one| key.is(one)).map(|one| one.id);
        let all = self.federated(object_id);
        let found = all.iter().find(|one| Some(one.id) == seen);
        found.cloned().ok_or_else(|| Refusal::NoSuchFederated(key.text().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::NewPassword;
    use super::super::tests::{CLIENT, OPERATOR, PAYMENTS, at, tenant};
    use super::*;

    fn web() -> Key {
        Key::Name("web".into())
    }

    fn add(tenant: &mut Tenant, second: i64) -> Result<Uuid, Refusal> {
        let wanted = NewFederated {
            name: "web".into(),
            issuer: "https://issuer.example".into(),
            subject: Some("system:serviceaccount:shop:web".into()),
            audience: "api://AzureADTokenExchange".into(),
            description: None,
        };
        tenant.add_federated(PAYMENTS, wanted, OPERATOR, at(second)).map(|added| added.id)
    }

    fn seen(tenant: &mut Tenant, second: i64) -> usize {
        tenant.read_federated(PAYMENTS, at(second)).unwrap().1.len()
    }

    /// AZURE 1.5 and 1.2: writes to one application meet, whatever they write.
    #[test]
    fn writes_meet_those_of_secrets() {
        let mut tenant = tenant();
        add(&mut tenant, 0).unwrap();
        assert_eq!(tenant.remove_federated(PAYMENTS, &web(), OPERATOR, at(20)), Ok(()));
        let secret = tenant.add_password(PAYMENTS, NewPassword::default(), OPERATOR, at(20));
        assert_eq!(secret.map(|password| password.key_id), Err(Refusal::Concurrency));
        assert_eq!(add(&mut tenant, 20), Err(Refusal::Concurrency));
        add(&mut tenant, 21).unwrap();
    }

    /// AZURE 3: reads lag as those of applications do.
    #[test]
    fn what_is_written_is_read_in_time() {
        let mut tenant = tenant();
        add(&mut tenant, 0).unwrap();
        assert_eq!((seen(&mut tenant, 3), seen(&mut tenant, 18)), (0, 1));
        let unheard_of = Err(Refusal::NoSuchFederated("web".into()));
        assert_eq!(tenant.remove_federated(PAYMENTS, &web(), OPERATOR, at(3)), unheard_of);
        assert_eq!(tenant.edit_federated(PAYMENTS, &web(), |_| Ok(()), OPERATOR, at(3)), unheard_of);
        tenant.remove_federated(PAYMENTS, &web(), OPERATOR, at(18)).unwrap();
        assert_eq!((seen(&mut tenant, 21), seen(&mut tenant, 36)), (1, 0));
    }

    fn web_itself() -> Presented {
        Presented {
            issuer: "https://issuer.example".into(),
            subject: "system:serviceaccount:shop:web".into(),
            audiences: vec!["api://AzureADTokenExchange".into()],
        }
    }

    /// How many of 60 are let in.
    fn let_in(tenant: &mut Tenant, second: i64) -> usize {
        (0..60).filter(|_| tenant.let_in(PAYMENTS, &web_itself(), at(second)).is_ok()).count()
    }

    /// AZURE 3: refused for seconds up to minutes, by turns in between; and let in for as long after the removal.
    #[test]
    fn sign_ins_learn_of_one_in_time() {
        let mut tenant = tenant();
        tenant.weather.memory = SignedDuration::ZERO;
        add(&mut tenant, 0).unwrap();
        assert_eq!((let_in(&mut tenant, 4), let_in(&mut tenant, 120)), (0, 60));
        assert!((5..120).any(|second| (1..60).contains(&let_in(&mut tenant, second))), "by turns");
        tenant.remove_federated(PAYMENTS, &web(), OPERATOR, at(200)).unwrap();
        assert_eq!((let_in(&mut tenant, 204), let_in(&mut tenant, 320)), (60, 0));
    }

    /// AZURE 3: whoever tests too early prolongs it.
    #[test]
    fn a_replica_that_found_none_says_so_for_a_while() {
        let mut tenant = tenant();
        assert_eq!(let_in(&mut tenant, 0), 0, "every replica is asked before it exists");
        tenant.weather.federated = super::super::Lag::NONE;
        add(&mut tenant, 1).unwrap();
        let shut = tenant.let_in(PAYMENTS, &web_itself(), at(59)).unwrap_err();
        assert_eq!(shut, Shut { mismatch: Mismatch::NoneKnown, knows_better: true });
        let other = Presented { subject: "system:serviceaccount:shop:other".into(), ..web_itself() };
        let shut = tenant.let_in(PAYMENTS, &other, at(59)).unwrap_err();
        assert_eq!(shut, Shut { mismatch: Mismatch::Subject, knows_better: false }, "of others nothing is remembered");
        assert_eq!(let_in(&mut tenant, 60), 60, "asking again has not prolonged it");
        assert!(tenant.ever_let_in(CLIENT, &web_itself()) && !tenant.ever_let_in(CLIENT, &other));
    }

    /// AZURE 1.6: whether a delta of applications tells them is not known, so it does not.
    #[test]
    fn a_delta_of_applications_does_not_tell_them() {
        let mut tenant = tenant();
        add(&mut tenant, 10).unwrap();
        assert!(tenant.delta(at(5), at(100)).is_empty());
    }

    #[test]
    fn the_log_has_every_change() {
        let mut tenant = tenant();
        tenant.weather.write_window = SignedDuration::ZERO;
        let id = add(&mut tenant, 0).unwrap();
        let describe = |one: &mut Federated| {
            one.description = Some("kept".into());
            Ok(())
        };
        tenant.edit_federated(PAYMENTS, &web(), describe, OPERATOR, at(20)).unwrap();
        tenant.remove_federated(PAYMENTS, &web(), OPERATOR, at(40)).unwrap();
        let told: Vec<_> = tenant.log.iter().skip(1).map(|change| (change.client_id, &change.what)).collect();
        let [(CLIENT, What::Federated(new)), (CLIENT, What::FederatedEdited(edited)), (CLIENT, What::Removed(removed))] =
            told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((new.id, edited.id, *removed), (id, id, id));
        assert_eq!((new.description.as_deref(), edited.description.as_deref()), (None, Some("kept")));
    }
}
