//! The record of a credential: opened before anything is minted, so that whatever a crash, a lost answer or a second
//! operator leaves behind can be told apart by evidence. Here it is read from, and printed to, the labels and
//! annotations of its Secret; the value is only ever in the Secret's data.

use std::{collections::BTreeMap, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Adopted, Cause, Claims, Nonce, Owner, Sequence, TargetId, Thumbprint};
use crate::api::{ClientId, KeyId, TenantId, grant::CredentialKind};

/// The type of Secret that a record is.
pub const RECORD_TYPE: &str = "keywright.dev/record";
/// The label of records and of what is published: whose it is.
pub const OWNER: &str = "keywright.dev/owner";
/// The annotation of records and of what is published: which credential of its owner's.
pub const SEQUENCE: &str = "keywright.dev/sequence";
/// The annotation of records and of what is published: the key ID.
pub const KEY_ID: &str = "keywright.dev/key-id";
/// The annotation of what is published: the attempt that brought it.
pub const NONCE: &str = "keywright.dev/nonce";
/// The finalizer that keeps the record of a mint in flight from going with its namespace.
pub const FINALIZER: &str = "keywright.dev/mint-in-flight";
/// The name of the resource that a Secret of ours belongs to.
pub const RESOURCE: &str = "keywright.dev/resource";
const TENANT: &str = "keywright.dev/tenant-id";
const CLIENT: &str = "keywright.dev/client-id";
const KIND: &str = "keywright.dev/kind";
const ATTEMPTS: &str = "keywright.dev/attempts";
const CLAIMS: &str = "keywright.dev/claims";
const ISSUED_AT: &str = "keywright.dev/issued-at";
const EXPIRES_AT: &str = "keywright.dev/expires-at";
const THUMBPRINT: &str = "keywright.dev/thumbprint";
const REPLACES: &str = "keywright.dev/replaces";
const STAGE: &str = "keywright.dev/stage";
const PUBLISHED_TO: &str = "keywright.dev/published-to";
const VERIFIED_AT: &str = "keywright.dev/verified-at";
const PUBLISHED_AT: &str = "keywright.dev/published-at";
const PROVEN_AT: &str = "keywright.dev/proven-at";
const ABANDONED_AT: &str = "keywright.dev/abandoned-at";
const RETIRED_AT: &str = "keywright.dev/retired-at";
const TAKEN_OUT_AT: &str = "keywright.dev/taken-out-at";
const ADOPTED: &str = "keywright.dev/adopted";
const CAUSE: &str = "keywright.dev/cause";
const AGAIN: &str = "keywright.dev/published-again";

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The UID of its Secret.
    pub uid: String,
    /// The `resourceVersion` that was read: what a compare-and-swap compares.
    pub version: String,
    /// When its Secret was created.
    pub created_at: Timestamp,
    /// Whether the finalizer stands on it.
    pub finalized: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What it says.
    pub entry: Entry,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub owner: Owner,
    /// The name of the resource: the owner cannot be guessed back.
    pub resource: String,
    /// The tenant of the application.
    pub tenant: TenantId,
    /// The application.
    pub client_id: ClientId,
    /// What kind of credential.
    pub kind: CredentialKind,
    /// Whose tokens it accepts, if it is a federated one.
    pub claims: Option<Claims>,
    /// Its number.
    pub sequence: Sequence,
    /// Who has tried to mint it, the last at the end: only the last may keep what it brings.
    pub attempts: Vec<Attempt>,
    /// Why it was due.
    pub cause: Option<Cause>,
    /// Whether somebody else made it, so that it has no mark of ours.
    pub adopted: Option<Adopted>,
    /// The credential in whose place it comes.
    pub replaces: Option<KeyId>,
    /// The credential, as soon as its value is in the record.
    pub kept: Option<Kept>,
    /// Whether it was ever to be published, or is never to be.
    pub stage: Stage,
    /// Everything it was ever published to.
    pub published_to: Vec<TargetId>,
    /// When it was proven by sign-ins.
    pub verified_at: Option<Timestamp>,
    /// How often an earlier one was put back in its place, so that everything after the publication had to begin anew.
    pub again: u32,
    /// When every target had it.
    pub published_at: Option<Timestamp>,
    /// When every holder had it.
    pub proven_at: Option<Timestamp>,
    /// When it was given up.
    pub abandoned_at: Option<Timestamp>,
    /// When it was first seen to be gone, after its successor had taken its place.
    pub retired_at: Option<Timestamp>,
    /// Since when the Secret that it was published to is to say only where to sign in, and as what: whoever reads it signs in
    /// by a token. From then on it was published when the Secret was rid of it, and is with everybody when nobody has it.
    pub taken_out_at: Option<Timestamp>,
}

