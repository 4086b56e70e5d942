//! A cluster: etcd with records, the one Secret and the templates of workloads; pods, and what their nodes still remember.

use std::rc::Rc;

use keywright::facts::{Nonce, Record, Sequence, Stage};

use super::{
    print,
    world::{Key, kept_key},
};

/// A cluster.
#[derive(Clone, Default)]
pub struct Cluster {
    pub etcd: Rc<Etcd>,
    /// What runs. A restored etcd changes nothing of that at first.
    pub pods: Rc<Vec<Pod>>,
    /// What a watch that is late still shows of them.
    pub pods_before: Option<Rc<Vec<Pod>>>,
    pub pods_started: u8,
    /// What kubelets may still show of the Secret, and until when.
    pub cached: Vec<(Option<Key>, i64)>,
    /// What etcd was before, of which there are backups. No part of a state's fingerprint: what is the same now has hardly
    /// ever become so in two ways that left different backups.
    pub backups: Vec<Rc<Etcd>>,
}

/// What can be restored from a backup.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Etcd {
    pub records: Vec<Record>,
    /// Records, by UID, whose value somebody had scribbled on before it was kept.
    pub garbage: Vec<String>,
    pub secret: Option<Published>,
    /// The annotation in the template of each workload.
    pub templates: Vec<Option<Rc<str>>>,
}

/// The Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Published {
    pub uid: u8,
    /// What a compare-and-swap compares. It goes back with etcd.
    pub version: u8,
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

/// A pod that reads the Secret when it starts.
#[derive(Clone, PartialEq, Eq)]
pub struct Pod {
    /// The workload that made it; none for one that somebody made by hand.
    pub of: Option<usize>,
    /// The annotation of the template that it was made from.
    pub mark: Option<Rc<str>>,
    /// None: what it read had been scribbled on.
    pub holds: Option<Key>,
    pub since: i64,
    pub well: bool,
    /// It will not be well before somebody helps.
    pub stuck: bool,
    pub ending: Option<i64>,
    /// Its node does not answer.
    pub lost: bool,
}

impl Pod {
    /// One that starts now.
    pub fn starting(of: Option<usize>, mark: Option<Rc<str>>, holds: Option<Key>, since: i64) -> Self {
        Self { of, mark, holds, since, well: of.is_none(), stuck: false, ending: None, lost: false }
    }
}

impl Copy {
    /// What somebody who reads it has.
    pub fn value(&self) -> Option<Key> {
        (!self.edited).then_some(self.key)
    }

    /// What a compare-and-swap compares.
    pub fn version(&self) -> String {
        format!("{}{}", self.key, if self.edited { "*" } else { "" })
    }
}

impl Cluster {
    /// What a pod that starts now may read; what is there now comes first.
    pub fn readable(&self, now: i64) -> Vec<Option<Key>> {
        let shown = self.etcd.secret.as_ref().map(|secret| secret.copy.value());
        let cached = self.cached.iter().filter(|(_, until)| *until > now).map(|(key, _)| *key);
        let mut keys: Vec<Option<Key>> = shown.into_iter().collect();
        for key in cached {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The pods of a workload that are to stay, and were made from what its template says now.
    pub fn updated(&self, workload: usize) -> impl Iterator<Item = usize> {
        let template = self.etcd.templates[workload].clone();
        let pods = self.pods.iter().enumerate();
        pods.filter(move |(_, pod)| pod.of == Some(workload) && pod.ending.is_none() && pod.mark == template)
            .map(|(place, _)| place)
    }
}

impl Etcd {
    /// A record by its name.
    pub fn record(&self, name: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.entry.name() == name)
    }

    /// Those that count as published, and that we have written.
    pub fn publishing(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.entry.stage == Stage::Publishing && !is_forged(record))
    }

    /// The last of those.
    pub fn published(&self) -> Option<&Record> {
        self.publishing().max_by_key(|record| record.entry.sequence)
    }

    /// The credential of the last of those.
    pub fn published_key(&self) -> Option<Key> {
        self.published().and_then(|record| kept_key(&record.entry))
    }
}

/// How the UID of a record begins that is none of ours.
pub const FORGED: &str = "forged";

/// Whether somebody else has written a record.
pub fn is_forged(record: &Record) -> bool {
    record.uid.starts_with(FORGED)
}

/// A record with the version that its content has: what is written unchanged keeps its version.
pub fn stamped(mut record: Record) -> Record {
    record.version = format!("{:x}", print::of_record(&record));
    record
}
