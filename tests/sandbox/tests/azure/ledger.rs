//! The ledger of a real run: what the log of Azure makes of it. What pods add is tried beside the ledger itself.

use hyper::Method;
use jiff::Timestamp;
use keywright_sandbox::Witnesses;
use keywright_sandbox::azure::{NewFederated, SecretEdit};
use keywright_sandbox::ledger::Offence;
use keywright_sandbox::witness::Fingerprint;
use serde_json::{Value, json};

use crate::certificates::{made, new};
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

/// Federated credentials are accounted for by their marks, which are in their descriptions.
#[tokio::test]
async fn what_was_federated_through_graph_is_accounted_for() {
    let place = at_once().await;
    let ledger = || place.azure.ledger(place.tenant, &Witnesses::default()).unwrap();
    let mut wanted = crate::federated::wanted("web");
    wanted["description"] = "kw1:abcdefghijklmnop.1.abcdefghijkl2345 shop/payments".into();
    assert_eq!(place.create(&wanted).await.status, 201);
    ledger().expect(&[Offence::Orphan]).unwrap();
    let [issuer, subject] = ["issuer", "subject"].map(|part| wanted[part].as_str().unwrap());
    let identity =
        Fingerprint::of_federated(&place.payments.client_id.to_string(), issuer, subject, "api://AzureADTokenExchange");
    let published = || ledger().published(identity, Timestamp::now());
    published().assert_clean().unwrap();
    let foreign = NewFederated {
        name: "foreign".into(),
        issuer: "https://issuer.example".into(),
        subject: Some("somebody".into()),
        ..NewFederated::default()
    };
    let foreign = place.azure.seed_federated(&place.payments, foreign).unwrap().id;
    place.federated(Method::PATCH, "/foreign", &json!({"subject": "another"})).await;
    published().expect(&[Offence::ForeignRemoved]).unwrap();
    place.federated(Method::DELETE, "/foreign", &Value::Null).await;
    published().allowing(foreign).assert_clean().unwrap();
}

/// What vanishes from a list that we write is removed by us; what a tool of somebody else loses is not.
#[tokio::test]
async fn what_was_certified_through_graph_is_accounted_for() {
    let place = at_once().await;
    let ledger = || place.azure.ledger(place.tenant, &Witnesses::default()).unwrap();
    let (ours, theirs) = (made(), made());
    let foreign = place.azure.seed_certificate(&place.payments, theirs.entry("theirs")).unwrap().key_id;
    let read = place.certificates().await;
    let draft = place.azure.draft_certificates(&place.payments).unwrap();
    let mark = "kw1:abcdefghijklmnop.1.abcdefghijkl2345 shop/payments";
    let list = [read[0].clone(), new(&ours, mark)];
    assert_eq!(place.certify(&list).await.status, 204);
    ledger().expect(&[Offence::Orphan]).unwrap();
    place.azure.seed_vault(place.tenant, "kv-certificates").unwrap();
    let bundle = format!("{}{}", ours.key_pem(), ours.pem());
    place.azure.put_secret("kv-certificates", "payments", &bundle, SecretEdit::default()).unwrap();
    ledger().assert_clean().unwrap();
    draft.write().await.unwrap();
    ledger().assert_clean().unwrap();
    assert_eq!(place.certify(&[new(&ours, mark)]).await.status, 204);
    ledger().expect(&[Offence::ForeignRemoved]).unwrap();
    ledger().allowing(foreign).assert_clean().unwrap();
}
