//! One look at an `EntraTenant`: a round through what has changed at Entra, which is also the proof that the operator can
//! sign in there.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kube::ResourceExt;

use super::{
    Again, Context, Error,
    connections::Connection,
    drift::{LastRound, Shelf},
    said::OVERDUE,
    say::Spoken,
};
use crate::{
    api::{ClientId, Declared, EntraTenant, EntraTenantSpec},
    facts::{Care, Looked, Trouble, VaultEntry},
    plan::{tenant::report, timing::doubling},
};

/// Observe, report, and come again when it is time for the next round.
pub async fn look(tenant: Arc<Declared<EntraTenant>>, context: Arc<Context>) -> Result<Again, Error> {
    let declared = Declarations::of(&tenant.name_any(), &context);
    if context.world.is_limited && declared.applications.is_empty() {
        return Ok(Again::OnChange); // the operator whose resources name it reports on it
    }
    let reached = match &tenant.spec {
        Ok(spec) => Some(last_or_new_round(&tenant, spec, declared, &context).await),
        Err(_) => None,
    };
    let again = reached.as_ref().map_or(context.hands.timing.drift, |round| left(round, &context));
    let seen = context.world.observe_tenant(&tenant, reached, context.braked(&tenant.name_any()));
    let report = report(&seen, context.hands.now());
    let again = match context.speaker.say(&*tenant, tenant.status.as_ref(), report).await? {
        Spoken::InVain => again.min(OVERDUE),
        Spoken::Before | Spoken::Now(..) => again,
    };
    Ok(Again::After(again))
}

/// Whatever wakes a tenant, its own status included, a round is made only when it is due or the tenant says something
/// else.
async fn last_or_new_round(
    tenant: &Declared<EntraTenant>,
    spec: &EntraTenantSpec,
    declared: Declarations,
    context: &Context,
) -> LastRound {
    let (name, generation, at) = (tenant.name_any(), tenant.metadata.generation, context.hands.now());
    if let Some(last) = context.drift.last_round(&name, generation, at) {
        return last;
    }
    let care = Care { applications: declared.applications.len(), ..declared.care };
    let found = round(&name, spec, declared, context).await;
    context.forget_old_ways(); // a look that was going on when the tenant changed may have gone one once more
    let pause = pause(&found, context);
    let next = context.hands.now().saturating_add(pause).unwrap_or(jiff::Timestamp::MAX);
    let round = LastRound { reached: Looked { at, found }, care, generation, next };
    context.drift.round_ended(&name, round.clone());
    round
}

/// How long until the next round.
fn left(round: &LastRound, context: &Context) -> Duration {
    Duration::try_from(round.next.duration_since(context.hands.now())).unwrap_or_default() + Duration::from_millis(10)
}

fn pause(found: &Result<(), Trouble>, context: &Context) -> Duration {
    let timing = &context.hands.timing;
    match found {
        Err(trouble) => doubling(timing.again, 5).max(trouble.retry_after.unwrap_or_default()),
        Ok(()) => timing.drift,
    }
}

/// What has changed at Entra and in its vaults since the last round; the resources that it concerns are looked at.
async fn round(name: &str, spec: &EntraTenantSpec, declared: Declarations, context: &Context) -> Result<(), Trouble> {
    let connection = context.hands.connections.to(spec).await?;
    let (changes, troubles) = futures::join!(
        applications(name, &declared.applications, &connection, context),
        vaults(&declared.vaults, &connection, context),
    );
    for trouble in changes.as_ref().err().into_iter().chain(&troubles) {
        context.hands.connections.heed(spec, trouble);
    }
    let different = changes?;
    for resources in context.woken.iter() {
        resources.applications_changed(name, &different);
    }
    Ok(())
}

async fn applications(
    tenant: &str,
    declared: &BTreeSet<ClientId>,
    connection: &Connection,
    context: &Context,
) -> Result<BTreeSet<ClientId>, Trouble> {
    let ((since, concern), at) = (context.drift.next_round(tenant, declared), context.hands.now());
    let changes = connection.directory.changes(since.as_ref(), &concern).await?;
    Ok(context.drift.remember(tenant, changes, declared, at))
}

/// Trouble with a vault is told by the resources that publish there; it comes back.
async fn vaults(declared: &BTreeSet<Shelf>, connection: &Connection, context: &Context) -> Vec<Trouble> {
    let mut troubles = vec![];
    let lists = declared.iter().map(|shelf| async move {
        let (url, object) = shelf;
        (shelf, context.hands.now(), connection.vaults.list(url, *object).await)
    });
    for (shelf, at, listed) in futures::future::join_all(lists).await {
        match listed {
            Ok(listed) => {
                let different = context.drift.remember_vault(shelf, listed, at);
                for resources in context.woken.iter() {
                    resources.entries_changed(&shelf.0, &different);
                }
            }
            Err(trouble) => {
                tracing::warn!(url = %shelf.0, reason = %trouble.reason, "{}", trouble.message);
                troubles.push(trouble);
            }
        }
    }
    troubles
}

/// What the resources of a tenant name.
#[derive(Default)]
struct Declarations {
    applications: BTreeSet<ClientId>,
    vaults: BTreeSet<Shelf>,
    /// What is published for them.
    care: Care,
}

impl Declarations {
    fn of(tenant: &str, context: &Context) -> Self {
        let mut all = Self::default();
        for resource in context.woken.iter().flat_map(|resources| resources.store.state()) {
            let Some(spec) = resource.spec.as_ref().ok().filter(|spec| spec.tenant_ref.name.as_str() == tenant) else {
                continue;
            };
            all.applications.insert(spec.client_id);
            if let Some(current) = resource.status.as_ref().and_then(|status| status.current.as_ref()) {
                let end = current.expires_at.as_ref().map(|end| end.0);
                all.care.credentials += 1;
                all.care.nearest_expiry = [all.care.nearest_expiry, end].into_iter().flatten().min();
            }
            let entries = spec.publish.iter().flat_map(|publish| &publish.key_vaults).map(VaultEntry::from);
            all.vaults.extend(entries.map(|entry| (entry.url, entry.object)));
        }
        all
    }
}
