//! What is known when a resource is planned. If a decision seems to need more than this, a fact is missing here.

use std::collections::BTreeMap;

use crate::api::{ClientId, Declared, EntraAppCredential, EntraTenant, EntraTenantSpec};

/// What is known about one `EntraAppCredential` and its surroundings.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The resource itself.
    pub resource: Declared<EntraAppCredential>,
    /// The tenant that it names.
    pub tenant: TenantSeen,
    /// The labels of its namespace, by which grants may select.
    pub namespace_labels: BTreeMap<String, String>,
    /// The application that the operator's surroundings sign in as, if they say so.
    pub ambient_client_id: Option<ClientId>,
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
}
