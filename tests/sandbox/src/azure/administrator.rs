//! What a person with a portal does: register, grant, add and take away secrets, disable, delete, set policies; and what
//! only a sandbox's master does: set the weather, and look at everything. What is seeded is there of old, known to every
//! replica; what an administrator does later lags as all changes do. It answers no request.

mod certificates;
mod drafts;
mod federated;
pub(super) mod http;
mod issuers;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub use self::drafts::{Draft, Rival};
use super::Azure;
use super::applications::{Application, Audience, NewPassword, Password, Policies, Principal};
use super::directory::State;
use super::log::{Actor, RefusedSignIn, What};
use super::quotas::Limits;
use super::replicas::Lag;
use super::tenants::{Tenant, Weather};
use super::vault::SecretWhat;
use crate::ledger::Ledger;
use crate::witness::Witnesses;

/// An application to seed; it gets a service principal in its tenant.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NewApplication {
    /// Its name.
    pub display_name: String,
    /// Whose accounts it is for.
    pub audience: Audience,
    /// The object IDs of service principals that own it.
    pub owners: Vec<Uuid>,
    /// The application permissions in Graph that its service principal is granted.
    pub roles: Vec<String>,
    /// Replicas have yet to hear of it, and of its service principal.
    pub fresh: bool,
}

/// An application that was seeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seeded {
    /// Its tenant.
    pub tenant: Uuid,
    /// Its object ID.
    pub object_id: Uuid,
    /// Its client ID.
    pub client_id: Uuid,
    /// The object ID of its service principal.
    pub principal: Uuid,
}

impl Azure {
    /// A new tenant. Its domain is `t<first digits of its ID>.onmicrosoft.com`.
    #[must_use]
    pub fn seed_tenant(&self) -> Uuid {
        let mut state = self.0.room.directory.lock();
        let id = state.dice.uuid();
        state.tenant_or_new(id).id
    }

    /// Gives a tenant a domain.
    pub fn add_domain(&self, tenant: Uuid, domain: &str) -> anyhow::Result<()> {
        self.in_tenant(tenant, |tenant| tenant.domains.push(domain.to_owned()))
    }

    /// Registers an application with a service principal.
    pub fn seed_application(&self, tenant: Uuid, new: NewApplication) -> anyhow::Result<Seeded> {
        self.in_tenant(tenant, |tenant| {
            let (object_id, client_id, principal) = (tenant.dice.uuid(), tenant.dice.uuid(), tenant.dice.uuid());
            let now = Timestamp::now();
            let application = Application {
                object_id,
                client_id,
                display_name: new.display_name.clone(),
                audience: new.audience,
                created: now,
                owners: new.owners,
                passwords: vec![],
                certificates: vec![],
                disabled: false,
                properties: Map::new(),
            };
            tenant.register(application, Actor::Administrator, !new.fresh, now);
            let display_name = new.display_name;
            let of_it = Principal {
                object_id: principal,
                client_id,
                display_name,
                enabled: true,
                blocked: false,
                roles: new.roles,
            };
            let lag = if new.fresh { tenant.weather.principals } else { Lag::NONE };
            tenant.principals.put(of_it, lag, now, &mut tenant.dice);
            Seeded { tenant: tenant.id, object_id, client_id, principal }
        })
    }

    /// Gives an application a secret that is there of old: known everywhere, whatever the policies are today. The answer
    /// has its value.
    pub fn seed_password(&self, application: &Seeded, wanted: NewPassword) -> anyhow::Result<Password> {
        self.of_old(application.tenant, |tenant| add(tenant, application, wanted, Policies::default()))?
    }

    /// An application that was seeded, or registered, by its client ID.
    pub fn application(&self, tenant: Uuid, client_id: Uuid) -> anyhow::Result<Seeded> {
        let found = self.in_tenant(tenant, |tenant| {
            let object_id = tenant.object_id(client_id)?;
            let principal =
                tenant.principals.truth_of(client_id).map(|principal| principal.object_id).unwrap_or_default();
            Some(Seeded { tenant: tenant.id, object_id, client_id, principal })
        });
        found?.with_context(|| format!("there is no application {client_id} in tenant {tenant}: seed it first"))
    }

    /// Adds a secret by hand, as the portal does: it becomes known in time.
    pub fn add_password(&self, application: &Seeded, wanted: NewPassword) -> anyhow::Result<Password> {
        self.in_tenant(application.tenant, |tenant| add(tenant, application, wanted, tenant.policies))?
    }

