//! Where a credential is published, and what is there.

use std::{fmt, str::FromStr};

use super::{Nonce, Owner, Sequence, Trouble};
use crate::api::{
    EntraAppCredentialSpec, KeyId,
    publish::{VaultObjectType, VaultTarget},
    values::{ObjectName, VaultName, VaultUrl},
};

/// The keys of a published Secret that are no secret: where to sign in, and as what.
pub const PUBLIC_KEYS: [&str; 3] = ["AZURE_AUTHORITY_HOST", "AZURE_TENANT_ID", "AZURE_CLIENT_ID"];

/// The key of a published Secret that says where a certificate is to be mounted, which is no secret either.
pub const PATH_KEY: &str = "AZURE_CLIENT_CERTIFICATE_PATH";

/// A place to publish to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetId {
    /// A Secret in the namespace of the resource.
    Secret(ObjectName),
    /// An entry of a Key Vault.
    Vault(VaultEntry),
}

impl TargetId {
    /// The same for all who publish there: a name in a vault is one place, whatever it is to be there.
    #[must_use]
    pub fn place(&self) -> Self {
        match self {
            Self::Vault(entry) => Self::Vault(VaultEntry::secret(&entry.url, &entry.name)),
            Self::Secret(_) => self.clone(),
        }
    }
}

/// An entry of a Key Vault. A certificate takes the secret and the key of its name as well, so that a name is one entry,
/// whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultEntry {
    /// The vault.
    pub url: VaultUrl,
    /// The name in it.
    pub name: VaultName,
    /// What it is.
    pub object: VaultObjectType,
}

impl VaultEntry {
    /// The secret of this name, which a certificate has as well: with its key.
    #[must_use]
    pub fn secret(url: &VaultUrl, name: &VaultName) -> Self {
        Self { url: url.clone(), name: name.clone(), object: VaultObjectType::Secret }
    }

    /// What a spec says about it.
    #[must_use]
    pub fn declared_in<'a>(&self, spec: &'a EntraAppCredentialSpec) -> Option<&'a VaultTarget> {
        let mut declared = spec.publish.iter().flat_map(|publish| &publish.key_vaults);
        declared.find(|one| Self::from(*one) == *self)
    }
}

impl From<&VaultTarget> for VaultEntry {
    fn from(declared: &VaultTarget) -> Self {
        let object = declared.object_type.unwrap_or(VaultObjectType::Secret);
        Self { object, ..Self::secret(&declared.vault_url, &declared.name) }
    }
}

impl fmt::Display for VaultEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.url, collection(self.object), self.name)
    }
}

/// Under what Key Vault keeps what is of this type.
const fn collection(object: VaultObjectType) -> &'static str {
    match object {
        VaultObjectType::Secret => "secrets",
        VaultObjectType::Certificate => "certificates",
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(out, "secret/{name}"),
            Self::Vault(entry) => write!(out, "{entry}"),
        }
    }
}

/// A text that names no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected secret/<name>, https://<vault>/secrets/<name> or https://<vault>/certificates/<name>")]
pub struct NotATarget;

impl FromStr for TargetId {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let plain = |name: &str| !name.is_empty() && !name.contains('/');
        if let Some(name) = text.strip_prefix("secret/") {
            return plain(name).then(|| Self::Secret(name.into())).ok_or(NotATarget);
        }
        let of = |object| text.rsplit_once(&format!("/{}/", collection(object))).map(|(url, name)| (url, name, object));
        let known = [VaultObjectType::Secret, VaultObjectType::Certificate].into_iter().find_map(of);
        let (url, name, object) = known.ok_or(NotATarget)?;
        let is_one = url.strip_prefix("https://").is_some_and(plain) && plain(name);
        is_one.then(|| Self::Vault(VaultEntry { url: url.into(), name: name.into(), object })).ok_or(NotATarget)
    }
}

/// What one look at a target has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSeen {
    /// Which.
    pub id: TargetId,
    /// What is there.
    pub state: TargetState,
}

/// What is at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetState {
    /// Nothing.
    Absent,
    /// Something.
    Present(Carried),
    /// It could not be seen, or is in a state in which nothing can be written.
    Troubled(Trouble),
}

/// What a target carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Whose it is, by its label or tag.
    pub holder: Holder,
    /// The credential that it says it carries.
    pub key_id: Option<KeyId>,
    /// The number of that credential.
    pub sequence: Option<Sequence>,
    /// The attempt that brought it.
    pub nonce: Option<Nonce>,
    /// Whether it carries exactly what the credential that is to be published there makes of it.
    pub agrees: bool,
    /// What forbids to write it: a Secret that is immutable or of another type, an entry that is disabled or managed.
    pub obstacle: Option<Trouble>,
    /// The version that was seen: a Secret's `resourceVersion`, a vault entry's version.
    pub version: String,
    /// The UID of a Secret.
    pub uid: Option<String>,
}

/// Whose a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// It bears this owner.
    Owned(Owner),
    /// It bears no owner.
    Unowned,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_printed() {
        for text in [
            "secret/payments-api",
            "https://kv-payments.vault.azure.net/secrets/payments-api",
            "https://kv-payments.vault.azure.net/certificates/payments-api",
        ] {
            assert_eq!(text.parse::<TargetId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "secret/",
            "secret/a/b",
            "configmap/a",
            "https:///secrets/a",
            "https://a/b/secrets/c",
            "https://a/secrets/",
            "https://a/keys/b",
            "https://a/secrets/b/certificates/c",
        ] {
            assert_eq!(text.parse::<TargetId>(), Err(NotATarget), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_surprise(text in ".{0,80}") {
            if let Ok(target) = text.parse::<TargetId>() {
                prop_assert_eq!(target.to_string(), text);
            }
        }
    }
}
