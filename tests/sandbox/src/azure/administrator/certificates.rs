//! What a person does to certificates: what is seeded is there of old, what is added or removed later becomes known in
//! time. It is done by methods, and over HTTP by the same.

use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::drafts::Draft;
use super::{Seeded, http};
use crate::azure::Azure;
use crate::azure::applications::{Application, Policies};
use crate::azure::certificates::{Certificate, CertificateEntry};
use crate::azure::log::{Actor, What};
use crate::azure::tenants::Tenant;

/// A certificate that is wanted over HTTP.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    pem: String,
    key_id: Option<Uuid>,
    display_name: Option<String>,
    start_date_time: Option<Timestamp>,
    end_date_time: Option<Timestamp>,
    /// It becomes known in time, as if it were added in the portal; without, it is there of old.
    #[serde(default)]
    lagging: bool,
}

/// How somebody else shall write the list over HTTP.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rewrite {
    #[serde(default)]
    add: Vec<Spec>,
    #[serde(default)]
    remove: Vec<Uuid>,
    /// Between reading and writing, in milliseconds.
    #[serde(default)]
    pause: u64,
}

impl Spec {
    fn entry(self) -> CertificateEntry {
        let Self { pem, key_id, display_name, start_date_time: start, end_date_time: end, .. } = self;
        CertificateEntry { key_id, display_name, start, end, key: Some(pem.into_bytes()), identifier: None }
    }
}

/// The same over HTTP; nothing is answered if there is no such route.
pub(super) async fn administer(
    azure: &Azure,
    application: &Seeded,
    method: &str,
    rest: &[&str],
    body: &Bytes,
) -> anyhow::Result<Option<Value>> {
    match (method, rest) {
        ("GET", []) => return Ok(Some(azure.certificates(application)?.iter().map(told).collect())),
        ("POST", []) => {
            let spec: Spec = http::read(body)?;
            let lagging = spec.lagging;
            let entry = spec.entry();
            let added = if lagging {
                azure.add_certificate(application, entry)?
            } else {
                azure.seed_certificate(application, entry)?
            };
            return Ok(Some(told(&added)));
        }
        ("POST", ["rewrite"]) => {
            let Rewrite { add, remove, pause } = http::read(body)?;
            let draft = azure.draft_certificates(application)?;
            let draft = add.into_iter().map(Spec::entry).fold(draft, Draft::with);
            let draft = remove.into_iter().fold(draft, Draft::without);
            draft.write_after(Duration::from_millis(pause)).await?;
        }
        ("DELETE", [key_id]) => azure.remove_certificate(application, http::id(key_id)?)?,
        _ => return Ok(None),
    }
    Ok(Some(json!({})))
}

fn told(one: &Certificate) -> Value {
    let mut told = json!(one);
    told["key"] = STANDARD.encode(one.x509.der()).into();
    told
}

impl Azure {
    /// Gives an application a certificate that is there of old: known everywhere, whatever the policies are today, and
    /// expired if that is how it is.
    pub fn seed_certificate(&self, application: &Seeded, entry: CertificateEntry) -> anyhow::Result<Certificate> {
        self.of_old(application.tenant, |tenant| give(tenant, application, entry, None))?
    }

    /// Adds a certificate by hand, as the portal does: it becomes known in time, and nothing else changes.
    pub fn add_certificate(&self, application: &Seeded, entry: CertificateEntry) -> anyhow::Result<Certificate> {
        self.in_tenant(application.tenant, |tenant| give(tenant, application, entry, Some(tenant.policies)))?
    }

    /// Removes a certificate by hand.
    pub fn remove_certificate(&self, application: &Seeded, key_id: Uuid) -> anyhow::Result<()> {
        self.change(application, |application| {
            let count = application.certificates.len();
            application.certificates.retain(|one| one.key_id != key_id);
            (application.certificates.len() < count).then_some(What::Removed(key_id))
        })
    }

    /// The certificates that an application truly has.
    pub fn certificates(&self, application: &Seeded) -> anyhow::Result<Vec<Certificate>> {
        let known = self.in_tenant(application.tenant, |tenant| tenant.truth(application.object_id))?;
        Ok(known.map(|application| application.certificates.clone()).unwrap_or_default())
    }
}

fn give(
    tenant: &mut Tenant,
    seeded: &Seeded,
    entry: CertificateEntry,
    policies: Option<Policies>,
) -> anyhow::Result<Certificate> {
    let Seeded { object_id, client_id, .. } = *seeded;
    let now = Timestamp::now();
    let known = tenant.truth(object_id);
    let known = known.with_context(|| format!("there is no application {client_id} to give a certificate to"))?;
    let given = Certificate::of(entry, &mut tenant.dice);
    let given =
        given.map_err(|unsound| anyhow::anyhow!("application {client_id} takes no such certificate: {unsound:?}"))?;
    if let Some(policies) = policies {
        let allowed = given.may_be_added(policies, now);
        allowed.map_err(|refusal| anyhow::anyhow!("application {client_id} takes no such certificate: {refusal:?}"))?;
    }
    let mut application = Application::clone(&known);
    application.certificates.push(given.clone());
    tenant.write(application, Actor::Administrator, What::Certified(given.clone()), now);
    Ok(given)
}
