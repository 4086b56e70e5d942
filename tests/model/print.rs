//! The fingerprint of a state. Times are told from now, and what is long ago is just long ago: a state that has been
//! there before is one, at whatever time.

mod mine;

use std::hash::{DefaultHasher, Hasher};

use jiff::Timestamp;
use keywright::{
    facts::{Application, Carried, Consumers, Entry, Kept, Observation, Record, SeenBy, TargetId, TargetState},
    plan::Step,
};

use super::{
    cluster::{Cluster, Copy, Etcd, Pod},
    operator::{Life, Operator},
    world::{World, key_of, second},
};

/// Whatever is further away makes no difference to any rule.
const HORIZON: i64 = 62;

/// By then no window is open any more for as long as anything goes on.
const A_LONG_DAY: i64 = 400;

struct Print {
    bytes: Vec<u8>,
    /// From when times are told; none: as they are.
    now: Option<i64>,
}

/// The fingerprint of a state.
pub fn of_world(world: &World) -> u64 {
    let mut print = Print { bytes: Vec::with_capacity(512), now: Some(world.now) };
    print.world(world);
    print.sum()
}

/// The fingerprint of what a record says, with its times as they are.
pub fn of_record(record: &Record) -> u64 {
    let mut print = Print { bytes: Vec::with_capacity(128), now: None };
    print.record(record);
    print.sum()
}

