//! Weather on purpose, at Azure's services: on both sides of the effect.

use std::time::Duration;

use keywright_sandbox::Rule;
use keywright_sandbox::azure::{GRAPH, TOKEN};
use keywright_sandbox::faults::Action;
use serde_json::Value;

use crate::places::{GRAPH_SCOPE, Place, at_once, form};

const ADD: &str = "/v1.0/applications/*/addPassword";

fn count(place: &Place) -> usize {
    place.azure.passwords(&place.payments).unwrap().len()
}

/// Adds a secret on a connection that may be cut.
async fn add(place: &Place) -> anyhow::Result<crate::client::Reply> {
    let bearer = place.bearer().await;
    let url = format!("https://graph.microsoft.com/v1.0/applications/{}/addPassword", place.payments.object_id);
    place.client.try_send(hyper::Method::POST, &url, &[("authorization", &bearer)], "").await
}

#[tokio::test]
async fn a_cut_comes_before_or_after_the_effect() {
    let place = at_once().await;
    let cut = place.azure.faults().add(Rule::at(GRAPH, "addPassword", ADD).nth(1).cut_before());
    add(&place).await.err().expect("cut before");
    assert_eq!((count(&place), cut.applied()), (1, 1));
    cut.lift();
    let cut = place.azure.faults().add(Rule::at(GRAPH, "addPassword", ADD).nth(1).cut_after());
    add(&place).await.err().expect("cut after");
    assert_eq!((count(&place), cut.applied()), (2, 1), "a lost answer leaves an orphan (AZURE 1.2)");
    cut.lift();
    place.azure.faults().add(Rule::at(GRAPH, "addPassword", ADD).nth(1).truncate(20));
    add(&place).await.err().expect("truncated");
    assert_eq!(count(&place), 3);
}

#[tokio::test]
async fn answers_are_made_up_in_the_services_own_form() {
    let place = at_once().await;
    let wait = Duration::from_secs(7);
    place.azure.faults().add(Rule::at(GRAPH, "*", "**").nth(1).throttle(429, wait));
    let throttled = add(&place).await.unwrap();
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "7"));
    assert_eq!(throttled.json()["error"]["innerError"]["request-id"], throttled.header("request-id"));
    place.azure.faults().add(Rule::at(TOKEN, "signIn", "**").nth(1).answer(503));
    let form = form(place.payments.client_id, &place.payments_secret.value, GRAPH_SCOPE);
    let down = place.post_form(&place.token_url(), &form).await;
    assert_eq!((down.status, down.code().as_str()), (503, "90033"));
    let plain = Action::Answer { status: 429, retry_after: None, body: Some("Too Many Requests".into()) };
    place.azure.faults().add(Rule::at(TOKEN, "signIn", "**").nth(1).then(plain));
    let plain = place.post_form(&place.token_url(), &form).await;
    assert_eq!((plain.header("content-type"), plain.text.as_str()), ("text/plain", "Too Many Requests"));
    assert_eq!(place.azure.journal().count(|entry| entry.fault.is_some()), 3);
}

/// AZURE 1.1 and 4.2: every answer carries the client's own ID, also one that a fault makes up.
#[tokio::test]
async fn made_up_answers_echo_the_clients_id() {
    let place = at_once().await;
    place.azure.faults().add(Rule::at("*", "*", "**").answer(503));
    let id = uuid::Uuid::from_u128(0x1234).to_string();
    let headers = [("client-request-id", id.as_str()), ("return-client-request-id", "true")];
    let form = form(place.payments.client_id, "any", GRAPH_SCOPE);
    let token = place.client.send(hyper::Method::POST, &place.token_url(), &headers, &form).await;
    assert_eq!((token.json()["correlation_id"].as_str(), token.header("client-request-id")), (Some(&*id), &*id));
    let url = "https://graph.microsoft.com/v1.0/applications";
    let graph = place.client.send(hyper::Method::GET, url, &headers[..1], "").await;
    let told = &graph.json()["error"]["innerError"]["client-request-id"];
    assert_eq!((told.as_str(), graph.header("client-request-id")), (Some(&*id), &*id));
    assert_ne!(graph.header("request-id"), id);
}

#[tokio::test]
async fn a_hang_has_no_effect_and_a_delay_has_it_late() {
    let place = at_once().await;
    place.azure.faults().add(Rule::at(GRAPH, "addPassword", "**").nth(1).hang());
    tokio::time::timeout(Duration::from_millis(300), add(&place)).await.err().expect("it hangs");
    assert_eq!(count(&place), 1);
    place.azure.faults().add(Rule::at(GRAPH, "addPassword", "**").nth(1).delay(Duration::from_millis(50)));
    assert_eq!(add(&place).await.unwrap().json()["displayName"], Value::Null);
    assert_eq!(count(&place), 2);
}
