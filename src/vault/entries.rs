//! What is done to an entry, whatever it is. Each says what was seen or why not; a write whose fate is unknown says so, and
//! is never sent again here.

use std::collections::HashMap;

use azure_core::http::{Pager, pager::Page};
use futures::TryStreamExt;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::{Call, Projection, Tags, Vaults, trouble};
use crate::{
    api::{
        publish::VaultObjectType,
        values::{VaultName, VaultUrl},
    },
    facts::{Carried, Effect, Owner, TargetState, Trouble, VaultEntry},
    wire::{InTime, Scope},
};

/// Why an answer is none.
pub(super) const NO_VERSION: &str = "there is no version in it";

/// An entry of ours, as the list of a whole vault shows it: without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, in lower case.
    pub name: VaultName,
    /// What its latest version says.
    pub tags: Tags,
    /// Whether that version can be used.
    pub enabled: bool,
    /// When anything about it was last changed.
    pub updated: Option<Timestamp>,
}

/// A version of an entry, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its ID.
    pub id: String,
    /// What it says.
    pub tags: Tags,
    /// Whether it can be used.
    pub enabled: bool,
}

/// What a list says of one entry, or of one version of an entry.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) tags: Option<HashMap<String, String>>,
    pub(super) enabled: Option<bool>,
    pub(super) updated: Option<Timestamp>,
}

impl Vaults {
    /// What is under a name, and whether it is what is `wanted` there.
    pub async fn read(&self, entry: &VaultEntry, wanted: Option<&Projection>) -> TargetState {
        let call = Call::about("read", entry);
        match self.latest(call, entry, wanted).await {
            Ok(carried) => TargetState::Present(carried),
            Err(trouble) if trouble::is_absence(&trouble) => self.among_the_deleted(call, entry).await,
            Err(trouble) => TargetState::Troubled(trouble),
        }
    }

    /// Adds a version, if that is still in time, and says what is under the name afterwards. Whether to write at all is for
    /// whoever has read before: a write always makes a version.
    pub async fn write(&self, entry: &VaultEntry, wanted: &Projection, in_time: InTime) -> Result<Carried, Trouble> {
        let call = Call::about("write", entry);
        let sent = match entry.object {
            VaultObjectType::Secret => self.set_secret(call, entry, wanted, in_time).await,
            VaultObjectType::Certificate => self.import(call, entry, wanted, in_time).await,
        };
        sent.map_err(|trouble| trouble::hushed(trouble, &wanted.value))?;
        // It was written; only what is there now is not known.
        let unknown = |trouble| Trouble { effect: Effect::Unknown, ..trouble };
        self.latest(Call { doing: "read back", ..call }, entry, Some(wanted)).await.map_err(unknown)
    }

    /// The entries of a vault that bear an owner. One that is missing here may still be deleted but recoverable.
    pub async fn list(&self, url: &VaultUrl, object: VaultObjectType) -> Result<Vec<Listed>, Trouble> {
        let call = Call { doing: "list", url, name: None, object };
        let items = match object {
            VaultObjectType::Secret => self.secrets(call).await,
            VaultObjectType::Certificate => self.certificates(call).await,
        };
        Ok(items?.into_iter().filter_map(Item::listed).collect())
    }

    /// All versions under a name; none, if there is nothing.
    pub async fn versions(&self, entry: &VaultEntry) -> Result<Vec<Version>, Trouble> {
        let call = Call::about("list the versions of", entry);
        let items = match entry.object {
            VaultObjectType::Secret => self.secret_versions(call, entry).await,
            VaultObjectType::Certificate => self.certificate_versions(call, entry).await,
        };
        match items {
            Err(trouble) if trouble::is_absence(&trouble) => Ok(vec![]),
            items => Ok(items?.into_iter().filter_map(Item::version).collect()),
        }
    }

