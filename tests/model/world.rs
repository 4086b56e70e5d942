//! What there is: an application in two replicas, etcd with records and one Secret, one vault entry, one pod, two
//! operators. Small enough to be looked at in every state that it can get into.

use std::rc::Rc;

use jiff::Timestamp;
use keywright::{
    api::KeyId,
    facts::{Application, Credential, Entry, Mark, Nonce, ObjectId, Record, Sequence},
    plan::Step,
};
use uuid::Uuid;

use super::{
    operator::Operator,
    print,
    town::{Fault, Town},
};

/// How long it takes at the most until every replica of Entra has heard of a change.
pub const LAG: i64 = 5;

/// A credential, by its place in the list of all that ever were.
pub type Key = usize;

/// Everything.
#[derive(Clone)]
pub struct World {
    pub now: i64,
    pub graph: Vec<Minted>,
    pub etcd: Rc<Etcd>,
    pub vault: Option<Copy>,
    pub pod: Option<Pod>,
    pub pods_started: u8,
    /// What a kubelet may still show of the Secret, and until when.
    pub cached: Option<(Option<Key>, i64)>,
    pub operators: Vec<Rc<Operator>>,
    pub late: Vec<Late>,
    pub uids: u8,
    /// Until when a policy blocks every sign-in, at the latest.
    pub blocked: Option<i64>,
    /// What etcd was before, of which there are backups. No part of a state's fingerprint: what is the same now has hardly
    /// ever become so in two ways that left different backups.
    pub backups: Vec<Rc<Etcd>>,
    pub history: History,
    /// Since when every target carries a valid credential of ours, if they do.
    pub served_since: Option<i64>,
    /// Since when a record says that a valid credential is published.
    pub published_since: Option<i64>,
    /// How many faults there have been.
    pub faults: usize,
    /// What should never have happened.
    pub broken: Option<String>,
}

/// What people have done that excuses something.
#[derive(Clone, Default)]
pub struct History {
    pub restored: bool,
    pub record_deleted: bool,
    pub revoked: Vec<Key>,
}

/// A credential of the application, gone or not.
#[derive(Clone)]
pub struct Minted {
    pub name: String,
    pub mark: Option<Mark>,
    pub added: i64,
    pub removed: Option<i64>,
}

/// What can be restored from a backup.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Etcd {
    pub records: Vec<Record>,
    /// Records, by UID, whose value somebody had scribbled on before it was kept.
    pub garbage: Vec<String>,
    pub secret: Option<Published>,
}

/// The Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Published {
    pub uid: u8,
    pub copy: Copy,
}

/// What a target carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Copy {
    pub key: Key,
    pub sequence: Sequence,
    pub nonce: Nonce,
    /// Somebody has scribbled on it.
    pub edited: bool,
}

/// The pod that reads the Secret.
#[derive(Clone)]
pub struct Pod {
    pub holds: Option<Key>,
    pub since: i64,
}

/// An effect that was sent, whose answer was lost, and that may still land.
#[derive(Clone)]
pub struct Late {
    pub who: usize,
    pub step: Rc<Step>,
    pub by: i64,
}

/// The time of the API server.
pub fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_248_000 + second).unwrap()
}

/// The same as the model counts.
pub fn second(time: Timestamp) -> i64 {
    time.as_second() - 1_795_248_000
}

/// The ID of a credential.
pub fn key_id(key: Key) -> KeyId {
    KeyId(Uuid::from_u128(key as u128 + 1))
}

/// The credential of an ID.
pub fn key_of(id: KeyId) -> Key {
    usize::try_from(id.0.as_u128()).unwrap() - 1
}

impl World {
    /// Nothing has happened yet; two credentials on the application are none of our business.
    pub fn new(town: &Town) -> Self {
        let other = Mark { owner: town.stranger.clone(), sequence: Sequence(1), nonce: Nonce::of([255; 10]) };
        let foreign = |name: String| Minted { name, mark: None, added: -1000, removed: None };
        let mut world = Self {
            now: 0,
            graph: vec![foreign("made by hand".into()), foreign(other.display_name("other", "api"))],
            etcd: Rc::default(),
            vault: None,
            pod: None,
            pods_started: 0,
            cached: None,
            operators: (0..town.operators).map(|who| Rc::new(Operator::down(who))).collect(),
            late: vec![],
            uids: 0,
            blocked: None,
            backups: vec![],
            history: History::default(),
            served_since: None,
            published_since: None,
            faults: 0,
            broken: None,
        };
        world.start(town, 0); // which of them begins makes no difference
        world
    }

