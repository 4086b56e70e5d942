//! What the tags of an entry say: whose it is, and which credential it carries. Tags are readable for everybody who may
//! list the vault, and writable for everybody who may write there, so they are read as a claim. Pure.

use std::collections::HashMap;

use crate::{
    api::KeyId,
    facts::{Carried, Holder, Nonce, Owner, Sequence},
};

/// Whose the entry is.
pub const OWNER: &str = "keywright-owner";
/// The credential that it carries.
pub const KEY_ID: &str = "keywright-key-id";
/// The number of that credential.
pub const SEQUENCE: &str = "keywright-sequence";
/// The attempt that brought it.
pub const NONCE: &str = "keywright-nonce";
/// The tenant, the application and the authority that the credential is for, so that a client ID of one environment never
/// meets a secret of another.
pub const TENANT: &str = "azure-tenant-id";
/// See [`TENANT`].
pub const CLIENT: &str = "azure-client-id";
/// See [`TENANT`].
pub const AUTHORITY: &str = "azure-authority-host";

/// What tags of ours say. What cannot be read is not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// Whose the entry is; nothing if it bears no owner.
    pub owner: Option<Owner>,
    /// The credential that it says it carries.
    pub key_id: Option<KeyId>,
    /// The number of that credential.
    pub sequence: Option<Sequence>,
    /// The attempt that brought it.
    pub nonce: Option<Nonce>,
}

impl Tags {
    /// Reads what Key Vault shows.
    #[must_use]
    pub fn read(tags: Option<&HashMap<String, String>>) -> Self {
        let text = |name: &str| tags.and_then(|tags| tags.get(name)).map(String::as_str);
        Self {
            owner: text(OWNER).and_then(|text| text.parse().ok()),
            key_id: text(KEY_ID).and_then(|text| text.parse().ok()).map(KeyId),
            sequence: text(SEQUENCE).and_then(|text| text.parse().ok()).map(Sequence),
            nonce: text(NONCE).and_then(|text| text.parse().ok()),
        }
    }

    /// The same as a fact about a target.
    pub(super) fn carried(self, version: String, agrees: bool) -> Carried {
        Carried {
            holder: self.owner.map_or(Holder::Unowned, Holder::Owned),
            key_id: self.key_id,
            sequence: self.sequence,
            nonce: self.nonce,
            agrees,
            obstacle: None,
            version,
            uid: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scribbled_tags_say_nothing() {
        let tags = [(OWNER, "somebody"), (KEY_ID, "none"), (SEQUENCE, "-1"), (NONCE, "x"), ("team", "payments")];
        let tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(Tags::read(Some(&tags)), Tags::default());
        assert_eq!(Tags::read(None).carried("1".into(), false).holder, Holder::Unowned);
    }
}
