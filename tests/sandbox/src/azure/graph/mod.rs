//! Microsoft Graph, version 1.0 and one report of the beta, as far as applications go (AZURE 1, 2). Whoever asks must bear a token for Graph, and is
//! counted; reads see what a replica knows, writes meet each other. It never tells the value of a secret but once.

mod access;
mod applications;
mod certificates;
mod delta;
mod errors;
mod federated;
mod passwords;
mod principals;
mod query;
mod reports;
mod shape;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use uuid::Uuid;

use self::errors::{Error, Ids};
use self::federated::Wish;
use super::call::{self, Answer, Call, with};
use super::clouds::CLOUDS;
use super::directory::{Directory, State};
use super::quotas::{Limit, Scope, Verdict};
use super::tenants::Tenant;
use super::tokens::{Caller, Tokens};

/// Graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) tokens: &'a Tokens,
    /// The address of the free endpoint, which is an audience as well.
    pub(crate) free: &'a str,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Applications,
    Delta,
    Application(Object),
    Patch(Object),
    Owners(Object),
    AddPassword(Object),
    RemovePassword(Object),
    Federated(Object, Wish),
    Principals,
    Principal(Object),
    CredentialSignIns,
}

/// How an object is addressed (AZURE 1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Object {
    /// By its object ID, or what is taken for one.
    Id(String),
    /// By its application's client ID: `(appId='…')`.
    AppId(String),
}

/// A request of somebody who was let in, and everything that it needs.
struct Request<'a> {
    call: &'a Call,
    caller: Caller,
    now: Timestamp,
}

/// An answer in the making: its body, and what it costs.
type Answered = Result<(StatusCode, Option<Value>), Error>;

impl Asked {
    /// The application that it writes to, if it writes.
    fn written(&self) -> Option<&Object> {
        match self {
            Self::Patch(object) | Self::AddPassword(object) | Self::RemovePassword(object) => Some(object),
            Self::Federated(object, wish) => wish.is_write().then_some(object),
            _ => None,
        }
    }
}

impl Object {
    fn name(&self) -> &str {
        match self {
            Self::Id(name) | Self::AppId(name) => name,
        }
    }

    /// The object ID of the application that is meant.
    fn application(&self, tenant: &Tenant) -> Result<Uuid, Error> {
        let id = Uuid::try_parse(self.name()).map_err(|_| Error::not_found(self.name()))?;
        match self {
            Self::Id(_) => Ok(id),
            Self::AppId(_) => tenant.object_id(id).ok_or_else(|| Error::not_found(self.name())),
        }
    }
}

fn asked(method: &Method, path: &str) -> Option<Asked> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let mut segments = decoded.split('/').filter(|segment| !segment.is_empty());
    let version = segments.next()?;
    let segments: Vec<&str> = segments.collect();
    if version == "beta" {
        let is_report = segments == ["reports", "appCredentialSignInActivities"] && method == Method::GET;
        return is_report.then_some(Asked::CredentialSignIns);
    }
    if version != "v1.0" {
        return None;
    }
    let (first, rest) = segments.split_first()?;
    let keyed = first.strip_suffix("')").and_then(|first| first.split_once("(appId='"));
    let (collection, object, rest) = match (keyed, rest.split_first()) {
        (Some((collection, app_id)), _) => (collection, Some(Object::AppId(app_id.to_owned())), rest),
        (None, None | Some((&"delta" | &"microsoft.graph.delta" | &"delta()", []))) => (*first, None, rest),
        (None, Some((id, rest))) => (*first, Some(Object::Id((*id).to_owned())), rest),
    };
    if let ("applications", Some(object), Some(wish)) = (collection, &object, Wish::read(method.as_str(), rest)) {
        return Some(Asked::Federated(object.clone(), wish));
    }
    let action = rest.first().map(|action| action.trim_start_matches("microsoft.graph."));
    let asked = match (collection, object, action, method.as_str()) {
        ("applications", None, None, "GET") => Asked::Applications,
        ("applications", None, Some(_), "GET") => Asked::Delta,
        ("applications", Some(object), None, "GET") => Asked::Application(object),
        ("applications", Some(object), None, "PATCH") => Asked::Patch(object),
        ("applications", Some(object), Some("owners"), "GET") => Asked::Owners(object),
        ("applications", Some(object), Some("addPassword"), "POST") => Asked::AddPassword(object),
        ("applications", Some(object), Some("removePassword"), "POST") => Asked::RemovePassword(object),
        ("servicePrincipals", None, None, "GET") => Asked::Principals,
        ("servicePrincipals", Some(object), None, "GET") => Asked::Principal(object),
        _ => return None,
    };
    (rest.len() < 2).then_some(asked)
}

