//! Lists (AZURE 6): pages, without values.

use std::collections::BTreeSet;

use hyper::Method;
use serde_json::Value;

use crate::places::{Place, URL, at_once, refusal, refused};

/// Follows a list to its end: every ID in it, and how many pages it took.
async fn all(place: &Place, path: &str) -> (BTreeSet<String>, usize) {
    let (mut ids, mut pages, mut next) = (BTreeSet::new(), 0, Some(path.to_owned()));
    while let Some(path) = next {
        let page = place.get(&path).await.json();
        for item in page["value"].as_array().unwrap() {
            assert_eq!(item["value"], Value::Null, "values are not in lists");
            assert!(item["attributes"]["enabled"].is_boolean(), "{item}");
            assert!(ids.insert(item["id"].as_str().unwrap().to_owned()), "{item} twice");
        }
        next = page["nextLink"].as_str().map(str::to_owned);
        pages += 1;
    }
    (ids, pages)
}

#[tokio::test]
async fn secrets_come_in_pages() {
    let place = at_once().await;
    for number in 0..30 {
        place.put(&format!("secret-{number}"), "value").await;
    }
    let (ids, pages) = all(&place, "/secrets").await;
    assert_eq!((ids.len(), pages), (30, 2), "25 on a page");
    assert!(ids.contains(&format!("{URL}/secrets/secret-7")), "without a version");
    assert_eq!(
        all(&place, "/secrets?maxresults=10").await.1,
        4,
        "a full page is followed by one, if only by an empty one"
    );
    for wrong in ["0", "26", "many"] {
        let reply = place.get(&format!("/secrets?maxresults={wrong}")).await;
        assert_eq!(refused(&reply), refusal(400, "BadParameter", ""), "{wrong}");
    }
}

#[tokio::test]
async fn versions_come_in_pages_and_in_no_order_of_time() {
    let place = at_once().await;
    let mut put = vec![];
    for number in 0..7 {
        put.push(format!("{URL}/secrets/a/{}", place.put("a", &format!("value {number}")).await));
    }
    let (ids, pages) = all(&place, "/secrets/a/versions?maxresults=3").await;
    assert_eq!((&ids, pages), (&put.iter().cloned().collect(), 3));
    assert!(!put.is_sorted(), "the latest is not the last");
    assert_eq!(place.get("/secrets/b/versions").await.status, 404);
}

#[tokio::test]
async fn deleted_secrets_are_in_a_list_of_their_own() {
    let place = at_once().await;
    for name in ["a", "b", "c"] {
        place.put(name, "value").await;
    }
    place.ask(Method::DELETE, "/secrets/b", &Value::Null).await;
    assert_eq!(all(&place, "/secrets").await.0.len(), 2);
    let listed = place.get("/deletedsecrets").await.json();
    assert_eq!(listed["value"].as_array().unwrap().len(), 1);
    assert_eq!(listed["value"][0]["recoveryId"], format!("{URL}/deletedsecrets/b"));
}
