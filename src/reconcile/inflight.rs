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

use crate::facts::{
    Application, Fate, Looked, Mine, Nonce, Observation, OwnAttempt, Record, Records, Stage, TargetId, TargetState,
};

/// What is remembered of one resource.
#[derive(Debug, Default)]
pub struct Memory {
    /// Its records.
    pub records: Records,
    /// Its application.
    pub application: Option<Looked<Application>>,
    /// Its targets.
    pub targets: BTreeMap<TargetId, Looked<TargetState>>,
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
        let Observation { records, application, targets, mine, .. } = seen;
        // While a value is minted, kept and proven; whoever writes a target reads it from the record.
        let proving = |own: &OwnAttempt| {
            let mut candidates = records.list.iter().filter(|record| record.entry.stage == Stage::Unpublished);
            candidates.any(|record| record.entry.sequence == own.sequence)
        };
        let needed: BTreeSet<&Nonce> = mine
            .attempts
            .iter()
            .filter(|own| matches!(own.fate, Fate::Held { .. }) || proving(own))
            .map(|own| &own.nonce)
            .collect();
        self.values.retain(|nonce, _| needed.contains(nonce));
        (self.records, self.application, self.targets, self.mine) = (records, application, targets, mine);
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{
        api::{ClientId, TenantId, grant::CredentialKind},
        facts::{Attempt, Carried, Entry, Holder, Owner, Sequence},
    };

    fn record(sequence: u32, version: &str) -> Record {
        let attempt = Attempt { nonce: Nonce::of([0; 10]), holder: "one".into(), at: Timestamp::UNIX_EPOCH };
        Record {
            uid: "u".into(),
            version: version.into(),
            created_at: Timestamp::UNIX_EPOCH,
            finalized: false,
            deleting: false,
            entry: Entry {
                owner: Owner::of("c", "n", "x"),
                resource: "x".into(),
                tenant: TenantId(Uuid::nil()),
                client_id: ClientId(Uuid::nil()),
                kind: CredentialKind::ClientSecret,
                sequence: Sequence(sequence),
                attempts: vec![attempt],
                replaces: None,
                kept: None,
                stage: Stage::Unpublished,
                published_to: vec![],
                verified_at: None,
                published_at: None,
                proven_at: None,
                abandoned_at: None,
            },
        }
    }

    /// A memory of these records, listed a moment ago.
    fn remembering(records: Vec<Record>) -> Memory {
        let records = Records { list: records, forged: vec![], listed_at: Some(Timestamp::UNIX_EPOCH) };
        Memory { records, ..Memory::default() }
    }

    fn versions(memory: &Memory) -> Vec<(u32, &str)> {
        memory.records.list.iter().map(|one| (one.entry.sequence.0, one.version.as_str())).collect()
    }

    fn show(memory: &mut Memory, records: Vec<Record>) {
        memory.take_in(Shown { records, ..Shown::default() });
    }

    #[test]
    fn of_two_versions_the_higher_one_is_so() {
        let mut memory = remembering(vec![record(1, "100"), record(2, "20")]);
        show(&mut memory, vec![record(1, "99"), record(2, "100")]);
        assert_eq!(versions(&memory), [(1, "100"), (2, "100")]);
    }

    #[test]
    fn a_watch_that_is_late_takes_nothing_away_and_ends_no_freshness() {
        let mut memory = remembering(vec![record(1, "7")]);
        show(&mut memory, vec![]);
        assert_eq!(versions(&memory), [(1, "7")]);
        show(&mut memory, vec![record(1, "7")]);
        assert!(memory.records.listed_at.is_some());
    }

    #[test]
    fn what_a_watch_has_shown_and_shows_no_more_is_gone_and_ends_the_freshness() {
        let mut memory = remembering(vec![record(1, "7")]);
        show(&mut memory, vec![record(1, "7")]);
        show(&mut memory, vec![]);
        assert!(versions(&memory).is_empty());
        assert_eq!(memory.records.listed_at, None);
    }

    #[test]
    fn a_newer_version_ends_the_freshness() {
        let mut memory = remembering(vec![record(1, "7")]);
        show(&mut memory, vec![record(1, "8")]);
        assert_eq!(memory.records.listed_at, None);
    }

    fn seen(version: &str) -> Looked<TargetState> {
        let carried = Carried {
            holder: Holder::Unowned,
            key_id: None,
            sequence: None,
            nonce: None,
            agrees: true,
            obstacle: None,
            version: version.into(),
            uid: None,
        };
        Looked { at: Timestamp::UNIX_EPOCH, found: TargetState::Present(carried) }
    }

    #[test]
    fn a_secret_is_looked_at_again_when_a_watch_shows_another_version_or_none_any_more() {
        let target = TargetId::Secret("x".into());
        let secret =
            |version: &str| Shown { secrets: BTreeMap::from([("x".into(), version.into())]), ..Shown::default() };
        let mut memory = Memory::default();
        memory.targets.insert(target.clone(), seen("7"));
        memory.take_in(Shown::default());
        assert!(memory.targets.contains_key(&target), "the watch is late");
        memory.take_in(secret("7"));
        assert!(memory.targets.contains_key(&target));
        memory.take_in(secret("8"));
        assert!(!memory.targets.contains_key(&target), "somebody wrote");
        memory.targets.insert(target.clone(), seen("9"));
        memory.take_in(Shown::default());
        assert!(!memory.targets.contains_key(&target), "somebody deleted it");
    }

    #[test]
    fn a_memory_goes_back_also_when_a_look_panics() {
        let inflight = Inflight::default();
        let taken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _taken = inflight.take("n", "x").unwrap();
            assert!(inflight.take("n", "x").is_none(), "somebody is looking");
            panic!("a mistake");
        }));
        assert!(taken.is_err());
        assert!(inflight.take("n", "x").is_some());
    }
}
