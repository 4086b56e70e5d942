//! What a step does to the world: the arms of `reconcile::act`, as PROTOCOL has them, with laws that hold at the moment
//! at which an effect lands.

use keywright::{
    facts::{
        Carried, Effect, Entry, Holder, Kept, Looked, Mark, PodSeen, Record, Records, Service, Stage, TargetId,
        TargetState, Trouble, Verdict,
    },
    plan::{Outcome, Step},
};

use super::{
    laws,
    town::Town,
    world::{Copy, Key, Minted, Published, World, kept_key, key_id, key_of, stamped, time},
};

/// A call that did not bring what it was to bring.
pub fn trouble(reason: keywright::api::Reason, effect: Effect) -> Trouble {
    Trouble {
        reason,
        service: Service::Graph,
        effect,
        message: "it did not work".into(),
        remedy: "wait".into(),
        code: None,
        trace_id: None,
        correlation_id: None,
        at: None,
        retry_after: None,
    }
}

impl World {
    /// Look, with the answer of one of the replicas. None if the step is no look.
    pub fn look_at(&self, town: &Town, step: &Step, replica: usize) -> Option<Outcome> {
        let at = time(self.now);
        Some(match step {
            Step::ReadRecords => {
                Outcome::Records(Records { list: self.etcd.records.clone(), forged: vec![], listed_at: Some(at) })
            }
            Step::ReadApplication => Outcome::Application(Looked { at, found: self.application(replica) }),
            Step::ReadTarget { target, wanted } => {
                let of = |record: &Record| Some((kept_key(&record.entry)?, self.is_garbage(record)));
                let wanted =
                    self.etcd.records.iter().find(|record| Some(record.entry.sequence) == *wanted).and_then(of);
                Outcome::Target(Looked { at, found: self.state(town, target, wanted) })
            }
            Step::ReadPods => Outcome::Pods(Looked { at, found: self.pods(town) }),
            Step::Rehearse { .. } => Outcome::Rehearsed,
            Step::Settle { sequence, nonce } => {
                let found = self.etcd.records.iter().find(|record| record.entry.sequence == *sequence);
                match found.filter(|one| one.entry.last_attempt().is_some_and(|last| last.nonce == *nonce)) {
                    Some(record) => Outcome::Written(Box::new(record.clone())),
                    None => Outcome::Lost,
                }
            }
            Step::SignIn { record, key_id } => Outcome::Verdict(self.sign_in(record, key_of(*key_id), replica)),
            _ => return None,
        })
    }

    fn is_garbage(&self, record: &Record) -> bool {
        self.etcd.garbage.contains(&record.uid)
    }

    fn sign_in(&self, record: &Record, key: Key, replica: usize) -> Verdict {
        match (self.shows(replica, key) && !self.is_garbage(record), self.blocked.is_some()) {
            (false, _) => Verdict::Refused(trouble(keywright::api::Reason::CredentialUnknown, Effect::Refused)),
            (true, true) => Verdict::Blocked(trouble(keywright::api::Reason::SignInBlocked, Effect::Refused)),
            (true, false) => Verdict::Accepted,
        }
    }

    fn state(&self, town: &Town, target: &TargetId, wanted: Option<(Key, bool)>) -> TargetState {
        let uid = self.secret_uid().filter(|_| matches!(target, TargetId::Secret(_)));
        self.copy_at(target).map_or(TargetState::Absent, |copy| {
            TargetState::Present(Carried {
                holder: Holder::Owned(town.first_sight(0).owner),
                key_id: Some(key_id(copy.key)),
                sequence: Some(copy.sequence),
                nonce: Some(copy.nonce.clone()),
                agrees: wanted == Some((copy.key, copy.edited)),
                obstacle: None,
                version: copy.version(),
                uid,
            })
        })
    }

    fn secret_uid(&self) -> Option<String> {
        self.etcd.secret.as_ref().map(|secret| secret.uid.to_string())
    }

    fn pods(&self, town: &Town) -> Vec<PodSeen> {
        let reads = town.targets.iter().filter_map(|target| match target {
            TargetId::Secret(name) => Some(name.to_string()),
            TargetId::Vault { .. } => None,
        });
        let reads: Vec<_> = reads.collect();
        let pod = self.pod.iter().map(|pod| PodSeen {
            name: "web-0".into(),
            reads: reads.clone(),
            created_at: time(pod.since),
            started_at: Some(time(pod.since)),
            terminating_since: None,
            annotations: std::collections::BTreeMap::new(),
        });
        pod.collect()
    }

    /// Do a step, and say what the service answers. What lands late was looked at when it was sent.
    pub fn carry_out(&mut self, town: &Town, step: &Step, late: bool) -> Outcome {
        match step {
            Step::Open { entry } => self.create(town, entry, true),
            Step::Rebuild { entry, target } | Step::KeepFromTarget { entry, target, .. } => {
                let Some(copy) = self.copy_at(target).filter(|copy| Some(copy.key) == kept_key(entry)) else {
                    return Outcome::Outpaced;
                };
                let outcome = match step {
                    Step::KeepFromTarget { record, .. } => self.swap(town, record, entry, record.finalized),
                    _ => self.create(town, entry, false),
                };
                if let Outcome::Written(record) = &outcome
                    && copy.edited
                {
                    self.change_etcd(town).garbage.push(record.uid.clone());
                }
                outcome
            }
            Step::TakeOver { record, entry } | Step::Keep { record, entry } => {
                self.swap(town, record, entry, record.finalized)
            }
            Step::Note { record, entry, finalized } => self.swap(town, record, entry, *finalized),
            Step::Mint { record, .. } => {
                if !late {
                    laws::of_a_mint(self, town);
                }
                self.mint(record)
            }
            Step::Publish { record, target, over } => self.publish(town, record, (target, over.as_deref()), late),
            Step::Remove { key_id, .. } => self.remove(town, key_of(*key_id), late),
            Step::Forget { record } => self.forget(town, record),
            _ => unreachable!("{step:?} is a look"),
        }
    }