    /// Removes a secret by hand.
    pub fn remove_password(&self, application: &Seeded, key_id: Uuid) -> anyhow::Result<()> {
        self.change(application, |application| {
            let count = application.passwords.len();
            application.passwords.retain(|password| password.key_id != key_id);
            (application.passwords.len() < count).then_some(What::Removed(key_id))
        })
    }

    /// Changes something about a secret by hand: its name, its end.
    pub fn edit_password(
        &self,
        application: &Seeded,
        key_id: Uuid,
        edit: impl FnOnce(&mut Password),
    ) -> anyhow::Result<()> {
        self.change(application, |application| {
            let password = application.passwords.iter_mut().find(|password| password.key_id == key_id)?;
            edit(password);
            Some(What::Edited(password.clone()))
        })
    }

    /// Changes anything about an application by hand: its owners, its audience, whether it is disabled.
    pub fn edit_application(&self, application: &Seeded, edit: impl FnOnce(&mut Application)) -> anyhow::Result<()> {
        self.change(application, |application| {
            edit(application);
            Some(What::Patched)
        })
    }

    /// Deletes an application.
    pub fn delete_application(&self, application: &Seeded) -> anyhow::Result<()> {
        let deleted = self.in_tenant(application.tenant, |tenant| {
            tenant.delete(application.object_id, Actor::Administrator, Timestamp::now())
        })?;
        deleted.ok().with_context(|| format!("could not delete application {}: it is not there", application.client_id))
    }

    /// Changes a service principal by hand: its permissions, whether it may sign in.
    pub fn edit_principal(&self, application: &Seeded, edit: impl FnOnce(&mut Principal)) -> anyhow::Result<()> {
        self.change_principal(application, edit, |weather| weather.principals)
    }

    /// Makes a service principal one that is like this of old: everybody knows.
    pub fn set_principal(&self, application: &Seeded, edit: impl FnOnce(&mut Principal)) -> anyhow::Result<()> {
        self.change_principal(application, edit, |_| Lag::NONE)
    }

    /// Deletes a service principal.
    pub fn delete_principal(&self, application: &Seeded) -> anyhow::Result<()> {
        self.in_tenant(application.tenant, |tenant| {
            let (lag, now) = (tenant.weather.principals, Timestamp::now());
            tenant.principals.delete(application.principal, lag, now, &mut tenant.dice);
        })
    }

    /// Sets what a tenant forbids.
    pub fn set_policies(&self, tenant: Uuid, policies: Policies) -> anyhow::Result<()> {
        self.in_tenant(tenant, |tenant| tenant.policies = policies)
    }

    /// Changes how far a tenant's replicas are from each other, from the next change on.
    pub fn set_weather(&self, tenant: Uuid, change: impl FnOnce(&mut Weather)) -> anyhow::Result<()> {
        self.in_tenant(tenant, |tenant| change(&mut tenant.weather))
    }

    /// Changes the limits, for all tenants.
    pub fn set_limits(&self, change: impl FnOnce(&mut Limits)) {
        change(&mut self.0.room.directory.lock().limits);
    }

    /// Makes every delta token so far too old (AZURE 1.6).
    pub fn expire_delta_tokens(&self, tenant: Uuid) -> anyhow::Result<()> {
        self.in_tenant(tenant, |tenant| tenant.delta_tokens_since = Timestamp::now())
    }

    /// The secrets that an application truly has.
    pub fn passwords(&self, application: &Seeded) -> anyhow::Result<Vec<Password>> {
        let known = self.in_tenant(application.tenant, |tenant| tenant.truth(application.object_id))?;
        Ok(known.map(|application| application.passwords.clone()).unwrap_or_default())
    }

    /// The ledger of a tenant, with what these pods have seen and what was stored in its vaults, private keys included.
    /// Calls are those of all
    /// tenants.
    pub fn ledger(&self, tenant: Uuid, witnesses: &Witnesses) -> anyhow::Result<Ledger> {
        let mut calls = BTreeMap::new();
        for entry in self.0.room.journal.entries() {
            *calls.entry((entry.service, entry.verb)).or_insert(0) += 1;
        }
        let all = self.refused_sign_ins();
        let refused = all.into_iter().filter(|refused| refused.tenant == Some(tenant)).collect();
        let (log, names) = self.in_tenant(tenant, |tenant| {
            let domains = tenant.domains.iter().map(|domain| domain.to_ascii_lowercase());
            (tenant.log.clone(), domains.chain([tenant.id.to_string()]).collect())
        })?;
        let ledger = witnesses.read(|seen| Ledger::new(&log, refused, calls, &names, seen, Timestamp::now()));
        let stored = self.secret_changes(tenant).into_iter().filter_map(|change| match change.what {
            SecretWhat::Stored { fingerprint, .. } => Some((fingerprint, change.time)),
            _ => None,
        });
        let ledger = stored.fold(ledger, |ledger, (fingerprint, since)| ledger.published(fingerprint, since));
        Ok(self.stored_keys(tenant).iter().fold(ledger, |ledger, text| ledger.knowing_keys_in(text)))
    }

