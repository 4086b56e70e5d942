//! What a step does to the world: the writing arms of `reconcile::act`, as PROTOCOL has them, with laws that hold at the
//! moment at which an effect lands.

use std::rc::Rc;

use keywright::{
    facts::{Carried, Entry, Kept, Looked, Mark, Record, Stage, TargetId},
    plan::{Outcome, Step},
};

use super::{
    cluster::{Copy, stamped},
    laws,
    look::{place_of, rolled},
    town::Town,
    world::{Minted, World, kept_key, key_id, key_of, time},
};

impl World {
    /// Do a step of an operator, and say what the service answers. What lands late was looked at when it was sent.
    pub fn carry_out(&mut self, town: &Town, who: usize, step: &Step, late: bool) -> Outcome {
        match step {
            Step::Open { entry } => self.create(town, who, entry, true),
            Step::Rebuild { entry, target } | Step::KeepFromTarget { entry, target, .. } => {
                let Some(copy) = self.copy_at(who, target).filter(|copy| Some(copy.key) == kept_key(entry)) else {
                    return Outcome::Outpaced;
                };
                let edited = copy.edited;
                let outcome = match step {
                    Step::KeepFromTarget { record, .. } => self.swap(town, who, record, entry, record.finalized),
                    _ => self.create(town, who, entry, false),
                };
                if let Outcome::Written(record) = &outcome
                    && edited
                {
                    let at = self.operators[who].at;
                    self.change_etcd(town, at).garbage.push(record.uid.clone());
                }
                outcome
            }
            Step::TakeOver { record, entry } | Step::Keep { record, entry } => {
                self.swap(town, who, record, entry, record.finalized)
            }
            Step::Note { record, entry, finalized } => self.swap(town, who, record, entry, *finalized),
            Step::Mint { record, .. } => {
                if !late {
                    laws::of_a_mint(self, town);
                }
                self.mint(town, record)
            }
            Step::Publish { record, target, over } => self.publish(town, who, record, (target, over.as_deref()), late),
            Step::Roll { workload, mark } => {
                let (at, place) = (self.operators[who].at, place_of(workload));
                laws::of_a_disturbance(self, town);
                if self.clusters[at].etcd.templates[place].as_deref() != Some(mark.as_str()) {
                    self.set_template(town, at, place, Some(Rc::from(mark.as_str())));
                }
                rolled(town, &self.clusters[at], workload)
            }
            Step::DisableVersions { before, .. } => {
                laws::of_disabled_versions(self, *before);
                Outcome::Disabled
            }
            Step::Remove { key_id, .. } => {
                let key = key_of(*key_id);
                if self.graph[key].removed.is_none() {
                    laws::of_a_removal(self, town, (who, key), late);
                    self.graph[key].removed = Some(self.now);
                }
                Outcome::Removed
            }
            Step::Forget { record } => self.forget(town, who, record),
            _ => unreachable!("{step:?} is a look"),
        }
    }

    fn create(&mut self, town: &Town, who: usize, entry: &Entry, finalized: bool) -> Outcome {
        if self.etcd(who).record(&entry.name()).is_some() {
            return Outcome::Outpaced;
        }
        self.uids += 1;
        let record = stamped(Record {
            uid: self.uids.to_string(),
            version: String::new(),
            created_at: time(self.now),
            finalized,
            deleting: false,
            entry: entry.clone(),
        });
        let records = &mut self.change_etcd(town, self.operators[who].at).records;
        records.push(record.clone());
        records.sort_by_key(|record| record.entry.sequence);
        Outcome::Written(Box::new(record))
    }

    fn swap(&mut self, town: &Town, who: usize, before: &Record, entry: &Entry, finalized: bool) -> Outcome {
        let same = |one: &&Record| one.uid == before.uid && one.version == before.version;
        let Some(found) = self.etcd(who).record(&before.entry.name()).filter(same) else { return Outcome::Outpaced };
        let after = stamped(Record { entry: entry.clone(), finalized, ..found.clone() });
        laws::of_a_record(self, before, &after);
        let records = &mut self.change_etcd(town, self.operators[who].at).records;
        records.retain(|one| one.uid != after.uid);
        if after.finalized || !after.deleting {
            records.push(after.clone());
            records.sort_by_key(|record| record.entry.sequence);
        }
        Outcome::Written(Box::new(after))
    }

    fn mint(&mut self, town: &Town, record: &Record) -> Outcome {
        let entry = &record.entry;
        let nonce = entry.last_attempt().unwrap().nonce.clone();
        let mark = Mark { owner: entry.owner.clone(), sequence: entry.sequence, nonce };
        self.graph.push(Minted {
            name: mark.display_name("payments", "payments-api"),
            mark: Some(mark),
            added: self.now,
            ends: None,
            removed: None,
            used: None,
        });
        laws::of_all_mints(self, town);
        let key_id = key_id(self.graph.len() - 1);
        Outcome::Minted(Kept { key_id, issued_at: time(self.now), expires_at: None, thumbprint: None })
    }

    /// Before a target is written the record is read again.
    fn publish(
        &mut self,
        town: &Town,
        who: usize,
        record: &Record,
        (target, over): (&TargetId, Option<&Carried>),
        late: bool,
    ) -> Outcome {
        let careless = town.mutant.is_some_and(super::mutants::Mutant::publishes_blindly);
        let etcd = self.etcd(who);
        let current = etcd
            .record(&record.entry.name())
            .is_some_and(|now| now.uid == record.uid && now.entry.stage == Stage::Publishing);
        let newer = etcd.publishing().any(|one| one.entry.sequence > record.entry.sequence);
        if !careless && !late && (!current || newer) {
            return Outcome::Outpaced;
        }
        let (entry, edited) = (&record.entry, self.is_garbage(who, record));
        let (key, nonce) = (kept_key(entry).unwrap(), entry.last_attempt().unwrap().nonce.clone());
        let copy = Copy { key, sequence: entry.sequence, nonce, edited };
        match target {
            TargetId::Secret(_) => {
                let seen = over.map(|over| (Some(over.version.clone()), over.uid.clone()));
                let there = self.etcd(who).secret.as_ref();
                let there = there.map(|secret| (Some(secret.version.to_string()), Some(secret.uid.to_string())));
                if !careless && seen != there {
                    return Outcome::Outpaced;
                }
                laws::of_a_publication(self, self.copy_at(who, target).cloned(), &copy, entry);
                let uid = self.etcd(who).secret.as_ref().map_or(self.uids + 1, |secret| secret.uid);
                self.uids = self.uids.max(uid);
                self.set_secret(town, self.operators[who].at, Some((uid, copy)));
            }
            TargetId::Vault { .. } => {
                // A vault has no precondition: what lands late is the known limit, which the next look repairs.
                if !late {
                    laws::of_a_publication(self, self.vault.clone(), &copy, entry);
                }
                self.vault = Some(copy);
            }
        }
        Outcome::Target(Looked { at: time(self.now), found: self.state(town, who, target, Some((key, edited))) })
    }

    fn forget(&mut self, town: &Town, who: usize, record: &Record) -> Outcome {
        let same = |one: &&Record| one.uid == record.uid && one.version == record.version;
        if !self.etcd(who).record(&record.entry.name()).as_ref().is_some_and(same) {
            return Outcome::Outpaced;
        }
        self.change_etcd(town, self.operators[who].at).records.retain(|one| one.uid != record.uid);
        Outcome::Forgotten
    }
}
