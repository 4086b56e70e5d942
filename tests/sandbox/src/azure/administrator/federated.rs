//! What a person does to federated credentials. What is seeded is there of old; what is added, edited or removed later
//! becomes known in time. It is done by methods, and over HTTP by the same.

use anyhow::Context;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Seeded, http};
use crate::azure::Azure;
use crate::azure::federated::{Federated, NewFederated};
use crate::azure::log::{Actor, What};
use crate::azure::tenants::Tenant;

/// A federated credential that is wanted over HTTP.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    name: String,
    issuer: String,
    subject: Option<String>,
    audience: Option<String>,
    description: Option<String>,
    /// It becomes known in time, as if it were added in the portal; without, it is there of old.
    #[serde(default)]
    lagging: bool,
}

/// What shall be changed about one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Edit {
    issuer: Option<String>,
    subject: Option<String>,
    audience: Option<String>,
    description: Option<String>,
}

/// The same over HTTP; nothing is answered if there is no such route.
pub(super) fn administer(
    azure: &Azure,
    application: &Seeded,
    method: &str,
    rest: &[&str],
    body: &Bytes,
) -> anyhow::Result<Option<Value>> {
    match (method, rest) {
        ("GET", []) => return Ok(Some(json!(azure.federated(application)?))),
        ("POST", []) => {
            let Spec { name, issuer, subject, audience, description, lagging } = http::read(body)?;
            let audience = audience.unwrap_or_else(|| NewFederated::default().audience);
            let wanted = NewFederated { name, issuer, subject, audience, description };
            let added = if lagging {
                azure.add_federated(application, wanted)?
            } else {
                azure.seed_federated(application, wanted)?
            };
            return Ok(Some(json!(added)));
        }
        ("PATCH", [id]) => {
            let Edit { issuer, subject, audience, description } = http::read(body)?;
            azure.edit_federated(application, http::id(id)?, |one| {
                one.issuer = issuer.unwrap_or_else(|| std::mem::take(&mut one.issuer));
                one.subject = subject.or_else(|| one.subject.take());
                one.audience = audience.unwrap_or_else(|| std::mem::take(&mut one.audience));
                one.description = description.or_else(|| one.description.take());
            })?;
        }
        ("DELETE", [id]) => azure.remove_federated(application, http::id(id)?)?,
        _ => return Ok(None),
    }
    Ok(Some(json!({})))
}

impl Azure {
    /// Gives an application a federated credential that is there of old: known everywhere. Without a subject it is like
    /// those that others make in beta, with an expression.
    pub fn seed_federated(&self, application: &Seeded, wanted: NewFederated) -> anyhow::Result<Federated> {
        self.of_old(application.tenant, |tenant| add(tenant, application, wanted))?
    }

    /// Adds a federated credential by hand, as the portal does: it becomes known in time.
    pub fn add_federated(&self, application: &Seeded, wanted: NewFederated) -> anyhow::Result<Federated> {
        self.in_tenant(application.tenant, |tenant| add(tenant, application, wanted))?
    }

    /// Changes anything about a federated credential by hand, whether or not Graph would.
    pub fn edit_federated(
        &self,
        application: &Seeded,
        id: Uuid,
        edit: impl FnOnce(&mut Federated),
    ) -> anyhow::Result<()> {
        self.change_federated(application, id, |all, place| {
            edit(&mut all[place]);
            What::FederatedEdited(all[place].clone())
        })
    }

    /// Removes a federated credential by hand.
    pub fn remove_federated(&self, application: &Seeded, id: Uuid) -> anyhow::Result<()> {
        self.change_federated(application, id, |all, place| What::Removed(all.remove(place).id))
    }

    /// The federated credentials that an application truly has.
    pub fn federated(&self, application: &Seeded) -> anyhow::Result<Vec<Federated>> {
        self.in_tenant(application.tenant, |tenant| tenant.federated(application.object_id).to_vec())
    }

    fn change_federated(
        &self,
        application: &Seeded,
        id: Uuid,
        change: impl FnOnce(&mut Vec<Federated>, usize) -> What,
    ) -> anyhow::Result<()> {
        let changed = self.in_tenant(application.tenant, |tenant| {
            let mut all = tenant.federated(application.object_id).to_vec();
            let place = all.iter().position(|one| one.id == id)?;
            let what = change(&mut all, place);
            tenant.write_federated(application.object_id, all.into(), Actor::Administrator, what, Timestamp::now());
            Some(())
        });
        let client_id = application.client_id;
        changed?.with_context(|| format!("application {client_id} has no federated credential {id} to be changed"))
    }
}

fn add(tenant: &mut Tenant, application: &Seeded, wanted: NewFederated) -> anyhow::Result<Federated> {
    let added = tenant.add_federated(application.object_id, wanted, Actor::Administrator, Timestamp::now());
    let client_id = application.client_id;
    added.map_err(|refusal| anyhow::anyhow!("application {client_id} takes no such federated credential: {refusal:?}"))
}
