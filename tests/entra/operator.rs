//! How the operator itself signs in, and what is told when it cannot.

use std::time::{Duration, Instant};

use futures::future::join_all;
use keywright::{
    api::{ClientId, Reason},
    entra::Identity,
    facts::{Effect, Service},
    wire::{InTime, Patience, Settings},
};
use keywright_sandbox::{
    Rule,
    azure::{GRAPH, NewPassword, SelfSigned, TOKEN},
    faults::{Action, Point},
};

use crate::place::{OWNED, Place, in_ninety_days, refused};

fn sign_ins() -> Point {
    Rule::at(TOKEN, "signIn", "**")
}

#[tokio::test]
async fn a_wrong_secret_is_told_with_entras_code_and_ids() {
    let place = Place::new(OWNED).await;
    let directory = place.signing_in_by(place.identity_with("abc8Q~wrong")).unwrap();
    let trouble = refused(place.mint(&directory).await);
    assert_eq!((trouble.reason, trouble.effect), (Reason::OperatorCannotSignIn, Effect::NotSent));
    assert_eq!((trouble.service, trouble.code.as_deref()), (Service::Token, Some("AADSTS7000215")));
    let refused = &place.azure.refused_sign_ins()[0];
    assert_eq!(trouble.trace_id, Some(refused.trace_id.to_string()));
    assert!(trouble.correlation_id.is_some() && trouble.at.is_some());
    assert!(trouble.remedy.contains(&place.operator.client_id.to_string()), "{}", trouble.remedy);
    assert!(!format!("{trouble:?} {directory:?}").contains("abc8Q~wrong"));
    assert_eq!(place.calls("addPassword"), 0);
}

#[tokio::test]
async fn what_is_too_late_when_the_token_is_there_is_not_sent() {
    let place = Place::new(OWNED).await;
    let key_id = place.mint(&place.directory()).await.unwrap().key_id;
    place.fault(sign_ins().delay(Duration::from_secs(2)));
    let (mints, second) = (place.calls("addPassword"), Duration::from_secs(1));
    let in_time = || {
        let since = Instant::now();
        InTime::so_long_as(move || since.elapsed() < second)
    };
    let (object_id, end) = (place.object_id(), in_ninety_days());
    let minted = refused(place.directory().add_password(object_id, "kw1:abc", end, in_time()).await);
    let removed = refused(place.directory().remove_password(object_id, key_id, in_time()).await);
    for trouble in [minted, removed] {
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::NotSent), "{}", trouble.message);
        assert!(trouble.message.contains("too old before there was a token"), "{}", trouble.message);
    }
    assert_eq!((place.calls("addPassword"), place.calls("removePassword")), (mints, 0));
}

#[tokio::test]
async fn a_thousand_resources_with_one_wrong_secret_make_one_request() {
    let place = Place::new(OWNED).await;
    let directory = place.signing_in_by(place.identity_with("abc8Q~wrong")).unwrap();
    let ended = join_all((0..1_000).map(|_| directory.application(place.client_id()))).await;
    assert!(ended.into_iter().all(|ended| ended.unwrap_err().code.as_deref() == Some("AADSTS7000215")));
    assert_eq!(place.sign_ins(), 1);
}

#[tokio::test]
async fn a_thousand_reads_with_one_good_secret_make_one_request() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    let ended = join_all((0..1_000).map(|_| directory.application(place.client_id()))).await;
    assert!(ended.iter().all(Result::is_ok));
    assert_eq!(place.sign_ins(), 1);
}

