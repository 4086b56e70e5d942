//! `EntraAppCredential`: what a team declares.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    EntraAppCredentialStatus,
    consumers::Consumers,
    kinds::{Certificate, ClientSecret, Federated},
    publish::Publish,
    rotation::{Adopt, DeletionPolicy, Retirement, Rotation, Verification},
    rules,
    values::{ClientId, ObjectName},
};

/// The credential of one Entra application, kept fresh: which application, which kind of credential, where it is
/// published, who uses it, and when the old one goes.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[kube(
    group = "keywright.dev",
    version = "v1alpha1",
    kind = "EntraAppCredential",
    plural = "entraappcredentials",
    shortname = "eac",
    category = "keywright",
    namespaced,
    status = "EntraAppCredentialStatus",
    derive = "PartialEq",
    doc = "Keeps the credential of one Microsoft Entra application fresh: rotates it, proves it by real sign-ins, publishes it, rolls the workloads that use it, and removes the old one only when every pod has the new one.",
    selectable = ".spec.clientId",
    selectable = ".spec.tenantRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether a proven, unexpired credential is published"),
    printcolumn(name = "Rotating", type_ = "string", json_path = ".status.conditions[?(@.type==\"Rotating\")].reason", description = "The stage of a rotation in progress"),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.type", description = "The kind of credential"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.current.expiresAt", description = "When the current credential expires"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextRotationAt", description = "When the next rotation begins"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "How long the resource has existed"),
    printcolumn(name = "Client", type_ = "string", json_path = ".spec.clientId", description = "The application (client) ID", priority = "1"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name", description = "The EntraTenant", priority = "1"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.effective.secretName", description = "The Secret that is published", priority = "1"),
    printcolumn(name = "Sequence", type_ = "integer", json_path = ".status.current.sequence", description = "The number of the current credential", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", description = "What Ready has to say", priority = "1"),
    validation = rules::NAME_LENGTH,
    validation = rules::SOURCE_IS_NOT_PUBLISHED,
    validation = rules::SECRET_TYPE_FIXED,
    validation = rules::WHAT_WAS_MERGED_STAYS_SHARED
)]
#[x_kube(
    validation = rules::ONE_KIND,
    validation = rules::RENEWAL_NEEDS_AN_EXPIRY,
    validation = rules::RENEWAL_WITHIN_SECRET,
    validation = rules::RENEWAL_WITHIN_CERTIFICATE,
    validation = rules::OVERLAP_WITHIN_RENEWAL,
    validation = rules::CERTIFICATE_IN_VAULT,
    validation = rules::VAULT_HAS_A_VALUE,
    validation = rules::ADOPTION_HAS_A_VALUE,
    validation = rules::OUTSIDERS_CONFIRM
)]
#[serde(rename_all = "camelCase")]
pub struct EntraAppCredentialSpec {
    /// The `EntraTenant` in which the application is registered. The platform team keeps it; ask them for its name
    /// and for a grant to use it from this namespace. Cannot be changed.
    #[serde(default)]
    #[x_kube(validation = rules::TENANT_FIXED)]
    pub tenant_ref: TenantRef,

    /// The application (client) ID, as the Entra portal shows it on the application's overview page, in lower case.
    /// Not the object ID. Cannot be changed.
    #[x_kube(validation = rules::CLIENT_FIXED)]
    pub client_id: ClientId,

    /// Keep a client secret fresh. Exactly one of `clientSecret`, `certificate` and `federated` is written; changing
    /// from one to another later is a migration that goes through the same steps as a rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<ClientSecret>,

    /// Keep a certificate fresh: one that Keywright generates, or one that cert-manager (or anybody) keeps in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,

    /// Need no secret at all: let ServiceAccounts of this cluster, or outside issuers such as GitHub, sign in as the
    /// application by workload identity federation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated: Option<Federated>,

    /// When a credential is replaced. Without it, the tenant's defaults apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,

    /// How a new credential proves itself before anybody is given it. Entra's servers learn of a new credential at
    /// different times, so one sign-in that succeeds proves little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,

    /// Where the credential is written. Without it: a Secret of the resource's own name, or nothing for `federated`.
    /// If present, exactly what it lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,

    /// Who uses the credential, so that they can be restarted and proven to have the new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<Consumers>,

    /// When the old credential, and others that are listed, may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retirement: Option<Retirement>,

    /// Take over a credential that exists already: it becomes the current one, nothing is minted and nothing is
    /// restarted today. Read only while Keywright has no credential of its own for this resource: leave it there until the
    /// first rotation, since it is what says that a credential without our mark may be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,

    /// What happens to the application's credentials when this resource is deleted: `Retain` (the default) leaves
    /// them, `Revoke` removes ours. The resource then stays, with the finalizer `keywright.dev/deletion`, until nobody is
    /// left who uses them: no pod, no workload that is to have pods, no holder in `consumers.external`. It says who is in
    /// the way, and goes at once when this is changed to `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Freeze everything that has an effect. Keywright still observes and reports what it would do next, so this is
    /// also a dry run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// A reference to a cluster-scoped `EntraTenant`.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct TenantRef {
    /// The name of the `EntraTenant`.
    #[serde(default = "TenantRef::default_name")]
    pub name: ObjectName,
}

impl TenantRef {
    fn default_name() -> ObjectName {
        "default".into()
    }
}

impl Default for TenantRef {
    fn default() -> Self {
        Self { name: Self::default_name() }
    }
}
