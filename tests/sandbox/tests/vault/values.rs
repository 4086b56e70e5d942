//! Reading and writing (AZURE 6): versions, tags, attributes, and what blocks a read.

use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::places::{URL, at_once, refusal, refused, version};

/// AZURE 6: what a PUT is answered with, and that it always makes a new version.
#[tokio::test]
async fn every_put_makes_a_version() {
    let place = at_once().await;
    let body = json!({
        "value": "one",
        "contentType": "application/x-secret",
        "attributes": {"enabled": true, "nbf": 1_700_000_000, "exp": 1_702_592_000},
        "tags": {"clientId": "8f3c", "keyId": "7c1e"},
    });
    let begun = Timestamp::now().as_second();
    let reply = place.ask(Method::PUT, "/secrets/payments-api", &body).await;
    let first = reply.json();
    let id = version(&first);
    assert!(id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    assert_eq!(first["id"], format!("{URL}/secrets/payments-api/{id}"));
    let created = first["attributes"]["created"].as_i64().unwrap();
    assert!((begun..begun + 60).contains(&created));
    let mut expected = body.clone();
    expected["id"] = first["id"].clone();
    expected["attributes"]["created"] = created.into();
    expected["attributes"]["updated"] = created.into();
    expected["attributes"]["recoveryLevel"] = "Recoverable+Purgeable".into();
    expected["attributes"]["recoverableDays"] = 90.into();
    assert_eq!(first, expected);
    assert_eq!(reply.header("x-ms-keyvault-region"), "westeurope");

    let second = place.put("Payments-API", "one").await;
    assert_ne!(second, id, "the same value again is a new version");
    let latest = place.get("/secrets/payments-api").await.json();
    assert_eq!((version(&latest), latest["tags"].clone()), (second, json!({})), "nothing is taken over");
    assert_eq!(place.get(&format!("/secrets/payments-api/{id}")).await.json(), expected, "old versions stay");
    let missing = place.get("/secrets/payments-api/00000000000000000000000000000000").await;
    assert_eq!(refused(&missing), refusal(404, "SecretNotFound", ""));
}

/// AZURE 6: PATCH changes a version's tags and attributes, and never its value.
#[tokio::test]
async fn a_patch_changes_what_is_written_about_a_version() {
    let place = at_once().await;
    let (old, _) = (place.put("a", "old").await, place.put("a", "new").await);
    let change = json!({"value": "ignored", "tags": {"keyId": "7c1e"}, "contentType": "text/plain"});
    let patched = place.ask(Method::PATCH, &format!("/secrets/a/{old}"), &change).await.json();
    assert_eq!((version(&patched), &patched["tags"]["keyId"]), (old.clone(), &json!("7c1e")));
    assert_eq!(patched["value"], Value::Null, "no value in the answer");
    let read = place.get(&format!("/secrets/a/{old}")).await.json();
    assert_eq!((&read["value"], &read["contentType"]), (&json!("old"), &json!("text/plain")));
    assert_eq!(place.get("/secrets/a").await.json()["tags"], json!({}), "the other version is as it was");
}

/// AZURE 6: `enabled: false` blocks GET of that version, inner code `SecretDisabled`; nbf and exp block nothing.
#[tokio::test]
async fn a_disabled_version_cannot_be_read() {
    let place = at_once().await;
    let (old, new) = (place.put("a", "old").await, place.put("a", "new").await);
    let disable = json!({"attributes": {"enabled": false}});
    let path = format!("/secrets/a/{old}");
    assert_eq!(place.ask(Method::PATCH, &path, &disable).await.json()["attributes"]["enabled"], false);
    assert_eq!(refused(&place.get(&path).await), refusal(403, "Forbidden", "SecretDisabled"));
    assert_eq!(place.get("/secrets/a").await.json()["value"], "new");
    let past = json!({"attributes": {"nbf": 4_000_000_000_i64, "exp": 1}});
    place.ask(Method::PATCH, &format!("/secrets/a/{new}"), &past).await;
    assert_eq!(place.get("/secrets/a").await.json()["value"], "new");
    let listed = place.get("/secrets/a/versions").await;
    assert_eq!(listed.json()["value"].as_array().unwrap().len(), 2, "it is listed all the same");
    let enable = json!({"attributes": {"enabled": true}});
    place.ask(Method::PATCH, &path, &enable).await;
    assert_eq!(place.get(&path).await.json()["value"], "old");
}

#[tokio::test]
async fn every_change_is_in_the_log_without_values() {
    let place = at_once().await;
    let hidden = "abc8Q~hidden-hidden-hidden-hidden";
    let version = place.put("a", hidden).await;
    place.ask(Method::PATCH, &format!("/secrets/a/{version}"), &json!({"attributes": {"enabled": false}})).await;
    let changes = place.azure.secret_changes(place.tenant);
    let told = serde_json::to_value(&changes).unwrap();
    assert_eq!(told[0]["what"]["stored"]["version"], version);
    assert_eq!(told[0]["by"]["application"], place.operator.application.client_id.to_string());
    assert_eq!(told[1]["what"], json!({"edited": {"version": version, "enabled": false}}));
    for printed in [format!("{changes:?}"), told.to_string(), place.azure.inspect_vaults().to_string()] {
        assert!(printed.contains(&version) && !printed.contains("hidden"), "{printed}");
    }
    let journal = format!("{:?}", place.azure.journal().entries());
    assert!(journal.contains("/kv-payments/secrets/a") && !journal.contains("hidden"), "{journal}");
}
