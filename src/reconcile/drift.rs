//! What changes at Entra without us: read per tenant, never per resource, and only what is declared here is remembered.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::{
    api::{ClientId, TenantId},
    entra::{Changes, Since},
    facts::{Application, Looked},
};

/// What the rounds through each tenant have shown.
#[derive(Debug, Default)]
pub struct Drift(Mutex<HashMap<TenantId, Shown>>);

#[derive(Debug, Default)]
struct Shown {
    since: Option<Since>,
    applications: BTreeMap<ClientId, Looked<Application>>,
}

impl Drift {
    /// Where the next round through a tenant begins.
    pub fn since(&self, tenant: TenantId) -> Option<Since> {
        self.lock().get(&tenant).and_then(|shown| shown.since.clone())
    }

    /// Remember a round that began then. Returns the declared applications that look different from before.
    pub fn remember(
        &self,
        tenant: TenantId,
        changes: Changes,
        declared: &BTreeSet<ClientId>,
        at: Timestamp,
    ) -> BTreeSet<ClientId> {
        let mut all = self.lock();
        let shown = all.entry(tenant).or_default();
        shown.since = Some(changes.since);
        let mut different = BTreeSet::new();
        for (client_id, found) in changes.seen {
            if declared.contains(&client_id) {
                let before = shown.applications.insert(client_id, Looked { at, found });
                let now = &shown.applications[&client_id].found;
                if before.as_ref().map(|looked| &looked.found) != Some(now) {
                    different.insert(client_id);
                }
            }
        }
        let void = |application: &Application| {
            changes.gone.contains(&application.object_id) || changes.unclear.contains(&application.object_id)
        };
        shown.applications.retain(|client_id, looked| {
            let stays = declared.contains(client_id) && !void(&looked.found);
            if !stays {
                different.insert(*client_id);
            }
            stays
        });
        different
    }

    /// An application, as the last round has shown it, if that was after `than`.
    pub fn newer(&self, tenant: TenantId, client_id: ClientId, than: Option<Timestamp>) -> Option<Looked<Application>> {
        let all = self.lock();
        let looked = all.get(&tenant)?.applications.get(&client_id)?;
        (Some(looked.at) > than).then(|| looked.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
