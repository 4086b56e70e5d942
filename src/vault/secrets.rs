//! The calls. Each says what was seen or why not; a write whose fate is unknown says so, and is never sent again here.

use std::sync::Arc;

use azure_core::http::{ClientMethodOptions, Context, Pager};
use azure_security_keyvault_secrets::{
    ResourceExt, SecretClient,
    models::{
        ListSecretPropertiesResult, Secret, SecretAttributes, SecretClientSetSecretOptions,
        SecretClientUpdateSecretPropertiesOptions, SecretProperties, UpdateSecretPropertiesParameters,
    },
};
use futures::TryStreamExt;
use jiff::Timestamp;
use secrecy::SecretString;

use super::{Call, Projection, Tags, Vaults, trouble};
use crate::{
    api::values::{VaultName, VaultUrl},
    facts::{Carried, Effect, Owner, TargetState, Trouble},
    wire::{InTime, Scope},
};

/// Why an answer is none.
const NO_VERSION: &str = "there is no version in it";

/// An entry of ours, as the list of a whole vault shows it: without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, in lower case.
    pub name: VaultName,
    /// What its latest version says.
    pub tags: Tags,
    /// Whether that version can be read.
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
    /// Whether it can be read.
    pub enabled: bool,
}

impl Vaults {
    /// What is under a name, and whether it is what is `wanted` there.
    pub async fn read(&self, url: &VaultUrl, name: &VaultName, wanted: Option<&Projection>) -> TargetState {
        let call = Call { doing: "read", url, name: Some(name) };
        match self.latest(call, name).await {
            Ok(secret) => match carried(&secret, wanted) {
                Some(carried) => TargetState::Present(carried),
                None => TargetState::Troubled(trouble::unintelligible(call, NO_VERSION)),
            },
            Err(trouble) if trouble::is_absence(&trouble) => self.among_the_deleted(call, name).await,
            Err(trouble) => TargetState::Troubled(trouble),
        }
    }

    /// Adds a version, if that is still in time, and says what is under the name afterwards. Whether to write at all is for
    /// whoever has read before: a PUT always makes a version.
    pub async fn write(
        &self,
        url: &VaultUrl,
        name: &VaultName,
        wanted: &Projection,
        in_time: InTime,
    ) -> Result<Carried, Trouble> {
        let call = Call { doing: "write", url, name: Some(name) };
        let method_options = ClientMethodOptions { context: Context::new().with_value(in_time) };
        let options = SecretClientSetSecretOptions { method_options };
        let sent = self.ask(call, Scope::VaultCreates, |client| async move {
            client.set_secret(name.as_str(), wanted.parameters().try_into()?, Some(options)).await.map(drop)
        });
        sent.await.map_err(|trouble| trouble::hushed(trouble, &wanted.value))?;
        let call = Call { doing: "read back", ..call };
        // It was written; only what is there now is not known.
        let unknown = |trouble| Trouble { effect: Effect::Unknown, ..trouble };
        let seen = self.latest(call, name).await.map_err(unknown)?;
        carried(&seen, Some(wanted)).ok_or_else(|| trouble::unintelligible(call, NO_VERSION))
    }

    /// The entries of a vault that bear an owner. One that is missing here may still be deleted but recoverable.
    pub async fn list(&self, url: &VaultUrl) -> Result<Vec<Listed>, Trouble> {
        let call = Call { doing: "list the secrets", url, name: None };
        let items = self.vault(call)?.list_secret_properties(None).map_err(|error| trouble::of(call, &error))?;
        Ok(self.pages(call, items).await?.iter().filter_map(Listed::of).collect())
    }

    /// All versions under a name.
    pub async fn versions(&self, url: &VaultUrl, name: &VaultName) -> Result<Vec<Version>, Trouble> {
        let call = Call { doing: "list the versions of", url, name: Some(name) };
        let items = self.vault(call)?.list_secret_properties_versions(name.as_str(), None);
        let items = items.map_err(|error| trouble::of(call, &error))?;
        Ok(self.pages(call, items).await?.iter().filter_map(Version::of).collect())
    }

