//! The calls about certificates. Each is the secret and the key of its name as well; what is read here has no key in it.

use azure_core::{
    http::{ClientMethodOptions, Context},
    time::OffsetDateTime,
};
use azure_security_keyvault_certificates::{
    ResourceExt,
    models::{
        CertificateAttributes, CertificateClientImportCertificateOptions,
        CertificateClientUpdateCertificatePropertiesOptions, CertificateProperties, ListCertificatePropertiesResult,
        UpdateCertificatePropertiesParameters,
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
    pub(super) async fn certificate(
        &self,
        call: Call<'_>,
        entry: &VaultEntry,
        wanted: Option<&Projection>,
    ) -> Result<Carried, Trouble> {
        let asked = self.ask(call, Scope::VaultCalls, |clients| async move {
            clients.certificates.get_certificate(entry.name.as_str(), None).await?.into_model()
        });
        let found = asked.await?;
        let version = found.resource_id().ok().and_then(|id| id.version);
        let version = version.ok_or_else(|| trouble::unintelligible(call, NO_VERSION))?;
        let agrees = wanted.is_some_and(|wanted| wanted.is_imported_as(&found));
        let carried = Tags::read(found.tags.as_ref()).carried(version, agrees);
        // A secret that is disabled cannot be read; a certificate can, and its key cannot be used.
        let is_disabled = found.attributes.and_then(|attributes| attributes.enabled) == Some(false);
        Ok(Carried { obstacle: is_disabled.then(|| trouble::disabled(call)), ..carried })
    }

    pub(super) async fn import(
        &self,
        call: Call<'_>,
        entry: &VaultEntry,
        wanted: &Projection,
        in_time: InTime,
    ) -> Result<(), Trouble> {
        let method_options = ClientMethodOptions { context: Context::new().with_value(in_time) };
        let options = CertificateClientImportCertificateOptions { method_options };
        self.ask(call, Scope::VaultCreates, |clients| async move {
            let body = wanted.import().try_into()?;
            clients.certificates.import_certificate(entry.name.as_str(), body, Some(options)).await.map(drop)
        })
        .await
    }

    pub(super) async fn certificates(&self, call: Call<'_>) -> Result<Vec<Item>, Trouble> {
        let items = self.vault(call)?.certificates.list_certificate_properties(None);
        self.pages(call, items, of_page).await
    }

    pub(super) async fn certificate_versions(&self, call: Call<'_>, entry: &VaultEntry) -> Result<Vec<Item>, Trouble> {
        let items = self.vault(call)?.certificates.list_certificate_properties_versions(entry.name.as_str(), None);
        self.pages(call, items, of_page).await
    }

    pub(super) async fn disable_certificate(
        &self,
        call: Call<'_>,
        entry: &VaultEntry,
        version: String,
    ) -> Result<(), Trouble> {
        let attributes = CertificateAttributes { enabled: Some(false), ..CertificateAttributes::default() };
        let disabled =
            UpdateCertificatePropertiesParameters { certificate_attributes: Some(attributes), ..Default::default() };
        let this = CertificateClientUpdateCertificatePropertiesOptions {
            certificate_version: Some(version),
            ..Default::default()
        };
        self.ask(call, Scope::VaultCalls, |clients| async move {
            let body = disabled.try_into()?;
            clients.certificates.update_certificate_properties(entry.name.as_str(), body, Some(this)).await.map(drop)
        })
        .await
    }

    /// When what is deleted under a name will be purged.
    pub(super) async fn deleted_certificate(
        &self,
        call: Call<'_>,
        entry: &VaultEntry,
    ) -> Result<Option<OffsetDateTime>, Trouble> {
        let looking = self.ask(call, Scope::VaultCalls, |clients| async move {
            clients.certificates.get_deleted_certificate(entry.name.as_str(), None).await?.into_model()
        });
        Ok(looking.await?.scheduled_purge_date)
    }
}

fn of_page(page: ListCertificatePropertiesResult) -> Vec<Item> {
    page.value.into_iter().filter_map(item).collect()
}

fn item(found: CertificateProperties) -> Option<Item> {
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
