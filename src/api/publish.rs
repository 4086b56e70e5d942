//! Where a credential is written: a Secret, and entries of Key Vaults.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    rules,
    values::{ObjectName, Template, VaultName, VaultUrl},
};

/// Where the credential is written.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = rules::PUBLISHES_SOMETHING)]
#[serde(rename_all = "camelCase")]
pub struct Publish {
    /// A Secret in the same namespace. It always carries one coherent set of keys: `AZURE_AUTHORITY_HOST`,
    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and the credential (`AZURE_CLIENT_SECRET`, or `tls.crt`, `tls.key`,
    /// `credential.pem` and `AZURE_CLIENT_CERTIFICATE_PATH`, the path to it where the Secret is mounted at
    /// `/var/run/secrets/keywright.dev/<its name>`), the names that every Azure SDK reads.
    /// With `federated` there is no credential in it: it says where to sign in, and as what. One that had a secret before
    /// keeps it until whoever reads it has a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretTarget>,

    /// Entries of Azure Key Vaults. The tenant's grant must list vault and name. Not with `federated`: an entry has one
    /// value, the credential, and there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["vaultUrl".into(), "name".into()]))]
    pub key_vaults: Vec<VaultTarget>,
}

/// A Secret to publish to.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretTarget {
    /// The name of the Secret. Default: the resource's name. After a change, what was published before is kept until
    /// nobody reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ObjectName>,

    /// What to do about a Secret of that name: `Owner` (the default) creates it and refuses one that is not ours,
    /// `Adopt` takes over one that exists, `Merge` writes only our keys into somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_policy: Option<SecretCreationPolicy>,

    /// What becomes of the Secret when the resource is deleted: `Retain` (the default) or `Delete`. Only a Secret that
    /// Keywright created is deleted: with creationPolicy `Adopt` or `Merge` it stays. With deletionPolicy `Revoke` of the
    /// resource it goes when nobody reads it any more, before the credentials do; else at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<SecretDeletionPolicy>,

    /// What else the Secret carries: a type, metadata, and keys made from templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<SecretTemplate>,
}

/// What to do about a Secret that exists.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretCreationPolicy {
    /// Create it; refuse one that is not ours.
    Owner,
    /// Take over one that exists, all of it.
    Adopt,
    /// Write only our keys into a Secret that somebody else keeps.
    Merge,
}

/// What becomes of the published Secret when the resource is deleted: `Retain` (the default) or `Delete`. Only one that
/// Keywright created is deleted, not one that was adopted or merged into.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretDeletionPolicy {
    /// Leave it, so that nobody who reads it breaks.
    Retain,
    /// Delete it.
    Delete,
}

/// What a published Secret carries besides the coherent set.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct SecretTemplate {
    /// The type of the Secret. Default: `Opaque`. Kubernetes fixes it when the Secret is created.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::SECRET_TYPE)]
    pub type_: Option<String>,

    /// Labels and annotations of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,

    /// More keys, each a text with placeholders: `{{ clientSecret }}` (or `{{ certificate }}`, `{{ privateKey }}` and
    /// `{{ credentialPem }}`), `{{ clientId }}`, `{{ tenantId }}` and so on,
    /// through the filters `json`, `base64` and `urlencode`. An unknown name is refused. With `federated` there are
    /// `{{ clientId }}`, `{{ tenantId }}` and `{{ authorityHost }}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = rules::SECRET_KEYS, validation = rules::COHERENT_KEYS)]
    pub data: BTreeMap<String, Template>,
}

/// Labels and annotations of a published Secret.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct TemplateMetadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = rules::RESERVED_METADATA, validation = rules::METADATA_KEYS, validation = rules::LABEL_VALUES)]
    pub labels: BTreeMap<String, LabelText>,

    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = rules::RESERVED_METADATA, validation = rules::METADATA_KEYS)]
    pub annotations: BTreeMap<String, AnnotationText>,
}

/// The value of a label.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(transparent)]
pub struct LabelText(#[schemars(length(max = 128))] pub String);

/// The value of an annotation.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(transparent)]
pub struct AnnotationText(#[schemars(length(max = 4096))] pub String);

/// An entry of a Key Vault to publish to.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::IMPORTED_AS_IT_IS)]
pub struct VaultTarget {
    /// The URL of the vault.
    pub vault_url: VaultUrl,

    /// The name of the entry. Key Vault does not tell cases apart, so it is written in lower case.
    pub name: VaultName,

    /// What the entry is: `Secret` (the default), or `Certificate` (with `spec.certificate` only), which Key Vault
    /// imports and serves as certificate, key and secret. A name is one entry: to change what it is, choose another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_type: Option<VaultObjectType>,

    /// What to do about an entry of that name: `Owner` (the default) creates it and refuses one without our tags,
    /// `Adopt` adds versions to one that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_policy: Option<VaultCreationPolicy>,

    /// The value of the entry, with placeholders as in a Secret's template. Default: the client secret, or the
    /// certificate with its key as PEM. Not with `objectType: Certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// What an entry of a Key Vault is.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VaultObjectType {
    /// A secret.
    Secret,
    /// A certificate.
    Certificate,
}

/// What to do about an entry of a Key Vault that exists.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultCreationPolicy {
    /// Create it; refuse one without our tags.
    Owner,
    /// Add versions to one that exists.
    Adopt,
}
