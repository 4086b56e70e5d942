//! The log of a vault: every change of a secret in it, by whom. Of values it has fingerprints. Nothing here decides.

use jiff::Timestamp;
use serde::Serialize;

use crate::azure::applications::in_digits;
use crate::azure::log::Actor;
use crate::witness::Fingerprint;

/// A change of a secret in a vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretChange {
    /// When it was made.
    pub time: Timestamp,
    /// The vault's name.
    pub vault: String,
    /// The secret's name.
    pub name: String,
    /// Who made it.
    pub by: Actor,
    /// What was done.
    pub what: SecretWhat,
}

/// What was done to a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SecretWhat {
    /// It got a new version, be it set or imported with a certificate.
    Stored {
        /// The version.
        version: String,
        /// What is told of its value.
        #[serde(serialize_with = "in_digits")]
        fingerprint: Fingerprint,
    },
    /// Something about a version was changed, which is enabled now or not.
    Edited {
        /// The version.
        version: String,
        /// Whether it can be read.
        enabled: bool,
    },
    /// It was deleted, and can be recovered.
    Deleted,
    /// It was recovered.
    Recovered,
    /// It was purged.
    Purged,
}