    /// Every sign-in that was refused, and why in truth.
    #[must_use]
    pub fn refused_sign_ins(&self) -> Vec<RefusedSignIn> {
        self.0.room.directory.lock().refused.clone()
    }

    /// Everything that is so, without the values of secrets.
    #[must_use]
    pub fn inspect(&self) -> Value {
        let state = self.0.room.directory.lock();
        let State { tenants, accepted, refused, .. } = &*state;
        let tenants: Vec<Value> = tenants.values().map(told).collect();
        let accepted = accepted
            .iter()
            .map(|(key_id, accepted)| json!({"keyId": key_id, "count": accepted.count, "last": accepted.last}));
        json!({"tenants": tenants, "accepted": accepted.collect::<Vec<_>>(), "refused": refused})
    }

    pub(super) fn in_tenant<T>(&self, tenant: Uuid, act: impl FnOnce(&mut Tenant) -> T) -> anyhow::Result<T> {
        let mut state = self.0.room.directory.lock();
        let known = state.tenants.get_mut(&tenant);
        known.map(act).with_context(|| format!("there is no tenant {tenant} in the sandbox: seed it first"))
    }

    /// Does something that is so of old: everybody knows.
    fn of_old<T>(&self, tenant: Uuid, act: impl FnOnce(&mut Tenant) -> T) -> anyhow::Result<T> {
        self.in_tenant(tenant, |tenant| {
            let weather = std::mem::replace(&mut tenant.weather, Weather::NONE);
            let done = act(tenant);
            tenant.weather = weather;
            done
        })
    }

    fn change_principal(
        &self,
        application: &Seeded,
        edit: impl FnOnce(&mut Principal),
        lag: impl FnOnce(Weather) -> Lag,
    ) -> anyhow::Result<()> {
        let changed = self.in_tenant(application.tenant, |tenant| {
            let mut principal = Principal::clone(tenant.principals.truth_of(application.client_id)?);
            edit(&mut principal);
            tenant.principals.put(principal, lag(tenant.weather), Timestamp::now(), &mut tenant.dice);
            Some(())
        });
        changed?.with_context(|| format!("application {} has no service principal to edit", application.client_id))
    }

    fn change(&self, seeded: &Seeded, change: impl FnOnce(&mut Application) -> Option<What>) -> anyhow::Result<()> {
        let changed = self.in_tenant(seeded.tenant, |tenant| {
            let mut application = Application::clone(&*tenant.truth(seeded.object_id)?);
            let what = change(&mut application)?;
            tenant.write(application, Actor::Administrator, what, Timestamp::now());
            Some(())
        });
        changed?.with_context(|| format!("application {} or its secret is not there to be changed", seeded.client_id))
    }
}

fn add(tenant: &mut Tenant, seeded: &Seeded, wanted: NewPassword, policies: Policies) -> anyhow::Result<Password> {
    let Seeded { object_id, client_id, .. } = *seeded;
    let now = Timestamp::now();
    let application = tenant.truth(object_id);
    let application = application.with_context(|| format!("there is no application {client_id} to add a secret to"))?;
    let password = application.new_password(wanted, policies, now, &mut tenant.dice);
    let password =
        password.map_err(|refusal| anyhow::anyhow!("application {client_id} takes no such secret: {refusal:?}"))?;
    let mut application = Application::clone(&application);
    application.passwords.push(password.clone());
    tenant.write(application, Actor::Administrator, What::Minted(password.clone()), now);
    Ok(password)
}

fn told(tenant: &Tenant) -> Value {
    let federated = |application: &Arc<Application>| {
        (application.client_id.to_string(), json!(*tenant.federated(application.object_id)))
    };
    json!({
        "id": tenant.id,
        "domains": tenant.domains,
        "applications": tenant.applications().map(|application| &**application).collect::<Vec<_>>(),
        "federated": tenant.applications().map(federated).collect::<Map<_, _>>(),
        "principals": tenant.principals.truths().map(|principal| &**principal).collect::<Vec<_>>(),
        "changes": tenant.log,
    })
}
