//! One look at an `EntraTenant`: a round through what has changed at Entra, which is also the proof that the operator can
//! sign in there.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kube::{ResourceExt, runtime::controller::Action};

use super::{Context, Error};
use crate::{
    api::{ClientId, Declared, EntraTenant, EntraTenantSpec},
    facts::{Looked, Trouble},
    plan::{tenant::report, timing::doubling},
};

/// Observe, report, and come again when it is time for the next round.
pub async fn look(tenant: Arc<Declared<EntraTenant>>, context: Arc<Context>) -> Result<Action, Error> {
    let reached = match &tenant.spec {
        Ok(spec) => Some(Looked { at: context.hands.now(), found: round(&tenant.name_any(), spec, &context).await }),
        Err(_) => None,
    };
    let again = again(reached.as_ref(), &context);
    let seen = context.world.observe_tenant(&tenant, reached);
    let report = report(&seen, context.hands.now());
    let said = context.speaker.say(&*tenant, tenant.status.as_ref(), report).await?;
    Ok(said.unwrap_or_else(|| Action::requeue(again)))
}

fn again(reached: Option<&Looked<Result<(), Trouble>>>, context: &Context) -> Duration {
    let timing = &context.hands.timing;
    match reached.map(|looked| &looked.found) {
        Some(Err(trouble)) => doubling(timing.again, 5).max(trouble.retry_after.unwrap_or_default()),
        Some(Ok(())) | None => timing.drift,
    }
}

/// What has changed at Entra since the last round; the resources that it concerns are looked at.
async fn round(name: &str, spec: &EntraTenantSpec, context: &Context) -> Result<(), Trouble> {
    let connection = context.hands.connections.to(spec).await?;
    let (tenant, at) = (spec.tenant_id, context.hands.now());
    let since = context.drift.since(tenant);
    let changes = connection.directory.changes(since.as_ref()).await;
    let changes = context.hands.connections.watched(&connection, changes)?;
    let declared = declared(name, context);
    let different = context.drift.remember(tenant, changes, &declared, at);
    if since.is_some() {
        for resources in context.woken.iter() {
            resources.applications_changed(name, &different);
        }
    }
    Ok(())
}

/// The applications that resources of a tenant name.
fn declared(tenant: &str, context: &Context) -> BTreeSet<ClientId> {
    let of_tenant = |resource: &Declared<crate::api::EntraAppCredential>| {
        let spec = resource.spec.as_ref().ok()?;
        (spec.tenant_ref.name.as_str() == tenant).then_some(spec.client_id)
    };
    let stores = context.woken.iter().map(|resources| resources.store.state());
    stores.flatten().filter_map(|resource| of_tenant(&resource)).collect()
}
