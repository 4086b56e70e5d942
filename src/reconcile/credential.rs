//! One look at an `EntraAppCredential`.

use std::{sync::Arc, time::Duration};

use kube::{ResourceExt, runtime::controller::Action};

use super::{Context, Error, engine};
use crate::{
    api::{Declared, EntraAppCredential},
    facts::TenantSeen,
    plan::report::report,
};

/// Somebody else looks at the same resource at this moment; they will not be long.
pub(super) const BUSY: Duration = Duration::from_secs(1);

/// Observe; plan, act and fold until there is something to wait for; report.
pub async fn look(resource: Arc<Declared<EntraAppCredential>>, context: Arc<Context>) -> Result<Action, Error> {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let Some(mut memory) = context.inflight.take(&namespace, &name) else { return Ok(Action::requeue(BUSY)) };
    let mut seen = context.world.observe(&resource, &mut memory).await?;
    if let (TenantSeen::Present(tenant), Ok(spec)) = (&seen.tenant, &resource.spec) {
        let tenant_id = tenant.tenant_id;
        context.drift.refresh(&mut seen, tenant_id, spec.client_id);
    }
    let driven = engine::drive(&context.hands, &mut seen, &mut memory.values, &context.stop).await;
    let told = driven.map(|(decision, moment)| {
        let report = report(&seen, &decision, &context.hands.timing, &moment);
        (engine::wake_up(&decision, moment.now), report)
    });
    memory.keep(seen);
    drop(memory);
    let (wake_up, report) = told?;
    context.metrics.told(&namespace, &name, resource.status.as_ref(), &report.status);
    let said = context.speaker.say(&*resource, resource.status.as_ref(), report).await?;
    Ok(said.unwrap_or(wake_up))
}
