//! Records: one Secret for each credential of ours, written by compare-and-swap on the client that sends each request once.
//! What comes back is metadata only, except where the value itself is asked for. Decides nothing: an entry is written as
//! it is given.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Client,
    api::{DeleteParams, GetParams, ListParams, ObjectList, Patch, PatchParams, PostParams, Preconditions},
    core::{PartialObjectMeta, Status},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    Error, Written,
    call::{Asked, ask, for_metadata, hiding},
    clock::ApiClock,
    connect::Connection,
    stored::{Stored, bytes, manager, secrets},
};
use crate::{
    api::{KeyId, grant::CredentialKind},
    facts::{
        Effect, Entry, Kept, Owner, Record, Trouble,
        record::{FINALIZER, NotARecord, OWNER, RECORD_TYPE},
    },
};

/// The key of the value in a record's data.
const VALUE: &str = "value";

/// As long as the value of a credential is likely to be: a client secret at the most, a certificate with its key and those
/// that vouch for it in most cases.
const fn likely_length(kind: CredentialKind) -> usize {
    match kind {
        CredentialKind::Certificate => 8 * 1024,
        CredentialKind::ClientSecret | CredentialKind::Federated => 64,
    }
}

/// The records of this cluster.
#[derive(Clone)]
pub struct Records {
    once: Client,
    clock: ApiClock,
}

/// The records of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Those that can be read, by their sequence.
    pub records: Vec<Record>,
    /// The names of Secrets that claim to be records of this owner and cannot be, and why.
    pub forged: Vec<(String, NotARecord)>,
    /// When it was asked for, by the API server's clock: what is here was so then, or later.
    pub at: Timestamp,
}

/// What became of the one request by which a value is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// The value is in the record.
    Kept(Box<Record>),
    /// This request has not put it there and never will. An earlier one, whose fate is unknown, may have.
    DefinitelyRefused(Trouble),
    /// It may be there, or come to be there; once it is, `get` shows it.
    Unknown(Trouble),
}

/// The record that a Secret of our type is, by its metadata.
pub fn from_metadata(metadata: &ObjectMeta) -> Result<Record, NotARecord> {
    let none = BTreeMap::new();
    let given = |text: &Option<String>, what| text.clone().ok_or(NotARecord::Missing(what));
    let name = given(&metadata.name, "its name")?;
    let Some(Time(created_at)) = metadata.creation_timestamp else {
        return Err(NotARecord::Missing("its time of creation"));
    };
    let labels = metadata.labels.as_ref().unwrap_or(&none);
    let annotations = metadata.annotations.as_ref().unwrap_or(&none);
    Ok(Record {
        uid: given(&metadata.uid, "its UID")?,
        version: given(&metadata.resource_version, "its version")?,
        created_at,
        finalized: metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER),
        deleting: metadata.deletion_timestamp.is_some(),
        entry: Entry::read(&name, labels, annotations)?,
    })
}

/// The record that a whole Secret is: of our type, and with a value if it says that it keeps one.
fn from_stored(stored: &Stored) -> Result<Record, NotARecord> {
    if stored.type_ != RECORD_TYPE {
        return Err(NotARecord::OfType(stored.type_.clone()));
    }
    let record = from_metadata(&stored.metadata)?;
    let has_a_value = record.entry.kept.is_some() && record.entry.kind != CredentialKind::Federated;
    if has_a_value && !stored.data.contains_key(VALUE) {
        return Err(NotARecord::Missing("its value"));
    }
    Ok(record)
}

impl Records {
    /// The records of a cluster.
    #[must_use]
    pub fn new(cluster: &Connection) -> Self {
        Self { once: cluster.once.clone(), clock: cluster.clock.clone() }
    }

