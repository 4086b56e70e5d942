//! The token endpoint: what is accepted, and every refusal in its own words (AZURE 4).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::azure::{Cause, Limit, NewPassword};
use serde_json::Value;
use uuid::Uuid;

use crate::client::Reply;
use crate::places::{GRAPH_SCOPE, LOGIN, at_once, form};

fn claims(token: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

fn refused(reply: &Reply, status: u16, error: &str, code: u32) {
    let body = reply.json();
    assert_eq!(
        (reply.status, &body["error"], &body["error_codes"][0]),
        (status, &error.into(), &code.into()),
        "{body}"
    );
    let description = body["error_description"].as_str().unwrap();
    let (trace, correlation) = (body["trace_id"].as_str().unwrap(), body["correlation_id"].as_str().unwrap());
    let ids = format!(" Trace ID: {trace} Correlation ID: {correlation} Timestamp: ");
    assert!(description.starts_with(&format!("AADSTS{code}: ")) && description.contains(&ids), "{description}");
    assert_eq!(reply.header("x-ms-request-id"), trace);
}

/// AZURE 4.1.
#[tokio::test]
async fn a_good_secret_gets_a_token_that_says_who_it_is() {
    let place = at_once().await;
    let reply = place.sign_in(&place.payments_secret.value).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["expires_in"], &body["token_type"]), (200, &3599.into(), &"Bearer".into()));
    let claims = claims(body["access_token"].as_str().unwrap());
    assert_eq!(claims["aud"], "https://graph.microsoft.com");
    assert_eq!(claims["appid"], place.payments.client_id.to_string());
    assert_eq!(claims["oid"], place.payments.principal.to_string());
    assert_eq!(claims["iss"], format!("https://sts.windows.net/{}/", place.tenant));
    assert!(claims.get("roles").is_none(), "app-only tokens can be issued without a roles claim (AZURE 3)");
}

/// AZURE 4.1: the tenant by its domain, the secret by Basic authentication, version 1 of the endpoint.
#[tokio::test]
async fn other_ways_to_ask_work_as_well() {
    let place = at_once().await;
    place.azure.add_domain(place.tenant, "contoso.com").unwrap();
    let secret = &place.payments_secret.value;
    let form = form(place.payments.client_id, secret, "https://vault.azure.net/.default");
    let reply = place.post_form(&format!("{LOGIN}/contoso.com/oauth2/v2.0/token"), &form).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let basic = STANDARD.encode(format!("{}:{}", place.payments.client_id, secret.replace('~', "%7E")));
    let authorization = format!("Basic {basic}");
    let headers = [("authorization", authorization.as_str())];
    let url = format!("{LOGIN}/{}/oauth2/token", place.tenant);
    let body = "grant_type=client_credentials&resource=https%3A%2F%2Fvault.azure.net";
    let reply = place.client.send(Method::POST, &url, &headers, body).await;
    let body = reply.json();
    assert_eq!(
        (reply.status, &body["expires_in"], &body["resource"]),
        (200, &"3599".into(), &"https://vault.azure.net".into())
    );
}

/// AZURE 4.3: 7000215 for a wrong value, an ID and a removed secret; the log knows which.
#[tokio::test]
async fn one_code_has_many_causes() {
    let place = at_once().await;
    let secret = place.payments_secret.clone();
    refused(&place.sign_in("nonsense").await, 401, "invalid_client", 7_000_215);
    refused(&place.sign_in(&secret.key_id.to_string()).await, 401, "invalid_client", 7_000_215);
    refused(&place.sign_in(&secret.value.replace('~', "%7E")).await, 401, "invalid_client", 7_000_215);
    place.azure.remove_password(&place.payments, secret.key_id).unwrap();
    let reply = place.sign_in(&secret.value).await;
    refused(&reply, 401, "invalid_client", 7_000_215);
    assert_eq!(reply.json()["error_uri"], format!("{LOGIN}/error?code=7000215"));
    let causes: Vec<Cause> = place.azure.refused_sign_ins().iter().map(|refused| refused.cause).collect();
    assert_eq!(causes, [Cause::WrongValue, Cause::IdForValue, Cause::WrongValue, Cause::Removed]);
}

/// AZURE 4.3: 7000222.
#[tokio::test]
async fn an_expired_secret_has_a_code_of_its_own() {
    let place = at_once().await;
    let soon = NewPassword { end: Some(Timestamp::now() + SignedDuration::from_hours(1)), ..NewPassword::default() };
    let secret = place.azure.seed_password(&place.payments, soon).unwrap();
    assert_eq!(place.sign_in(&secret.value).await.status, 200);
    let end = Timestamp::now() - SignedDuration::from_secs(1);
    place.azure.edit_password(&place.payments, secret.key_id, |secret| secret.end = end).unwrap();
    refused(&place.sign_in(&secret.value).await, 401, "invalid_client", 7_000_222);
}

