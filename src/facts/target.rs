//! Where a credential is published, and what is there.

use std::{fmt, str::FromStr};

use super::{Nonce, Owner, Sequence, Trouble};
use crate::api::{
    KeyId,
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
    /// A secret in a Key Vault.
    Vault {
        /// The vault.
        url: VaultUrl,
        /// The name in it.
        name: VaultName,
    },
}

impl fmt::Display for TargetId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(out, "secret/{name}"),
            Self::Vault { url, name } => write!(out, "{url}/secrets/{name}"),
        }
    }
}

/// A text that names no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected secret/<name> or https://<vault>/secrets/<name>")]
pub struct NotATarget;

impl FromStr for TargetId {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let plain = |name: &str| !name.is_empty() && !name.contains('/');
        if let Some(name) = text.strip_prefix("secret/") {
            return plain(name).then(|| Self::Secret(name.into())).ok_or(NotATarget);
        }
        let (url, name) = text.rsplit_once("/secrets/").ok_or(NotATarget)?;
        let known = url.strip_prefix("https://").is_some_and(plain) && plain(name);
        known.then(|| Self::Vault { url: url.into(), name: name.into() }).ok_or(NotATarget)
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
    /// What forbids to write it: a Secret that is immutable or of another type.
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
        for text in ["secret/payments-api", "https://kv-payments.vault.azure.net/secrets/payments-api"] {
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
