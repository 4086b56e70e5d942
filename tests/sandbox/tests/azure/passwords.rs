//! addPassword and removePassword, who may use them, and what forbids them (AZURE 1).

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::azure::{Audience, Limit, Options, Policies};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::places::{GRAPH, at_once, form, place};

/// AZURE 1.2: the value is in this answer only; hint, keyId, times.
#[tokio::test]
async fn a_secret_is_told_once() {
    let place = at_once().await;
    let added = place.add("kw1:abc").await;
    let (value, key_id) = (added["secretText"].as_str().unwrap(), added["keyId"].as_str().unwrap());
    assert_eq!((&value[..3], value.len()), (added["hint"].as_str().unwrap(), 40));
    assert_eq!(added["displayName"], "kw1:abc");
    let time = |name: &str| added[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(time("endDateTime").duration_since(time("startDateTime")).as_hours(), 730 * 24, "two years");
    let read = place.get(&format!("/applications/{}?$select=id,passwordCredentials", place.payments.object_id)).await;
    assert!(!read.text.contains(value), "{}", read.text);
    let read = read.json();
    let listed = read["passwordCredentials"].as_array().unwrap();
    let found = listed.iter().find(|one| one["keyId"] == key_id).expect("it is listed");
    assert_eq!((&found["secretText"], &found["hint"]), (&Value::Null, &added["hint"]));
    assert_eq!(place.sign_in(value).await.status, 200);
    let gone = place.act("removePassword", &json!({"keyId": key_id})).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_eq!(place.sign_in(value).await.code(), "7000215");
}

/// AZURE 1.2: both parts of the body are optional; times may be given, a value may not.
#[tokio::test]
async fn what_may_be_wanted_of_a_secret() {
    let place = at_once().await;
    for body in [Value::Null, json!({}), json!({"passwordCredential": null}), json!({"passwordCredential": {}})] {
        assert_eq!(place.act("addPassword", &body).await.status, 200, "{body}");
    }
    let wanted = |wanted: Value| json!({"passwordCredential": wanted});
    let added = place.act("addPassword", &wanted(json!({"endDateTime": "2099-12-01T00:00:00Z"}))).await;
    assert_eq!(added.json()["endDateTime"], "2099-12-01T00:00:00Z");
    for odd in [
        json!({"endDateTime": "2019-12-01T00:00:00Z"}),
        json!({"endDateTime": "tomorrow"}),
        json!({"secretText": "of my own"}),
        json!({"displayName": 1}),
    ] {
        let refused = place.act("addPassword", &wanted(odd)).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "Request_BadRequest"));
    }
    let unknown = place.act("removePassword", &json!({"keyId": Uuid::from_u128(7)})).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "Request_BadRequest"), "{}", unknown.text);
    assert_eq!(place.act("removePassword", &json!({})).await.status, 400);
    let elsewhere = format!("/applications/{}/addPassword", Uuid::from_u128(7));
    let missing = place.graph(Method::POST, &elsewhere, &Value::Null).await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "Request_ResourceNotFound"));
}

/// AZURE 1.2: PATCH does not touch secrets.
#[tokio::test]
async fn patch_writes_other_things_only() {
    let place = at_once().await;
    let path = format!("/applications(appId='{}')", place.payments.client_id);
    let patched = place.graph(Method::PATCH, &path, &json!({"displayName": "payments 2", "notes": "hello"})).await;
    assert_eq!(patched.status, 204);
    let read = place.get(&path).await.json();
    assert_eq!((&read["displayName"], &read["notes"]), (&"payments 2".into(), &"hello".into()));
    for odd in [json!({"passwordCredentials": []}), json!({"appId": "8f3c"})] {
        assert_eq!(place.graph(Method::PATCH, &path, &odd).await.status, 400);
    }
}

/// AZURE 1.1: `OwnedBy` lists everything and writes what it owns; without a permission one reads oneself only.
#[tokio::test]
async fn permissions_are_those_of_graph() {
    let place = at_once().await;
    let path = format!("/applications/{}", place.operator.object_id);
    assert_eq!(place.get("/applications").await.status, 200);
    assert_eq!(place.get(&path).await.status, 200);
    let refused = place.graph(Method::POST, &format!("{path}/addPassword"), &Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "Authorization_RequestDenied"));
    let error = &refused.json()["error"];
    assert_eq!(error["message"], "Insufficient privileges to complete the operation.");
    assert_eq!(error["innerError"]["request-id"], refused.header("request-id"));

    let all = "Application.ReadWrite.All".to_owned();
    place.azure.edit_principal(&place.operator, |principal| principal.roles = vec![all]).unwrap();
    assert_eq!(place.graph(Method::POST, &format!("{path}/addPassword"), &Value::Null).await.status, 200);

    place.azure.edit_principal(&place.operator, |principal| principal.roles.clear()).unwrap();
    assert_eq!(place.get("/applications").await.status, 403);
    assert_eq!(place.get(&path).await.status, 200, "an application may read itself");
    assert_eq!(place.act("addPassword", &Value::Null).await.status, 403);
}

