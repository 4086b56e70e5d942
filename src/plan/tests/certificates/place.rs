//! A small Entra whose servers hear of a write one after the other, and somebody else who writes there too.

use fastrand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::*;
use crate::{
    facts::{Carried, Consumers, Effect, Holder, ListedKey, SeenBy, Source, Thumbprint},
    plan::{Outcome, fold::fold, step::Origin},
};

/// How many servers there are.
const SERVERS: usize = 4;

/// A list, and when each server hears of it.
struct Write {
    list: Vec<ListedKey>,
    heard: [Timestamp; SERVERS],
}

/// Somebody who reads the list, thinks, and writes it whole with one more, as Terraform does.
pub struct Rival {
    pub reads_at: Timestamp,
    pub writes_at: Timestamp,
    pub key: u32,
    draft: Option<Vec<ListedKey>>,
}

/// A cluster and an Entra.
pub struct Place {
    pub seen: Observation,
    pub now: Timestamp,
    pub source: Option<Source>,
    pub rivals: Vec<Rival>,
    pub done: Vec<String>,
    /// What the record keeps, and the Secret carries.
    carried: Option<Carried>,
    records: Vec<Record>,
    writes: Vec<Write>,
    /// How long servers take to hear of a write, in seconds.
    lag: (f64, f64),
    rng: Rng,
    versions: u32,
    /// What becomes of the next write of the list.
    pub lost_answer: bool,
    /// What this process gets wrong, each time it has learned something.
    pub mutant: fn(&mut Observation),
}

pub fn listed(number: u32) -> ListedKey {
    let told = json!({"keyId": key(number), "displayName": format!("CN={number}"), "key": "MII="});
    ListedKey { key_id: key(number), told: told.as_object().unwrap().clone() }
}

pub fn key(number: u32) -> KeyId {
    KeyId(Uuid::from_u128(number.into()))
}

/// A certificate in the Secret that one is taken from.
pub fn fit(number: u8, ends: Timestamp) -> Source {
    Source::Fit { thumbprint: Thumbprint::of(&[number]), begins: MORNING - SignedDuration::from_hours(1), ends }
}

impl Place {
    /// One that asks for this, with certificates 1 and 2 of somebody else's on the application.
    pub fn asking(patch: &Value, chance: u64, lag: (f64, f64)) -> Self {
        let certificate = json!({"clientSecret": null, "certificate": {"generate": {}}});
        let seen = world().asking(&certificate).asking(patch).seen();
        let first = Write { list: vec![listed(1), listed(2)], heard: [Timestamp::UNIX_EPOCH; SERVERS] };
        Self {
            seen,
            now: MORNING,
            source: None,
            rivals: vec![],
            done: vec![],
            carried: None,
            records: vec![],
            writes: vec![first],
            lag,
            rng: Rng::with_seed(chance),
            versions: 0,
            lost_answer: false,
            mutant: |_| {},
        }
    }

    /// Somebody else adds a certificate.
    pub fn rival(&mut self, reads_at: Timestamp, writes_at: Timestamp, key: u32) {
        self.rivals.push(Rival { reads_at, writes_at, key, draft: None });
    }

    /// Some seconds from now.
    pub fn later(&self, seconds: f64) -> Timestamp {
        self.now + Duration::from_secs_f64(seconds)
    }

    /// What is written, whoever has heard of it.
    pub fn truth(&self) -> &[ListedKey] {
        &self.writes.last().unwrap().list
    }

    pub fn has(&self, key_id: KeyId) -> bool {
        self.truth().iter().any(|one| one.key_id == key_id)
    }

    /// The credential that counts as published.
    pub fn published(&self) -> Option<&Entry> {
        let publishing = self.records.iter().filter(|one| one.entry.stage == Stage::Publishing);
        publishing.max_by_key(|one| one.entry.sequence).map(|one| &one.entry)
    }

    pub fn published_key(&self) -> Option<KeyId> {
        self.published().filter(|entry| entry.published_at.is_some())?.kept.as_ref().map(|kept| kept.key_id)
    }

    /// Another process, which knows nothing.
    pub fn restart(&mut self) {
        self.seen.mine = crate::facts::Mine::default();
        self.seen.application = None;
        self.seen.records.listed_at = None;
        self.seen.process = format!("{}'", self.seen.process);
    }

