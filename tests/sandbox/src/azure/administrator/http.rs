//! The administrator over HTTP: JSON without TLS or tokens, on a port of 127.0.0.1. It is for those who drive the
//! sandbox from outside of its process; each route is a method of [`Azure`]. It journals what it is asked.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use anyhow::Context;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::{NewApplication, Seeded, certificates, federated, issuers};
use crate::answers::{self, Cut};
use crate::azure::applications::{NewPassword, Password, Principal};
use crate::azure::replicas::Lag;
use crate::azure::{Azure, Inside, Limit, Limits, call, vault};
use crate::faults::{Action, Added, Rule};
use crate::journal;
use crate::ledger::{Credential, Verdict};
use crate::weather::Answered;
use crate::witness::Witnesses;

/// How the journal calls it.
const ADMIN: &str = "admin";

/// Rules that were added over HTTP, by their numbers.
pub(crate) type Rules = BTreeMap<usize, Added>;

/// What a secret shall be like.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct PasswordSpec {
    display_name: Option<String>,
    start_date_time: Option<Timestamp>,
    end_date_time: Option<Timestamp>,
    /// It becomes known in time, as if it were added in the portal; without, it is there of old.
    lagging: bool,
}

/// What shall be changed about an application.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ApplicationSpec {
    disabled: Option<bool>,
    owners: Option<Vec<Uuid>>,
    enabled: Option<bool>,
    blocked: Option<bool>,
    roles: Option<Vec<String>>,
    /// What is changed about its service principal becomes known in time; without, everybody knows at once.
    lagging: bool,
}

/// What shall be changed about a tenant.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct TenantSpec {
    domain: Option<String>,
    /// The least and the most lag of applications, in milliseconds.
    lag: Option<[i64; 2]>,
    /// That of service principals.
    principal_lag: Option<[i64; 2]>,
    /// That of federated credentials at sign-ins.
    federated_lag: Option<[i64; 2]>,
    /// For how long a replica remembers that a federated sign-in matched nothing.
    memory: Option<i64>,
    /// How late the report of sign-ins is, in milliseconds.
    report_lag: Option<i64>,
    noise: Option<f64>,
    write_window: Option<i64>,
    passwords_banned: Option<bool>,
    /// In seconds.
    longest_life: Option<i64>,
    /// That of certificates.
    longest_certificate_life: Option<i64>,
}

/// What shall be changed about the limits of all tenants: how much, and in how many milliseconds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct LimitsSpec {
    units: Option<(u32, i64)>,
    writes: Option<(u32, i64)>,
    tenant_writes: Option<(u32, i64)>,
    personal_writes: Option<(u32, i64)>,
    certificate_reads: Option<(u32, i64)>,
    reports: Option<(u32, i64)>,
    sign_ins: Option<(u32, i64)>,
}

impl LimitsSpec {
    fn apply(self, limits: &mut Limits) {
        let limit = |(most, millis)| Limit::new(most, SignedDuration::from_millis(millis));
        let changed = |spec: Option<(u32, i64)>, old| spec.map_or(old, limit);
        let Self { units, writes, tenant_writes, personal_writes, certificate_reads, reports, sign_ins } = self;
        limits.units = changed(units, limits.units);
        limits.writes = changed(writes, limits.writes);
        limits.tenant_writes = changed(tenant_writes, limits.tenant_writes);
        limits.personal_writes = changed(personal_writes, limits.personal_writes);
        limits.certificate_reads = changed(certificate_reads, limits.certificate_reads);
        limits.reports = changed(reports, limits.reports);
        limits.sign_ins = sign_ins.map(limit).or(limits.sign_ins);
    }
}

/// A rule.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleSpec {
    service: String,
    verb: String,
    path: String,
    nth: Option<usize>,
    from: Option<usize>,
    times: Option<usize>,
    sometimes: Option<u16>,
    action: ActionSpec,
}

/// What a rule does; times are in milliseconds, but `retryAfter` in seconds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum ActionSpec {
    Answer { status: u16, retry_after: Option<u64>, body: Option<String> },
    Delay(u64),
    Hang,
    CutBefore,
    CutAfter,
    Truncate(usize),
}

/// A connection.
pub(crate) async fn serve(azure: Weak<Inside>, client: TcpStream) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let azure = &azure;
    let answering = service_fn(|request| async move {
        let azure = Azure(azure.upgrade().ok_or(Cut("since Azure is closed"))?);
        answer(&azure, request).await
    });
    Ok(http1::Builder::new().serve_connection(TokioIo::new(client), answering).await?)
}

async fn answer(azure: &Azure, request: Request<Incoming>) -> Answered {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut("by the client, in the middle of its request"))?.to_bytes();
    let (method, path) = (head.method.as_str(), head.uri.path());
    let asked = journal::Request {
        service: ADMIN.into(),
        verb: method.to_ascii_lowercase(),
        path: path.into(),
        query: head.uri.query().unwrap_or_default().into(),
        user_agent: String::new(),
    };
    let entry = azure.journal().open(&asked, None);
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (status, body) = match act(azure, method, &segments, &body).await {
        Ok(Some(body)) => (StatusCode::OK, body),
        Ok(None) => (StatusCode::NOT_FOUND, json!({"error": format!("the administrator has no {method} {path}")})),
        Err(error) => (StatusCode::BAD_REQUEST, json!({"error": format!("{error:#}")})),
    };
    entry.answered(status.as_u16());
    Ok(call::json(status, &body).map(answers::whole))
}

