//! `EntraTenant`: what the platform team keeps. Which tenant, how the operator signs in to it, and who may use it for what.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ClientId, EntraTenantStatus, Period, TenantId,
    consumers::Rollout,
    grant::Grant,
    rotation::Window,
    rules,
    values::{HttpsUrl, ObjectName, SecretKey, Text},
};

/// A Microsoft Entra tenant, and who may use it for what.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[kube(
    group = "keywright.dev",
    version = "v1alpha1",
    kind = "EntraTenant",
    plural = "entratenants",
    shortname = "etenant",
    category = "keywright",
    status = "EntraTenantStatus",
    derive = "PartialEq",
    doc = "A Microsoft Entra tenant as the platform team opens it to namespaces: how the operator signs in, defaults, limits, and grants. Without a grant, nothing is allowed.",
    selectable = ".spec.tenantId",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the operator can sign in and do its work"
    ),
    printcolumn(
        name = "Paused",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Paused\")].status",
        description = "Whether the brake is on"
    ),
    printcolumn(name = "Cloud", type_ = "string", json_path = ".spec.cloud", description = "The cloud"),
    printcolumn(
        name = "Credentials",
        type_ = "integer",
        json_path = ".status.credentials",
        description = "How many credentials are kept"
    ),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".status.nearestExpiry",
        description = "The nearest expiry"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "How long the tenant has existed"
    ),
    printcolumn(
        name = "Tenant",
        type_ = "string",
        json_path = ".spec.tenantId",
        description = "The tenant ID",
        priority = "1"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "What Ready has to say",
        priority = "1"
    )
)]
#[x_kube(validation = rules::ENDPOINTS_WITH_CUSTOM)]
#[serde(rename_all = "camelCase")]
pub struct EntraTenantSpec {
    /// The ID of the tenant, in lower case. Cannot be changed.
    #[x_kube(validation = rules::TENANT_ID_FIXED)]
    pub tenant_id: TenantId,

    /// The cloud in which the tenant lives. Cannot be changed.
    #[serde(default)]
    #[x_kube(validation = rules::CLOUD_FIXED)]
    pub cloud: Cloud,

    /// The addresses of a cloud that Keywright does not know. Only with `cloud: Custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,

    /// How the operator itself signs in. Default: workload identity, which needs no secret at all. Its application
    /// needs `Application.ReadWrite.OwnedBy` in Graph, and to be an owner of each application it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<OperatorIdentity>,

    /// What resources get that say nothing themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,

    /// How much may happen at once, and when to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,

    /// Stop every effect in the tenant. Resources are still observed and reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,

    /// Who may use this tenant for what. What no grant allows is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub grants: Vec<Grant>,
}

impl EntraTenantSpec {
    /// The audience that tokens for federation have in its cloud.
    #[must_use]
    pub fn federated_audience(&self) -> &str {
        match (self.cloud, &self.endpoints) {
            (Cloud::USGovernment | Cloud::USGovernmentDoD, _) => "api://AzureADTokenExchangeUSGov",
            (Cloud::China, _) => "api://AzureADTokenExchangeChina",
            (Cloud::Custom, Some(endpoints)) => endpoints.federated_audience.as_str(),
            (Cloud::Public | Cloud::Custom, _) => "api://AzureADTokenExchange",
        }
    }
}

/// A Microsoft cloud.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cloud {
    /// The worldwide cloud, GCC included.
    #[default]
    Public,
    /// US Government (GCC High).
    USGovernment,
    /// US Government, Department of Defense.
    USGovernmentDoD,
    /// China, operated by 21Vianet.
    China,
    /// Another one; `endpoints` says where it is.
    Custom,
}

/// The addresses of a cloud that Keywright does not know.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// Where tokens are issued, for example `https://login.microsoftonline.com`.
    pub authority_host: HttpsUrl,
    /// Microsoft Graph, for example `https://graph.microsoft.com`.
    pub graph_url: HttpsUrl,
    /// The DNS suffix of its Key Vaults, for example `vault.azure.net`.
    pub key_vault_suffix: ObjectName,
    /// The audience of tokens for federation, for example `api://AzureADTokenExchange`.
    pub federated_audience: Text,
}

/// How the operator signs in.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[x_kube(validation = rules::ONE_IDENTITY)]
#[serde(rename_all = "camelCase")]
pub struct OperatorIdentity {
    /// By the operator's own ServiceAccount, federated with an application or a managed identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<AmbientIdentity>,

    /// By a managed identity of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_identity: Option<AmbientIdentity>,

    /// By a client secret, re-read when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretIdentity>,

    /// By a certificate, re-read when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateIdentity>,
}

/// An identity that the surroundings give.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AmbientIdentity {
    /// The client ID to sign in as. Default: what the surroundings say (`AZURE_CLIENT_ID`, or the machine's only
    /// identity).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
}

/// An application that signs in with a client secret.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretIdentity {
    /// The client ID of the operator's application.
    pub client_id: ClientId,
    /// The Secret in the operator's namespace that has the value.
    pub secret_ref: IdentitySecretRef,
}

/// A key of a Secret in the operator's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct IdentitySecretRef {
    /// The name of the Secret.
    pub name: ObjectName,
    /// The key in its data. Default: `AZURE_CLIENT_SECRET`, as Keywright publishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretKey>,
}

/// An application that signs in with a certificate.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CertificateIdentity {
    /// The client ID of the operator's application.
    pub client_id: ClientId,
    /// The Secret in the operator's namespace with `tls.crt` and `tls.key`.
    pub secret_ref: super::kinds::SecretRef,
}

/// What resources get that say nothing themselves.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[x_kube(
    validation = rules::DEFAULT_RENEWAL_WITHIN_VALIDITY,
    validation = rules::DEFAULT_OVERLAP_WITHIN_RENEWAL
)]
#[serde(rename_all = "camelCase")]
pub struct Defaults {
    /// How long a credential lives. Built in: 90d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Period>,
    /// How long before its expiry a credential is replaced. Built in: a third of the validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<Period>,
    /// The least time that the old credential lives after everything is on the new one. Built in: 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_overlap: Option<Period>,
    /// When new credentials may be published and workloads restarted. Built in: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub windows: Vec<Window>,
    /// How workloads are restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// How much may happen at once, and when to stop.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The longest validity that a resource may ask for. Default: 180d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_validity: Option<Period>,
    /// How many rotations may touch workloads at the same time. Default: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_in_flight: Option<i32>,
    /// After how many failed rotations in a row the tenant pauses itself. Default: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub pause_after_failures: Option<i32>,
}