    /// Go on until then, or until `enough`.
    pub fn live(&mut self, until: Timestamp, mut enough: impl FnMut(&Self) -> bool) {
        for _ in 0..20_000 {
            self.rivals_write();
            if self.now >= until || enough(self) {
                return;
            }
            let moment = Moment { now: self.now, chance: Nonce::of(std::array::from_fn(|_| self.rng.u8(..))) };
            match plan(&self.seen, &Timing::REAL, &moment).next {
                Next::Do(step) => {
                    let begun_at = self.now;
                    self.done.push(step.to_string());
                    let outcome = self.act(&step);
                    self.now = self.later(0.02);
                    fold(&mut self.seen, &step, outcome, begun_at, self.now);
                    (self.mutant)(&mut self.seen);
                }
                Next::Wait(waits) => {
                    let next = waits.iter().filter_map(|wait| wait.until).min().unwrap_or(until);
                    let rival = self.rivals.iter().flat_map(|one| [one.reads_at, one.writes_at]);
                    let rival = rival.filter(|at| *at > self.now).min().unwrap_or(until);
                    self.now = next.max(self.later(0.001)).min(rival).min(until);
                }
            }
        }
        panic!("it does not come to rest: {:?}", &self.done[self.done.len() - 20..]);
    }

    fn rivals_write(&mut self) {
        for place in 0..self.rivals.len() {
            let (reads, writes) = (self.rivals[place].reads_at, self.rivals[place].writes_at);
            if self.rivals[place].draft.is_none() && reads <= self.now {
                self.rivals[place].draft = Some(self.known());
            }
            if writes <= self.now {
                let rival = self.rivals.remove(place);
                let mut list = rival.draft.unwrap();
                list.push(listed(rival.key));
                self.write(list);
                return self.rivals_write();
            }
        }
    }

    /// The list as some server knows it.
    fn known(&mut self) -> Vec<ListedKey> {
        let server = self.rng.usize(..SERVERS);
        let heard = self.writes.iter().rev().find(|write| write.heard[server] <= self.now);
        heard.map(|write| write.list.clone()).unwrap_or_default()
    }

    fn write(&mut self, mut list: Vec<ListedKey>) {
        list.sort_by_key(|one| one.key_id);
        let (least, most) = self.lag;
        let heard = std::array::from_fn(|_| {
            let seconds = least + (most - least) * self.rng.f64();
            self.now + Duration::from_secs_f64(seconds)
        });
        self.writes.push(Write { list, heard });
    }

    /// Whoever writes the list takes one away.
    pub fn remove(&mut self, key_id: KeyId) {
        let list = self.truth().iter().filter(|one| one.key_id != key_id).cloned().collect();
        self.write(list);
    }

    /// For how many seconds servers have shown it, all of them together, after this process had written.
    pub fn shown_for(&self, key_id: KeyId) -> f64 {
        let has_it = |write: &Write| write.list.iter().any(|one| one.key_id == key_id);
        let shown = |server: usize| {
            self.writes.iter().enumerate().filter(|(_, write)| has_it(write)).map(move |(place, write)| {
                let later = self.writes[place + 1..].iter().map(|later| later.heard[server]).min();
                later.unwrap_or(self.now).duration_since(write.heard[server]).as_secs_f64().max(0.0)
            })
        };
        (0..SERVERS).flat_map(shown).sum()
    }

    fn application(list: &[ListedKey]) -> Application {
        let credentials = list.iter().map(|one| Credential {
            key_id: one.key_id,
            kind: CredentialKind::Certificate,
            display_name: one.told["displayName"].as_str().map(str::to_owned),
            hint: None,
            start: None,
            end: None,
        });
        Application { object_id: ObjectId(Uuid::nil()), most_secrets: None, credentials: credentials.collect() }
    }

    fn record(&mut self, entry: &Entry, finalized: bool) -> Outcome {
        self.versions += 1;
        let before = self.records.iter().find(|one| one.entry.sequence == entry.sequence);
        let record = Record {
            uid: entry.sequence.to_string(),
            version: self.versions.to_string(),
            created_at: before.map_or(self.now, |one| one.created_at),
            finalized,
            deleting: false,
            entry: entry.clone(),
        };
        self.records.retain(|one| one.entry.sequence != entry.sequence);
        self.records.push(record.clone());
        Outcome::Written(Box::new(record))
    }