/// AZURE 4.3: 90002, 900023, 50059, 700016, 700038, 70003, 7000216, 1002012, 500011.
#[tokio::test]
async fn what_is_asked_wrongly_is_told_precisely() {
    let place = at_once().await;
    let (id, secret) = (place.payments.client_id, place.payments_secret.value.as_str());
    let good = form(id, secret, GRAPH_SCOPE);
    let to = |tenant: &str| format!("{LOGIN}/{tenant}/oauth2/v2.0/token");
    let unknown = Uuid::from_u128(7).to_string();
    refused(&place.post_form(&to(&unknown), &good).await, 400, "invalid_request", 90_002);
    refused(&place.post_form(&to("nowhere.example"), &good).await, 400, "invalid_request", 90_002);
    refused(&place.post_form(&to("contoso"), &good).await, 400, "invalid_request", 900_023);
    refused(&place.post_form(&to("common"), &good).await, 400, "invalid_request", 50_059);
    let url = place.token_url();
    let other = form(Uuid::from_u128(7), secret, GRAPH_SCOPE);
    refused(&place.post_form(&url, &other).await, 400, "unauthorized_client", 700_016);
    let named = good.replace(&id.to_string(), "payments");
    let reply = place.post_form(&url, &named).await;
    refused(&reply, 400, "unauthorized_client", 700_038);
    assert!(reply.json().get("error_uri").is_none(), "700038 comes without error_uri");
    let reply = place.post_form(&url, &good.replace("client_credentials", "password")).await;
    refused(&reply, 400, "unsupported_grant_type", 70_003);
    assert!(reply.json().get("error_uri").is_none(), "70003 comes without error_uri");
    refused(&place.post_form(&url, &form(id, "", GRAPH_SCOPE)).await, 401, "invalid_client", 7_000_216);
    let user = form(id, secret, "https://graph.microsoft.com/User.Read");
    refused(&place.post_form(&url, &user).await, 400, "invalid_scope", 1_002_012);
    let odd = form(id, secret, "https://example.com/.default");
    refused(&place.post_form(&url, &odd).await, 400, "invalid_resource", 500_011);
}

/// AZURE 4.3: 7000112, 7000229, 53003; and that the last says that the secret was right.
#[tokio::test]
async fn administrators_can_block_an_application() {
    let place = at_once().await;
    let (azure, payments, secret) = (&place.azure, &place.payments, &place.payments_secret.value);
    azure.edit_principal(payments, |principal| principal.blocked = true).unwrap();
    let reply = place.sign_in(secret).await;
    refused(&reply, 400, "invalid_grant", 53_003);
    assert!(reply.json()["claims"].as_str().unwrap().contains("capolids"));
    refused(&place.sign_in("wrong").await, 401, "invalid_client", 7_000_215);
    azure.edit_principal(payments, |principal| principal.enabled = false).unwrap();
    refused(&place.sign_in(secret).await, 400, "unauthorized_client", 7_000_112);
    azure.delete_principal(payments).unwrap();
    refused(&place.sign_in(secret).await, 401, "invalid_client", 7_000_229);
    azure.delete_application(payments).unwrap();
    refused(&place.sign_in(secret).await, 400, "unauthorized_client", 700_016);
}

/// AZURE 2: 429 with `Retry-After: 60`, in JSON or as plain text.
#[tokio::test]
async fn too_many_sign_ins_are_throttled_with_and_without_json() {
    let place = at_once().await;
    place.azure.set_limits(|limits| limits.sign_ins = Some(Limit::new(3, SignedDuration::from_mins(1))));
    let mut texts = vec![];
    for round in 0..23 {
        let reply = place.sign_in(&place.payments_secret.value).await;
        if round < 3 {
            assert_eq!(reply.status, 200);
        } else {
            assert_eq!((reply.status, reply.header("retry-after")), (429, "60"));
            texts.push(reply.text);
        }
    }
    let plain = texts.iter().filter(|text| *text == "Too Many Requests").count();
    assert!((1..texts.len()).contains(&plain), "{texts:?}");
}

/// AZURE 4.2: correlation IDs are the client's.
#[tokio::test]
async fn a_correlation_id_is_kept() {
    let place = at_once().await;
    let id = Uuid::from_u128(0x1234).to_string();
    let headers = [("client-request-id", id.as_str()), ("return-client-request-id", "true")];
    let body = form(place.payments.client_id, "wrong", GRAPH_SCOPE);
    let reply = place.client.send(Method::POST, &place.token_url(), &headers, &body).await;
    assert_eq!((reply.json()["correlation_id"].as_str(), reply.header("client-request-id")), (Some(&*id), &*id));
}

/// What SDKs ask first; AZURE 4.3: 90002, which says `invalid_tenant` here, and 50049.
#[tokio::test]
async fn discovery_tells_where_everything_is() {
    let place = at_once().await;
    let tenant = place.tenant;
    let get = async |path: &str| place.client.send(Method::GET, &format!("{LOGIN}{path}"), &[], "").await;
    let metadata = get(&format!("/{tenant}/v2.0/.well-known/openid-configuration")).await.json();
    assert_eq!(metadata["token_endpoint"], place.token_url());
    assert_eq!(metadata["issuer"], format!("{LOGIN}/{tenant}/v2.0"));
    let keys = metadata["jwks_uri"].as_str().unwrap().strip_prefix(LOGIN).unwrap();
    assert_eq!(get(keys).await.json()["keys"][0]["kty"], "RSA");
    let instance = get("/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.microsoftonline.com%2Fcommon%2Foauth2%2Fauthorize").await;
    assert_eq!(instance.json()["metadata"][0]["preferred_network"], "login.microsoftonline.com");
    let elsewhere = get("/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.example.com%2Fcommon%2Foauth2%2Fauthorize").await;
    refused(&elsewhere, 400, "invalid_instance", 50_049);
    let common = get("/common/v2.0/.well-known/openid-configuration").await.json();
    assert_eq!(common["issuer"], format!("{LOGIN}/{{tenantid}}/v2.0"));
    let unknown = get("/nowhere.example/v2.0/.well-known/openid-configuration").await;
    refused(&unknown, 400, "invalid_tenant", 90_002);
}
