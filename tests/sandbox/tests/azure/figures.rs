//! How much the stand-in answers on loopback, for whoever asks with --nocapture.

use std::time::Instant;

use hyper::Method;
use jiff::SignedDuration;
use keywright_sandbox::azure::Limit;

use crate::places::{GRAPH, GRAPH_SCOPE, at_once, form};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_much_it_answers_is_told() {
    let place = at_once().await;
    let plenty = Limit::new(1_000_000, SignedDuration::from_secs(10));
    place.azure.set_limits(|limits| (limits.units, limits.writes, limits.tenant_writes) = (plenty, plenty, plenty));
    let url = place.token_url();
    let form = form(place.payments.client_id, &place.payments_secret.value, GRAPH_SCOPE);
    let rounds = 300;

    let mut kept = place.client.connect(&url).await.unwrap();
    let begun = Instant::now();
    for _ in 0..rounds {
        assert_eq!(kept.send(Method::POST, &url, &[], &form).await.unwrap().status, 200);
    }
    let (took, each) = (begun.elapsed(), begun.elapsed() / rounds);
    println!("sign-ins on one connection: {:.0} a second, {each:?} each", f64::from(rounds) / took.as_secs_f64());

    let begun = Instant::now();
    for _ in 0..rounds {
        assert_eq!(place.sign_in(&place.payments_secret.value).await.status, 200);
    }
    let (took, each) = (begun.elapsed(), begun.elapsed() / rounds);
    println!("sign-ins on fresh connections: {:.0} a second, {each:?} each", f64::from(rounds) / took.as_secs_f64());

    let bearer = place.bearer().await;
    let url = format!("{GRAPH}/applications/{}/addPassword", place.payments.object_id);
    let mut kept = place.client.connect(&url).await.unwrap();
    let begun = Instant::now();
    for _ in 0..rounds {
        let added = kept.send(Method::POST, &url, &[("authorization", &bearer)], "{}").await.unwrap();
        assert_eq!(added.status, 200, "{}", added.text);
    }
    let (took, each) = (begun.elapsed(), begun.elapsed() / rounds);
    println!("addPassword on one connection: {:.0} a second, {each:?} each", f64::from(rounds) / took.as_secs_f64());
}
