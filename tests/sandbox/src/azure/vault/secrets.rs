//! The secrets of one vault (AZURE 6): versions that only grow in number, what can be changed about them, and the way
//! of a deleted secret through deletion, recovery and purge, each of which takes a while. A certificate is a secret with
//! more to it: it shares its versions, its attributes and its fate. Pure: time is an argument. Who may do it, and what
//! fits, is decided elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::asked::Collection;
use super::certificates::Imported;
use super::refusal::Refusal;
use crate::azure::x509::X509;
use crate::witness::Fingerprint;

/// The value of a secret, which is printed as its fingerprint.
#[derive(Clone)]
pub(crate) struct SecretValue(String);

impl SecretValue {
    pub(crate) fn tell(&self) -> &str {
        &self.0
    }

    /// Whether there is a private key in it, in PEM.
    pub(crate) fn has_private_key(&self) -> bool {
        self.0.contains("PRIVATE KEY-----")
    }

    /// Of a certificate in PEM it is that of the certificate: by it pods are known that have taken it.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        X509::read(self.0.as_bytes()).map_or_else(|| Fingerprint::of(&self.0), |x509| x509.fingerprint())
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fingerprint().fmt(f)
    }
}

/// What is written about a version beside its value; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretEdit {
    /// What the value is.
    pub content_type: Option<String>,
    /// All tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// Whether it can be read.
    pub enabled: Option<bool>,
    /// From when on it is good, in seconds; readers are told, and served all the same.
    pub not_before: Option<i64>,
    /// Until when.
    pub expires: Option<i64>,
}

/// A version of a secret.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) value: SecretValue,
    pub(crate) content_type: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) enabled: bool,
    pub(crate) not_before: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// The certificate, if it is one.
    pub(crate) certificate: Option<Arc<Imported>>,
}

impl Version {
    fn new(id: String, value: String, now: Timestamp) -> Self {
        Self {
            id,
            value: SecretValue(value),
            content_type: None,
            tags: BTreeMap::new(),
            enabled: true,
            not_before: None,
            expires: None,
            created: now,
            updated: now,
            certificate: None,
        }
    }

    /// What pods are known by that have taken it.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.certificate.as_ref().map_or_else(|| self.value.fingerprint(), |one| one.x509.fingerprint())
    }

    fn edit(&mut self, edit: SecretEdit, now: Timestamp) {
        let SecretEdit { content_type, tags, enabled, not_before, expires } = edit;
        self.content_type = content_type.or_else(|| self.content_type.take());
        self.tags = tags.unwrap_or_else(|| std::mem::take(&mut self.tags));
        self.enabled = enabled.unwrap_or(self.enabled);
        self.not_before = not_before.or(self.not_before);
        self.expires = expires.or(self.expires);
        self.updated = now;
    }
}

/// All versions under one name; the last is the latest.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    /// As it was first spelled.
    pub(crate) name: String,
    pub(crate) versions: Vec<Version>,
    life: Life,
}

impl Secret {
    pub(crate) fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// A version by its ID; nothing means the latest.
    fn version(&self, id: Option<&str>) -> Option<usize> {
        match id {
            Some(id) => self.versions.iter().position(|version| version.id.eq_ignore_ascii_case(id)),
            None => self.versions.len().checked_sub(1),
        }
    }

    /// Whether it is a certificate's: then it is changed through that alone.
    pub(crate) fn is_managed(&self) -> bool {
        self.latest().is_some_and(|version| version.certificate.is_some())
    }