/// What is answered; nothing if there is no such route.
async fn act(azure: &Azure, method: &str, segments: &[&str], body: &Bytes) -> anyhow::Result<Option<Value>> {
    let done = json!({});
    Ok(Some(match (method, segments) {
        ("GET", ["inspect"]) => azure.inspect(),
        ("GET", ["journal"]) => journalled(azure),
        ("PATCH", ["limits"]) => {
            let spec: LimitsSpec = read(body)?;
            azure.set_limits(|limits| spec.apply(limits));
            done
        }
        ("POST", ["tenants"]) => json!({"id": azure.seed_tenant()}),
        ("GET", ["tenants", tenant, "ledger"]) => judged(&azure.ledger(id(tenant)?, &Witnesses::default())?.verdict()),
        ("PATCH", ["tenants", tenant]) => {
            edit_tenant(azure, id(tenant)?, &read(body)?)?;
            done
        }
        ("POST", ["tenants", tenant, "expireDeltaTokens"]) => {
            azure.expire_delta_tokens(id(tenant)?)?;
            done
        }
        ("POST", ["tenants", tenant, "applications"]) => {
            json!(azure.seed_application(id(tenant)?, read::<NewApplication>(body)?)?)
        }
        (_, ["tenants", tenant, "applications", client_id, "certificates", rest @ ..]) => {
            let application = azure.application(id(tenant)?, id(client_id)?)?;
            return certificates::administer(azure, &application, method, rest, body).await;
        }
        (_, ["tenants", tenant, "applications", client_id, rest @ ..]) => {
            let application = azure.application(id(tenant)?, id(client_id)?)?;
            return to_application(azure, &application, method, rest, body);
        }
        (_, ["issuers", rest @ ..]) => return issuers::administer(azure, method, rest, body).await,
        (_, ["vaults", rest @ ..]) => return vault::administer(azure, method, rest, body),
        ("POST", ["faults"]) => json!({"id": azure.add_rule(rule(read(body)?))}),
        ("DELETE", ["faults", number]) => {
            azure.lift_rule(number.parse().with_context(|| format!("{number:?} is no number of a rule"))?)?;
            done
        }
        _ => return Ok(None),
    }))
}

fn to_application(
    azure: &Azure,
    application: &Seeded,
    method: &str,
    rest: &[&str],
    body: &Bytes,
) -> anyhow::Result<Option<Value>> {
    match (method, rest) {
        ("DELETE", []) => azure.delete_application(application)?,
        ("PATCH", []) => edit_application(azure, application, read(body)?)?,
        ("DELETE", ["principal"]) => azure.delete_principal(application)?,
        ("POST", ["passwords"]) => {
            let PasswordSpec { display_name, start_date_time: start, end_date_time: end, lagging } = read(body)?;
            let wanted = NewPassword { display_name, start, end };
            let added = if lagging {
                azure.add_password(application, wanted)
            } else {
                azure.seed_password(application, wanted)
            };
            let Password { key_id, value, .. } = added?;
            return Ok(Some(json!({"keyId": key_id, "secretText": value})));
        }
        ("DELETE", ["passwords", key_id]) => azure.remove_password(application, id(key_id)?)?,
        ("PATCH", ["passwords", key_id]) => {
            let PasswordSpec { display_name, start_date_time, end_date_time, .. } = read(body)?;
            azure.edit_password(application, id(key_id)?, |password| {
                password.display_name = display_name.or_else(|| password.display_name.take());
                password.start = start_date_time.unwrap_or(password.start);
                password.end = end_date_time.unwrap_or(password.end);
            })?;
        }
        (_, ["federated", rest @ ..]) => return federated::administer(azure, application, method, rest, body),
        _ => return Ok(None),
    }
    Ok(Some(json!({})))
}

fn edit_application(azure: &Azure, application: &Seeded, spec: ApplicationSpec) -> anyhow::Result<()> {
    let ApplicationSpec { disabled, owners, enabled, blocked, roles, lagging } = spec;
    if disabled.is_some() || owners.is_some() {
        azure.edit_application(application, |application| {
            application.disabled = disabled.unwrap_or(application.disabled);
            application.owners = owners.unwrap_or_else(|| std::mem::take(&mut application.owners));
        })?;
    }
    if enabled.is_some() || blocked.is_some() || roles.is_some() {
        let edit = |principal: &mut Principal| {
            principal.enabled = enabled.unwrap_or(principal.enabled);
            principal.blocked = blocked.unwrap_or(principal.blocked);
            principal.roles = roles.unwrap_or_else(|| std::mem::take(&mut principal.roles));
        };
        if lagging {
            azure.edit_principal(application, edit)?;
        } else {
            azure.set_principal(application, edit)?;
        }
    }
    Ok(())
}