#[tokio::test]
async fn what_entra_cannot_do_now_is_not_blamed_on_the_secret() {
    let plain =
        Action::Answer { status: 429, retry_after: Some(Duration::from_mins(1)), body: Some("Too Many".into()) };
    for (weather, reason, wait) in [
        (sign_ins().then(plain), Reason::Throttled, Some(Duration::from_mins(1))),
        (sign_ins().throttle(429, Duration::from_secs(9)), Reason::Throttled, Some(Duration::from_secs(9))),
        (sign_ins().answer(503), Reason::Unreachable, None),
        (sign_ins().cut_before(), Reason::Unreachable, None),
        (sign_ins().cut_after(), Reason::Unreachable, None),
        (sign_ins().truncate(30), Reason::Unreachable, None),
        (sign_ins().hang(), Reason::Unreachable, None),
    ] {
        let place = Place::new(OWNED).await;
        place.fault(weather);
        let patience = Patience { token: Duration::from_secs(2), ..Patience::default() };
        let directory = place.directory_with(Settings { patience, ..place.settings() });
        let trouble = refused(place.mint(&directory).await);
        assert_eq!(
            (trouble.reason, trouble.effect, trouble.retry_after),
            (reason, Effect::NotSent, wait),
            "{trouble:?}"
        );
        assert_eq!((place.sign_ins(), place.calls("addPassword")), (1, 0), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_token_that_graph_does_not_take_is_dropped() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    directory.application(place.client_id()).await.unwrap();
    place.fault(Rule::at(GRAPH, "getApplication", "**").nth(1).answer(401));
    let trouble = refused(directory.application(place.client_id()).await);
    assert_eq!((trouble.reason, trouble.effect), (Reason::OperatorCannotSignIn, Effect::Refused));
    assert_eq!(place.sign_ins(), 1);
    directory.application(place.client_id()).await.unwrap();
    assert_eq!(place.sign_ins(), 2, "with a new token");
}

#[tokio::test]
async fn an_expired_secret_is_told_from_a_wrong_one() {
    let place = Place::new(OWNED).await;
    let wanted = NewPassword { end: Some(jiff::Timestamp::now() + Duration::from_millis(1)), ..NewPassword::default() };
    let expired = place.azure.seed_password(&place.operator, wanted).unwrap();
    while jiff::Timestamp::now() <= expired.end {
        tokio::task::yield_now().await;
    }
    let directory = place.signing_in_by(place.identity_with(&expired.value)).unwrap();
    assert_eq!(refused(place.mint(&directory).await).code.as_deref(), Some("AADSTS7000222"));
}

/// The sandbox reads the statement as one, and knows no certificates yet.
#[tokio::test]
async fn a_certificate_signs_in_by_a_statement() {
    let place = Place::new(OWNED).await;
    let made = SelfSigned::for_days("keywright", 90).unwrap();
    let client_id = ClientId(place.operator.client_id);
    let signing_in = || {
        let pem = format!("{}{}", made.pem(), made.key_pem()).into();
        place.signing_in_by(Identity::Certificate { client_id, pem }).unwrap()
    };
    let trouble = refused(place.mint(&signing_in()).await);
    assert_eq!((trouble.reason, trouble.code.as_deref()), (Reason::OperatorCannotSignIn, Some("AADSTS700027")));
    assert!(trouble.remedy.contains("spec.identity.certificate"), "{}", trouble.remedy);
    place.azure.seed_certificate(&place.operator, made.entry("keywright")).unwrap();
    assert!(place.mint(&signing_in()).await.is_ok(), "the application has it now");
}

#[tokio::test]
async fn an_identity_that_cannot_be_used_is_told_before_anything_is_asked() {
    let place = Place::new(OWNED).await;
    let client_id = ClientId(place.operator.client_id);
    let no_certificate = Identity::Certificate { client_id, pem: "nothing".into() };
    let not_in_a_pod = Identity::WorkloadIdentity { client_id: Some(client_id) };
    for (identity, why) in [(no_certificate, "no certificate"), (not_in_a_pod, "no token file")] {
        let trouble = place.signing_in_by(identity).unwrap_err();
        assert_eq!((trouble.reason, trouble.effect), (Reason::OperatorCannotSignIn, Effect::NotSent));
        assert!(trouble.message.contains(why), "{}", trouble.message);
    }
    assert!(place.azure.journal().is_empty());
}