    /// When it was deleted and when it will be purged, if it is deleted.
    pub(crate) fn deletion(&self) -> Option<Deletion> {
        match self.life {
            Life::Deleted(deletion) => Some(deletion),
            Life::Here { .. } => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Life {
    /// It is there. After a recovery it can be read before it can be written to.
    Here {
        readable: Timestamp,
        writable: Timestamp,
    },
    Deleted(Deletion),
}

/// The way of a deleted secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) time: Timestamp,
    /// Until then it is being deleted.
    pub(crate) done: Timestamp,
    /// Then it is gone for good.
    pub(crate) purge: Timestamp,
}

/// The secrets of one vault, by their names in small letters: names have no case.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// A secret that can be read now.
    pub(crate) fn here(&self, name: &str, now: Timestamp) -> Result<&Secret, Refusal> {
        let found = self.0.get(&name.to_ascii_lowercase());
        let is_here = |secret: &&Secret| matches!(secret.life, Life::Here { readable, .. } if readable <= now);
        found.filter(is_here).ok_or_else(|| Refusal::NotFound(name.to_owned()))
    }

    /// All that can be read now, after the one of this name.
    pub(crate) fn all(&self, after: &str, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let is_here = move |secret: &&Secret| matches!(secret.life, Life::Here { readable, .. } if readable <= now);
        self.after(after).filter(is_here)
    }

    /// All that are deleted now, after the one of this name.
    pub(crate) fn all_deleted(&self, after: &str, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let is_deleted = move |deletion: Deletion| deletion.done <= now && now < deletion.purge;
        self.after(after).filter(move |secret| secret.deletion().is_some_and(is_deleted))
    }

    fn after(&self, name: &str) -> impl Iterator<Item = &Secret> {
        let begin = (std::ops::Bound::Excluded(name.to_ascii_lowercase()), std::ops::Bound::Unbounded);
        self.0.range(begin).map(|(_, secret)| secret)
    }

    /// Everything under every name, whatever its state.
    pub(crate) fn everything(&self) -> impl Iterator<Item = &Secret> {
        self.0.values()
    }

    /// A version, which may be disabled.
    pub(crate) fn find(&self, name: &str, id: Option<&str>, now: Timestamp) -> Result<(&Secret, &Version), Refusal> {
        let secret = self.here(name, now)?;
        let version = secret.version(id).and_then(|place| secret.versions.get(place));
        Ok((secret, version.ok_or_else(|| Refusal::NotFound(name.to_owned()))?))
    }

    /// What may be read of a version.
    pub(crate) fn get(&self, name: &str, id: Option<&str>, now: Timestamp) -> Result<(&Secret, &Version), Refusal> {
        let (secret, version) = self.find(name, id, now)?;
        if version.enabled { Ok((secret, version)) } else { Err(Refusal::Disabled) }
    }

    /// Adds a version, always, whatever is there.
    pub(crate) fn put(
        &mut self,
        name: &str,
        id: String,
        value: String,
        edit: SecretEdit,
        now: Timestamp,
    ) -> Result<(&Secret, &Version), Refusal> {
        let secret = self.open(name, now);
        secret.writable(now)?;
        if secret.is_managed() {
            return Err(Refusal::Managed("set"));
        }
        secret.add(Version::new(id, value, now), edit, now)
    }

    /// Adds a version of a certificate; a plain secret of that name is in its way.
    pub(crate) fn import(
        &mut self,
        name: &str,
        id: String,
        imported: Imported,
        edit: SecretEdit,
        now: Timestamp,
    ) -> Result<(&Secret, &Version), Refusal> {
        let secret = self.open(name, now);
        let is_plain = secret.latest().is_some() && !secret.is_managed();
        match secret.writable(now) {
            Err(refusal) if is_plain => return Err(Refusal::OfSecret(Box::new(refusal))),
            Ok(()) if is_plain => return Err(Refusal::TakenBySecret(name.to_owned())),
            writable => writable?,
        }
        let mut version = Version::new(id, imported.value.clone(), now);
        version.certificate = Some(Arc::new(imported));
        secret.add(version, edit, now)
    }

    /// What is under a name, or will be.
    fn open(&mut self, name: &str, now: Timestamp) -> &mut Secret {
        self.forget_purged(name, now);
        let fresh = || Secret {
            name: name.to_owned(),
            versions: vec![],
            life: Life::Here { readable: Timestamp::MIN, writable: Timestamp::MIN },
        };
        self.0.entry(name.to_ascii_lowercase()).or_insert_with(fresh)
    }

    /// Whether what is under a name may be changed as one of a collection: the secret of a certificate is changed through
    /// that, and what is only a secret is no certificate.
    pub(super) fn is_of(&self, of: Collection, name: &str, operation: &'static str) -> Result<(), Refusal> {
        let is_managed = self.0.get(&name.to_ascii_lowercase()).is_some_and(Secret::is_managed);
        match (of, is_managed) {
            (Collection::Secrets, true) => Err(Refusal::Managed(operation)),
            (Collection::Certificates, false) if matches!(operation, "recover" | "purge") => {
                Err(Refusal::NotDeleted(name.to_owned()))
            }
            (Collection::Certificates, false) => Err(Refusal::NotFound(name.to_owned())),
            _ => Ok(()),
        }
    }

    /// Changes what is written about a version.
    pub(crate) fn edit(
        &mut self,
        name: &str,
        id: Option<&str>,
        edit: SecretEdit,
        now: Timestamp,
    ) -> Result<(&Secret, &Version), Refusal> {
        let secret = self.changeable(name, now)?;
        let not_found = || Refusal::NotFound(name.to_owned());
        let place = secret.version(id).ok_or_else(not_found)?;
        secret.versions.get_mut(place).ok_or_else(not_found)?.edit(edit, now);
        let secret = &*secret;
        Ok((secret, secret.versions.get(place).ok_or_else(not_found)?))
    }

    /// Deletes a secret, which takes until `done`.
    pub(crate) fn delete(
        &mut self,
        name: &str,
        done: Timestamp,
        purge: Timestamp,
        now: Timestamp,
    ) -> Result<&Secret, Refusal> {
        let secret = self.changeable(name, now)?;
        secret.life = Life::Deleted(Deletion { time: now, done, purge });
        Ok(secret)
    }

    /// A deleted secret, once it is deleted.
    pub(crate) fn deleted(&self, name: &str, now: Timestamp) -> Result<&Secret, Refusal> {
        let found = self.0.get(&name.to_ascii_lowercase());
        let is_deleted = |deletion: Deletion| deletion.done <= now && now < deletion.purge;
        let found = found.filter(|secret| secret.deletion().is_some_and(is_deleted));
        found.ok_or_else(|| Refusal::NotDeleted(name.to_owned()))
    }

    /// Recovers a secret with all its versions: it can be read from `readable` on, and written to from `writable` on.
    pub(crate) fn recover(
        &mut self,
        name: &str,
        readable: Timestamp,
        writable: Timestamp,
        now: Timestamp,
    ) -> Result<&Secret, Refusal> {
        self.is_recoverable(name, now)?;
        let secret = self.0.get_mut(&name.to_ascii_lowercase());
        let secret = secret.ok_or_else(|| Refusal::NotDeleted(name.to_owned()))?;
        secret.life = Life::Here { readable, writable };
        Ok(secret)
    }

    /// Takes a deleted secret away for good.
    pub(crate) fn purge(&mut self, name: &str, now: Timestamp) -> Result<Secret, Refusal> {
        self.is_recoverable(name, now)?;
        self.0.remove(&name.to_ascii_lowercase()).ok_or_else(|| Refusal::NotDeleted(name.to_owned()))
    }

    /// Whether it is deleted, and no longer being deleted.
    fn is_recoverable(&self, name: &str, now: Timestamp) -> Result<(), Refusal> {
        let deletion = self.0.get(&name.to_ascii_lowercase()).and_then(Secret::deletion);
        match deletion.filter(|deletion| now < deletion.purge) {
            None => Err(Refusal::NotDeleted(name.to_owned())),
            Some(deletion) if now < deletion.done => Err(Refusal::BeingDeleted(name.to_owned())),
            Some(_) => Ok(()),
        }
    }

    fn changeable(&mut self, name: &str, now: Timestamp) -> Result<&mut Secret, Refusal> {
        let not_found = || Refusal::NotFound(name.to_owned());
        let secret = self.0.get_mut(&name.to_ascii_lowercase()).ok_or_else(not_found)?;
        match secret.writable(now) {
            Err(Refusal::DeletedButRecoverable(_)) => Err(not_found()),
            Err(refusal) => Err(refusal),
            Ok(()) => Ok(secret),
        }
    }

    fn forget_purged(&mut self, name: &str, now: Timestamp) {
        let name = name.to_ascii_lowercase();
        let deletion = self.0.get(&name).and_then(Secret::deletion);
        if deletion.is_some_and(|deletion| deletion.purge <= now) {
            self.0.remove(&name);
        }
    }
}

impl Secret {
    fn add(&mut self, mut version: Version, edit: SecretEdit, now: Timestamp) -> Result<(&Self, &Version), Refusal> {
        version.edit(edit, now);
        self.versions.push(version);
        let secret = &*self;
        Ok((secret, secret.latest().ok_or_else(|| Refusal::NotFound(secret.name.clone()))?))
    }

    fn writable(&self, now: Timestamp) -> Result<(), Refusal> {
        let name = || self.name.clone();
        match self.life {
            Life::Here { writable, .. } if now < writable => Err(Refusal::BeingRecovered(name())),
            Life::Here { .. } => Ok(()),
            Life::Deleted(deletion) if now < deletion.done => Err(Refusal::BeingDeleted(name())),
            Life::Deleted(_) => Err(Refusal::DeletedButRecoverable(name())),
        }
    }
}

#[cfg(test)]
mod tests;
