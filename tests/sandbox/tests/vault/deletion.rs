//! The way of a deleted secret (AZURE 6): deletion, recovery and purge, each of which takes a while.

use hyper::Method;
use jiff::SignedDuration;
use keywright_sandbox::azure::Lag;
use serde_json::{Value, json};

use crate::places::{Place, URL, VAULT, at_once, refusal, refused};

const LONG: Lag = Lag { least: SignedDuration::from_hours(1), most: SignedDuration::from_hours(1) };

async fn delete(place: &Place) -> Value {
    place.ask(Method::DELETE, "/secrets/a", &Value::Null).await.json()
}

async fn put(place: &Place) -> (u16, String, String) {
    refused(&place.ask(Method::PUT, "/secrets/a", &json!({"value": "again"})).await)
}

/// AZURE 6: PUT on a soft-deleted name is a conflict; the secret can be recovered with all versions, or purged.
#[tokio::test]
async fn a_deleted_name_is_taken_until_it_is_recovered_or_purged() {
    let place = at_once().await;
    let (first, _) = (place.put("a", "one").await, place.put("a", "two").await);
    let deleted = delete(&place).await;
    assert_eq!(deleted["recoveryId"], format!("{URL}/deletedsecrets/a"));
    let (date, purge) = (deleted["deletedDate"].as_i64().unwrap(), deleted["scheduledPurgeDate"].as_i64().unwrap());
    assert_eq!(purge - date, 90 * 24 * 60 * 60);
    assert_eq!(deleted["value"], Value::Null);
    assert_eq!(refused(&place.get("/secrets/a").await), refusal(404, "SecretNotFound", ""));
    assert_eq!(place.get("/deletedsecrets/a").await.json(), deleted);
    let reply = place.ask(Method::PUT, "/secrets/a", &json!({"value": "again"})).await;
    assert_eq!(refused(&reply), refusal(409, "Conflict", "ObjectIsDeletedButRecoverable"));
    let told = "Secret a is currently in a deleted but recoverable state, and its name cannot be reused; in this \
                state, the secret can only be recovered or purged.";
    assert_eq!(reply.json()["error"]["message"], told);

    let recovered = place.ask(Method::POST, "/deletedsecrets/a/recover", &Value::Null).await;
    assert_eq!(recovered.status, 200, "{}", recovered.text);
    assert_eq!(place.get("/secrets/a").await.json()["value"], "two");
    assert_eq!(place.get(&format!("/secrets/a/{first}")).await.json()["value"], "one");
    assert_eq!(place.get("/deletedsecrets/a").await.status, 404);

    delete(&place).await;
    assert_eq!(place.ask(Method::DELETE, "/deletedsecrets/a", &Value::Null).await.status, 204);
    assert_eq!(place.get("/deletedsecrets/a").await.status, 404);
    place.put("a", "new").await;
    assert_eq!(place.get("/secrets/a/versions").await.json()["value"].as_array().unwrap().len(), 1);
}

/// AZURE 6: while deletion is in progress the inner code is `ObjectIsBeingDeleted`; it is not among the deleted yet.
#[tokio::test]
async fn a_deletion_in_progress_blocks_everything() {
    let place = at_once().await;
    place.put("a", "one").await;
    place.azure.edit_vault(VAULT, |settings| settings.deletion_lag = LONG).unwrap();
    delete(&place).await;
    assert_eq!(place.get("/secrets/a").await.status, 404);
    assert_eq!(place.get("/deletedsecrets/a").await.status, 404);
    let being_deleted = refusal(409, "Conflict", "ObjectIsBeingDeleted");
    assert_eq!(put(&place).await, being_deleted);
    let recover = place.ask(Method::POST, "/deletedsecrets/a/recover", &Value::Null).await;
    assert_eq!(refused(&recover), being_deleted);
}

/// AZURE 6: after a recovery the inner code is `ObjectIsBeingRecovered` for some seconds, also once it can be read.
#[tokio::test]
async fn a_recovery_in_progress_blocks_writes_longer_than_reads() {
    let place = at_once().await;
    place.put("a", "one").await;
    delete(&place).await;
    let lag = Lag { least: SignedDuration::ZERO, ..LONG };
    place.azure.edit_vault(VAULT, |settings| settings.recovery_lag = lag).unwrap();
    place.ask(Method::POST, "/deletedsecrets/a/recover", &Value::Null).await;
    assert_eq!(place.get("/secrets/a").await.json()["value"], "one");
    assert_eq!(put(&place).await, refusal(409, "Conflict", "ObjectIsBeingRecovered"));
}

/// AZURE 6, recovery levels: with purge protection nobody purges.
#[tokio::test]
async fn what_is_protected_cannot_be_purged() {
    let place = at_once().await;
    place.put("a", "one").await;
    place.azure.edit_vault(VAULT, |settings| settings.purge_protected = true).unwrap();
    assert_eq!(delete(&place).await["attributes"]["recoveryLevel"], "Recoverable");
    let purge = place.ask(Method::DELETE, "/deletedsecrets/a", &Value::Null).await;
    assert_eq!(refused(&purge), refusal(403, "Forbidden", ""));
    assert_eq!(place.get("/deletedsecrets/a").await.status, 200);
}
