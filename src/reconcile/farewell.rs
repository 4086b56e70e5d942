//! One look at a record whose resource has been deleted, or has come back for another application. What was published stays
//! as it is; what was minted and never published is taken back, since nobody will ever publish it.

use std::sync::Arc;

use kube::ResourceExt;

use super::{Again, Context, Error, engine, inflight::Whose, observe::Labelled};
use crate::{
    api::{Declared, EntraAppCredential, EntraAppCredentialSpec},
    cluster::{read, records},
    facts::Stage,
};

/// Take back what is left of a resource, if it really is gone.
pub async fn look(secret: Arc<Labelled>, context: Arc<Context>) -> Result<Again, Error> {
    let Ok(record) = records::from_metadata(&secret.metadata) else { return Ok(Again::OnChange) };
    if record.entry.stage == Stage::Publishing && !record.finalized {
        return Ok(Again::OnChange);
    }
    let namespace = secret.namespace().unwrap_or_default();
    let there: Option<Declared<EntraAppCredential>> =
        read::namespaced(&context.hands.client, &namespace, &record.entry.resource).await?;
    // Of one whose spec cannot be read, nobody knows what it is about.
    let is_its_own = |spec: &EntraAppCredentialSpec| spec.client_id == record.entry.client_id;
    if there.is_some_and(|there| there.spec.as_ref().map_or(true, |spec| is_its_own(spec))) {
        return Ok(Again::OnChange);
    }
    let (name, client_id) = (record.entry.resource.clone(), Some(record.entry.client_id));
    let Some(mut memory) = context.inflight.take(Whose { namespace: namespace.clone(), name, client_id }) else {
        return Ok(Again::NotYet(super::credential::BUSY));
    };
    let mut seen = context.world.observe_gone(&namespace, &record, &mut memory).await?;
    let driven = engine::drive(&context.hands, &mut seen, &mut memory.values, &context.stop).await;
    memory.keep(seen);
    let Some((decision, moment)) = driven? else { return Ok(Again::OnChange) };
    if let Some(refusal) = &decision.refusal {
        tracing::warn!(namespace, name = record.entry.resource, reason = %refusal.reason, "cannot take back what is left: {}", refusal.message);
    }
    let again = engine::wake_up(&decision, moment.now);
    if again.is_none() {
        memory.leave();
    }
    Ok(Again::after(again))
}
