//! What is known of a pod: which Secrets it reads, and since when.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::api::values::ObjectName;

/// One pod of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// The Secrets that it reads, in any way.
    pub reads: BTreeSet<ObjectName>,
    /// When the first of its containers that still runs has started; none if none has.
    pub started_at: Option<Timestamp>,
    /// Since when it is being ended. It still holds what it holds.
    pub terminating_since: Option<Timestamp>,
    /// Whether all of its containers have ended for good.
    pub is_over: bool,
}
