//! Tenants: what is registered in each, what its replicas know of that, and the log of every change. Writes go to the
//! truth and become known to the replicas in time; reads and sign-ins see what a replica knows. Pure: time is an
//! argument. Who may ask is decided elsewhere.

mod certificates;
mod federated;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::applications::{Application, NewPassword, Password, Policies, Principal, Refusal};
use super::dice::Dice;
use super::log::{Actor, Change, What};
use super::principals::Principals;
use super::replicas::{Lag, Replicated};
use super::usage::Usage;
pub(crate) use federated::All as AllFederated;

/// AZURE 3: a new service principal is not found, and a role not known, for minutes.
const PRINCIPAL_LAG: Lag = Lag { least: SignedDuration::from_mins(1), most: SignedDuration::from_mins(5) };

/// AZURE 3: a federated credential takes "a few seconds" by one account, and "several minutes" by another.
const FEDERATED_LAG: Lag = Lag { least: SignedDuration::from_secs(5), most: SignedDuration::from_mins(2) };

/// AZURE 3: a refusal is remembered, how long is not known: some wait a couple of minutes in all.
const FEDERATED_MEMORY: SignedDuration = SignedDuration::from_mins(1);

/// How late the report of sign-ins is. AZURE 1.7 says that nobody knows.
const REPORT_LAG: SignedDuration = SignedDuration::from_hours(1);

/// The replica that Graph's delta is read from: a delta must not go back and forth.
const DELTA_REPLICA: usize = 0;

/// How far a tenant's replicas are from each other, and how they behave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// How long Graph's reads lag.
    pub reads: Lag,
    /// How long sign-ins lag.
    pub sign_ins: Lag,
    /// How long service principals lag: that there is one, and which permissions it has.
    pub principals: Lag,
    /// How long sign-ins by federated credentials lag.
    pub federated: Lag,
    /// For how long a replica remembers that a federated sign-in has matched nothing.
    pub memory: SignedDuration,
    /// The probability that a good sign-in is refused all the same (AZURE 3: 2 % were seen).
    pub noise: f64,
    /// How late the report of sign-ins is.
    pub report: SignedDuration,
    /// For how long after a write to an application the next is refused as concurrent (AZURE 1.2).
    pub write_window: SignedDuration,
}

impl Weather {
    /// None: what is changed is known everywhere at once, and writes never meet.
    pub const NONE: Self = Self {
        reads: Lag::NONE,
        sign_ins: Lag::NONE,
        principals: Lag::NONE,
        federated: Lag::NONE,
        memory: SignedDuration::ZERO,
        noise: 0.0,
        report: SignedDuration::ZERO,
        write_window: SignedDuration::ZERO,
    };

    /// What was measured of the real services, so many times as slow.
    #[must_use]
    pub fn scaled(scale: f64) -> Self {
        let lag = Lag::default().scaled(scale);
        let write_window = SignedDuration::from_secs(1).mul_f64(scale);
        Self {
            reads: lag,
            sign_ins: lag,
            principals: PRINCIPAL_LAG.scaled(scale),
            federated: FEDERATED_LAG.scaled(scale),
            memory: FEDERATED_MEMORY.mul_f64(scale),
            noise: 0.0,
            report: REPORT_LAG.mul_f64(scale),
            write_window,
        }
    }
}

/// A tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: Uuid,
    pub(crate) domains: Vec<String>,
    pub(crate) weather: Weather,
    pub(crate) policies: Policies,
    pub(crate) principals: Principals,
    pub(crate) usage: Usage,
    pub(crate) log: Vec<Change>,
    /// Delta tokens from before are too old.
    pub(crate) delta_tokens_since: Timestamp,
    pub(crate) dice: Dice,
    applications: BTreeMap<Uuid, Entry>,
    federated: BTreeMap<Uuid, federated::Known>,
    shut: federated::Memory,
    object_ids: BTreeMap<Uuid, Uuid>,
    replicas: usize,
}

/// What a replica knows of an application: nothing once it was deleted.
type State = Option<Arc<Application>>;

#[derive(Debug)]
struct Entry {
    truth: State,
    reads: Replicated<State>,
    sign_ins: Replicated<State>,
    written: Option<Timestamp>,
}

