//! What is remembered of a resource between two looks, and what makes it void. A rotation reads the world once: what was
//! read or written stays known until something says that it has changed.
//!
//! The rules, for everything that a watch also shows:
//! - Of two versions of an object the higher one is so. (The API server's versions can be compared since 1.35, and could
//!   in fact before.)
//! - What a watch has shown and shows no more is gone.
//! - What a watch has never shown is believed as it was read or written: the watch is merely late.
//! - Whatever a watch shows differently from what was remembered ends the freshness of everything of its kind.
//!
//! What no watch shows (the application, the vaults, the pods) carries the time at which it was read, and `plan` decides
//! how long it may be acted on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

use secrecy::SecretString;

use crate::facts::{Application, Looked, Mine, Nonce, Observation, PodSeen, Record, Records, TargetId, TargetState};

/// What is remembered of one resource.
#[derive(Debug, Default)]
pub struct Memory {
    /// Its records.
    pub records: Records,
    /// Its application.
    pub application: Option<Looked<Application>>,
    /// Its targets.
    pub targets: BTreeMap<TargetId, Looked<TargetState>>,
    /// The pods of its namespace.
    pub pods: Option<Looked<Vec<PodSeen>>>,
    /// What this process has done.
    pub mine: Mine,
    /// Values that were minted and are not yet published, by the attempt that brought them.
    pub values: BTreeMap<Nonce, SecretString>,
    /// The objects that a watch has shown.
    shown: BTreeSet<String>,
}

/// What the watches show of one resource: its records, and the versions of the Secrets that bear its label.
#[derive(Debug, Default)]
pub struct Shown {
    /// Records.
    pub records: Vec<Record>,
    /// Secrets that pretend to be records, and why they are none.
    pub forged: Vec<(String, String)>,
    /// Published Secrets: name and version.
    pub secrets: BTreeMap<String, String>,
}

impl Memory {
    /// Take in what the watches show.
    pub fn take_in(&mut self, shown: Shown) {
        self.take_in_records(shown.records, shown.forged);
        self.take_in_secrets(&shown.secrets);
    }

    fn take_in_records(&mut self, shown: Vec<Record>, forged: Vec<(String, String)>) {
        let remembered = std::mem::take(&mut self.records.list);
        let mut now: BTreeMap<String, Record> = shown.into_iter().map(|record| (record.entry.name(), record)).collect();
        let names: Vec<String> = now.keys().cloned().collect();
        let mut differs = false;
        for record in remembered {
            let name = record.entry.name();
            match now.get(&name) {
                Some(other) if is_newer(&other.version, &record.version) => differs = true,
                None if self.shown.contains(&name) => differs = true,
                Some(_) | None => drop(now.insert(name, record)),
            }
        }
        differs |= forged != self.records.forged;
        self.shown.extend(names);
        self.records.list = now.into_values().collect();
        self.records.list.sort_by_key(|record| record.entry.sequence);
        self.records.forged = forged;
        if differs {
            self.records.listed_at = None;
        }
    }

    fn take_in_secrets(&mut self, shown: &BTreeMap<String, String>) {
        let known = &self.shown;
        self.targets.retain(|target, looked| {
            let TargetId::Secret(name) = target else { return true };
            let key = target.to_string();
            match (&looked.found, shown.get(name.as_str())) {
                (TargetState::Present(carried), Some(version)) => !is_newer(version, &carried.version),
                (TargetState::Present(_), None) => !known.contains(&key),
                (_, Some(_)) => false,
                (_, None) => true,
            }
        });
        for name in shown.keys() {
            self.shown.insert(TargetId::Secret(name.as_str().into()).to_string());
        }
    }

    /// Remember what an observation has become.
    pub fn keep(&mut self, seen: Observation) {
        let Observation { records, application, targets, pods, mine, .. } = seen;
        let needed: BTreeSet<&Nonce> = mine.attempts.iter().map(|own| &own.nonce).collect();
        self.values.retain(|nonce, _| needed.contains(nonce));
        (self.records, self.application, self.targets, self.pods, self.mine) =
            (records, application, targets, pods, mine);
    }
}

/// Whether a version comes after another. One that is no number is merely different.
fn is_newer(this: &str, than: &str) -> bool {
    match (this.parse::<u128>(), than.parse::<u128>()) {
        (Ok(this), Ok(than)) => this > than,
        _ => this != than,
    }
}

/// The memories of all resources, by namespace and name. One that is being looked at is taken out.
#[derive(Debug, Default)]
pub struct Inflight(Mutex<HashMap<(String, String), Option<Memory>>>);

impl Inflight {
    /// Take the memory of a resource out, unless somebody looks at it at this moment.
    pub fn take(&self, namespace: &str, name: &str) -> Option<Taken<'_>> {
        let key = (namespace.to_owned(), name.to_owned());
        let memory = self.lock().entry(key.clone()).or_insert_with(|| Some(Memory::default())).take()?;
        Some(Taken { from: self, key, memory })
    }

    /// Forget a resource that is no more, if nobody looks at it.
    pub fn forget(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut memories = self.lock();
        if matches!(memories.get(&key), Some(Some(_))) {
            memories.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Option<Memory>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory of a resource that is being looked at. It goes back by itself, also when the look ends in a panic.
#[derive(Debug)]
pub struct Taken<'a> {
    from: &'a Inflight,
    key: (String, String),
    memory: Memory,
}

impl Deref for Taken<'_> {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.memory
    }
}

impl DerefMut for Taken<'_> {
    fn deref_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        self.from.lock().insert(self.key.clone(), Some(memory));
    }
}
