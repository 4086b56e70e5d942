//! A token request as it was sent: who wants a token, for what, and what proves it. Pure; nothing is looked up.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use uuid::Uuid;

use super::assertion::Assertion;
use super::refusals::Refusal;
use super::signed::{self, Signed};
use crate::azure::call::Call;

/// What says that an assertion is a JSON Web Token (RFC 7523, 2.2).
const BY_JWT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a token is wanted for, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) client_id: Uuid,
    pub(crate) resource: String,
    /// Where it is asked for: `https://login.microsoftonline.com`.
    pub(crate) origin: String,
    pub(crate) proof: Proof,
}

/// What is to prove that the client is the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A client secret.
    Secret(String),
    /// A client assertion that the client has signed itself, with the key of a certificate.
    Signed(Arc<Signed>),
    /// A client assertion that somebody else has issued.
    Federated(Arc<Assertion>),
}

/// Reads a request. Version 1 of the endpoint has `resource` where version 2 has `scope`.
pub(crate) fn read(call: &Call, version_1: bool) -> Result<Wanted, Refusal> {
    let form: HashMap<String, String> = form_urlencoded::parse(&call.body).into_owned().collect();
    let field = |name: &str| form.get(name).filter(|value| !value.is_empty());
    let grant = field("grant_type").ok_or_else(|| Refusal::parameter_missing("grant_type"))?;
    if grant != "client_credentials" {
        return Err(Refusal::unsupported_grant(grant));
    }
    let basic = basic(call);
    let named = field("client_id").or_else(|| basic.as_ref().map(|(client_id, _)| client_id));
    let named = named.ok_or_else(|| Refusal::parameter_missing("client_id"))?;
    // All zeros, which stands in examples, is none either.
    let client_id = Uuid::try_parse(named).ok().filter(|client_id| !client_id.is_nil());
    let client_id = client_id.ok_or_else(|| Refusal::not_a_client_id(named))?;
    let resource = if version_1 {
        field("resource").ok_or_else(|| Refusal::parameter_missing("resource"))?.clone()
    } else {
        let scope = field("scope").ok_or_else(|| Refusal::parameter_missing("scope"))?;
        resource_of(scope)?
    };
    let secret = field("client_secret").or_else(|| basic.as_ref().map(|(_, secret)| secret));
    let proof = match (field("client_assertion"), secret) {
        (Some(_), _) if field("client_assertion_type").is_none_or(|kind| kind != BY_JWT) => {
            return Err(Refusal::parameter_missing("client_assertion_type"));
        }
        (Some(assertion), _) => kind_of(assertion, named)?,
        (None, Some(secret)) => Proof::Secret(secret.clone()),
        (None, None) => return Err(Refusal::nothing_to_prove_it_with(version_1)),
    };
    Ok(Wanted { client_id, resource, origin: call.origin.clone(), proof })
}

/// `https://vault.azure.net/.default` is about `https://vault.azure.net`; a second slash belongs to the resource.
fn resource_of(scope: &str) -> Result<String, Refusal> {
    // What OpenID Connect adds is about users, and libraries send it all the same.
    let asked: Vec<&str> =
        scope.split_whitespace().filter(|word| !matches!(*word, "openid" | "profile" | "offline_access")).collect();
    match asked[..] {
        [one] => {
            let resource = one.strip_suffix("/.default").filter(|resource| !resource.is_empty());
            resource.map(ToOwned::to_owned).ok_or_else(|| Refusal::not_a_default_scope(scope))
        }
        _ => Err(Refusal::several_scopes(scope)),
    }
}

/// Client ID and secret of `Authorization: Basic`, where both are form-encoded (RFC 6749, 2.3.1).
fn basic(call: &Call) -> Option<(String, String)> {
    let (scheme, encoded) = call.header("authorization")?.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let decoded = String::from_utf8(decoded).ok()?;
    let (client_id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    Some((plain(client_id)?, plain(secret)?))
}

/// A client names itself as issuer of what it signs itself.
fn kind_of(assertion: &str, client_id: &str) -> Result<Proof, Refusal> {
    let claims: Option<Value> = assertion.split('.').nth(1).and_then(signed::part);
    let proof = if claims.is_some_and(|claims| claims["iss"].as_str().is_none_or(|issuer| issuer == client_id)) {
        Signed::read(assertion).map(Arc::new).map(Proof::Signed)
    } else {
        Assertion::read(assertion).map(Arc::new).map(Proof::Federated)
    };
    proof.ok_or_else(Refusal::malformed_assertion)
}

#[cfg(test)]
mod tests {
    use hyper::header::{AUTHORIZATION, HeaderMap};
    use hyper::{Method, body::Bytes};

    use super::*;

    const ID: &str = "8f3c2c1e-0000-4000-8000-000000000001";

    fn call(body: &str) -> Call {
        Call {
            method: Method::POST,
            origin: "https://login.microsoftonline.com".into(),
            host: "login.microsoftonline.com".into(),
            path: "/contoso/oauth2/v2.0/token".into(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn refused(body: &str) -> u32 {
        read(&call(body), false).unwrap_err().code
    }

    /// AZURE 4.1: the body is form-encoded; a `~` may be, but need not.
    #[test]
    fn a_secret_comes_in_the_body_or_in_a_header() {
        let body = format!(
            "grant_type=client_credentials&client_id={ID}&scope=https%3A%2F%2Fvault.azure.net%2F.default&client_secret=a8Q~b%2Bc%7Ed"
        );
        let wanted = read(&call(&body), false).unwrap();
        assert_eq!(wanted.resource, "https://vault.azure.net");
        assert_eq!(wanted.proof, Proof::Secret("a8Q~b+c~d".into()));
        let mut call = call("grant_type=client_credentials&resource=https://graph.microsoft.com");
        let basic = STANDARD.encode(format!("{ID}:a8Q%7Eb%2Bc"));
        call.headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Basic {basic}").parse().unwrap())]);
        let wanted = read(&call, true).unwrap();
        assert_eq!((wanted.client_id.to_string().as_str(), wanted.proof), (ID, Proof::Secret("a8Q~b+c".into())));
    }

    /// AZURE 4.3: 900144, 70003, 700038, 7000216, 1002012, 70011.
    #[test]
    fn what_is_missing_or_wrong_has_its_code() {
        let rest = format!("grant_type=client_credentials&client_id={ID}");
        assert_eq!(refused("client_id=a"), 900_144);
        assert_eq!(refused("grant_type=password"), 70_003);
        assert_eq!(refused("grant_type=client_credentials"), 900_144);
        assert_eq!(refused("grant_type=client_credentials&client_id=payments"), 700_038);
        assert_eq!(refused(&format!("grant_type=client_credentials&client_id={}", Uuid::nil())), 700_038);
        assert_eq!(refused(&format!("{rest}&scope=https://vault.azure.net/.default")), 7_000_216);
        assert_eq!(refused(&format!("{rest}&scope=https://vault.azure.net/user")), 1_002_012);
        assert_eq!(refused(&format!("{rest}&scope=https://a/.default https://b/.default")), 70_011);
        let version_1 = read(&call(&format!("{rest}&resource=https://vault.azure.net")), true);
        assert_eq!(version_1.unwrap_err().code, 7_000_218);
        for odd in ["gibberish", "a.b.c"] {
            let assertion = format!("{rest}&scope=https://vault.azure.net/.default&client_assertion={odd}");
            assert_eq!(refused(&assertion), 900_144, "{odd}");
            assert_eq!(refused(&format!("{assertion}&client_assertion_type={BY_JWT}")), 50_027, "{odd}");
        }
    }
}
