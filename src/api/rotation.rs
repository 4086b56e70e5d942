//! When a credential is replaced, how the new one proves itself, and when the old one goes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    KeyId, Period, rules,
    values::{Cron, ObjectName, Scope, SecretKey, TimeZone, VaultName, VaultUrl},
};

/// When a credential is replaced.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// How long before its expiry a credential is replaced. Default: the tenant's, else a third of the validity. It
    /// is replaced up to a tenth of this time later, always as much for the same resource, so that those that were made
    /// together are spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<Period>,

    /// When a new credential may be published and workloads restarted. Default: the tenant's, else always. The first
    /// issue, a repair, a compromise and a credential about to expire do not wait for a window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub windows: Vec<Window>,

    /// Replace whatever was minted before this time: a rotation by pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_after: Option<Time>,
}

/// A time in which rotations may touch workloads.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When it opens: a schedule in cron's five fields.
    pub schedule: Cron,
    /// How long it stays open.
    pub duration: Period,
    /// The time zone of the schedule. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<TimeZone>,
}

/// How a new credential proves itself before it is published.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[x_kube(validation = rules::PROOF_FITS_ITS_TIME)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// How many sign-ins in a row must succeed, each on a connection of its own. Default: 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub consecutive_successes: Option<i32>,

    /// How long to wait between two sign-ins. Default: 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Period>,

    /// How long the proof may take before the credential is abandoned. Default: 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,

    /// How old a credential must be before it is published, so that every one of Entra's servers knows it.
    /// Default: 5m, or 15m for `federated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age: Option<Period>,

    /// The scope that is asked for. Default: Microsoft Graph's, which needs no permission granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// When old credentials may go.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[x_kube(validation = rules::KEY_IDS_DISJOINT)]
#[serde(rename_all = "camelCase")]
pub struct Retirement {
    /// The least time that the old credential lives after everything is on the new one. Default: the tenant's, else
    /// 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_overlap: Option<Period>,

    /// Credentials made by hand, by key ID, to remove once ours is proven everywhere. The tenant's grant must allow
    /// `RetireForeign`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub foreign_key_ids: Vec<KeyId>,

    /// Credentials that somebody else may know, by key ID: replaced if current and removed without window, overlap
    /// or patience for stragglers. The tenant's grant must allow `RevokeCompromised`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub compromised_key_ids: Vec<KeyId>,
}

/// A credential that exists already and becomes the current one.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Adopt {
    /// Its key ID, as Entra shows it.
    pub key_id: KeyId,
    /// Where its value is.
    pub value_from: ValueFrom,
}

/// Where the value of an adopted credential is.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = rules::ADOPTED_FROM_ONE_PLACE)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom {
    /// A key of a Secret in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// An entry of a Key Vault that the tenant's grant lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_vault_ref: Option<KeyVaultRef>,
}

/// A key of a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct SecretKeyRef {
    /// The name of the Secret.
    pub name: ObjectName,
    /// The key in its data.
    pub key: SecretKey,
}

/// An entry of a Key Vault.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct KeyVaultRef {
    /// The URL of the vault.
    pub vault_url: VaultUrl,
    /// The name of the entry.
    pub name: VaultName,
}

/// What happens to the credentials of a deleted resource: `Retain` (the default) leaves them, `Revoke` removes ours. The
/// resource then stays, with the finalizer `keywright.dev/deletion`, until nobody is left who uses them, and goes at once
/// when this is changed to `Retain`.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// They stay.
    Retain,
    /// Ours are removed once nobody is left who uses them.
    Revoke,
}