    /// Everything that a list has. Each page is a request of its own.
    async fn pages(
        &self,
        call: Call<'_>,
        items: Pager<ListSecretPropertiesResult>,
    ) -> Result<Vec<SecretProperties>, Trouble> {
        let (mut pages, mut all) = (items.into_pages(), vec![]);
        while let Some(page) = self.answered(call, Scope::VaultCalls, pages.try_next()).await? {
            all.extend(page.into_model().map_err(|error| trouble::of(call, &error))?.value);
        }
        Ok(all)
    }

    /// Takes a version out of use, if it bears this owner. One that is gone or out of use already is as it shall be.
    pub async fn disable(&self, url: &VaultUrl, name: &VaultName, version: &str, owner: &Owner) -> Result<(), Trouble> {
        let call = Call { doing: "disable a version of", url, name: Some(name) };
        let versions = match self.versions(url, name).await {
            Err(trouble) if trouble::is_absence(&trouble) => return Ok(()),
            versions => versions?,
        };
        let in_use = |known: &Version| known.id.eq_ignore_ascii_case(version) && known.enabled;
        let Some(found) = versions.into_iter().find(in_use) else { return Ok(()) };
        if found.tags.owner.as_ref() != Some(owner) {
            return Err(trouble::not_ours(call, version));
        }
        let attributes = SecretAttributes { enabled: Some(false), ..SecretAttributes::default() };
        let disabled = UpdateSecretPropertiesParameters { secret_attributes: Some(attributes), ..Default::default() };
        let this = SecretClientUpdateSecretPropertiesOptions { secret_version: Some(found.id), ..Default::default() };
        self.ask(call, Scope::VaultCalls, |client| async move {
            client.update_secret_properties(name.as_str(), disabled.try_into()?, Some(this)).await.map(drop)
        })
        .await
    }

    /// The value of the latest version.
    pub async fn value(&self, url: &VaultUrl, name: &VaultName) -> Result<SecretString, Trouble> {
        let call = Call { doing: "read the value of", url, name: Some(name) };
        let secret = self.latest(call, name).await?;
        secret.value.map(SecretString::from).ok_or_else(|| trouble::unintelligible(call, "there is no value in it"))
    }

    async fn latest(&self, call: Call<'_>, name: &VaultName) -> Result<Secret, Trouble> {
        self.ask(
            call,
            Scope::VaultCalls,
            |client| async move { client.get_secret(name.as_str(), None).await?.into_model() },
        )
        .await
    }

    /// Whether a name that is not there is free, or taken by something deleted.
    async fn among_the_deleted(&self, call: Call<'_>, name: &VaultName) -> TargetState {
        let looking = |client: Arc<SecretClient>| async move {
            client.get_deleted_secret(name.as_str(), None).await?.into_model()
        };
        match self.ask(call, Scope::VaultCalls, looking).await {
            Ok(deleted) => TargetState::Troubled(trouble::deleted(call, deleted.scheduled_purge_date)),
            // Who may write need not be allowed to see what is deleted; a write says the same more precisely.
            Err(trouble) if trouble::is_absence(&trouble) || trouble::is_forbidden(&trouble) => TargetState::Absent,
            Err(trouble) => TargetState::Troubled(trouble),
        }
    }
}

fn carried(secret: &Secret, wanted: Option<&Projection>) -> Option<Carried> {
    let version = secret.resource_id().ok()?.version?;
    let agrees = wanted.is_some_and(|wanted| wanted.agrees(secret));
    Some(Tags::read(secret.tags.as_ref()).carried(version, agrees))
}

impl Listed {
    fn of(item: &SecretProperties) -> Option<Self> {
        let name = item.resource_id().ok()?.name.to_ascii_lowercase();
        let tags = Tags::read(item.tags.as_ref());
        tags.owner.is_some().then(|| Self {
            name: VaultName(name),
            tags,
            enabled: is_enabled(item),
            updated: item.attributes.as_ref().and_then(|attributes| attributes.updated).and_then(trouble::timestamp),
        })
    }
}

impl Version {
    fn of(item: &SecretProperties) -> Option<Self> {
        let id = item.resource_id().ok()?.version?;
        Some(Self { id, tags: Tags::read(item.tags.as_ref()), enabled: is_enabled(item) })
    }
}

fn is_enabled(item: &SecretProperties) -> bool {
    item.attributes.as_ref().and_then(|attributes| attributes.enabled).unwrap_or(true)
}
