//! Who reads a Secret: the workloads and pods of a namespace, as the API server shows them.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use super::target::{PATH_KEY, PUBLIC_KEYS};
use crate::api::consumers::WorkloadKind;

/// The workloads and pods of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumers {
    /// How far this can be trusted.
    pub seen: SeenBy,
    /// What can be rolled, by name.
    pub workloads: Vec<WorkloadSeen>,
    /// Pods that have not ended.
    pub pods: Vec<PodSeen>,
    /// What will make pods some day; only in a list, since nothing is ever restarted there.
    pub schedules: Vec<ScheduleSeen>,
}

/// Something that makes pods now and then, which hold what they read only while they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSeen {
    /// What it is: `cronjob/night`.
    pub name: String,
    /// What its pods read.
    pub reads: Vec<Reading>,
    /// As whom they run.
    pub identity: Identity,
}

/// By what consumers were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenBy {
    /// A watch, which may be a moment late: good enough for whatever harms nothing.
    Watch,
    /// A list that the API server itself gave then.
    List(Timestamp),
}

/// A workload of the namespace, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.kind.as_str(), self.name)
    }
}

/// A workload that can be rolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadSeen {
    /// Which.
    pub id: WorkloadId,
    /// Its UID.
    pub uid: String,
    /// What its pods read.
    pub reads: Vec<Reading>,
    /// As whom its pods run.
    pub identity: Identity,
    /// The annotations of ours in its pod template.
    pub annotations: BTreeMap<String, String>,
    /// How far its last change is.
    pub progress: Progress,
    /// What keeps a change of its template from replacing its pods.
    pub hindrance: Option<Hindrance>,
}

/// How far a workload is with what was last declared, by its own status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether its controller has seen what was last declared.
    pub observed: bool,
    /// How many pods it is to have.
    pub desired: i64,
    /// How many it has, old ones included.
    pub total: i64,
    /// How many have what was last declared.
    pub updated: i64,
    /// How many of those are available, as far as its controller tells them apart.
    pub available: i64,
    /// Whether its controller has something left to do that these numbers do not show.
    pub unfinished: bool,
    /// Whether its controller says that it got stuck.
    pub stuck: bool,
}

/// What keeps a change of a template from replacing pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// It is paused.
    Paused,
    /// Its pods are replaced only when somebody deletes them.
    OnDelete,
    /// Pods below this ordinal are not replaced.
    Partition(i64),
    /// It is being deleted.
    Deleting,
}

/// A way in which a pod reads a Secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading {
    /// The name of the Secret.
    pub secret: String,
    /// The key that is read; none if all are.
    pub key: Option<String>,
    /// How.
    pub by: Means,
    /// Whether a pod cannot start where the key is missing.
    pub needs_it: bool,
}

impl Reading {
    /// Whether what is read may be the secret: all that is published is, but for the names of the place to sign in at.
    #[must_use]
    pub fn may_be_secret(&self) -> bool {
        self.key.as_deref().is_none_or(|key| !PUBLIC_KEYS.contains(&key) && key != PATH_KEY)
    }
}

/// By what a pod reads a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Means {
    /// When a container starts, by its environment or a file that is never replaced: for as long as it runs.
    Start,
    /// As a file that the node replaces when the Secret changes.
    File,
}

/// A pod that has not ended. Whatever it read when a container of it started, it may hold until that container ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// What makes pods like it, if anything does.
    pub maker: Option<Maker>,
    /// What it reads.
    pub reads: Vec<Reading>,
    /// As whom it runs.
    pub identity: Identity,
    /// When it was created.
    pub created_at: Timestamp,
    /// The earliest start of a container that runs, or of an init container, which may have left what it read to the
    /// others. None has started, or none that its node has told of yet: news of a start comes later than the start.
    pub started_at: Option<Timestamp>,
    /// Since when it is to end. Until it is gone, it is alive.
    pub terminating_since: Option<Timestamp>,
    /// Whether its node does not answer, so that nobody knows whether it runs.
    pub lost: bool,
    /// Its annotations of ours: which credential its template was given.
    pub annotations: BTreeMap<String, String>,
}

/// As whom a pod runs, and whether it can sign in to Entra by that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its `ServiceAccount`.
    pub account: String,
    /// Whether it asks the workload identity webhook for a token, by its label.
    pub asks: bool,
    /// The application that it signs in as with a token of its own, or `secret/<name>` of the Secret that says which. Empty if
    /// nothing does.
    pub signs_in_as: Option<String>,
}

/// What makes pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// A workload that can be rolled.
    Workload(WorkloadId),
    /// Something else: `job/batch-7`, `replicaset/old`.
    Other(String),
}