    /// Takes a version out of use, if it bears this owner. One that is gone or out of use already is as it shall be.
    pub async fn disable(&self, entry: &VaultEntry, version: &str, owner: &Owner) -> Result<(), Trouble> {
        let call = Call::about("disable a version of", entry);
        let in_use = |known: &Version| known.id.eq_ignore_ascii_case(version) && known.enabled;
        let Some(found) = self.versions(entry).await?.into_iter().find(in_use) else { return Ok(()) };
        if found.tags.owner.as_ref() != Some(owner) {
            return Err(trouble::not_ours(call, version));
        }
        match entry.object {
            VaultObjectType::Secret => self.disable_secret(call, entry, found.id).await,
            VaultObjectType::Certificate => self.disable_certificate(call, entry, found.id).await,
        }
    }

    /// The value of the latest version: of a certificate it is in the secret that it has, with the key.
    pub async fn value(&self, entry: &VaultEntry) -> Result<SecretString, Trouble> {
        let call = Call::about("read the value of", entry);
        let secret = self.latest_secret(call, entry).await?;
        secret.value.map(SecretString::from).ok_or_else(|| trouble::unintelligible(call, "there is no value in it"))
    }

    /// Everything that a list has. Each page is a request of its own.
    pub(super) async fn pages<P>(
        &self,
        call: Call<'_>,
        items: azure_core::Result<Pager<P>>,
        of_page: fn(P) -> Vec<Item>,
    ) -> Result<Vec<Item>, Trouble>
    where
        P: Page + DeserializeOwned + Send + 'static,
    {
        let in_words = |error| trouble::of(call, &error);
        let (mut pages, mut all) = (items.map_err(in_words)?.into_pages(), vec![]);
        while let Some(page) = self.answered(call, Scope::VaultCalls, pages.try_next()).await? {
            all.extend(of_page(page.into_model().map_err(in_words)?));
        }
        Ok(all)
    }

    async fn latest(
        &self,
        call: Call<'_>,
        entry: &VaultEntry,
        wanted: Option<&Projection>,
    ) -> Result<Carried, Trouble> {
        match entry.object {
            VaultObjectType::Secret => self.secret(call, entry, wanted).await,
            VaultObjectType::Certificate => self.certificate(call, entry, wanted).await,
        }
    }

    /// Whether a name that is not there is free, or taken by something deleted.
    async fn among_the_deleted(&self, call: Call<'_>, entry: &VaultEntry) -> TargetState {
        let purged = match entry.object {
            VaultObjectType::Secret => self.deleted_secret(call, entry).await,
            VaultObjectType::Certificate => self.deleted_certificate(call, entry).await,
        };
        match purged {
            Ok(purged) => TargetState::Troubled(trouble::deleted(call, purged)),
            // Who may write need not be allowed to see what is deleted; a write says the same more precisely.
            Err(trouble) if trouble::is_nothing_seen(&trouble) => self.in_the_way(call, entry).await,
            Err(trouble) => TargetState::Troubled(trouble),
        }
    }

    /// Where there is no certificate there may be a secret, over which none is imported.
    async fn in_the_way(&self, call: Call<'_>, entry: &VaultEntry) -> TargetState {
        if entry.object == VaultObjectType::Secret {
            return TargetState::Absent;
        }
        match self.latest_secret(call, entry).await {
            Ok(_) => TargetState::Troubled(trouble::taken(call)),
            Err(trouble) if trouble::is_nothing_seen(&trouble) => TargetState::Absent,
            Err(trouble) => TargetState::Troubled(trouble),
        }
    }
}

impl Item {
    fn listed(self) -> Option<Listed> {
        let tags = Tags::read(self.tags.as_ref());
        tags.owner.is_some().then(|| Listed {
            name: VaultName(self.name.to_ascii_lowercase()),
            tags,
            enabled: self.enabled.unwrap_or(true),
            updated: self.updated,
        })
    }

    fn version(self) -> Option<Version> {
        let tags = Tags::read(self.tags.as_ref());
        Some(Version { id: self.version?, tags, enabled: self.enabled.unwrap_or(true) })
    }
}