/// One attempt to mint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What tells it from others.
    pub nonce: Nonce,
    /// Which process made it.
    pub holder: String,
    /// When, by the API server's clock.
    pub at: Timestamp,
}

/// A credential whose value is in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its key ID.
    pub key_id: KeyId,
    /// When it was minted.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Which certificate, if it is one.
    pub thumbprint: Option<Thumbprint>,
}

/// Publishing and abandoning exclude each other, and both are set by compare-and-swap before the first target is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Neither.
    Unpublished,
    /// It counts as published from here on, whatever happens to the spec.
    Publishing,
    /// It will never be published.
    Abandoned,
}

impl Stage {
    const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Unpublished => None,
            Self::Publishing => Some("publishing"),
            Self::Abandoned => Some("abandoned"),
        }
    }
}

/// Why a Secret of our type is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotARecord {
    /// Something that every record has is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Something cannot be read.
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    /// It is not of our type.
    #[error("its type is {0}")]
    OfType(String),
    /// The name is not the one that owner and number make.
    #[error("its name should be {0}")]
    Misnamed(String),
}

type Texts = BTreeMap<String, String>;

impl Entry {
    /// What a record says that was opened a moment ago.
    #[must_use]
    pub fn opened(
        owner: Owner,
        resource: &str,
        (tenant, client_id, kind): (TenantId, ClientId, CredentialKind),
        sequence: Sequence,
        first: Attempt,
    ) -> Self {
        Self {
            owner,
            resource: resource.to_owned(),
            tenant,
            client_id,
            kind,
            claims: None,
            sequence,
            attempts: vec![first],
            cause: None,
            adopted: None,
            replaces: None,
            kept: None,
            stage: Stage::Unpublished,
            published_to: vec![],
            verified_at: None,
            again: 0,
            published_at: None,
            proven_at: None,
            abandoned_at: None,
            retired_at: None,
            taken_out_at: None,
        }
    }

    /// The name of the Secret.
    #[must_use]
    pub fn name(&self) -> String {
        name_of(&self.owner, self.sequence)
    }

    /// What the pod templates of those who are to have it are given: pods with it started when this was published.
    #[must_use]
    pub fn rollout_mark(&self) -> Option<String> {
        let key_id = self.kept.as_ref()?.key_id;
        let without = if self.taken_out_at.is_some() { "without." } else { "" };
        let again = if self.again == 0 { String::new() } else { format!(".{}", self.again) };
        Some(format!("{without}{key_id}{again}"))
    }

    /// The attempt that may keep what it mints.
    #[must_use]
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Whether this is one of its nonces.
    #[must_use]
    pub fn knows(&self, nonce: &Nonce) -> bool {
        self.attempts.iter().any(|attempt| attempt.nonce == *nonce)
    }

    /// Whether nothing has been kept in it yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.kept.is_none()
    }

    /// Read what a Secret of our type says.
    pub fn read(name: &str, labels: &Texts, annotations: &Texts) -> Result<Self, NotARecord> {
        let entry = Self {
            owner: required(labels, OWNER)?,
            resource: required(annotations, RESOURCE)?,
            tenant: TenantId(required(annotations, TENANT)?),
            client_id: ClientId(required(annotations, CLIENT)?),
            kind: kind(annotations)?,
            claims: annotations.contains_key(CLAIMS).then(|| json(annotations, CLAIMS)).transpose()?,
            sequence: Sequence(required(annotations, SEQUENCE)?),
            attempts: json(annotations, ATTEMPTS)?,
            cause: optional(annotations, CAUSE)?,
            adopted: optional(annotations, ADOPTED)?,
            replaces: optional(annotations, REPLACES)?.map(KeyId),
            kept: kept(annotations)?,
            stage: stage(annotations)?,
            published_to: targets(annotations)?,
            verified_at: optional(annotations, VERIFIED_AT)?,
            again: optional(annotations, AGAIN)?.unwrap_or_default(),
            published_at: optional(annotations, PUBLISHED_AT)?,
            proven_at: optional(annotations, PROVEN_AT)?,
            abandoned_at: optional(annotations, ABANDONED_AT)?,
            retired_at: optional(annotations, RETIRED_AT)?,
            taken_out_at: optional(annotations, TAKEN_OUT_AT)?,
        };
        if entry.attempts.is_empty() {
            return Err(NotARecord::Missing(ATTEMPTS));
        }
        if entry.name() == name { Ok(entry) } else { Err(NotARecord::Misnamed(entry.name())) }
    }

    /// The labels that say it.
    #[must_use]
    pub fn labels(&self) -> Texts {
        Texts::from([(OWNER.to_owned(), self.owner.to_string())])
    }

    /// The annotations that say it.
    #[must_use]
    pub fn annotations(&self) -> Texts {
        let list = |items: &[TargetId]| {
            serde_json::json!(items.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string()
        };
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let kept = self.kept.as_ref();
        let said = [
            (RESOURCE, Some(self.resource.clone())),
            (TENANT, Some(self.tenant.to_string())),
            (CLIENT, Some(self.client_id.to_string())),
            (KIND, Some(format!("{:?}", self.kind))),
            (CLAIMS, self.claims.as_ref().map(|claims| serde_json::json!(claims).to_string())),
            (SEQUENCE, Some(self.sequence.to_string())),
            (ATTEMPTS, Some(serde_json::json!(self.attempts).to_string())),
            (ADOPTED, self.adopted.map(|adopted| adopted.as_str().to_owned())),
            (CAUSE, self.cause.map(|cause| cause.as_str().to_owned())),
            (REPLACES, self.replaces.map(|key| key.to_string())),
            (KEY_ID, kept.map(|kept| kept.key_id.to_string())),
            (ISSUED_AT, time(kept.map(|kept| kept.issued_at))),
            (EXPIRES_AT, time(kept.and_then(|kept| kept.expires_at))),
            (THUMBPRINT, kept.and_then(|kept| kept.thumbprint.as_ref()).map(ToString::to_string)),
            (STAGE, self.stage.as_str().map(str::to_owned)),
            (PUBLISHED_TO, (!self.published_to.is_empty()).then(|| list(&self.published_to))),
            (VERIFIED_AT, time(self.verified_at)),
            (AGAIN, (self.again > 0).then(|| self.again.to_string())),
            (PUBLISHED_AT, time(self.published_at)),
            (PROVEN_AT, time(self.proven_at)),
            (ABANDONED_AT, time(self.abandoned_at)),
            (RETIRED_AT, time(self.retired_at)),
            (TAKEN_OUT_AT, time(self.taken_out_at)),
        ];
        said.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?))).collect()
    }
}

