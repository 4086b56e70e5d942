//! Somebody else who keeps certificates by a tool, as people do with Terraform (AZURE 1.4): it reads the list as a replica
//! knows it, changes it, and writes it whole. Between the two others may write, and that is lost.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
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

/// Somebody else's tool that runs again and again until this is dropped: each time it renews the one certificate that it
/// keeps, and writes the whole list as it has read it a while before.
#[derive(Debug)]
pub struct Rival {
    runs: watch::Receiver<Runs>,
    _task: AbortOnDropHandle<()>,
}

/// What a rival has done so far.
#[derive(Clone, Debug, Default)]
struct Runs {
    done: usize,
    /// What it keeps now.
    kept: Option<Uuid>,
    /// Why it does not go on.
    failed: Option<String>,
}

impl Rival {
    /// Waits until it has run so many times more.
    pub async fn runs_again(&self, times: usize, timeout: Duration) -> anyhow::Result<()> {
        let mut runs = self.runs.clone();
        let enough = runs.borrow().done + times;
        let waited = tokio::time::timeout(timeout, runs.wait_for(|runs| runs.done >= enough || runs.failed.is_some()));
        waited.await.context("a rival has not run often enough in time")?.context("a rival is gone")?;
        let failed = self.runs.borrow().failed.clone();
        failed.map_or(Ok(()), |failed| Err(anyhow::anyhow!("a rival could not go on: {failed}")))
    }

    /// The ID of the certificate that it keeps now, once it has run.
    #[must_use]
    pub fn kept(&self) -> Option<Uuid> {
        self.runs.borrow().kept
    }
}

async fn compete(
    azure: Azure,
    application: Seeded,
    own: [CertificateEntry; 2],
    pause: Duration,
    tell: watch::Sender<Runs>,
) {
    let mut runs = Runs::default();
    for entry in own.into_iter().cycle() {
        match azure.renew_as_a_tool_does(&application, runs.kept, entry, pause).await {
            Ok(kept) => runs = Runs { done: runs.done + 1, kept: Some(kept), failed: None },
            Err(error) => runs.failed = Some(format!("{error:#}")),
        }
        let goes_on = runs.failed.is_none();
        if tell.send(runs.clone()).is_err() || !goes_on {
            return;
        }
    }
}

impl Azure {
    /// Somebody else who keeps a certificate of an application with a tool, and thinks for so long between reading and
    /// writing. The certificates, by turns, are its own.
    #[must_use]
    pub fn rival(&self, application: &Seeded, own: [CertificateEntry; 2], pause: Duration) -> Rival {
        let (tell, runs) = watch::channel(Runs::default());
        let task = tokio::spawn(compete(self.clone(), *application, own, pause, tell));
        Rival { runs, _task: AbortOnDropHandle::new(task) }
    }

    /// One run. What it kept goes, if it is still there; a list that has become older than the truth meanwhile is read anew.
    async fn renew_as_a_tool_does(
        &self,
        application: &Seeded,
        before: Option<Uuid>,
        entry: CertificateEntry,
        pause: Duration,
    ) -> anyhow::Result<Uuid> {
        let key_id = self.in_tenant(application.tenant, |tenant| tenant.dice.uuid())?;
        let entry = CertificateEntry { key_id: Some(key_id), ..entry };
        let mut last = None;
        for _ in 0..TRIES {
            let draft = self.draft_certificates(application)?.with(entry.clone());
            let draft = before.into_iter().fold(draft, Draft::without);
            match draft.write_after(pause).await {
                Ok(()) => return Ok(key_id),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("a rival never wrote")))
    }

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
    /// The IDs of what is in it that is there already, or brings one along.
    #[must_use]
    pub fn key_ids(&self) -> Vec<Uuid> {
        self.list.iter().filter_map(|entry| entry.key_id).collect()
    }

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
