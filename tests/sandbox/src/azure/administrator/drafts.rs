//! Somebody else who keeps certificates by a tool, as people do with Terraform (AZURE 1.4): it reads the list as a replica
//! knows it, changes it, and writes it whole. Between the two others may write, and that is lost.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use uuid::Uuid;

use super::Seeded;
use crate::azure::Azure;
use crate::azure::applications::{Application, Refusal};
use crate::azure::certificates::CertificateEntry;
use crate::azure::log::Actor;
use crate::azure::tenants::Tenant;

/// How often such a tool writes when its writes meet others, and how long it waits before it does so again.
const TRIES: usize = 100;
const WAIT: Duration = Duration::from_millis(50);

/// A list of certificates that somebody else has read and is about to write.
#[derive(Clone, Debug)]
pub struct Draft {
    azure: Azure,
    application: Seeded,
    list: Vec<CertificateEntry>,
}

impl Azure {
    /// Somebody else reads the certificates of an application.
    pub fn draft_certificates(&self, application: &Seeded) -> anyhow::Result<Draft> {
        let known =
            self.in_tenant(application.tenant, |tenant| tenant.read(application.object_id, Timestamp::now()))?;
        let client_id = application.client_id;
        let known = known.with_context(|| format!("no replica knows application {client_id} whose list is wanted"))?;
        let list = known.certificates.iter().map(|one| CertificateEntry {
            key_id: Some(one.key_id),
            display_name: one.display_name.clone(),
            start: Some(one.start),
            end: Some(one.end),
            identifier: Some(one.identifier.clone()),
            key: None,
        });
        Ok(Draft { azure: self.clone(), application: *application, list: list.collect() })
    }
}

impl Draft {
    /// With one more.
    #[must_use]
    pub fn with(mut self, entry: CertificateEntry) -> Self {
        self.list.push(entry);
        self
    }

    /// With one less, if it was there.
    #[must_use]
    pub fn without(mut self, key_id: Uuid) -> Self {
        self.list.retain(|entry| entry.key_id != Some(key_id));
        self
    }

    /// Writes it now, and again when it meets another write. What has come since it was read goes; if anything has gone
    /// since, nothing is written.
    pub async fn write(self) -> anyhow::Result<()> {
        self.write_after(Duration::ZERO).await
    }

    /// Thinks for a while, and writes it.
    pub async fn write_after(self, pause: Duration) -> anyhow::Result<()> {
        tokio::time::sleep(pause).await; // the pause itself: what others do meanwhile is the point of it
        let Self { azure, application, .. } = &self;
        let mut written = azure.in_tenant(application.tenant, |tenant| self.try_write(tenant))?;
        for _ in 1..TRIES {
            if written != Err(Refusal::Concurrency) {
                break;
            }
            tokio::time::sleep(WAIT).await;
            written = azure.in_tenant(application.tenant, |tenant| self.try_write(tenant))?;
        }
        let client_id = application.client_id;
        written.map_err(|refusal| {
            anyhow::anyhow!("could not write the certificates of application {client_id}: {refusal:?}")
        })
    }

    fn try_write(&self, tenant: &mut Tenant) -> Result<(), Refusal> {
        let now = Timestamp::now();
        let mut application = Application::clone(&*tenant.claim(self.application.object_id, now)?);
        let changes = tenant.certify(&mut application, self.list.clone(), now)?;
        tenant.write_all(application, Actor::Administrator, changes, now);
        Ok(())
    }
}