/// Whether a Secret is named as records are.
#[must_use]
pub fn is_named_like_one(name: &str) -> bool {
    name.strip_prefix("kw-")
        .is_some_and(|rest| rest.split_once('-').is_some_and(|(owner, _)| owner.parse::<Owner>().is_ok()))
}

/// The name of the Secret of a record.
#[must_use]
pub fn name_of(owner: &Owner, sequence: Sequence) -> String {
    format!("kw-{owner}-{sequence}")
}

fn optional<T: FromStr>(texts: &Texts, key: &'static str) -> Result<Option<T>, NotARecord> {
    texts.get(key).map(|text| text.parse().map_err(|_| NotARecord::Unreadable(key))).transpose()
}

fn required<T: FromStr>(texts: &Texts, key: &'static str) -> Result<T, NotARecord> {
    optional(texts, key)?.ok_or(NotARecord::Missing(key))
}

fn json<T: for<'de> Deserialize<'de>>(texts: &Texts, key: &'static str) -> Result<T, NotARecord> {
    let text = texts.get(key).ok_or(NotARecord::Missing(key))?;
    serde_json::from_str(text).map_err(|_| NotARecord::Unreadable(key))
}

fn kind(texts: &Texts) -> Result<CredentialKind, NotARecord> {
    match required::<String>(texts, KIND)?.as_str() {
        "ClientSecret" => Ok(CredentialKind::ClientSecret),
        "Certificate" => Ok(CredentialKind::Certificate),
        "Federated" => Ok(CredentialKind::Federated),
        _ => Err(NotARecord::Unreadable(KIND)),
    }
}

fn kept(texts: &Texts) -> Result<Option<Kept>, NotARecord> {
    let Some(key_id) = optional(texts, KEY_ID)? else { return Ok(None) };
    let (issued_at, expires_at) = (required(texts, ISSUED_AT)?, optional(texts, EXPIRES_AT)?);
    Ok(Some(Kept { key_id: KeyId(key_id), issued_at, expires_at, thumbprint: optional(texts, THUMBPRINT)? }))
}

fn stage(texts: &Texts) -> Result<Stage, NotARecord> {
    let said = texts.get(STAGE).map(String::as_str);
    [Stage::Unpublished, Stage::Publishing, Stage::Abandoned]
        .into_iter()
        .find(|stage| stage.as_str() == said)
        .ok_or(NotARecord::Unreadable(STAGE))
}

fn targets(texts: &Texts) -> Result<Vec<TargetId>, NotARecord> {
    if !texts.contains_key(PUBLISHED_TO) {
        return Ok(vec![]);
    }
    let listed: Vec<String> = json(texts, PUBLISHED_TO)?;
    listed.iter().map(|one| one.parse().map_err(|_| NotARecord::Unreadable(PUBLISHED_TO))).collect()
}

#[cfg(test)]
mod tests;