/// AZURE 1.1: whoever has no good token is nobody.
#[tokio::test]
async fn bearer_tokens_are_really_checked() {
    let place = at_once().await;
    let url = format!("{GRAPH}/applications");
    let form = form(place.operator.client_id, &place.operators_secret.value, "https://vault.azure.net/.default");
    let vault = place.post_form(&place.token_url(), &form).await.json()["access_token"].as_str().unwrap().to_owned();
    let good = place.bearer().await;
    let changed = format!("{}x", &good[..good.len() - 1]);
    for odd in ["", "Bearer ", "Bearer a.b.c", &format!("Bearer {vault}"), &changed] {
        let headers = if odd.is_empty() { vec![] } else { vec![("authorization", odd)] };
        let refused = place.client.send(Method::GET, &url, &headers, "").await;
        assert_eq!((refused.status, refused.code().as_str()), (401, "InvalidAuthenticationToken"), "{odd}");
        assert!(refused.header("www-authenticate").starts_with("Bearer "));
    }
    assert_eq!(place.sign_in(&place.payments_secret.value).await.status, 200);
}

/// AZURE 1.2: two secrets where personal accounts sign in; AZURE 2: and sixty writes a minute.
#[tokio::test]
async fn applications_for_personal_accounts_are_narrow() {
    let place = at_once().await;
    let personal = |application: &mut keywright_sandbox::azure::Application| {
        application.audience = Audience::OrgsAndPersonal;
    };
    place.azure.edit_application(&place.payments, personal).unwrap();
    place.add("second").await;
    let third = place.act("addPassword", &Value::Null).await;
    assert_eq!((third.status, third.code().as_str()), (400, "TooManyAppPasswords"), "{}", third.text);
    place.azure.set_limits(|limits| limits.personal_writes = Limit::new(3, SignedDuration::from_mins(1)));
    assert_eq!(place.act("addPassword", &Value::Null).await.status, 400);
    assert_eq!(place.act("addPassword", &Value::Null).await.status, 429, "refused ones count");
}

/// AZURE 1.8.
#[tokio::test]
async fn policies_of_the_tenant_forbid_secrets() {
    let place = at_once().await;
    let life = SignedDuration::from_hours(24 * 90);
    place.azure.set_policies(place.tenant, Policies { longest_life: Some(life), ..Policies::default() }).unwrap();
    let refused = place.act("addPassword", &Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "CredentialInvalidLifetimeAsPerAppPolicy"));
    let end = Timestamp::now() + life - SignedDuration::from_mins(1);
    let short = json!({"passwordCredential": {"endDateTime": end.to_string()}});
    assert_eq!(place.act("addPassword", &short).await.status, 200);
    place.azure.set_policies(place.tenant, Policies { passwords_banned: true, ..Policies::default() }).unwrap();
    let refused = place.act("addPassword", &short).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "CredentialTypeNotAllowedAsPerAppPolicy"));
    assert_eq!(place.sign_in(&place.payments_secret.value).await.status, 200, "what exists keeps working");
}

/// AZURE 2: writes are counted per application and tenant, and the answer says for how long to stay away.
#[tokio::test]
async fn writes_beyond_the_limit_are_throttled() {
    let place = at_once().await;
    place.azure.set_limits(|limits| limits.writes = Limit::new(2, SignedDuration::from_secs(150)));
    assert_eq!(place.act("addPassword", &Value::Null).await.header("x-ms-resource-unit"), "1");
    assert_eq!(place.act("addPassword", &Value::Null).await.header("x-ms-throttle-limit-percentage"), "1.0");
    let refused = place.act("addPassword", &Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "TooManyRequests"));
    assert!((140..=150).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    let scope = format!("Tenant_Application/Write/{}/{}", place.operator.client_id, place.tenant);
    assert_eq!(refused.header("x-ms-throttle-scope"), scope);
    assert_eq!(refused.header("x-ms-throttle-information"), "WriteLimitExceeded");
    assert_eq!(place.get("/applications").await.status, 200, "reads have another limit");
}

/// AZURE 1.2: removePassword right after addPassword.
#[tokio::test]
async fn writes_that_follow_each_other_at_once_conflict() {
    let place = place(Options { scale: 0.0, ..Options::default() }, "Application.ReadWrite.OwnedBy").await;
    let window = SignedDuration::from_mins(5);
    place.azure.set_weather(place.tenant, |weather| weather.write_window = window).unwrap();
    let added = place.add("new").await;
    let refused = place.act("removePassword", &json!({"keyId": added["keyId"]})).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "Directory_ConcurrencyViolation"));
    place.azure.set_weather(place.tenant, |weather| weather.write_window = SignedDuration::ZERO).unwrap();
    assert_eq!(place.act("removePassword", &json!({"keyId": added["keyId"]})).await.status, 204);
}