impl Print {
    fn sum(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.bytes);
        hasher.finish()
    }

    fn byte(&mut self, byte: impl TryInto<u8>) {
        self.bytes.push(byte.try_into().unwrap_or(u8::MAX));
    }

    fn flag(&mut self, flag: bool) {
        self.bytes.push(u8::from(flag));
    }

    fn text(&mut self, text: &str) {
        self.byte(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn time(&mut self, at: Timestamp) {
        self.moment(second(at));
    }

    fn moment(&mut self, at: i64) {
        match self.now {
            Some(now) => self.byte((at - now).clamp(-HORIZON, HORIZON) + HORIZON),
            None => self.bytes.extend_from_slice(&at.to_le_bytes()),
        }
    }

    fn maybe<T>(&mut self, value: Option<T>, mut print: impl FnMut(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            print(self, value);
        }
    }

    fn each<T>(&mut self, values: impl IntoIterator<Item = T>, mut print: impl FnMut(&mut Self, T)) {
        let start = self.bytes.len();
        self.bytes.push(0);
        let mut count: u8 = 0;
        for value in values {
            count = count.saturating_add(1);
            print(self, value);
        }
        self.bytes[start] = count;
    }

    fn world(&mut self, world: &World) {
        if world.calendar {
            self.bytes.extend_from_slice(&world.now.min(A_LONG_DAY).to_le_bytes());
        }
        self.each(&world.graph, |this, minted| {
            this.text(minted.mark.as_ref().map_or("", |mark| mark.nonce.as_str()));
            this.byte(minted.mark.as_ref().map_or(0, |mark| mark.sequence.0));
            this.moment(minted.added);
            this.maybe(minted.ends, Self::moment);
            this.maybe(minted.removed, Self::moment);
            this.maybe(minted.used, Self::moment);
        });
        self.each(&world.clusters, |this, cluster| this.cluster(cluster, world.now));
        self.maybe(world.vault.as_ref(), Self::copy);
        self.maybe(world.outside.as_ref(), |this, outside| {
            this.byte(outside.holds);
            this.maybe(outside.confirmed, Self::byte);
        });
        self.each(&world.operators, |this, operator| this.operator(operator));
        self.each(&world.late, |this, late| {
            this.byte(late.who);
            this.step(&late.step);
            this.moment(late.by);
        });
        self.maybe(world.blocked, Self::moment);
        self.flag(world.history.restored);
        self.maybe(world.history.record_deleted, Self::moment);
        self.flag(world.history.forged);
        self.maybe(world.history.put_back, Self::moment);
        self.each(&world.history.revoked, |this, key| this.byte(*key));
        self.maybe(world.served_since, Self::moment);
        self.maybe(world.published_since, Self::moment);
        self.maybe(world.everybody_since, |this, (key, since)| {
            this.byte(key);
            this.moment(since);
        });
        self.byte(world.faults);
    }

    fn cluster(&mut self, cluster: &Cluster, now: i64) {
        self.etcd(&cluster.etcd);
        self.each(cluster.pods.iter(), Self::pod);
        self.maybe(cluster.pods_before.as_ref(), |this, pods| this.each(pods.iter(), Self::pod));
        self.byte(cluster.pods_started);
        self.each(cluster.cached.iter().filter(|(_, until)| *until > now), |this, (key, until)| {
            this.maybe(*key, Self::byte);
            this.moment(*until);
        });
    }

    fn pod(&mut self, pod: &Pod) {
        self.maybe(pod.of, Self::byte);
        self.maybe(pod.mark.as_deref(), Self::text);
        self.maybe(pod.holds, Self::byte);
        self.moment(pod.since);
        self.flag(pod.well);
        self.flag(pod.stuck);
        self.maybe(pod.ending, Self::moment);
        self.flag(pod.lost);
    }

    fn etcd(&mut self, etcd: &Etcd) {
        self.each(&etcd.records, Self::record);
        self.each(&etcd.garbage, |this, uid| this.text(uid));
        self.maybe(etcd.secret.as_ref(), |this, secret| {
            this.byte(secret.uid);
            this.byte(secret.version);
            this.copy(&secret.copy);
        });
        self.each(&etcd.templates, |this, mark| this.maybe(mark.as_deref(), Self::text));
    }

    fn copy(&mut self, copy: &Copy) {
        self.byte(copy.key);
        self.byte(copy.sequence.0);
        self.flag(copy.edited);
    }

    fn record(&mut self, record: &Record) {
        self.text(&record.uid);
        self.time(record.created_at);
        self.flag(record.finalized);
        self.flag(record.deleting);
        self.entry(&record.entry);
    }

    fn entry(&mut self, entry: &Entry) {
        self.byte(entry.sequence.0);
        self.byte(entry.stage as u8);
        self.each(&entry.attempts, |this, attempt| {
            this.text(attempt.nonce.as_str());
            this.text(&attempt.holder);
            this.time(attempt.at);
        });
        self.maybe(entry.kept.as_ref(), Self::kept);
        self.byte(entry.published_to.len());
        self.byte(entry.again);
        self.maybe(entry.replaces, |this, key| this.byte(key_of(key)));
        for hint in [entry.verified_at, entry.published_at, entry.proven_at, entry.abandoned_at, entry.retired_at] {
            self.maybe(hint, Self::time);
        }
    }

    fn kept(&mut self, kept: &Kept) {
        self.byte(key_of(kept.key_id));
        self.time(kept.issued_at);
        self.maybe(kept.expires_at, Self::time);
    }

    fn operator(&mut self, operator: &Operator) {
        self.byte(operator.nonces);
        self.flag(operator.told);
        self.flag(operator.watching);
        match &operator.life {
            Life::Down => self.byte(0),
            Life::Asleep { seen, until, .. } => {
                self.byte(1);
                self.seen(seen);
                self.maybe(*until, Self::moment);
            }
            // What it is about to do follows from what it knows.
            Life::Awake { seen, .. } => {
                self.byte(2);
                self.seen(seen);
            }
            Life::Paused { seen, step } => {
                self.byte(3);
                self.seen(seen);
                self.step(step);
            }
        }
    }

    fn seen(&mut self, seen: &Observation) {
        self.each(&seen.records.list, Self::record);
        self.maybe(seen.records.listed_at, Self::time);
        self.maybe(seen.application.as_ref(), |this, looked| {
            this.time(looked.at);
            this.application(&looked.found);
        });
        self.each(&seen.targets, |this, (id, looked)| {
            this.target(id);
            this.time(looked.at);
            this.state(&looked.found);
        });
        self.maybe(seen.consumers.as_ref(), |this, consumers| {
            this.consumers(consumers);
        });
        self.mine(&seen.mine);
    }

    fn consumers(&mut self, consumers: &Consumers) {
        if let SeenBy::List(at) = consumers.seen {
            self.time(at);
        }
        self.each(&consumers.workloads, |this, workload| {
            this.each(workload.annotations.values(), |this, mark| this.text(mark));
            this.byte(workload.progress.total);
            this.byte(workload.progress.updated);
            this.byte(workload.progress.available);
        });
        self.each(&consumers.pods, |this, pod| {
            this.maybe(pod.started_at, Self::time);
            this.maybe(pod.terminating_since, Self::time);
            this.flag(pod.lost);
            this.each(pod.annotations.values(), |this, mark| this.text(mark));
        });
    }

    fn application(&mut self, application: &Application) {
        self.each(&application.credentials, |this, one| this.byte(key_of(one.key_id)));
    }

    fn target(&mut self, target: &TargetId) {
        self.flag(matches!(target, TargetId::Secret(_)));
    }

    fn state(&mut self, state: &TargetState) {
        match state {
            TargetState::Absent => self.byte(0),
            TargetState::Troubled(_) => self.byte(1),
            TargetState::Present(Carried { version, uid, agrees, .. }) => {
                self.byte(2);
                self.text(version);
                self.maybe(uid.as_deref(), Self::text);
                self.flag(*agrees);
            }
        }
    }

    fn step(&mut self, step: &Step) {
        self.text(&format!("{:?}", std::mem::discriminant(step)));
        match step {
            Step::Open { entry } | Step::Rebuild { entry, .. } => self.entry(entry),
            Step::TakeOver { record, entry }
            | Step::Keep { record, entry }
            | Step::KeepFromTarget { record, entry, .. }
            | Step::Note { record, entry, .. } => {
                self.record(record);
                self.entry(entry);
            }
            Step::Mint { record, .. } | Step::Forget { record } => self.record(record),
            Step::Publish { record, target, over } => {
                self.record(record);
                self.target(target);
                self.maybe(over.as_ref(), |this, over| {
                    this.text(&over.version);
                    this.maybe(over.uid.as_deref(), Self::text);
                });
            }
            Step::Remove { key_id, .. } => self.byte(key_of(*key_id)),
            Step::Roll { workload, mark } => {
                self.text(&workload.name);
                self.text(mark);
            }
            _ => {}
        }
    }
}