/// How the journal and the rules call a request.
pub(crate) fn verb(method: &Method, path: &str) -> &'static str {
    match asked(method, path) {
        Some(Asked::Applications) => "listApplications",
        Some(Asked::Delta) => "delta",
        Some(Asked::Application(_)) => "getApplication",
        Some(Asked::Patch(_)) => "patchApplication",
        Some(Asked::Owners(_)) => "listOwners",
        Some(Asked::AddPassword(_)) => "addPassword",
        Some(Asked::RemovePassword(_)) => "removePassword",
        Some(Asked::Federated(_, wish)) => wish.verb(),
        Some(Asked::Principals) => "listServicePrincipals",
        Some(Asked::Principal(_)) => "getServicePrincipal",
        Some(Asked::CredentialSignIns) => "listCredentialSignIns",
        None => "unknown",
    }
}

impl Endpoint<'_> {
    /// Answers a request.
    pub(crate) fn answer(self, call: &Call, now: Timestamp) -> Answer {
        let mut state = self.directory.lock();
        let request = state.dice.uuid();
        let ids = Ids { request, client: call.client_request_id().unwrap_or(request), now };
        let mut headers = vec![];
        let answered = self.let_in(call, now).and_then(|caller| {
            let asked = asked(&call.method, &call.path).ok_or_else(|| Error::no_such_segment(&call.path))?;
            carry_out(&mut state, &asked, &Request { call, caller, now }, &mut headers)
        });
        drop(state);
        let answer = match answered {
            Ok((status, Some(body))) => call::json(status, &body),
            Ok((status, None)) => call::empty(status),
            Err(error) => error.answer(ids),
        };
        let answer = headers.into_iter().fold(answer, |answer, (name, value)| with(answer, name, &value));
        let answer = with(answer, "request-id", &ids.request.to_string());
        let answer = with(answer, "client-request-id", &ids.client.to_string());
        let diagnostic = r#"{"ServerInfo":{"DataCenter":"Sandbox","Slice":"E","Ring":"1","ScaleUnit":"000","RoleInstance":"SANDBOX"}}"#;
        with(with(answer, "x-ms-ags-diagnostic", diagnostic), "odata-version", "4.0")
    }

    fn let_in(self, call: &Call, now: Timestamp) -> Result<Caller, Error> {
        let fixed = ["00000003-0000-0000-c000-000000000000", self.free];
        // Unlike Key Vault, Graph does not mind a slash at the end.
        let hosts = CLOUDS.iter().flat_map(|cloud| cloud.graphs);
        let hosts: Vec<String> = hosts.flat_map(|host| ["", "/"].map(|end| format!("https://{host}{end}"))).collect();
        let audience: Vec<&str> = fixed.into_iter().chain(hosts.iter().map(String::as_str)).collect();
        let verified = self.tokens.verify(call.bearer().unwrap_or_default(), &audience, now);
        verified.map_err(|refused| Error::not_let_in(&refused))
    }
}

