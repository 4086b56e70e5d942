//! The calls about secrets.

use azure_core::{
    http::{ClientMethodOptions, Context},
    time::OffsetDateTime,
};
use azure_security_keyvault_secrets::{
    ResourceExt,
    models::{
        ListSecretPropertiesResult, Secret, SecretAttributes, SecretClientSetSecretOptions,
        SecretClientUpdateSecretPropertiesOptions, SecretProperties, UpdateSecretPropertiesParameters,
    },
};

use super::{
    Call, Projection, Tags, Vaults,
    entries::{Item, NO_VERSION},
    trouble,
};
use crate::{
    facts::{Carried, Trouble, VaultEntry},
    wire::{InTime, Scope},
};

impl Vaults {
    pub(super) async fn secret(
        &self,
        call: Call<'_>,
        entry: &VaultEntry,
        wanted: Option<&Projection>,
    ) -> Result<Carried, Trouble> {
        let secret = self.latest_secret(call, entry).await?;
        let version = secret.resource_id().ok().and_then(|id| id.version);
        let version = version.ok_or_else(|| trouble::unintelligible(call, NO_VERSION))?;
        // That of a certificate can be read and not be written, even if it is what it shall be for now.
        let obstacle = (secret.managed == Some(true)).then(|| trouble::of_a_certificate(call));
        let agrees = obstacle.is_none() && wanted.is_some_and(|wanted| wanted.agrees(&secret));
        Ok(Carried { obstacle, ..Tags::read(secret.tags.as_ref()).carried(version, agrees) })
    }

    pub(super) async fn latest_secret(&self, call: Call<'_>, entry: &VaultEntry) -> Result<Secret, Trouble> {
        self.ask(call, Scope::VaultCalls, |clients| async move {
            clients.secrets.get_secret(entry.name.as_str(), None).await?.into_model()
        })
        .await
    }

    pub(super) async fn set_secret(
        &self,
        call: Call<'_>,
        entry: &VaultEntry,
        wanted: &Projection,
        in_time: InTime,
    ) -> Result<(), Trouble> {
        let method_options = ClientMethodOptions { context: Context::new().with_value(in_time) };
        let options = SecretClientSetSecretOptions { method_options };
        self.ask(call, Scope::VaultCreates, |clients| async move {
            let body = wanted.secret().try_into()?;
            clients.secrets.set_secret(entry.name.as_str(), body, Some(options)).await.map(drop)
        })
        .await
    }

    pub(super) async fn secrets(&self, call: Call<'_>) -> Result<Vec<Item>, Trouble> {
        let items = self.vault(call)?.secrets.list_secret_properties(None);
        self.pages(call, items, of_page).await
    }

    pub(super) async fn secret_versions(&self, call: Call<'_>, entry: &VaultEntry) -> Result<Vec<Item>, Trouble> {
        let items = self.vault(call)?.secrets.list_secret_properties_versions(entry.name.as_str(), None);
        self.pages(call, items, of_page).await
    }

    pub(super) async fn disable_secret(
        &self,
        call: Call<'_>,
        entry: &VaultEntry,
        version: String,
    ) -> Result<(), Trouble> {
        let attributes = SecretAttributes { enabled: Some(false), ..SecretAttributes::default() };
        let disabled = UpdateSecretPropertiesParameters { secret_attributes: Some(attributes), ..Default::default() };
        let this = SecretClientUpdateSecretPropertiesOptions { secret_version: Some(version), ..Default::default() };
        self.ask(call, Scope::VaultCalls, |clients| async move {
            let body = disabled.try_into()?;
            clients.secrets.update_secret_properties(entry.name.as_str(), body, Some(this)).await.map(drop)
        })
        .await
    }

    /// When what is deleted under a name will be purged.
    pub(super) async fn deleted_secret(
        &self,
        call: Call<'_>,
        entry: &VaultEntry,
    ) -> Result<Option<OffsetDateTime>, Trouble> {
        let looking = self.ask(call, Scope::VaultCalls, |clients| async move {
            clients.secrets.get_deleted_secret(entry.name.as_str(), None).await?.into_model()
        });
        Ok(looking.await?.scheduled_purge_date)
    }
}

fn of_page(page: ListSecretPropertiesResult) -> Vec<Item> {
    page.value.into_iter().filter_map(item).collect()
}

fn item(found: SecretProperties) -> Option<Item> {
    let id = found.resource_id().ok()?;
    let attributes = found.attributes.unwrap_or_default();
    Some(Item {
        name: id.name,
        version: id.version,
        tags: found.tags,
        enabled: attributes.enabled,
        updated: attributes.updated.and_then(trouble::timestamp),
    })
}
