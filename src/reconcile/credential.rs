//! One look at an `EntraAppCredential`.

use std::{sync::Arc, time::Duration};

use kube::{ResourceExt, runtime::controller::Action};

use super::{Context, Error, engine};
use crate::{
    api::{Declared, EntraAppCredential},
    plan::report::report,
};

/// Somebody else looks at the same resource at this moment; they will not be long.
pub(super) const BUSY: Duration = Duration::from_secs(1);

/// When the next look is due sooner than this, it is not left to the pauses between failed looks.
const SOON: Duration = Duration::from_mins(1);

/// Observe; plan, act and fold until there is something to wait for; report.
pub async fn look(resource: Arc<Declared<EntraAppCredential>>, context: Arc<Context>) -> Result<Action, Error> {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let Some(mut memory) = context.inflight.take(&namespace, &name) else { return Ok(Action::requeue(BUSY)) };
    let mut seen = context.world.observe(&resource, &mut memory).await?;
    if let Ok(spec) = &resource.spec {
        context.drift.refresh(&mut seen, spec.tenant_ref.name.as_str(), spec.client_id);
    }
    let driven = engine::drive(&context.hands, &mut seen, &mut memory.values, &context.stop).await;
    let told = driven.map(|ended| {
        ended.map(|(decision, moment)| {
            let report = report(&seen, &decision, &context.hands.timing, &moment);
            (engine::wake_up(&decision, moment.now), report)
        })
    });
    memory.keep(seen);
    drop(memory);
    let Some((wake_up, report)) = told? else { return Ok(Action::await_change()) };
    context.metrics.told(&namespace, &name, resource.status.as_ref(), &report.status);
    let again = match context.speaker.say(&*resource, resource.status.as_ref(), report).await {
        Ok(overdue) => [wake_up, overdue].into_iter().flatten().min(),
        // Work that is due soon is not put off because a report could not be written.
        Err(error) if wake_up.is_some_and(|wait| wait < SOON) => {
            tracing::warn!(namespace, name, %error, "going on without the status");
            wake_up
        }
        Err(error) => return Err(error),
    };
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}
