//! Saying what was decided: at most one Event, then the status. What says the same as before is not written.

use std::time::Duration;

use kube::{Resource, ResourceExt};
use serde::Serialize;

use super::Error;
use crate::{
    cluster::{
        Client,
        events::Reporter,
        status::{self, Written},
    },
    plan::report::{Announcement, Report},
};

/// The watch brings what made a write stale, and with it the next look. If it should not, that look is overdue.
const OVERDUE: Duration = Duration::from_secs(10);

/// Whoever writes status and Events.
pub(super) struct Speaker {
    client: Client,
    reporter: Reporter,
}

impl Speaker {
    pub(super) fn new(client: Client, instance: String) -> Self {
        Self { reporter: Reporter::new(client.clone(), instance), client }
    }

    /// Say what a report has, if `before` does not say it already. Returns when to look again, if the object has changed
    /// meanwhile.
    pub(super) async fn say<K, S>(
        &self,
        object: &K,
        before: Option<&S>,
        report: Report<S>,
    ) -> Result<Option<Duration>, Error>
    where
        K: Resource<DynamicType = ()>,
        S: Serialize + PartialEq,
    {
        if before == Some(&report.status) {
            return Ok(None);
        }
        // First, since a status that is there already is what tells the next look that all was said.
        if let Some(news) = report.event {
            self.announce(object, &news).await;
        }
        if status::replace(&self.client, object, &report.status).await? == Written::Stale {
            return Ok(Some(OVERDUE));
        }
        Ok(None)
    }

    /// Write an Event and the same to the log; that an Event fails, fails nothing.
    pub(super) async fn announce<K: Resource<DynamicType = ()>>(&self, about: &K, news: &Announcement) {
        let (kind, namespace, name) = (K::kind(&()), about.namespace(), about.name_any());
        let Announcement { reason, note, warning } = news;
        let written = if *warning {
            tracing::warn!(%kind, namespace, name, %reason, "{note}");
            self.reporter.warn(about, reason.as_str(), note).await
        } else {
            tracing::info!(%kind, namespace, name, %reason, "{note}");
            self.reporter.tell(about, reason.as_str(), note).await
        };
        if let Err(error) = written {
            tracing::warn!(%error, "going on without the Event");
        }
    }
}
