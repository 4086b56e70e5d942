//! The ledger of a real run: what the log of Azure makes of it. What pods add is tried beside the ledger itself.

use jiff::Timestamp;
use keywright_sandbox::Witnesses;
use keywright_sandbox::azure::SecretEdit;
use keywright_sandbox::ledger::Offence;
use keywright_sandbox::witness::Fingerprint;
use serde_json::json;

use crate::places::at_once;

#[tokio::test]
async fn what_was_done_through_graph_is_accounted_for() {
    let place = at_once().await;
    let ledger = || place.azure.ledger(place.tenant, &Witnesses::default()).unwrap();
    ledger().assert_clean().unwrap();

    let added = place.add("new").await;
    let secret = added["secretText"].as_str().unwrap();
    ledger().expect(&[Offence::Orphan]).unwrap();
    let published = || ledger().published(Fingerprint::of(secret), Timestamp::now());
    published().assert_clean().unwrap();

    let foreign = place.payments_secret.key_id;
    assert_eq!(place.act("removePassword", &json!({"keyId": foreign})).await.status, 204);
    published().expect(&[Offence::ForeignRemoved]).unwrap();
    published().allowing(foreign).assert_clean().unwrap();
    let verdict = published().verdict();
    assert_eq!(verdict.calls[&("graph".to_owned(), "addPassword".to_owned())], 1);
    assert_eq!(verdict.least_valid[&place.payments.client_id].count, 1);

    let body = format!("client_secret={}", secret.replace('~', "%7E"));
    assert_eq!(ledger().leaks([("a journal", body)]).len(), 1);
    let inspected = place.azure.inspect().to_string();
    assert!(inspected.contains(added["keyId"].as_str().unwrap()));
    assert!(ledger().leaks([("inspect", inspected)]).is_empty(), "to look at everything tells no secret");
}

#[tokio::test]
async fn what_is_stored_in_a_vault_is_published() {
    let place = at_once().await;
    let ledger = || place.azure.ledger(place.tenant, &Witnesses::default()).unwrap();
    let added = place.add("new").await;
    ledger().expect(&[Offence::Orphan]).unwrap();
    place.azure.seed_vault(place.tenant, "kv-ledger").unwrap();
    place.azure.put_secret("kv-ledger", "other", "something else", SecretEdit::default()).unwrap();
    ledger().expect(&[Offence::Orphan]).unwrap();
    let value = added["secretText"].as_str().unwrap();
    place.azure.put_secret("kv-ledger", "payments", value, SecretEdit::default()).unwrap();
    ledger().assert_clean().unwrap();
}
