//! Saying what was decided: Events, then the status. What says the same as before is not written.

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

/// What came of saying something.
pub(super) enum Spoken<S> {
    /// It had been said before.
    Before,
    /// It is there, in this version of the object.
    Now(Option<String>, S),
    /// The object has changed meanwhile: it is to be looked at again, when the watch brings that.
    InVain,
}

/// Whoever writes status and Events.
pub(super) struct Speaker {
    client: Client,
    reporter: Reporter,
}

impl Speaker {
    pub(super) fn new(client: Client, instance: String) -> Self {
        Self { reporter: Reporter::new(client.clone(), instance), client }
    }

    /// Say what a report has, if `before` does not say it already.
    pub(super) async fn say<K, S>(&self, object: &K, before: Option<&S>, report: Report<S>) -> Result<Spoken<S>, Error>
    where
        K: Resource<DynamicType = ()>,
        S: Serialize + PartialEq,
    {
        if before == Some(&report.status) {
            return Ok(Spoken::Before);
        }
        // First, since a status that is there already is what tells the next look that all was said.
        for news in &report.events {
            self.announce(object, news).await;
        }
        Ok(match status::replace(&self.client, object, &report.status).await? {
            Written::Yes(version) => Spoken::Now(version, report.status),
            Written::Stale => Spoken::InVain,
        })
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
