//! One look at an `EntraAppCredential`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{ResourceExt, runtime::reflector::ObjectRef};

use super::{Again, Context, Error, engine, inflight::Whose, said::OVERDUE, say::Spoken};
use crate::{
    api::{Declared, EntraAppCredential},
    plan::report::report,
};

/// Somebody else looks at the same resource at this moment; they will not be long.
pub(super) const BUSY: Duration = Duration::from_secs(1);

/// Whoever gets no share of the looks is called when there is one, and comes again after this if that should be overheard.
const UNCALLED: Duration = Duration::from_secs(10);

/// When the next look is due sooner than this, it is not left to the pauses between failed looks.
const SOON: Duration = Duration::from_mins(1);

/// Observe; plan, act and fold until there is something to wait for; report.
pub async fn look(resource: Arc<Declared<EntraAppCredential>>, context: Arc<Context>) -> Result<Again, Error> {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let Some(mut memory) = context.inflight.take(Whose::of(&resource)) else { return Ok(Again::NotYet(BUSY)) };
    let share = resource.spec.as_ref().ok().map(|spec| context.shares.take(spec, (namespace.clone(), name.clone())));
    // A value that is only in memory is cared for whatever else goes on.
    if share.as_ref().is_some_and(Option::is_none) && memory.values.is_empty() {
        return Ok(Again::NotYet(UNCALLED));
    }
    let newest = memory.said.over(&resource, Instant::now());
    let is_late = newest.is_some();
    let resource = newest.unwrap_or(resource);
    let mut seen = context.world.observe(&resource, &mut memory).await?;
    if let Ok(spec) = &resource.spec {
        context.drift.refresh(&mut seen, spec.tenant_ref.name.as_str(), spec.client_id);
        seen.braked = context.braked(spec.tenant_ref.name.as_str());
    }
    let driven = engine::drive(&context.hands, &mut seen, &mut memory.values, &context.stop).await;
    let told = driven.map(|ended| {
        ended.map(|(decision, moment)| {
            let report = report(&seen, &decision, &context.hands.timing, &moment);
            context.share(&mut seen, &decision, moment.now);
            context.let_go(&seen);
            (engine::wake_up(&decision, moment.now), report)
        })
    });
    context.look_at_what_is_another_applications(&seen);
    memory.keep(seen);
    let Some((wake_up, report)) = told? else { return Ok(Again::OnChange) };
    context.metrics.told(&namespace, &name, resource.status.as_ref(), &report.status);
    if !context.has(&ObjectRef::from_obj(&*resource)) {
        context.metrics.forget(&namespace, &name); // it went during this look, and its figures before they were told
    }
    let overdue = match context.speaker.say(&*resource, resource.status.as_ref(), report).await {
        Ok(Spoken::Before) => is_late.then_some(OVERDUE),
        Ok(Spoken::Now(version, status)) => {
            memory.said.note(&resource, version, status, Instant::now());
            None
        }
        Ok(Spoken::InVain) => Some(OVERDUE),
        // Work that is due soon is not put off because a report could not be written.
        Err(error) if wake_up.is_some_and(|wait| wait < SOON) => {
            tracing::warn!(namespace, name, %error, "going on without the status");
            None
        }
        Err(error) => return Err(error),
    };
    Ok(Again::after([wake_up, overdue].into_iter().flatten().min()))
}
