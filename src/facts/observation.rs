//! What is known when a resource is planned. If a decision seems to need more than this, a fact is missing here.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Application, Mine, Owner, PodSeen, Record, TargetId, TargetState, Trouble};
use crate::api::{ClientId, Declared, EntraAppCredential, EntraTenant, EntraTenantSpec};

/// What is known about one `EntraAppCredential` and its surroundings.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The resource itself.
    pub resource: Declared<EntraAppCredential>,
    /// Whether it has been deleted; then it is only what its records tell of it.
    pub gone: bool,
    /// The tenant that it names.
    pub tenant: TenantSeen,
    /// Its namespace.
    pub namespace: NamespaceSeen,
    /// The application that the operator's surroundings sign in as, if they say so.
    pub ambient_client_id: Option<ClientId>,
    /// Who this resource is in everything that is minted for it.
    pub owner: Owner,
    /// Who this process is among those that try to mint.
    pub process: String,
    /// Older resources of the namespace, and what they publish to.
    pub elders: Vec<Elder>,
    /// The records of this resource.
    pub records: Records,
    /// The application, as Graph has shown it.
    pub application: Option<Looked<Application>>,
    /// What is at the targets.
    pub targets: BTreeMap<TargetId, Looked<TargetState>>,
    /// The pods of the namespace.
    pub pods: Option<Looked<Vec<PodSeen>>>,
    /// What this process remembers of its own doing.
    pub mine: Mine,
}

/// Something that was looked at, and when, by the API server's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked<T> {
    /// When.
    pub at: Timestamp,
    /// What was there.
    pub found: T,
}

/// The namespace of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceSeen {
    /// Its labels, by which grants may select.
    pub labels: BTreeMap<String, String>,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// A resource that was there before this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elder {
    /// Its name, with its namespace where that is another.
    pub name: String,
    /// What it publishes to.
    pub publishes_to: Vec<TargetId>,
}

/// The records of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Those that can be read, by their number.
    pub list: Vec<Record>,
    /// Secrets that pretend to be records of ours: their name, and why they are none.
    pub forged: Vec<(String, String)>,
    /// When they were last listed by the API server itself; none if they are only known from a watch.
    pub listed_at: Option<Timestamp>,
}

/// The tenant that a resource names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantSeen {
    /// There is none of that name.
    Missing,
    /// There is one, but its spec cannot be read.
    Undecodable(String),
    /// This is what it says.
    Present(Box<EntraTenantSpec>),
}

/// What is known about one `EntraTenant`.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantObservation {
    /// The tenant itself.
    pub tenant: Declared<EntraTenant>,
    /// Whether the operator could sign in and read the applications, when it last tried.
    pub reached: Option<Looked<Result<(), Trouble>>>,
}