    fn copy_at(&self, target: &TargetId) -> Option<Copy> {
        match target {
            TargetId::Secret(_) => self.etcd.secret.as_ref().map(|secret| secret.copy.clone()),
            TargetId::Vault { .. } => self.vault.clone(),
        }
    }

    fn create(&mut self, town: &Town, entry: &Entry, finalized: bool) -> Outcome {
        if self.etcd.record(&entry.name()).is_some() {
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
        let records = &mut self.change_etcd(town).records;
        records.push(record.clone());
        records.sort_by_key(|record| record.entry.sequence);
        Outcome::Written(Box::new(record))
    }

    fn swap(&mut self, town: &Town, before: &Record, entry: &Entry, finalized: bool) -> Outcome {
        let same = |one: &&Record| one.uid == before.uid && one.version == before.version;
        let Some(found) = self.etcd.record(&before.entry.name()).filter(same) else { return Outcome::Outpaced };
        let after = stamped(Record { entry: entry.clone(), finalized, ..found.clone() });
        laws::of_a_record(self, before, &after);
        let records = &mut self.change_etcd(town).records;
        records.retain(|one| one.uid != after.uid);
        if after.finalized || !after.deleting {
            records.push(after.clone());
            records.sort_by_key(|record| record.entry.sequence);
        }
        Outcome::Written(Box::new(after))
    }

    fn mint(&mut self, record: &Record) -> Outcome {
        let entry = &record.entry;
        let nonce = entry.last_attempt().unwrap().nonce.clone();
        let mark = Mark { owner: entry.owner.clone(), sequence: entry.sequence, nonce };
        self.graph.push(Minted {
            name: mark.display_name("payments", "payments-api"),
            mark: Some(mark),
            added: self.now,
            removed: None,
        });
        laws::of_all_mints(self);
        let key_id = key_id(self.graph.len() - 1);
        Outcome::Minted(Kept { key_id, issued_at: time(self.now), expires_at: None })
    }

    /// Before a target is written the record is read again.
    fn publish(
        &mut self,
        town: &Town,
        record: &Record,
        (target, over): (&TargetId, Option<&Carried>),
        late: bool,
    ) -> Outcome {
        let careless = town.mutant.is_some_and(super::mutants::Mutant::publishes_blindly);
        let now = self.etcd.record(&record.entry.name());
        let current = now.is_some_and(|now| now.uid == record.uid && now.entry.stage == Stage::Publishing);
        let newer = self.etcd.publishing().any(|one| one.entry.sequence > record.entry.sequence);
        if !careless && !late && (!current || newer) {
            return Outcome::Outpaced;
        }
        let entry = &record.entry;
        let (key, nonce) = (kept_key(entry).unwrap(), entry.last_attempt().unwrap().nonce.clone());
        let copy = Copy { key, sequence: entry.sequence, nonce, edited: self.is_garbage(record) };
        match target {
            TargetId::Secret(_) => {
                let seen = over.map(|over| (Some(over.version.clone()), over.uid.clone()));
                let there = self.etcd.secret.as_ref().map(|secret| (Some(secret.copy.version()), self.secret_uid()));
                if !careless && seen != there {
                    return Outcome::Outpaced;
                }
                laws::of_a_publication(self, self.etcd.secret.as_ref().map(|secret| secret.copy.clone()), &copy);
                let uid = self.etcd.secret.as_ref().map_or(self.uids + 1, |secret| secret.uid);
                self.uids = self.uids.max(uid);
                self.set_secret(town, Some(Published { uid, copy }));
            }
            TargetId::Vault { .. } => {
                // A vault has no precondition: what lands late is the known limit, which the next look repairs.
                if !late {
                    laws::of_a_publication(self, self.vault.clone(), &copy);
                }
                self.vault = Some(copy);
            }
        }
        Outcome::Target(Looked {
            at: time(self.now),
            found: self.state(town, target, Some((key, self.is_garbage(record)))),
        })
    }

    fn remove(&mut self, town: &Town, key: Key, late: bool) -> Outcome {
        if self.graph[key].removed.is_none() {
            laws::of_a_removal(self, town, key, late);
            self.graph[key].removed = Some(self.now);
        }
        Outcome::Removed
    }

    fn forget(&mut self, town: &Town, record: &Record) -> Outcome {
        let same = |one: &&Record| one.uid == record.uid && one.version == record.version;
        if !self.etcd.record(&record.entry.name()).as_ref().is_some_and(same) {
            return Outcome::Outpaced;
        }
        self.change_etcd(town).records.retain(|one| one.uid != record.uid);
        Outcome::Forgotten
    }
}

impl Copy {
    /// What a compare-and-swap compares.
    fn version(&self) -> String {
        format!("{}{}", self.key, if self.edited { "*" } else { "" })
    }
}
