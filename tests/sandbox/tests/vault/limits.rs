//! What does not fit, and what is too much (AZURE 2, 6).

use hyper::Method;
use jiff::SignedDuration;
use keywright_sandbox::azure::Limit;
use serde_json::{Map, Value, json};

use crate::places::{VAULT, at_once, refusal, refused};

fn tags(count: usize, length: usize) -> Map<String, Value> {
    (0..count).map(|number| (format!("{number:0>length$}"), "v".repeat(length).into())).collect()
}

/// AZURE 6: 25 KB, 15 tags of 512 and 512 (256 in older documents), 255 for the content type, names of 1 to 127.
#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let place = at_once().await;
    let bad = refusal(400, "BadParameter", "");
    for (body, fits) in [
        (json!({"value": "v".repeat(25_600)}), true),
        (json!({"value": "v".repeat(25_601)}), false),
        (json!({"value": "v", "tags": tags(15, 512)}), true),
        (json!({"value": "v", "tags": tags(16, 3)}), false),
        (json!({"value": "v", "tags": tags(1, 513)}), false),
        (json!({"value": "v", "contentType": "c".repeat(256)}), false),
        (json!({"tags": {}}), false),
        (json!({"value": 7}), false),
    ] {
        let reply = place.ask(Method::PUT, "/secrets/a", &body).await;
        assert!(if fits { reply.status == 200 } else { refused(&reply) == bad }, "{}", reply.text);
    }
    place.azure.edit_vault(VAULT, |settings| settings.longest_tag = 256).unwrap();
    let reply = place.ask(Method::PATCH, "/secrets/a", &json!({"tags": tags(1, 257)})).await;
    assert_eq!(refused(&reply), bad);
    for name in ["a_b", "a.b", "%C3%A4", &"n".repeat(128)] {
        let reply = place.ask(Method::PUT, &format!("/secrets/{name}"), &json!({"value": "v"})).await;
        assert_eq!(refused(&reply), bad, "{name}");
        assert!(reply.text.contains("The request URI contains an invalid name: "), "{}", reply.text);
    }
    assert_eq!(
        place.ask(Method::PUT, &format!("/secrets/{}", "n".repeat(127)), &json!({"value": "v"})).await.status,
        200
    );
}

/// AZURE 2: new versions and other requests are counted apart, per vault; 429 has no Retry-After, and does not count.
#[tokio::test]
async fn too_much_is_throttled() {
    let place = at_once().await;
    place.azure.seed_vault(place.tenant, "kv-other").unwrap();
    let window = SignedDuration::from_mins(10);
    place
        .azure
        .edit_vault(VAULT, |settings| {
            (settings.creates, settings.others) = (Limit::new(2, window), Limit::new(3, window));
        })
        .unwrap();
    place.put("a", "one").await;
    place.put("a", "two").await;
    let throttled = place.ask(Method::PUT, "/secrets/a", &json!({"value": "three"})).await;
    assert_eq!(refused(&throttled), refusal(429, "Throttled", ""));
    assert!(throttled.text.contains("Reason: VaultRequestTypeLimitReached"), "{}", throttled.text);
    assert!(!throttled.headers.contains_key("retry-after"));
    for _ in 0..3 {
        assert_eq!(place.get("/secrets/a").await.json()["value"], "two");
    }
    assert_eq!(place.get("/secrets/a").await.status, 429);
    let other = place.get("https://kv-other.vault.azure.net/secrets/a?api-version=7.6").await;
    assert_eq!(other.status, 403, "other vaults are not held back");
}
