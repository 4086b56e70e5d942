//! What a platform team allows: from which namespaces, for which applications, and how far.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ClientId,
    publish::LabelText,
    rules,
    values::{EntryName, HttpsUrl, NamePattern, SubjectPattern, VaultNamePattern, VaultUrl},
};

/// One grant. Everything a resource asks for must be allowed by the same grant.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The name by which conditions speak of this grant.
    pub name: EntryName,

    /// The namespaces that it is for.
    pub namespaces: GrantedNamespaces,

    /// The applications, by client ID.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub client_ids: Vec<ClientId>,

    /// The kinds of credential.
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub kinds: Vec<CredentialKind>,

    /// The names that published Secrets may have, with `*` for any characters. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub secret_names: Vec<NamePattern>,

    /// The Key Vaults that may be written to. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["url".into()]))]
    pub key_vaults: Vec<GrantedVault>,

    /// Which outside issuers may be federated. Default: none; the namespace's own ServiceAccounts always may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federation: Option<GrantedFederation>,

    /// What else is allowed: `RetireForeign` lets resources remove credentials made by others, by key ID;
    /// `RevokeCompromised` lets them remove one at once, without waiting for those who hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub allow: Vec<Allowance>,
}

/// The namespaces that a grant is for: a list of names, or a selector of labels.
///
/// A selector trusts whoever may label namespaces.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = rules::NAMES_OR_SELECTOR)]
pub struct GrantedNamespaces {
    /// Their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub names: Option<Vec<EntryName>>,

    /// Labels that they carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// A selector of labels, as elsewhere in Kubernetes, but never empty.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = rules::SELECTS_SOMETHING)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels that must have exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub match_labels: BTreeMap<String, LabelText>,

    /// Labels that must pass these tests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub match_expressions: Vec<LabelTest>,
}

/// A test of one label.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = rules::OPERATOR_HAS_VALUES)]
pub struct LabelTest {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How it is tested.
    pub operator: LabelOperator,
    /// With `In` and `NotIn`: the values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub values: Vec<LabelText>,
}

/// How a label is tested.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is missing.
    NotIn,
    /// It is there.
    Exists,
    /// It is missing.
    DoesNotExist,
}

/// A kind of credential.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKind {
    /// A client secret.
    ClientSecret,
    /// A certificate.
    Certificate,
    /// A federated credential.
    Federated,
}

/// A Key Vault that may be written to.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct GrantedVault {
    /// The URL of the vault.
    pub url: VaultUrl,
    /// The names that entries may have, with `*` for any characters. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub names: Vec<VaultNamePattern>,
}

/// Which outside issuers may be federated.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[x_kube(validation = rules::ISSUERS_WITH_SUBJECTS)]
#[serde(rename_all = "camelCase")]
pub struct GrantedFederation {
    /// The issuers, byte for byte as their tokens spell them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub external_issuers: Vec<HttpsUrl>,
    /// The subjects, with `*` for any characters, for example `repo:contoso/*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub external_subjects: Vec<SubjectPattern>,
}

/// What a grant may allow beyond keeping one's own credentials.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Remove credentials made by others, by key ID.
    RetireForeign,
    /// Remove a credential at once, without waiting for those who hold it.
    RevokeCompromised,
}
