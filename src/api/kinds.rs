//! The three kinds of credential: a client secret, a certificate, or none at all.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Period, rules,
    values::{HolderName, HttpsUrl, ObjectName, Text},
};

/// A client secret that Keywright mints and replaces.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecret {
    /// How long a secret lives from the moment it is minted. Default: the tenant's, else 90d. The tenant's
    /// `limits.maxValidity` is the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Period>,
}

/// A certificate: generated, or taken from a Secret that somebody else keeps.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = rules::GENERATED_OR_GIVEN)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Let Keywright generate a key and a self-signed certificate, which is all that Entra asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<Generate>,

    /// A Secret of type `kubernetes.io/tls` in the same namespace that cert-manager (or anybody) keeps. Each renewal
    /// starts a rotation. It is a source: consumers mount what Keywright publishes, never this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// How to generate a certificate.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Generate {
    /// How long a certificate is valid. Default: the tenant's, else 90d.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity: Option<Period>,

    /// The private key. Default: RSA with 2048 bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKey>,

    /// The common name of the certificate's subject, seen in Entra's portal and in sign-in logs. Default: the
    /// resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub common_name: Option<String>,
}

/// The private key of a generated certificate.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PrivateKey {
    /// The algorithm. Entra's documentation and SDKs know certificates with RSA keys only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<KeyAlgorithm>,

    /// The size of the key in bits: 2048 (the default), 3072 or 4096.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::RSA_SIZE)]
    pub size: Option<i32>,
}

/// The algorithm of a private key.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA, the only one that Entra takes for client assertions.
    #[serde(rename = "RSA")]
    Rsa,
}

/// A Secret in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// The name of the Secret.
    pub name: ObjectName,
}

/// Workload identity federation: who may sign in as the application with a token of their own.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Federated {
    /// The identities, by name. Entra allows 20 for one application.
    #[schemars(length(min = 1, max = 20))]
    #[x_kube(
        merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]),
        validation = rules::SUBJECTS_DIFFER,
        validation = rules::ACCOUNTS_DIFFER
    )]
    pub identities: Vec<Identity>,
}

/// One identity that may sign in as the application.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = rules::ONE_SUBJECT)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The name by which status and events speak of this identity. One that Keywright cannot prove is confirmed by
    /// the annotation `keywright.dev/confirmed.<name>: <id>` on this resource, before an older one goes.
    pub name: HolderName,

    /// A ServiceAccount of this namespace. Its pods need the label `azure.workload.identity/use: "true"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<FederatedServiceAccount>,

    /// An identity outside this cluster, such as a GitHub environment. The tenant's grant must list issuer and
    /// subject. Keywright cannot get its tokens, so the status says `IssuerOnly` instead of proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalIdentity>,
}

/// A ServiceAccount that signs in as the application.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct FederatedServiceAccount {
    /// The name of the ServiceAccount, which must exist.
    pub name: ObjectName,

    /// Who writes the annotations that the workload identity webhook reads: `Manage` (the default) lets Keywright
    /// write them, `Ignore` says that Git has them already; then they are only checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<AnnotationPolicy>,
}

/// Who writes the annotations of a ServiceAccount.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationPolicy {
    /// Keywright writes them.
    Manage,
    /// They are there already; Keywright checks them.
    Ignore,
}

/// An identity of an outside issuer. Entra compares all three byte for byte.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// The issuer (`iss`) of its tokens, as they spell it.
    pub issuer: HttpsUrl,

    /// The subject (`sub`) of its tokens, for example `repo:contoso/pay:environment:prod`.
    pub subject: Text,

    /// The audience (`aud`) of its tokens. Default: what the tenant's cloud expects, `api://AzureADTokenExchange`
    /// in the public one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Text>,
}