    /// Remember that a promise was broken; the first counts.
    pub fn breaks(&mut self, what: impl Into<String>) {
        self.broken.get_or_insert_with(|| what.into());
    }

    /// Whether a credential is there, whatever a replica may say.
    pub fn lives(&self, key: Key) -> bool {
        self.graph[key].removed.is_none()
    }

    /// Whether a replica shows a credential: the first knows everything at once, the second when it must.
    pub fn shows(&self, replica: usize, key: Key) -> bool {
        let heard = |at: i64| replica == 0 || self.now >= at + LAG;
        let minted = &self.graph[key];
        heard(minted.added) && !minted.removed.is_some_and(heard)
    }

    /// The replicas whose answers differ, of which any may answer.
    pub fn replicas(&self, key: Option<Key>) -> usize {
        let keys = key.map_or(0..self.graph.len(), |key| key..key + 1);
        if keys.into_iter().all(|key| self.shows(0, key) == self.shows(1, key)) { 1 } else { 2 }
    }

    /// The application as a replica shows it.
    pub fn application(&self, replica: usize) -> Application {
        let shown = (0..self.graph.len()).filter(|key| self.shows(replica, *key));
        let credentials = shown.map(|key| Credential {
            key_id: key_id(key),
            kind: keywright::api::grant::CredentialKind::ClientSecret,
            display_name: Some(self.graph[key].name.clone()),
            hint: None,
            start: Some(time(self.graph[key].added)),
            end: None,
        });
        Application { object_id: ObjectId(Uuid::nil()), most_secrets: None, credentials: credentials.collect() }
    }

    /// Note whether a record is published, and whether every target carries a valid credential of ours.
    pub fn note_service(&mut self, town: &Town) {
        let copies = [self.etcd.secret.as_ref().map(|secret| &secret.copy), self.vault.as_ref()];
        let valid = copies.into_iter().flatten().filter(|copy| !copy.edited && self.lives(copy.key)).count();
        let published = self.etcd.publishing().any(|one| kept_key(&one.entry).is_some_and(|key| self.lives(key)));
        self.published_since = self.published_since.or(Some(self.now)).filter(|_| published);
        self.served_since = self.served_since.or(Some(self.now)).filter(|_| valid == town.targets.len());
    }

    /// Those of our credentials that are there.
    pub fn ours(&self) -> impl Iterator<Item = (Key, &Mark)> {
        let minted = self.graph.iter().enumerate().filter(|(_, one)| one.removed.is_none());
        minted.filter_map(|(key, one)| Some((key, one.mark.as_ref()?)))
    }

    /// Something in etcd is about to change: every operator hears of it.
    pub fn change_etcd(&mut self, town: &Town) -> &mut Etcd {
        if town.allows(Fault::Restore) && !self.history.restored && !self.backups.contains(&self.etcd) {
            self.backups.push(Rc::clone(&self.etcd));
        }
        for operator in &mut self.operators {
            if !operator.told && !operator.is_down() {
                Rc::make_mut(operator).told = true;
            }
        }
        Rc::make_mut(&mut self.etcd)
    }

    /// Change the Secret; kubelets show the old one for a while.
    pub fn set_secret(&mut self, town: &Town, secret: Option<Published>) {
        let before = self.etcd.secret.as_ref().map(|secret| (!secret.copy.edited).then_some(secret.copy.key));
        if town.pods && self.pods_started == 0 {
            self.cached = before.map(|key| (key, self.now + town.settle()));
        }
        self.change_etcd(town).secret = secret;
    }
}

impl Etcd {
    /// A record by its name.
    pub fn record(&self, name: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.entry.name() == name)
    }

    /// Those that count as published.
    pub fn publishing(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.entry.stage == keywright::facts::Stage::Publishing)
    }
}

/// A record with the version that its content has: what is written unchanged keeps its version.
pub fn stamped(mut record: Record) -> Record {
    record.version = format!("{:x}", print::of_record(&record));
    record
}

/// The credential that a record keeps.
pub fn kept_key(entry: &Entry) -> Option<Key> {
    entry.kept.as_ref().map(|kept| key_of(kept.key_id))
}