impl Tenant {
    pub(crate) fn new(id: Uuid, replicas: usize, weather: Weather, seed: u64) -> Self {
        Self {
            id,
            domains: vec![format!("t{}.onmicrosoft.com", &id.simple().to_string()[..8])],
            weather,
            policies: Policies::default(),
            principals: Principals::new(replicas),
            usage: Usage::default(),
            log: vec![],
            delta_tokens_since: Timestamp::MIN,
            dice: Dice::of(seed, id),
            applications: BTreeMap::new(),
            federated: BTreeMap::new(),
            shut: federated::Memory::new(),
            object_ids: BTreeMap::new(),
            replicas,
        }
    }

    /// Registers an application; replicas hear of it in time, or at once if it is to be of old.
    pub(crate) fn register(&mut self, application: Application, by: Actor, of_old: bool, now: Timestamp) {
        let replicas = self.replicas;
        let (object_id, client_id) = (application.object_id, application.client_id);
        let entry = || Entry {
            truth: None,
            reads: Replicated::unheard_of(replicas),
            sign_ins: Replicated::unheard_of(replicas),
            written: None,
        };
        self.applications.entry(object_id).or_insert_with(entry);
        self.object_ids.insert(client_id, object_id);
        let weather = self.weather;
        if of_old {
            self.weather = Weather::NONE;
        }
        let settled = self.commit(object_id, Some(application), now);
        self.weather = weather;
        self.note(client_id, by, What::Registered, settled, now);
    }

    /// The application as it truly is.
    pub(crate) fn truth(&self, object_id: Uuid) -> Option<Arc<Application>> {
        self.applications.get(&object_id)?.truth.clone()
    }

    /// All applications as they truly are.
    pub(crate) fn applications(&self) -> impl Iterator<Item = &Arc<Application>> {
        self.applications.values().filter_map(|entry| entry.truth.as_ref())
    }

    /// The object ID that belongs to a client ID, whether or not the application still exists.
    pub(crate) fn object_id(&self, client_id: Uuid) -> Option<Uuid> {
        self.object_ids.get(&client_id).copied()
    }

    /// The application as a replica of Graph knows it.
    pub(crate) fn read(&mut self, object_id: Uuid, now: Timestamp) -> Option<Arc<Application>> {
        let replica = self.dice.below(self.replicas);
        self.applications.get(&object_id)?.reads.at(replica, now)?.clone()
    }

    /// All applications, as one replica of Graph knows them.
    pub(crate) fn read_all(&mut self, now: Timestamp) -> Vec<Arc<Application>> {
        let replica = self.dice.below(self.replicas);
        self.applications.values().filter_map(|entry| entry.reads.at(replica, now)?.clone()).collect()
    }

    /// What has become known after a moment, to the replica that answers deltas: the application, or that it is gone.
    pub(crate) fn delta(&self, after: Timestamp, now: Timestamp) -> Vec<(Uuid, State)> {
        let news = |(object_id, entry): (&Uuid, &Entry)| {
            let (since, state) = entry.reads.learned(DELTA_REPLICA, now)?;
            (since > after).then(|| (*object_id, state.clone()))
        };
        self.applications.iter().filter_map(news).collect()
    }

    /// The application as one of the replicas knows it that sign-ins are checked by.
    pub(crate) fn for_sign_in(&mut self, client_id: Uuid, now: Timestamp) -> Option<Arc<Application>> {
        let object_id = self.object_id(client_id)?;
        self.applications.get(&object_id)?.sign_ins.any(now, &mut self.dice)?.clone()
    }

    /// All service principals, as one of the replicas knows them.
    pub(crate) fn read_principals(&mut self, now: Timestamp) -> Vec<Arc<Principal>> {
        self.principals.any(now, &mut self.dice)
    }

    /// The service principal of an application, as one of the replicas knows it.
    pub(crate) fn principal_for_sign_in(&mut self, client_id: Uuid, now: Timestamp) -> Option<Arc<Principal>> {
        self.principals.any_of(client_id, now, &mut self.dice)
    }

