//! What is remembered of a resource between two looks, and what makes it void. A rotation reads the world once: what was
//! read or written stays known until something says that it has changed.
//!
//! The rules, for everything that a watch also shows:
//! - Of two versions of an object the higher one is so. (The API server's versions can be compared since 1.35, and could
//!   in fact before.)
//! - What a watch has shown and shows no more is gone.
//! - What a watch has never shown is believed as it was read or written: the watch is merely late.
//! - Whatever a watch shows differently from what was remembered ends the freshness of everything of its kind.
//! - What was seen at the targets was compared with what one spec makes of them, and is forgotten with that spec. So is
//!   the Secret that it names as a source, and what was refused on account of it.
//! - When a watch has begun anew with a list, nothing is remembered of the cluster: etcd may have been restored, and then
//!   the lower version is so.
//!
//! What no watch shows (the application, the vaults, the pods) carries the time at which it was read, and `plan` decides
//! how long it may be acted on.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;

use super::said::Said;
use crate::{
    api::tenant::{Cloud, Endpoints},
    facts::{
        Application, Fate, Federation, Looked, Mine, Nonce, Observation, OwnAttempt, Record, Records, Source, Stage,
        TargetId, TargetState,
    },
    plan::scene::outlives_its_spec,
};

/// What is remembered of one resource.
#[derive(Debug, Default)]
pub struct Memory {
    /// Its records.
    pub records: Records,
    /// Its application.
    pub application: Option<Looked<Application>>,
    /// Its targets. A list of exactly these: most have one, and a map would have room for eleven.
    pub targets: Box<[(TargetId, Looked<TargetState>)]>,
    /// What federation rests on.
    pub federation: Federation,
    /// The Secret that its certificate is taken from.
    pub source: Option<Looked<Source>>,
    /// What this process has done.
    pub mine: Mine,
    /// Values that were minted and are not yet published, by the attempt that brought them.
    pub values: BTreeMap<Nonce, SecretString>,
    /// What was last said of it.
    pub said: Said,
    /// The objects that a watch has shown.
    shown: BTreeSet<String>,
    /// Since which list.
    lists: u64,
    /// What decides what it remembers of its targets.
    basis: Basis,
}

/// What the watches show of one resource: its records, and the versions of the Secrets that bear its label.
#[derive(Debug, Default)]
pub struct Shown {
    /// How often the watches have begun with a list.
    pub lists: u64,
    /// What decides what its targets are to be.
    pub basis: Basis,
    /// Records.
    pub records: Vec<Record>,
    /// Secrets that pretend to be records, and why they are none.
    pub forged: Vec<(String, String)>,
    /// Published Secrets: name and version.
    pub secrets: BTreeMap<String, String>,
}

/// What decides, beside the credential, what the targets of a resource are to be: itself, with its spec, and where its
/// tenant says that people sign in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Basis {
    /// The UID: one that is created anew begins with the same generation.
    pub uid: Option<String>,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// The cloud of its tenant, with endpoints of its own, if the tenant can be read.
    pub cloud: Option<(Cloud, Option<Endpoints>)>,
}

impl Memory {
    /// Take in what the watches show.
    pub fn take_in(&mut self, shown: Shown) {
        if self.lists != shown.lists {
            self.forget_the_cluster();
            self.lists = shown.lists;
        }
        if self.basis != shown.basis {
            (self.targets, self.source) = (Box::default(), None);
            self.mine.failing.retain(|_, failing| outlives_its_spec(failing));
            self.basis = shown.basis;
        }
        self.take_in_records(shown.records, shown.forged);
        self.take_in_secrets(&shown.secrets);
    }