    /// All records of an owner, as they are now.
    pub async fn list(&self, namespace: &str, owner: &Owner) -> Result<Listed, Trouble> {
        let selected = ListParams::default().labels(&format!("{OWNER}={owner}")).fields(&format!("type={RECORD_TYPE}"));
        let doing = || format!("list the records of owner {owner} in namespace {namespace}");
        let at = self.clock.now();
        let asked = secrets(namespace).list_metadata(&selected);
        let listed: ObjectList<PartialObjectMeta<Secret>> = ask(&self.once, doing, asked).await?;
        let mut all = Listed { records: vec![], forged: vec![], at };
        for object in listed.items {
            match from_metadata(&object.metadata) {
                Ok(record) => all.records.push(record),
                Err(why) => all.forged.push((object.metadata.name.unwrap_or_default(), why)),
            }
        }
        all.records.sort_by_key(|record| record.entry.sequence);
        Ok(all)
    }

    /// A record as it is now: never from a cache, so that it shows what became of a request whose answer was lost.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<Option<Record>, Trouble> {
        match self.read(namespace, name, "read").await {
            Ok((_, record)) => Ok(Some(record)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Open a record, with the finalizer on it, if nothing has its name.
    pub async fn open(&self, namespace: &str, entry: &Entry) -> Result<Written<Record>, Trouble> {
        let name = entry.name();
        let body = json!({
            "apiVersion": "v1", "kind": "Secret", "type": RECORD_TYPE,
            "metadata": {
                "name": name, "labels": entry.labels(), "annotations": entry.annotations(), "finalizers": [FINALIZER],
            },
        });
        match self.swap(namespace, &name, "open", secrets(namespace).create(&post(entry), bytes(&body))).await {
            Ok(record) => Ok(Written::Yes(record)),
            Err(error) if error.status().is_some_and(Status::is_already_exists) => {
                // If what has the name is no record, waiting will not help: then that is what is told.
                self.get(namespace, &name).await.map(|_| Written::Outpaced)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Write what a record says, and whether the finalizer stands on it, if it is still as it was read. Its value stays as
    /// it is, and so does what others have written on it.
    pub async fn write(
        &self,
        namespace: &str,
        record: &Record,
        entry: &Entry,
        finalized: bool,
    ) -> Result<Written<Record>, Trouble> {
        let name = record.entry.name();
        let finalizers = if finalized { "finalizers" } else { "$deleteFromPrimitiveList/finalizers" };
        let body = json!({"metadata": {
            "uid": record.uid, "resourceVersion": record.version, finalizers: [FINALIZER],
            "labels": entry.labels(), "annotations": over(&record.entry, entry),
        }});
        let params = PatchParams { field_manager: Some(manager(&entry.owner)), ..PatchParams::default() };
        let asked = secrets(namespace).patch(&name, &params, &Patch::Strategic(body));
        Ok(self.swap(namespace, &name, "write", asked).await.map(Written::Yes).or_else(Error::unless_outpaced)?)
    }

    /// Have the API server go through a keep without keeping anything, so that a quota or a webhook that would refuse it
    /// is heard of before there is a value.
    pub async fn rehearse(&self, namespace: &str, record: &Record, entry: &Entry) -> Result<Written<()>, Trouble> {
        let name = record.entry.name();
        let now = self.clock.now();
        let likely =
            || Kept { key_id: KeyId(uuid::Uuid::nil()), issued_at: now, expires_at: Some(now), thumbprint: None };
        let entry = Entry { kept: Some(entry.kept.clone().unwrap_or_else(likely)), ..entry.clone() };
        let body = keeping(namespace, record, &entry, &SecretString::from("x".repeat(likely_length(entry.kind))));
        let asked = secrets(namespace).replace(&name, &PostParams { dry_run: true, ..post(&entry) }, body);
        let rehearsed = self.swap(namespace, &name, "rehearse to keep a value in", asked).await;
        Ok(rehearsed.map(|_| Written::Yes(())).or_else(Error::unless_outpaced)?)
    }

    /// Keep a value in a record, for ever, if it is still as it was read. The entry says which credential it is.
    pub async fn keep(&self, namespace: &str, record: &Record, entry: &Entry, value: &SecretString) -> Keep {
        let name = record.entry.name();
        let asked = secrets(namespace).replace(&name, &post(entry), keeping(namespace, record, entry, value));
        let trouble = match self.swap(namespace, &name, "keep the value in", asked).await {
            Ok(record) => return Keep::Kept(Box::new(record)),
            Err(error) => Trouble::from(error),
        };
        let trouble = Trouble { message: hiding(trouble.message, [value.expose_secret()]), ..trouble };
        match trouble.effect {
            Effect::NotSent | Effect::Refused => Keep::DefinitelyRefused(trouble),
            Effect::Unknown => Keep::Unknown(trouble),
        }
    }

    /// The value of a record, if it still is the one that was read, of the same credential.
    pub async fn value(&self, namespace: &str, record: &Record) -> Result<SecretString, Trouble> {
        let (name, what) = (record.entry.name(), "read the value of");
        let replaced = || Error::Replaced { doing: doing(what, namespace, &name) };
        let read = self.read(namespace, &name, what).await;
        let (stored, now) = read.map_err(|error| if error.is_gone() { replaced() } else { error })?;
        let key = |record: &Record| record.entry.kept.as_ref().map(|kept| kept.key_id);
        if now.uid != record.uid || key(&now) != key(record) {
            return Err(replaced().into());
        }
        let missing =
            || Error::NotARecord { doing: doing(what, namespace, &name), why: NotARecord::Missing("its value") };
        Ok(stored.text(VALUE).ok_or_else(missing)?)
    }

    /// Delete a record, if it is still as it was read. One with a finalizer stays until that is written away.
    pub async fn delete(&self, namespace: &str, record: &Record) -> Result<Written<()>, Trouble> {
        let name = record.entry.name();
        let read = Preconditions { uid: Some(record.uid.clone()), resource_version: Some(record.version.clone()) };
        let asked =
            secrets(namespace).delete(&name, &DeleteParams { preconditions: Some(read), ..DeleteParams::default() });
        let deleted: Result<Value, Error> = ask(&self.once, || doing("delete", namespace, &name), asked).await;
        match deleted {
            Ok(_) => Ok(Written::Yes(())),
            Err(error) if error.is_gone() => Ok(Written::Yes(())),
            Err(error) => Ok(error.unless_outpaced()?),
        }
    }

    async fn read(&self, namespace: &str, name: &str, what: &str) -> Result<(Stored, Record), Error> {
        let doing = || doing(what, namespace, name);
        let stored: Stored = ask(&self.once, doing, secrets(namespace).get(name, &GetParams::default())).await?;
        let record = from_stored(&stored).map_err(|why| Error::NotARecord { doing: doing(), why })?;
        Ok((stored, record))
    }

    /// Ask for a change, and for nothing but the metadata of what the record has become.
    async fn swap(&self, namespace: &str, name: &str, what: &str, asked: Asked) -> Result<Record, Error> {
        let doing = || doing(what, namespace, name);
        let object: PartialObjectMeta<Secret> = ask(&self.once, doing, for_metadata(asked)).await?;
        from_metadata(&object.metadata).map_err(|why| Error::NotARecord { doing: doing(), why })
    }
}

fn doing(what: &str, namespace: &str, name: &str) -> String {
    format!("{what} record {namespace}/{name}")
}

fn post(entry: &Entry) -> PostParams {
    PostParams { field_manager: Some(manager(&entry.owner)), ..PostParams::default() }
}

/// The whole Secret in which a value is kept.
fn keeping(namespace: &str, record: &Record, entry: &Entry, value: &SecretString) -> Vec<u8> {
    let finalizers: &[&str] = if record.finalized { &[FINALIZER] } else { &[] };
    bytes(&json!({
        "apiVersion": "v1", "kind": "Secret", "type": RECORD_TYPE, "immutable": true,
        "metadata": {
            "name": record.entry.name(), "namespace": namespace, "uid": record.uid, "resourceVersion": record.version,
            "labels": entry.labels(), "annotations": entry.annotations(), "finalizers": finalizers,
        },
        "data": {VALUE: BASE64_STANDARD.encode(value.expose_secret())},
    }))
}

/// The annotations of an entry for a patch over those of another: what it no longer says is taken away.
fn over(before: &Entry, after: &Entry) -> BTreeMap<String, Option<String>> {
    let gone = before.annotations().into_keys().map(|key| (key, None));
    gone.chain(after.annotations().into_iter().map(|(key, text)| (key, Some(text)))).collect()
}
