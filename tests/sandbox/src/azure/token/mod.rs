//! The token endpoint (AZURE 4): which sign-in is accepted, and why another is not. A secret is looked up at whichever
//! replica chance chooses; the true cause of every refusal goes to the log, since the code does not tell it. Whoever is
//! let in gets a token that [`Tokens`] has signed.

mod assertion;
mod certificates;
mod discovery;
mod federated;
mod refusals;
mod request;
mod sign_in;
mod signed;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use self::refusals::Ids;
use self::sign_in::{Accepted, Begun, Outcome};
use super::call::{self, Answer, Call, with};
use super::directory::Directory;
use super::issuers::Issuers;
use super::server::Free;
use super::tokens::Tokens;

/// How long clients are told to stay away.
const RETRY_AFTER: &str = "60";

/// The token endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) tokens: &'a Tokens,
    pub(crate) issuers: &'a Issuers,
    /// The addresses of the free endpoints, which are resources as well.
    pub(crate) free: &'a Free,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked<'a> {
    /// A token, for a tenant; whether by version 1 of the endpoint.
    SignIn(&'a str, bool),
    /// The metadata of a tenant; whether of version 1.
    Metadata(&'a str, bool),
    /// Which hosts belong together.
    Instance,
    /// The keys that tokens are signed with.
    Keys,
}

fn asked<'a>(method: &Method, path: &'a str) -> Option<Asked<'a>> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let asked = match segments[..] {
        ["common", "discovery", "instance"] => Asked::Instance,
        [_, "discovery", "v2.0", "keys"] | [_, "discovery", "keys"] => Asked::Keys,
        [tenant, "v2.0", ".well-known", "openid-configuration"] => Asked::Metadata(tenant, false),
        [tenant, ".well-known", "openid-configuration"] => Asked::Metadata(tenant, true),
        [tenant, "oauth2", "v2.0", "token"] => Asked::SignIn(tenant, false),
        [tenant, "oauth2", "token"] => Asked::SignIn(tenant, true),
        _ => return None,
    };
    let expected = if matches!(asked, Asked::SignIn(..)) { Method::POST } else { Method::GET };
    (*method == expected).then_some(asked)
}

/// How the journal and the rules call a request.
pub(crate) fn verb(method: &Method, path: &str) -> &'static str {
    match asked(method, path) {
        Some(Asked::SignIn(..)) => "signIn",
        Some(Asked::Metadata(..) | Asked::Instance) => "discovery",
        Some(Asked::Keys) => "keys",
        None => "unknown",
    }
}

impl Endpoint<'_> {
    /// Answers a request.
    pub(crate) async fn answer(self, call: &Call, now: Timestamp) -> Answer {
        let (trace, made_up) = {
            let dice = &mut self.directory.lock().dice;
            (dice.uuid(), dice.uuid())
        };
        let ids = Ids { trace, correlation: call.client_request_id().unwrap_or(made_up), now };
        let answer = match asked(&call.method, &call.path) {
            Some(Asked::SignIn(tenant, version_1)) => self.sign_in(call, tenant, version_1, ids).await,
            Some(Asked::Metadata(tenant, version_1)) => self.metadata(call, tenant, version_1, ids),
            Some(Asked::Instance) => match discovery::instance(call) {
                Ok(told) => call::json(StatusCode::OK, &told),
                Err(refusal) => refusal.answer(ids, &call.origin),
            },
            Some(Asked::Keys) => call::json(StatusCode::OK, &self.tokens.keys()),
            None => call::empty(StatusCode::NOT_FOUND),
        };
        let answer = with(answer, "x-ms-request-id", &trace.to_string());
        let answer = with(answer, "x-ms-ests-server", "2.1.22215.6 - SANDBOX ProdSlices");
        let answer = with(with(answer, "cache-control", "no-store, no-cache"), "pragma", "no-cache");
        if call.wants_its_id_back() { with(answer, "client-request-id", &ids.correlation.to_string()) } else { answer }
    }

    fn metadata(self, call: &Call, tenant: &str, version_1: bool, ids: Ids) -> Answer {
        let issuer = if matches!(tenant, "common" | "organizations") {
            "{tenantid}".to_owned()
        } else {
            match sign_in::tenant(&mut self.directory.lock(), tenant) {
                Ok(tenant) => tenant.id.to_string(),
                Err(refusal) => return refusal.of_metadata().answer(ids, &call.origin),
            }
        };
        call::json(StatusCode::OK, &discovery::metadata(call, tenant, &issuer, version_1))
    }

    async fn sign_in(self, call: &Call, tenant: &str, version_1: bool, ids: Ids) -> Answer {
        let begun = sign_in::decide(&mut self.directory.lock(), call, tenant, version_1, self.free, ids);
        let outcome = match begun {
            Begun::Decided(outcome) => outcome,
            // Others are asked when the directory is not locked.
            Begun::Pending(pending) => {
                let key = self.issuers.key(pending.issuer(), pending.key_id(), ids.now).await;
                sign_in::conclude(&mut self.directory.lock(), &pending, tenant, key, ids)
            }
        };
        match outcome {
            Outcome::Accepted(accepted) => self.issue(&accepted, version_1, ids.now),
            Outcome::Refused(refusal) => refusal.answer(ids, &call.origin),
            Outcome::Throttled { plain: false, refusal } => {
                with(refusal.answer(ids, &call.origin), "retry-after", RETRY_AFTER)
            }
            // AZURE 2: over-calling may be answered without JSON.
            Outcome::Throttled { plain: true, .. } => {
                let mut answer = call::empty(StatusCode::TOO_MANY_REQUESTS);
                *answer.body_mut() = "Too Many Requests".into();
                with(with(answer, "content-type", "text/plain"), "retry-after", RETRY_AFTER)
            }
        }
    }

    /// Signing takes a millisecond, so it is done when the directory is not locked.
    fn issue(self, accepted: &Accepted, version_1: bool, now: Timestamp) -> Answer {
        let Ok(token) = self.tokens.issue(&accepted.caller, &accepted.audience, now) else {
            return call::empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let (begin, end) = (now.as_second() - 300, now.as_second() + 3_599);
        let body = if version_1 {
            json!({
                "token_type": "Bearer",
                "expires_in": "3599",
                "ext_expires_in": "3599",
                "expires_on": end.to_string(),
                "not_before": begin.to_string(),
                "resource": accepted.audience,
                "access_token": token,
            })
        } else {
            json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})
        };
        call::json(StatusCode::OK, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AZURE 4.1, and what SDKs ask before they sign in.
    #[test]
    fn paths_have_verbs() {
        assert_eq!(verb(&Method::POST, "/contoso.com/oauth2/v2.0/token"), "signIn");
        assert_eq!(verb(&Method::POST, "/8f3c2c1e-0000-4000-8000-000000000001/oauth2/token"), "signIn");
        assert_eq!(verb(&Method::GET, "/common/discovery/instance"), "discovery");
        assert_eq!(verb(&Method::GET, "/contoso.com/v2.0/.well-known/openid-configuration"), "discovery");
        assert_eq!(verb(&Method::GET, "/common/discovery/v2.0/keys"), "keys");
        assert_eq!(verb(&Method::GET, "/contoso.com/oauth2/v2.0/token"), "unknown");
    }
}