    fn forget_the_cluster(&mut self) {
        self.records = Records::default();
        (self.federation.issuer, self.federation.accounts) = (None, BTreeMap::new());
        self.source = None;
        self.keep_targets(|(target, _)| !matches!(target, TargetId::Secret(_)));
        self.shown.clear();
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

    fn keep_targets(&mut self, are_so: impl Fn(&(TargetId, Looked<TargetState>)) -> bool) {
        self.targets = std::mem::take(&mut self.targets).into_iter().filter(are_so).collect();
    }

    fn take_in_secrets(&mut self, shown: &BTreeMap<String, String>) {
        let known = std::mem::take(&mut self.shown);
        self.keep_targets(|(target, looked)| {
            let TargetId::Secret(name) = target else { return true };
            let key = target.to_string();
            match (&looked.found, shown.get(name.as_str())) {
                (TargetState::Present(carried), Some(version)) => !is_newer(version, &carried.version),
                (TargetState::Present(_), None) => !known.contains(&key),
                (_, Some(_)) => false,
                (_, None) => true,
            }
        });
        self.shown = known;
        for name in shown.keys() {
            self.shown.insert(TargetId::Secret(name.as_str().into()).to_string());
        }
    }

    /// Remember what an observation has become.
    pub fn keep(&mut self, seen: Observation) {
        let Observation { records, application, targets, federation, source, mine, .. } = seen;
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
        (self.records, self.application, self.mine) = (records, application, mine);
        (self.federation, self.source) = (federation, source);
        self.targets = targets.into_iter().collect();
    }

    /// Whether it has what nobody else knows, and what is still to be cared for if the resource is no more: a value that is
    /// in no record, or a credential whose value is in none and never will be. Everything else can be read again.
    pub(super) fn is_needed(&self) -> bool {
        self.mine.attempts.iter().any(|own| matches!(own.fate, Fate::Held { .. } | Fate::Lost { .. }))
    }
}

/// Whether a version comes after another. One that is no number is merely different.
pub(super) fn is_newer(this: &str, than: &str) -> bool {
    match (this.parse::<u128>(), than.parse::<u128>()) {
        (Ok(this), Ok(than)) => this > than,
        _ => this != than,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{
        api::{ClientId, Reason, TenantId, grant::CredentialKind},
        facts::{Attempt, Carried, Effect, Entry, Failing, Holder, Owner, Sequence, Service, Trouble, Work},
    };

    fn record(sequence: u32, version: &str) -> Record {
        let attempt = Attempt { nonce: Nonce::of([0; 10]), holder: "one".into(), at: Timestamp::UNIX_EPOCH };
        Record {
            uid: "u".into(),
            version: version.into(),
            created_at: Timestamp::UNIX_EPOCH,
            finalized: false,
            deleting: false,
            entry: Entry::opened(
                Owner::of("c", "n", "x"),
                "x",
                (TenantId(Uuid::nil()), ClientId(Uuid::nil()), CredentialKind::ClientSecret),
                Sequence(sequence),
                attempt,
            ),
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
    fn what_is_at_a_target_is_compared_anew_with_another_spec() {
        let first = Basis { uid: Some("a".into()), generation: Some(1), cloud: Some((Cloud::Public, None)) };
        for (now, known) in [
            (first.clone(), 1),
            (Basis { generation: Some(2), ..first.clone() }, 0),
            (Basis { uid: Some("b".into()), ..first.clone() }, 0),
            (Basis { cloud: Some((Cloud::China, None)), ..first.clone() }, 0),
        ] {
            let mut memory = Memory { basis: first.clone(), ..Memory::default() };
            let absent = Looked { at: Timestamp::UNIX_EPOCH, found: TargetState::Absent };
            memory.targets = Box::new([(TargetId::Secret("x".into()), absent)]);
            memory.source = Some(Looked { at: Timestamp::UNIX_EPOCH, found: Source::Absent });
            memory.take_in(Shown { basis: now.clone(), ..Shown::default() });
            assert_eq!((memory.targets.len(), memory.source.iter().count()), (known, known), "{now:?}");
        }
    }

    #[test]
    fn another_spec_is_not_held_off_by_what_was_refused_to_the_one_before() {
        let failing = |reason, effect| Failing {
            times: 7,
            last_at: Timestamp::UNIX_EPOCH,
            trouble: Trouble { effect, ..Trouble::unsent(Service::Graph, reason, "no".into(), "do it") },
        };
        let mut memory = Memory::default();
        memory.mine.failing = BTreeMap::from([
            (Work::Minting, failing(Reason::LifetimeForbidden, Effect::Refused)),
            (Work::Opening, failing(Reason::Throttled, Effect::Refused)),
            (Work::Source, failing(Reason::Unreachable, Effect::Unknown)),
        ]);
        memory.take_in(Shown::default());
        assert_eq!(memory.mine.failing.len(), 3);
        memory.take_in(Shown { basis: Basis { generation: Some(2), ..Basis::default() }, ..Shown::default() });
        let left: Vec<_> = memory.mine.failing.keys().cloned().collect();
        assert_eq!(left, [Work::Opening, Work::Source]);
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
    fn after_a_new_list_the_lower_version_is_so_and_nothing_is_fresh() {
        let mut memory = remembering(vec![record(1, "700"), record(2, "800")]);
        memory.targets = Box::new([(TargetId::Secret("x".into()), seen("900"))]);
        memory.federation.accounts.insert("api".into(), Looked { at: Timestamp::UNIX_EPOCH, found: None });
        memory.take_in(Shown { lists: 1, records: vec![record(1, "100")], ..Shown::default() });
        assert_eq!(memory.federation.accounts.len(), 0);
        assert_eq!(versions(&memory), [(1, "100")]);
        assert_eq!((memory.records.listed_at, memory.targets.len()), (None, 0));
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
        let mut memory = Memory { targets: Box::new([(target.clone(), seen("7"))]), ..Memory::default() };
        memory.take_in(Shown::default());
        assert!(!memory.targets.is_empty(), "the watch is late");
        memory.take_in(secret("7"));
        assert!(!memory.targets.is_empty());
        memory.take_in(secret("8"));
        assert!(memory.targets.is_empty(), "somebody wrote");
        memory.targets = Box::new([(target, seen("9"))]);
        memory.take_in(Shown::default());
        assert!(memory.targets.is_empty(), "somebody deleted it");
    }
}
