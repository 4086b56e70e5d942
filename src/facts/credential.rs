//! What Microsoft Graph says about an application and the credentials on it.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use super::Mark;
use crate::api::{KeyId, grant::CredentialKind};

/// The object ID of an application: not its client ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub Uuid);

impl fmt::Display for ObjectId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(out)
    }
}

/// An application as one read of Graph showed it. Reads lag behind writes, so what is absent here may be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its object ID.
    pub object_id: ObjectId,
    /// How many client secrets Entra lets it have, where that is few: two, if personal accounts may sign in.
    pub most_secrets: Option<usize>,
    /// What is on it.
    pub credentials: Vec<Credential>,
}

/// One credential of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its key ID.
    pub key_id: KeyId,
    /// What kind it is.
    pub kind: CredentialKind,
    /// The name that Entra shows, in which our mark stands.
    pub display_name: Option<String>,
    /// What tells its value from others: the first three characters of a secret, the SHA-1 of a certificate.
    pub hint: Option<String>,
    /// From when on it is valid.
    pub start: Option<Timestamp>,
    /// Until when.
    pub end: Option<Timestamp>,
}

impl Credential {
    /// The mark that says which attempt of which resource made it, if one of us did.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.display_name.as_deref().and_then(Mark::in_name)
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}
