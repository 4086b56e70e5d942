//! Who may do what (AZURE 6): roles of the vault and of one secret, access policies, and the time that grants take.

use hyper::Method;
use jiff::SignedDuration;
use keywright_sandbox::azure::{Access, Action, Grant, Lag, Role};
use serde_json::{Value, json};

use crate::client::Reply;
use crate::places::{Place, VAULT, at_once, refusal, refused};

async fn reading(place: &Place) -> Reply {
    place.ask_as(&place.reader, Method::GET, "/secrets/a", &Value::Null).await
}

async fn writing(place: &Place, name: &str) -> u16 {
    let body = json!({"value": "written"});
    place.ask_as(&place.reader, Method::PUT, &format!("/secrets/{name}"), &body).await.status
}

/// AZURE 6: `ForbiddenByRbac`, in its words, whether or not there is such a secret.
#[tokio::test]
async fn without_a_role_nothing_is_told() {
    let place = at_once().await;
    for _ in 0..2 {
        let reply = reading(&place).await;
        assert_eq!(refused(&reply), refusal(403, "Forbidden", "ForbiddenByRbac"));
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("Caller is not authorized to perform action on resource.\r\n"), "{message}");
        assert!(message.contains("\r\nAction: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\n"), "{message}");
        assert!(message.contains("\r\nAssignment: (not found)\r\n"), "{message}");
        assert!(message.contains(&format!("appid={}", place.reader.application.client_id)), "{message}");
        place.put("a", "value").await;
    }
}

/// AZURE 6: Secrets User reads and does not write; a Secrets Officer of one secret writes that one.
#[tokio::test]
async fn roles_allow_what_they_say() {
    let place = at_once().await;
    place.put("a", "value").await;
    let principal = place.reader.application.principal;
    place.azure.seed_grant(VAULT, Grant::role(principal, Role::SecretsUser, None)).unwrap();
    assert_eq!(reading(&place).await.json()["value"], "value");
    assert_eq!(writing(&place, "a").await, 403);
    place.azure.seed_grant(VAULT, Grant::role(principal, Role::SecretsOfficer, Some("a"))).unwrap();
    assert_eq!((writing(&place, "A").await, writing(&place, "b").await), (200, 403));
}

/// AZURE 3: a role change takes a while; until it is known everywhere some know and some do not.
#[tokio::test]
async fn a_role_is_known_in_time() {
    let place = at_once().await;
    place.put("a", "value").await;
    let lag = Lag { least: SignedDuration::from_millis(300), most: SignedDuration::from_millis(900) };
    place.azure.edit_vault(VAULT, |settings| settings.role_lag = lag).unwrap();
    let principal = place.reader.application.principal;
    place.azure.grant(VAULT, Grant::role(principal, Role::SecretsUser, None)).unwrap();
    assert_eq!(refused(&reading(&place).await), refusal(403, "Forbidden", "ForbiddenByRbac"));
    let mut in_a_row = 0;
    let all_known = async {
        while in_a_row < 20 {
            in_a_row = if reading(&place).await.status == 200 { in_a_row + 1 } else { 0 };
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), all_known).await.expect("known everywhere");
    place.azure.revoke(VAULT, principal).unwrap();
    assert_eq!(reading(&place).await.status, 200, "a revocation takes as long");
}

/// AZURE 6: `AccessDenied` or `ForbiddenByPolicy` in vaults with access policies, which are known at once.
#[tokio::test]
async fn access_policies_say_which_permission_is_missing() {
    let place = at_once().await;
    place.azure.edit_vault(VAULT, |settings| settings.access = Access::Policies).unwrap();
    place.put("a", "value").await;
    let mut inner = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let reply = reading(&place).await;
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("does not have secrets get permission on key vault 'kv-payments;"), "{message}");
        inner.insert(refused(&reply));
    }
    let both = ["AccessDenied", "ForbiddenByPolicy"].map(|inner| refusal(403, "Forbidden", inner));
    assert_eq!(inner, both.into());
    let principal = place.reader.application.principal;
    place.azure.grant(VAULT, Grant { principal, actions: vec![Action::Get], secret: None }).unwrap();
    assert_eq!(reading(&place).await.status, 200);
    assert_eq!(writing(&place, "a").await, 403);
}