    fn act(&mut self, step: &Step) -> Outcome {
        let at = self.now;
        match step {
            Step::ReadRecords => {
                Outcome::Records(Records { list: self.records.clone(), forged: vec![], listed_at: Some(at) })
            }
            Step::ReadApplication => {
                let known = self.known();
                Outcome::Application(Looked { at, found: Self::application(&known) })
            }
            Step::ReadList { whole } => {
                let known = self.known();
                let found = Self::application(&known);
                let bare = |mut one: ListedKey| {
                    one.told.remove("key");
                    one
                };
                let known = if *whole { known } else { known.into_iter().map(bare).collect() };
                Outcome::List(Looked { at, found }, known)
            }
            Step::WriteList { keep, add, .. } => self.write_list(keep, add.as_deref()),
            Step::ReadSource { .. } => {
                Outcome::Source(Looked { at, found: self.source.clone().unwrap_or(Source::Absent) })
            }
            Step::Make { record, from } => self.make(record, from),
            Step::ReadTarget { .. } => self.target(),
            Step::Publish { record, .. } => {
                let entry = &record.entry;
                self.carried = Some(Carried {
                    holder: Holder::Owned(entry.owner.clone()),
                    key_id: entry.kept.as_ref().map(|kept| kept.key_id),
                    sequence: Some(entry.sequence),
                    nonce: entry.last_attempt().map(|last| last.nonce.clone()),
                    agrees: true,
                    obstacle: None,
                    version: "1".into(),
                    uid: None,
                });
                self.target()
            }
            Step::Open { entry } | Step::TakeOver { entry, .. } | Step::Keep { entry, .. } => self.record(entry, true),
            Step::Note { entry, finalized, .. } => self.record(entry, *finalized),
            Step::Rehearse { .. } => Outcome::Rehearsed,
            Step::SignIn { key_id, .. } | Step::TryTarget { key_id, .. } => {
                let is_known = self.known().iter().any(|one| one.key_id == *key_id);
                Outcome::Verdict(if is_known { Verdict::Accepted } else { Verdict::Refused(trouble()) })
            }
            Step::TakeSlot { .. } => Outcome::Slot(true),
            Step::ReadConsumers => Outcome::Consumers(nobody(SeenBy::List(at))),
            Step::WatchConsumers { .. } => Outcome::Consumers(nobody(SeenBy::Watch)),
            Step::Forget { record } => {
                self.records.retain(|one| one.entry.sequence != record.entry.sequence);
                Outcome::Forgotten
            }
            other => panic!("nobody thought of this: {other}"),
        }
    }

    fn make(&mut self, record: &Record, from: &Origin) -> Outcome {
        let nonce = &record.entry.last_attempt().unwrap().nonce;
        let (thumbprint, ends) = match (from, &self.source) {
            (Origin::Generated(wish), _) => (Thumbprint::of(nonce.as_str().as_bytes()), wish.ends),
            (Origin::Secret { thumbprint: asked, .. }, Some(Source::Fit { thumbprint, ends, .. })) => {
                assert_eq!(asked, thumbprint);
                (thumbprint.clone(), *ends)
            }
            (Origin::Secret { .. }, other) => panic!("{other:?}"),
        };
        Outcome::Minted(Kept {
            key_id: thumbprint.key_id(nonce),
            issued_at: self.now,
            expires_at: Some(ends),
            thumbprint: Some(thumbprint),
        })
    }

    fn write_list(&mut self, keep: &[ListedKey], add: Option<&Record>) -> Outcome {
        // One that is not there comes only with the certificate itself.
        assert!(keep.iter().all(|one| one.is_whole() || self.has(one.key_id)), "Entra would refuse this");
        let new = add.map(|record| {
            let last = record.entry.last_attempt().unwrap();
            let (owner, sequence) = (record.entry.owner.clone(), record.entry.sequence);
            let name = Mark { owner, sequence, nonce: last.nonce.clone() }.display_name("payments", "payments-api");
            let key_id = record.entry.kept.as_ref().unwrap().key_id;
            let told = json!({"keyId": key_id, "displayName": name, "key": "MII="});
            ListedKey { key_id, told: told.as_object().unwrap().clone() }
        });
        let whole = |one: &ListedKey| {
            let there = self.truth().iter().find(|other| other.key_id == one.key_id);
            there.cloned().unwrap_or_else(|| one.clone())
        };
        let list = keep.iter().map(whole).chain(new).collect();
        self.write(list);
        if std::mem::take(&mut self.lost_answer) {
            return Outcome::Failed(Trouble { effect: Effect::Unknown, ..trouble() });
        }
        Outcome::Listed
    }

    fn target(&self) -> Outcome {
        let found = self.carried.clone().map_or(TargetState::Absent, TargetState::Present);
        Outcome::Target(Looked { at: self.now, found })
    }
}

fn nobody(seen: SeenBy) -> Consumers {
    Consumers { seen, workloads: vec![], pods: vec![], schedules: vec![] }
}

fn trouble() -> Trouble {
    Trouble {
        effect: Effect::Refused,
        ..Trouble::unsent(Service::Token, Reason::CredentialUnknown, "could not".into(), "Do something.")
    }
}