    /// Whether two writes to an application would meet.
    pub(crate) fn claim(&mut self, object_id: Uuid, now: Timestamp) -> Result<Arc<Application>, Refusal> {
        // A write, too, arrives at some replica, and that one may not have heard of the application.
        self.read(object_id, now).ok_or(Refusal::NoSuchObject)?;
        let window = self.weather.write_window;
        let entry = self.applications.get_mut(&object_id).ok_or(Refusal::NoSuchObject)?;
        let truth = entry.truth.clone().ok_or(Refusal::NoSuchObject)?;
        if entry.written.is_some_and(|written| now < written + window) {
            return Err(Refusal::Concurrency);
        }
        Ok(truth)
    }

    /// Adds a secret.
    pub(crate) fn add_password(
        &mut self,
        object_id: Uuid,
        wanted: NewPassword,
        by: Actor,
        now: Timestamp,
    ) -> Result<Password, Refusal> {
        let mut application = Application::clone(&*self.claim(object_id, now)?);
        let password = application.new_password(wanted, self.policies, now, &mut self.dice)?;
        application.passwords.push(password.clone());
        self.write(application, by, What::Minted(password.clone()), now);
        Ok(password)
    }

    /// Removes a secret; a replica that has not heard of it yet knows none to remove.
    pub(crate) fn remove_password(
        &mut self,
        object_id: Uuid,
        key_id: Uuid,
        by: Actor,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let seen = self.read(object_id, now).ok_or(Refusal::NoSuchObject)?;
        let mut application = Application::clone(&*self.claim(object_id, now)?);
        let is_it = |password: &Password| password.key_id == key_id;
        if !seen.passwords.iter().any(is_it) || !application.passwords.iter().any(is_it) {
            return Err(Refusal::NoSuchKey(key_id));
        }
        application.passwords.retain(|password| !is_it(password));
        self.write(application, by, What::Removed(key_id), now);
        Ok(())
    }

    /// Every secret that the application ever had.
    pub(crate) fn minted(&self, client_id: Uuid) -> impl Iterator<Item = &Password> {
        let of_it = self.log.iter().filter(move |change| change.client_id == client_id);
        of_it.filter_map(|change| match &change.what {
            What::Minted(password) => Some(password),
            _ => None,
        })
    }

    /// Whether the application had a credential of this ID that was removed, or was deleted itself.
    pub(crate) fn has_lost(&self, client_id: Uuid, id: Uuid) -> bool {
        let lost = |what: &What| match what {
            What::Removed(removed) => *removed == id,
            What::Deleted => true,
            _ => false,
        };
        self.log.iter().any(|change| change.client_id == client_id && lost(&change.what))
    }

    /// Replaces an application by what it shall be from now on.
    pub(crate) fn write(&mut self, application: Application, by: Actor, what: What, now: Timestamp) {
        self.write_all(application, by, vec![what], now);
    }

    /// The same, when more than one thing about it changes, or none.
    pub(crate) fn write_all(&mut self, application: Application, by: Actor, changes: Vec<What>, now: Timestamp) {
        let (object_id, client_id) = (application.object_id, application.client_id);
        let settled = self.commit(object_id, Some(application), now);
        for what in changes {
            self.note(client_id, by, what, settled, now);
        }
    }

    /// Deletes an application.
    pub(crate) fn delete(&mut self, object_id: Uuid, by: Actor, now: Timestamp) -> Result<(), Refusal> {
        let client_id = self.truth(object_id).ok_or(Refusal::NoSuchObject)?.client_id;
        let settled = self.commit(object_id, None, now);
        self.note(client_id, by, What::Deleted, settled, now);
        Ok(())
    }

    fn commit(&mut self, object_id: Uuid, application: Option<Application>, now: Timestamp) -> Timestamp {
        let Some(entry) = self.applications.get_mut(&object_id) else { return now };
        entry.truth = application.map(Arc::new);
        entry.written = Some(now).filter(|_| !self.weather.write_window.is_zero());
        entry.reads.change(entry.truth.clone(), now, self.weather.reads, &mut self.dice);
        entry.sign_ins.change(entry.truth.clone(), now, self.weather.sign_ins, &mut self.dice)
    }