fn carry_out(
    state: &mut State,
    asked: &Asked,
    request: &Request<'_>,
    headers: &mut Vec<(&'static str, String)>,
) -> Answered {
    let cost = match asked {
        Asked::Applications | Asked::Application(_) => applications::query(request)?.cost(),
        _ => 1,
    };
    headers.push(("x-ms-resource-unit", cost.to_string()));
    let used = count(state, asked, request, cost)?;
    if used >= 0.8 {
        headers.push(("x-ms-throttle-limit-percentage", format!("{used:.1}")));
    }
    let tenant = state.tenants.get_mut(&request.caller.tenant).ok_or_else(Error::denied)?;
    match asked {
        Asked::Applications => applications::list(tenant, request),
        Asked::Application(object) => applications::get(tenant, object, request),
        Asked::Patch(object) => applications::patch(tenant, object, request),
        Asked::Owners(object) => applications::owners(tenant, object, request),
        Asked::Delta => delta::answer(tenant, request),
        Asked::AddPassword(object) => passwords::add(tenant, object, request),
        Asked::RemovePassword(object) => passwords::remove(tenant, object, request),
        Asked::Federated(object, wish) => federated::answer(tenant, object, wish, request),
        Asked::Principals => principals::list(tenant, request),
        Asked::Principal(object) => principals::get(tenant, object, request),
        Asked::CredentialSignIns => reports::credential_sign_ins(tenant, request),
    }
}

/// Counts a request in every scope that it belongs to (AZURE 2), and tells how much of the tightest is used.
fn count(state: &mut State, asked: &Asked, request: &Request<'_>, cost: u32) -> Result<f64, Error> {
    let (limits, Request { caller, now, .. }) = (state.limits, request);
    let (application, tenant) = (caller.client_id, caller.tenant);
    let mut used: f64 = 0.0;
    let mut counted = |scope: Scope, limit: Limit, cost: u32, name: &str, what: &'static str| match state
        .quotas
        .count(scope, limit, cost, *now)
    {
        Verdict::Within(share) => {
            used = used.max(share);
            Ok(())
        }
        Verdict::Beyond(wait) => Err(Error::throttled(&format!("{name}/{application}/{tenant}"), what, wait)),
    };
    counted(
        Scope::Units(application, tenant),
        limits.units,
        cost,
        "Tenant_Application/ReadWrite",
        "ResourceUnitLimitExceeded",
    )?;
    if let Some(object) = asked.written() {
        let (name, what) = ("Tenant_Application/Write", "WriteLimitExceeded");
        counted(Scope::Writes(application, tenant), limits.writes, 1, name, what)?;
        counted(Scope::TenantWrites(tenant), limits.tenant_writes, 1, "Tenant/Write", what)?;
        let known = state.tenants.get(&tenant);
        let written = known.and_then(|tenant| tenant.truth(object.application(tenant).ok()?));
        if written.is_some_and(|written| written.audience.is_personal()) {
            counted(Scope::PersonalWrites(application, tenant), limits.personal_writes, 1, name, what)?;
        }
    }
    if let Asked::Application(_) = asked
        && applications::query(request)?.names("keyCredentials")
    {
        let (name, what) = ("Tenant/KeyCredentials", "ReadLimitExceeded");
        counted(Scope::CertificateReads(tenant), limits.certificate_reads, 1, name, what)?;
    }
    if *asked == Asked::CredentialSignIns {
        let scope = Scope::Reports(application, tenant);
        if let Verdict::Beyond(_) = state.quotas.count(scope, limits.reports, 1, *now) {
            return Err(Error::throttled_without_advice());
        }
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AZURE 1.1: the forms of addresses.
    #[test]
    fn paths_have_verbs() {
        let get = |path| verb(&Method::GET, path);
        assert_eq!(get("/v1.0/applications"), "listApplications");
        assert_eq!(get("/v1.0/applications/delta"), "delta");
        assert_eq!(get("/v1.0/applications/8f3c"), "getApplication");
        assert_eq!(get("/v1.0/applications(appId='8f3c')"), "getApplication");
        assert_eq!(get("/v1.0/applications(appId=%278f3c%27)"), "getApplication");
        assert_eq!(get("/v1.0/servicePrincipals(appId='8f3c')"), "getServicePrincipal");
        assert_eq!(get("/v1.0/applications/8f3c/owners"), "listOwners");
        assert_eq!(verb(&Method::POST, "/v1.0/applications(appId='8f3c')/addPassword"), "addPassword");
        assert_eq!(verb(&Method::POST, "/v1.0/applications/8f3c/microsoft.graph.removePassword"), "removePassword");
        assert_eq!(verb(&Method::PATCH, "/v1.0/applications/8f3c"), "patchApplication");
        assert_eq!(verb(&Method::DELETE, "/v1.0/applications/8f3c/removePassword"), "unknown");
        assert_eq!(get("/beta/applications"), "unknown");
        assert_eq!(get("/beta/reports/appCredentialSignInActivities"), "listCredentialSignIns");
        assert_eq!(get("/v1.0/reports/appCredentialSignInActivities"), "unknown", "AZURE 1.7: in the beta only");
    }

    /// AZURE 1.5: the forms of addresses of federated credentials.
    #[test]
    fn federated_credentials_have_verbs() {
        let of = "/v1.0/applications/8f3c/federatedIdentityCredentials";
        let by_app_id = "/v1.0/applications(appId='8f3c')/federatedIdentityCredentials";
        assert_eq!([of, by_app_id].map(|path| verb(&Method::GET, path)), ["listFederated"; 2]);
        assert_eq!(verb(&Method::POST, by_app_id), "createFederated");
        for one in [format!("{of}/web"), format!("{by_app_id}(name='web')"), format!("{of}(name=%27web%27)")] {
            assert_eq!(verb(&Method::GET, &one), "getFederated", "{one}");
            assert_eq!(verb(&Method::PATCH, &one), "patchFederated", "{one}");
            assert_eq!(verb(&Method::DELETE, &one), "deleteFederated", "{one}");
            assert_eq!(verb(&Method::POST, &one), "unknown", "{one}");
        }
        assert_eq!(verb(&Method::DELETE, of), "unknown");
        assert_eq!(verb(&Method::GET, &format!("{of}/web/subject")), "unknown");
    }
}
