//! The arms of `act` for what goes with a resource.

use super::act::Act;
use crate::{
    cluster::{Written, detaining},
    facts::{Carried, Looked, TargetId, TargetState, Trouble},
    plan::Outcome,
};

impl Act<'_> {
    /// Have the API server keep the resource when it is deleted, or let it go.
    pub(super) async fn detain(&self, detained: bool) -> Result<Outcome, Trouble> {
        let metadata = &self.seen.resource.metadata;
        let which = (metadata.name.as_deref().unwrap_or_default(), metadata.uid.as_deref());
        let now = detaining::detain(&self.hands.client, self.namespace, which, detained).await?;
        Ok(match now {
            Some(now) => Outcome::Detained { detained: now.detained, deleted_at: now.deleted_at },
            None => Outcome::Detained { detained: false, deleted_at: Some(self.hands.clock.now()) },
        })
    }

    /// Delete a published Secret.
    pub(super) async fn unpublish(&self, target: &TargetId, over: &Carried) -> Result<Outcome, Trouble> {
        let TargetId::Secret(name) = target else { return Ok(Outcome::Expired) };
        if self.is_late() {
            return Ok(Outcome::Expired);
        }
        Ok(match self.hands.secrets.delete(self.namespace, name.as_str(), over).await? {
            Written::Yes(()) => Outcome::Target(Looked { at: self.hands.clock.now(), found: TargetState::Absent }),
            Written::Outpaced => Outcome::Overtaken,
        })
    }
}