fn edit_tenant(azure: &Azure, tenant: Uuid, spec: &TenantSpec) -> anyhow::Result<()> {
    let millis = SignedDuration::from_millis;
    azure.in_tenant(tenant, |tenant| {
        tenant.domains.extend(spec.domain.clone());
        let lag = |[least, most]: [i64; 2]| Lag { least: millis(least), most: millis(most) };
        if let Some(lag) = spec.lag.map(lag) {
            (tenant.weather.reads, tenant.weather.sign_ins) = (lag, lag);
        }
        tenant.weather.principals = spec.principal_lag.map_or(tenant.weather.principals, lag);
        tenant.weather.federated = spec.federated_lag.map_or(tenant.weather.federated, lag);
        tenant.weather.memory = spec.memory.map_or(tenant.weather.memory, millis);
        tenant.weather.report = spec.report_lag.map_or(tenant.weather.report, millis);
        tenant.weather.noise = spec.noise.unwrap_or(tenant.weather.noise);
        tenant.weather.write_window = spec.write_window.map_or(tenant.weather.write_window, millis);
        tenant.policies.passwords_banned = spec.passwords_banned.unwrap_or(tenant.policies.passwords_banned);
        let longest = spec.longest_life.map(SignedDuration::from_secs);
        tenant.policies.longest_life = longest.or(tenant.policies.longest_life);
        let longest = spec.longest_certificate_life.map(SignedDuration::from_secs);
        tenant.policies.longest_certificate_life = longest.or(tenant.policies.longest_certificate_life);
    })
}

fn rule(spec: RuleSpec) -> Rule {
    let mut point = Rule::at(&spec.service, &spec.verb, &spec.path);
    point = spec.nth.into_iter().fold(point, crate::faults::Point::nth);
    point = spec.from.into_iter().fold(point, crate::faults::Point::from);
    point = spec.times.into_iter().fold(point, crate::faults::Point::times);
    point = spec.sometimes.into_iter().fold(point, crate::faults::Point::sometimes);
    point.then(match spec.action {
        ActionSpec::Answer { status, retry_after, body } => {
            Action::Answer { status, retry_after: retry_after.map(Duration::from_secs), body }
        }
        ActionSpec::Delay(time) => Action::Delay(Duration::from_millis(time)),
        ActionSpec::Hang => Action::Hang,
        ActionSpec::CutBefore => Action::CutBefore,
        ActionSpec::CutAfter => Action::CutAfter,
        ActionSpec::Truncate(bytes) => Action::Truncate(bytes),
    })
}

fn journalled(azure: &Azure) -> Value {
    let entries = azure.journal().entries();
    let told = entries.iter().map(|entry| {
        json!({
            "number": entry.number,
            "time": entry.time,
            "service": entry.service,
            "verb": entry.verb,
            "path": entry.path,
            "query": entry.query,
            "status": entry.status,
            "fault": entry.fault,
        })
    });
    told.collect()
}

/// What the ledger says; of pods it knows nothing here.
fn judged(verdict: &Verdict) -> Value {
    let ids = |credentials: &[Credential]| credentials.iter().map(|one| json!(one.key_id)).collect::<Value>();
    let credentials = verdict.credentials.iter().map(|one| {
        json!({
            "clientId": one.client_id,
            "keyId": one.key_id,
            "name": one.name,
            "kind": format!("{:?}", one.kind),
            "minted": one.minted,
            "by": one.by,
            "known": one.known,
            "end": one.end,
            "removed": one.removed.map(|(time, by)| json!({"time": time, "by": by})),
        })
    });
    let least = verdict
        .least_valid
        .iter()
        .map(|(client_id, least)| (client_id.to_string(), json!({"count": least.count, "since": least.since})));
    let calls = verdict.calls.iter().map(|((service, verb), count)| (format!("{service} {verb}"), json!(count)));
    json!({
        "offences": verdict.offences().iter().map(|offence| format!("{offence:?}")).collect::<Vec<_>>(),
        "credentials": credentials.collect::<Value>(),
        "orphans": ids(&verdict.orphans),
        "foreignRemoved": ids(&verdict.foreign_removed),
        "foreignEdited": ids(&verdict.foreign_edited),
        "leastValid": least.collect::<Value>(),
        "calls": calls.collect::<Value>(),
        "story": verdict.to_string(),
    })
}

/// What was sent; nothing is an empty object.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> anyhow::Result<T> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).context("could not read what was sent to the administrator")
}

pub(super) fn id(text: &str) -> anyhow::Result<Uuid> {
    Uuid::try_parse(text).with_context(|| format!("{text:?} is no ID"))
}

impl Azure {
    fn add_rule(&self, rule: Rule) -> usize {
        let added = self.faults().add(rule);
        let mut rules = self.0.room.rules();
        let number = rules.keys().next_back().map_or(0, |last| last + 1);
        rules.insert(number, added);
        number
    }

    fn lift_rule(&self, number: usize) -> anyhow::Result<()> {
        let rule = self.0.room.rules().remove(&number);
        rule.with_context(|| format!("there is no rule {number} to lift"))?.lift();
        Ok(())
    }
}
