//! Saying what was decided: at most one Event, then the status. What says the same as before is not written.

use std::time::Duration;

use kube::{Resource, ResourceExt, runtime::controller::Action};
use serde::Serialize;

use super::Error;
use crate::{
    api::Reason,
    cluster::{
        Client,
        events::Reporter,
        status::{self, Written},
    },
    plan::report::Report,
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

    /// Say what a report has, if `before` does not say it already. Returns when to look again.
    pub(super) async fn say<K, S>(&self, object: &K, before: Option<&S>, report: Report<S>) -> Result<Action, Error>
    where
        K: Resource<DynamicType = ()>,
        S: Serialize + PartialEq,
    {
        if before == Some(&report.status) {
            return Ok(Action::await_change());
        }
        // First, since a status that is there already is what tells the next look that all was said.
        if let Some(news) = report.event {
            self.announce(object, news.reason, &news.note).await;
        }
        if status::replace(&self.client, object, &report.status).await? == Written::Stale {
            return Ok(Action::requeue(OVERDUE));
        }
        Ok(Action::await_change())
    }

    /// Write an Event and the same to the log; that an Event fails, fails nothing.
    pub(super) async fn announce<K: Resource<DynamicType = ()>>(&self, about: &K, reason: Reason, note: &str) {
        let (namespace, name) = (about.namespace(), about.name_any());
        tracing::warn!(kind = %K::kind(&()), namespace, name, %reason, "{note}");
        if let Err(error) = self.reporter.warn(about, reason.as_str(), note).await {
            tracing::warn!(%error, "going on without the Event");
        }
    }
}
