//! Who reads a Secret, as one look at the pods of a namespace showed it.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A pod that has not ended. Whatever it read when a container of it started, it may hold until that container ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// The Secrets of its namespace that it reads, sorted: by environment, as files, or through a driver that mounts.
    pub reads: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// The earliest start of a container that runs. None has started, or none that its node has told of yet: news of a
    /// start comes later than the start.
    pub started_at: Option<Timestamp>,
    /// Since when it is to end. Until it is gone, it is alive.
    pub terminating_since: Option<Timestamp>,
    /// Its annotations of ours: which credential its template was given.
    pub annotations: BTreeMap<String, String>,
}
