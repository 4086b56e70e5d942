//! How a vault is told to whoever looks at everything: what is so, without the values of secrets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::access::{Access, Grant, Network};
use super::log::SecretChange;
use super::secrets::{Secret, Version};
use super::vaults::{Vault, VaultSettings};

/// A vault.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told<'a> {
    name: &'a str,
    tenant: Uuid,
    access: Access,
    network: Network,
    grants: &'a [Grant],
    secrets: Vec<ToldSecret<'a>>,
    changes: &'a [SecretChange],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldSecret<'a> {
    name: &'a str,
    deleted: Option<Timestamp>,
    versions: Vec<ToldVersion<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToldVersion<'a> {
    id: &'a str,
    fingerprint: String,
    /// What people call it by, if it is a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbprint: Option<String>,
    enabled: bool,
    created: Timestamp,
    tags: &'a BTreeMap<String, String>,
}

impl Vault {
    /// Everything that is so, without the values of secrets.
    pub(super) fn told(&self) -> Told<'_> {
        let VaultSettings { access, network, .. } = self.settings;
        let (name, tenant, grants) = (&self.name, self.tenant, self.grants.all());
        let secrets = self.secrets.everything().map(told_secret).collect();
        Told { name, tenant, access, network, grants, secrets, changes: &self.log }
    }
}

fn told_secret(secret: &Secret) -> ToldSecret<'_> {
    let deleted = secret.deletion().map(|deletion| deletion.time);
    ToldSecret { name: &secret.name, deleted, versions: secret.versions.iter().map(told_version).collect() }
}

fn told_version(version: &Version) -> ToldVersion<'_> {
    let Version { id, enabled, created, tags, .. } = version;
    let thumbprint = version.certificate.as_ref().map(|one| one.x509.thumbprint());
    ToldVersion {
        id,
        fingerprint: version.fingerprint().to_string(),
        thumbprint,
        enabled: *enabled,
        created: *created,
        tags,
    }
}