    fn note(&mut self, client_id: Uuid, by: Actor, what: What, settled: Timestamp, now: Timestamp) {
        let object_id = self.object_id(client_id).unwrap_or_default();
        self.log.push(Change { time: now, settled, object_id, client_id, by, what });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::azure::applications::Audience;

    pub(super) const PAYMENTS: Uuid = Uuid::from_u128(1);
    pub(super) const CLIENT: Uuid = Uuid::from_u128(2);
    pub(super) const OPERATOR: Actor = Actor::Application(Uuid::from_u128(3));

    pub(super) fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    pub(super) fn tenant() -> Tenant {
        let mut tenant = Tenant::new(Uuid::from_u128(9), 3, Weather::scaled(1.0), 7);
        let application = Application {
            object_id: PAYMENTS,
            client_id: CLIENT,
            display_name: "payments".into(),
            audience: Audience::MyOrg,
            created: at(0),
            owners: vec![],
            passwords: vec![],
            certificates: vec![],
            disabled: false,
            properties: Map::new(),
        };
        tenant.register(application, Actor::Administrator, true, at(0));
        tenant
    }

    fn add(tenant: &mut Tenant, second: i64) -> Result<Uuid, Refusal> {
        let added = tenant.add_password(PAYMENTS, NewPassword::default(), OPERATOR, at(second));
        added.map(|password| password.key_id)
    }

    /// AZURE 1.2: writes that follow each other at once conflict; the first write after a while does not.
    #[test]
    fn writes_meet_within_the_window() {
        let mut tenant = tenant();
        let key_id = add(&mut tenant, 0).unwrap();
        assert_eq!(add(&mut tenant, 0), Err(Refusal::Concurrency));
        assert_eq!(tenant.remove_password(PAYMENTS, key_id, OPERATOR, at(0)), Err(Refusal::Concurrency));
        add(&mut tenant, 1).unwrap();
    }

    /// AZURE 3: reads, sign-ins and removals lag, each in its own time.
    #[test]
    fn what_is_written_is_known_in_time() {
        let mut tenant = tenant();
        let key_id = add(&mut tenant, 0).unwrap();
        assert!(tenant.read(PAYMENTS, at(3)).unwrap().passwords.is_empty());
        assert!(tenant.for_sign_in(CLIENT, at(3)).unwrap().passwords.is_empty());
        assert_eq!(tenant.remove_password(PAYMENTS, key_id, OPERATOR, at(3)), Err(Refusal::NoSuchKey(key_id)));
        assert_eq!(tenant.read(PAYMENTS, at(18)).unwrap().passwords.len(), 1);
        assert_eq!(tenant.for_sign_in(CLIENT, at(18)).unwrap().passwords.len(), 1);
        tenant.remove_password(PAYMENTS, key_id, OPERATOR, at(18)).unwrap();
        assert!(tenant.truth(PAYMENTS).unwrap().passwords.is_empty());
        assert_eq!(tenant.for_sign_in(CLIENT, at(21)).unwrap().passwords.len(), 1, "accepted for a while");
        assert!(tenant.for_sign_in(CLIENT, at(36)).unwrap().passwords.is_empty());
    }

    /// AZURE 1.6: a delta misses nothing, whenever it is asked.
    #[test]
    fn a_delta_tells_every_change_once_it_is_known() {
        let mut tenant = tenant();
        let mut seen = std::collections::BTreeSet::new();
        let mut minted = std::collections::BTreeSet::new();
        for second in 1..120 {
            if second % 7 == 0 && second < 100 {
                minted.insert(add(&mut tenant, second).unwrap());
            }
            let news = tenant.delta(at(second - 1), at(second));
            seen.extend(news.iter().filter_map(|(_, state)| state.as_ref()).flat_map(|application| {
                application.passwords.iter().map(|password| password.key_id).collect::<Vec<_>>()
            }));
        }
        assert_eq!(seen, minted);
        tenant.delete(PAYMENTS, OPERATOR, at(120)).unwrap();
        assert!(matches!(tenant.delta(at(121), at(140))[..], [(PAYMENTS, None)]));
        assert_eq!(add(&mut tenant, 140), Err(Refusal::NoSuchObject));
    }
}
