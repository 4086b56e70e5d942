//! Delta queries over applications (AZURE 1.6).

use keywright_sandbox::azure::{NewPassword, Options};
use serde_json::Value;

use crate::places::{Place, at_once, place};

const START: &str = "/applications/delta?$select=id,passwordCredentials";

async fn watcher() -> Place {
    place(Options { scale: 0.0, ..Options::default() }, "Application.ReadWrite.All").await
}

async fn round(place: &Place, link: &str) -> (Vec<Value>, String) {
    let (mut seen, mut link) = (vec![], link.to_owned());
    loop {
        let page = place.get(&link).await.json();
        seen.extend(page["value"].as_array().unwrap_or_else(|| panic!("{page}")).clone());
        match (page["@odata.nextLink"].as_str(), page["@odata.deltaLink"].as_str()) {
            (Some(next), None) => next.clone_into(&mut link),
            (None, Some(delta)) => return (seen, delta.to_owned()),
            _ => panic!("{page}"),
        }
    }
}

/// AZURE 1.6: everything, then changes only, then what is gone.
#[tokio::test]
async fn a_delta_tells_what_has_changed_since() {
    let place = watcher().await;
    let (all, link) = round(&place, START).await;
    assert_eq!(all.len(), 2);
    let (none, link) = round(&place, &link).await;
    assert!(none.is_empty(), "{none:?}");
    place.azure.seed_password(&place.payments, NewPassword::default()).unwrap();
    let (changed, link) = round(&place, &link).await;
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0]["passwordCredentials"].as_array().unwrap().len(), 2);
    assert_eq!(changed[0].as_object().unwrap().len(), 2, "the selection is remembered: {changed:?}");
    place.azure.delete_application(&place.payments).unwrap();
    let (gone, _) = round(&place, &link).await;
    assert_eq!(gone[0]["@removed"]["reason"], "changed");
}

/// AZURE 1.6: `$deltatoken=latest`, and 410 for tokens that are too old.
#[tokio::test]
async fn a_token_can_be_had_for_nothing_and_grows_old() {
    let place = watcher().await;
    let (none, link) = round(&place, &format!("{START}&$deltatoken=latest")).await;
    assert!(none.is_empty());
    place.azure.expire_delta_tokens(place.tenant).unwrap();
    let old = place.get(&link).await;
    assert_eq!((old.status, old.code().as_str()), (410, "syncStateNotFound"));
    assert!(old.header("location").ends_with("/applications/delta"));
    assert_eq!(place.get("/applications/delta?$deltatoken=nonsense").await.status, 400);
}

/// AZURE 1.1: the permissions of the older page.
#[tokio::test]
async fn owning_is_not_enough_for_deltas() {
    assert_eq!(at_once().await.get(START).await.status, 403);
}
