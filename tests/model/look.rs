//! What an operator sees when it looks: the reading arms of `reconcile::act`.

use std::{collections::BTreeMap, rc::Rc};

use keywright::{
    api::{GROUP, Reason, consumers::WorkloadKind},
    facts::{
        Carried, Consumers, Effect, Holder, Identity, Looked, Maker, Means, PodSeen, Progress, Reading, Record,
        Records, SeenBy, Service, TargetId, TargetState, Trouble, Verdict, WorkloadId, WorkloadSeen,
    },
    plan::{Outcome, Step},
};

use super::{
    cluster::{Cluster, Copy, Pod},
    town::Town,
    world::{Key, World, kept_key, key_id, key_of, time},
};

const WORKLOADS: [&str; 2] = ["web", "worker"];

/// A call that did not bring what it was to bring.
pub fn trouble(reason: Reason, effect: Effect) -> Trouble {
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

/// A workload by its place.
pub fn workload_id(place: usize) -> WorkloadId {
    WorkloadId { kind: WorkloadKind::Deployment, name: WORKLOADS[place].into() }
}

/// The place of a workload.
pub fn place_of(id: &WorkloadId) -> usize {
    WORKLOADS.iter().position(|name| *name == id.name).unwrap()
}

impl World {
    /// Look, with the answer of one of the replicas. None if the step is no look.
    pub fn look_at(&self, town: &Town, who: usize, step: &Step, replica: usize) -> Option<Outcome> {
        let at = time(self.now);
        let etcd = self.etcd(who);
        Some(match step {
            Step::ReadRecords => {
                Outcome::Records(Records { list: etcd.records.clone(), forged: vec![], listed_at: Some(at) })
            }
            Step::ReadApplication => Outcome::Application(Looked { at, found: self.application(replica) }),
            Step::ReadTarget { target, wanted } => {
                let of = |record: &Record| Some((kept_key(&record.entry)?, self.is_garbage(who, record)));
                let wanted = etcd.records.iter().find(|record| Some(record.entry.sequence) == *wanted).and_then(of);
                Outcome::Target(Looked { at, found: self.state(town, who, target, wanted) })
            }
            Step::WatchConsumers { .. } => Outcome::Consumers(consumers(town, self.cluster(who), SeenBy::Watch)),
            Step::ReadConsumers => Outcome::Consumers(consumers(town, self.cluster(who), SeenBy::List(at))),
            Step::ReadUsage => Outcome::Usage(Looked { at, found: self.usage() }),
            Step::Rehearse { .. } => Outcome::Rehearsed,
            Step::TakeSlot { .. } => Outcome::Slot(true),
            Step::Settle { sequence, nonce } => {
                let found = etcd.records.iter().find(|record| record.entry.sequence == *sequence);
                match found.filter(|one| one.entry.last_attempt().is_some_and(|last| last.nonce == *nonce)) {
                    Some(record) => Outcome::Written(Box::new(record.clone())),
                    None => Outcome::Lost,
                }
            }
            Step::SignIn { record, key_id } => {
                let value = Some(key_of(*key_id)).filter(|_| !self.is_garbage(who, record));
                Outcome::Verdict(self.sign_in(value, replica))
            }
            Step::TryTarget { target, .. } => {
                let value = self.copy_at(who, target).and_then(Copy::value);
                Outcome::Verdict(self.sign_in(value, replica))
            }
            _ => return None,
        })
    }

    /// Workloads and pods as a watch shows them that has not heard of the last change.
    pub fn old_news(&self, town: &Town, who: usize) -> Option<Outcome> {
        let cluster = self.cluster(who);
        let before = Cluster { pods: Rc::clone(cluster.pods_before.as_ref()?), ..cluster.clone() };
        Some(Outcome::Consumers(consumers(town, &before, SeenBy::Watch)))
    }

    /// Whether somebody had scribbled on the value that a record keeps.
    pub fn is_garbage(&self, who: usize, record: &Record) -> bool {
        self.etcd(who).garbage.contains(&record.uid)
    }

    fn sign_in(&self, value: Option<Key>, replica: usize) -> Verdict {
        let known =
            value.is_some_and(|key| self.shows(replica, key) && self.graph[key].ends.is_none_or(|at| at > self.now));
        match (known, self.blocked.is_some()) {
            (false, _) => Verdict::Refused(trouble(Reason::CredentialUnknown, Effect::Refused)),
            (true, true) => Verdict::Blocked(trouble(Reason::SignInBlocked, Effect::Refused)),
            (true, false) => Verdict::Accepted,
        }
    }

    /// What a target is, compared with what it is to be.
    pub fn state(&self, town: &Town, who: usize, target: &TargetId, wanted: Option<(Key, bool)>) -> TargetState {
        let secret = self.etcd(who).secret.as_ref().filter(|_| matches!(target, TargetId::Secret(_)));
        self.copy_at(who, target).map_or(TargetState::Absent, |copy| {
            TargetState::Present(Carried {
                holder: Holder::Owned(town.owner().clone()),
                key_id: Some(key_id(copy.key)),
                sequence: Some(copy.sequence),
                nonce: Some(copy.nonce.clone()),
                agrees: wanted == Some((copy.key, copy.edited)),
                obstacle: None,
                version: secret.map_or_else(|| copy.version(), |secret| secret.version.to_string()),
                uid: secret.map(|secret| secret.uid.to_string()),
            })
        })
    }

    /// What is at a target.
    pub fn copy_at(&self, who: usize, target: &TargetId) -> Option<&Copy> {
        match target {
            TargetId::Secret(_) => self.etcd(who).secret.as_ref().map(|secret| &secret.copy),
            TargetId::Vault { .. } => self.vault.as_ref(),
        }
    }
}

/// The workloads and pods of a cluster.
pub fn consumers(town: &Town, cluster: &Cluster, seen: SeenBy) -> Consumers {
    let reads: Vec<Reading> = town.targets.iter().filter_map(reading).collect();
    let workloads = (0..cluster.etcd.templates.len()).map(|place| workload(cluster, place, &reads)).collect();
    let pod = |(place, pod): (usize, &Pod)| PodSeen {
        name: format!("pod-{place}"),
        maker: pod.of.map(|workload| Maker::Workload(workload_id(workload))),
        reads: reads.clone(),
        identity: Identity::default(),
        created_at: time(pod.since),
        started_at: Some(time(pod.since)),
        terminating_since: pod.ending.map(time),
        lost: pod.lost,
        annotations: annotations(pod.mark.as_deref()),
    };
    Consumers { seen, workloads, pods: cluster.pods.iter().enumerate().map(pod).collect(), schedules: vec![] }
}

fn reading(target: &TargetId) -> Option<Reading> {
    match target {
        TargetId::Secret(name) => {
            Some(Reading { secret: name.to_string(), key: None, by: Means::Start, needs_it: false })
        }
        TargetId::Vault { .. } => None,
    }
}

/// A Deployment of one pod, as its status tells.
fn workload(cluster: &Cluster, place: usize, reads: &[Reading]) -> WorkloadSeen {
    let staying = cluster.pods.iter().filter(|pod| pod.of == Some(place) && pod.ending.is_none());
    let updated = cluster.updated(place).count();
    let progress = Progress {
        observed: updated > 0,
        desired: 1,
        total: i64::try_from(staying.clone().count()).unwrap(),
        updated: i64::try_from(updated).unwrap(),
        available: i64::try_from(staying.filter(|pod| pod.well).count()).unwrap(),
        unfinished: false,
        stuck: false,
    };
    WorkloadSeen {
        id: workload_id(place),
        uid: place.to_string(),
        reads: reads.to_vec(),
        identity: Identity::default(),
        annotations: annotations(cluster.etcd.templates[place].as_deref()),
        progress,
        hindrance: None,
    }
}

fn annotations(mark: Option<&str>) -> BTreeMap<String, String> {
    mark.map(|mark| (format!("{GROUP}/payments-api"), mark.to_owned())).into_iter().collect()
}

/// A workload as it is after it was restarted.
pub fn rolled(town: &Town, cluster: &Cluster, id: &WorkloadId) -> Outcome {
    let seen = consumers(town, cluster, SeenBy::Watch).workloads.into_iter().find(|one| one.id == *id);
    Outcome::Rolled(seen.map(Box::new))
}
