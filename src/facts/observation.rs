//! What is known when a resource is planned. If a decision seems to need more than this, a fact is missing here.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{
    AccountSeen, Application, Consumers, Federated, Mine, Owner, Record, Source, TargetId, TargetState, Trouble,
};
use crate::api::{ClientId, Declared, EntraAppCredential, EntraTenant, EntraTenantSpec, kinds::Identity};

/// What is known about one `EntraAppCredential` and its surroundings.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The resource itself.
    pub resource: Arc<Declared<EntraAppCredential>>,
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
    /// Of one that has federated identities, or had: other resources about the same application, unless they are being deleted.
    pub siblings: Vec<Sibling>,
    /// The records of this resource.
    pub records: Records,
    /// The application, as Graph has shown it.
    pub application: Option<Looked<Application>>,
    /// What is at the targets.
    pub targets: BTreeMap<TargetId, Looked<TargetState>>,
    /// What federation rests on.
    pub federation: Federation,
    /// The Secret that a certificate is taken from.
    pub source: Option<Looked<Source>>,
    /// The workloads and pods of the namespace.
    pub consumers: Option<Consumers>,
    /// Whether the tenant has paused itself.
    pub braked: Option<Braked>,
    /// What this process remembers of its own doing.
    pub mine: Mine,
}

/// What federation rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Federation {
    /// How the cluster spells the issuer of its `ServiceAccount` tokens.
    pub issuer: Option<Looked<String>>,
    /// The federated credentials of the application, whoever made them. Reads lag behind writes.
    pub credentials: Option<Looked<Vec<Federated>>>,
    /// The `ServiceAccount`s that are to sign in, by name, where there are such.
    pub accounts: BTreeMap<String, Looked<Option<AccountSeen>>>,
}

/// Too many resources of a tenant have failed in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Braked {
    /// When the last of them failed.
    pub since: Timestamp,
    /// How many there are.
    pub failures: usize,
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

/// Another resource about the same application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// Its name, with its namespace where that is another.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Whom it wants accepted.
    pub identities: Vec<Identity>,
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
    Present(Arc<EntraTenantSpec>),
}

/// What is known about one `EntraTenant`.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantObservation {
    /// The tenant itself.
    pub tenant: Declared<EntraTenant>,
    /// Whether the operator could sign in and read the applications, when it last tried.
    pub reached: Option<Looked<Result<(), Trouble>>>,
    /// What is cared for in it, as of the last try; none if this operator does not see all of it.
    pub care: Option<Care>,
    /// Whether it has paused itself.
    pub braked: Option<Braked>,
}

/// What is cared for in a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Care {
    /// How many applications resources name.
    pub applications: usize,
    /// How many credentials are published.
    pub credentials: usize,
    /// When the first of them expires.
    pub nearest_expiry: Option<Timestamp>,
}
