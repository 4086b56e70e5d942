//! Each verdict that a sign-in may bring, and what it says to whoever reads it.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use keywright::{
    api::Reason,
    entra::sign_in::for_proofs,
    facts::{Effect, Service, Verdict},
};
use keywright_sandbox::{
    Rule,
    azure::{Cause, Lag, Limit, NewPassword, Options, TOKEN},
    faults::Action,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use uuid::Uuid;

use crate::place::{GRAPH_SCOPE, PATIENCE, Place, at_once, counting, place, through, told};

fn fault(place: &Place, action: Action) {
    place.azure.faults().add(Rule::at(TOKEN, "signIn", "**").nth(1).then(action));
}

fn answer(status: u16, body: &str) -> Action {
    Action::Answer { status, retry_after: None, body: Some(body.into()) }
}

#[tokio::test]
async fn a_good_secret_is_accepted_whatever_is_in_it() {
    let place = at_once().await;
    assert!(place.secret.value.contains('~'), "what bad encoders break: {}", place.secret.value);
    assert_eq!(place.prove().await, Verdict::Accepted);
    place.azure.journal().keep_bodies(true);
    place.sign_in("a+b&c=d%7E ~ü").await;
    let entries = place.azure.journal().entries();
    let body = entries.last().unwrap().body.clone().unwrap();
    assert!(body.contains("client_secret=a%2Bb%26c%3Dd%257E+%7E%C3%BC&"), "{body}");
}

#[tokio::test]
async fn a_wrong_secret_is_refused_with_everything_that_support_asks_for() {
    let place = at_once().await;
    let (verdict, trouble) = told(place.sign_in("hush-hush").await);
    assert_eq!((verdict, trouble.reason, trouble.service), ("refused", Reason::CredentialUnknown, Service::Token));
    assert_eq!((trouble.effect, trouble.code.as_deref()), (Effect::Refused, Some("AADSTS7000215")));
    let correlation = trouble.correlation_id.unwrap();
    assert!(Uuid::try_parse(&correlation).is_ok() && Uuid::try_parse(&trouble.trace_id.unwrap()).is_ok());
    assert!(trouble.at.unwrap().duration_since(Timestamp::now()).abs() < SignedDuration::from_mins(1));
    let (application, tenant) = (place.payments.client_id.to_string(), place.tenant.to_string());
    for part in [&application, &tenant, &correlation, "401 AADSTS7000215", "not the client secret ID"] {
        assert!(trouble.message.contains(part), "{part}: {}", trouble.message);
    }
    assert!(!trouble.message.contains("hush") && !trouble.remedy.is_empty());
    let (_, again) = told(place.sign_in("hush-hush").await);
    assert_ne!(again.correlation_id.unwrap(), correlation, "each request can be found");
}

/// The same answer for a wrong value, an ID for a value, and a secret that was removed.
#[tokio::test]
async fn a_removed_secret_and_an_id_for_a_value_look_the_same() {
    let place = at_once().await;
    assert_eq!(told(place.sign_in(&place.secret.key_id.to_string()).await).0, "refused");
    place.azure.remove_password(&place.payments, place.secret.key_id).unwrap();
    let (verdict, trouble) = told(place.prove().await);
    assert_eq!((verdict, trouble.reason), ("refused", Reason::CredentialUnknown));
    let causes: Vec<Cause> = place.azure.refused_sign_ins().iter().map(|refused| refused.cause).collect();
    assert_eq!(causes, [Cause::IdForValue, Cause::Removed]);
}

#[tokio::test]
async fn an_expired_secret_is_refused_as_such() {
    let place = at_once().await;
    let end = Some(Timestamp::now() + SignedDuration::from_hours(1));
    let secret = place.azure.seed_password(&place.payments, NewPassword { end, ..NewPassword::default() }).unwrap();
    let over = Timestamp::now() - SignedDuration::from_secs(1);
    place.azure.edit_password(&place.payments, secret.key_id, |secret| secret.end = over).unwrap();
    let (verdict, trouble) = told(place.sign_in(&secret.value).await);
    assert_eq!((verdict, trouble.reason), ("refused", Reason::CredentialExpired));
}

#[tokio::test]
async fn what_a_policy_blocks_was_accepted_and_is_no_proof() {
    let place = at_once().await;
    place.azure.edit_principal(&place.payments, |principal| principal.blocked = true).unwrap();
    let (verdict, trouble) = told(place.prove().await);
    assert_eq!((verdict, trouble.reason), ("blocked", Reason::SignInBlocked));
    assert_eq!(told(place.sign_in("wrong").await).0, "refused", "a wrong one is not hidden by it");
}

#[tokio::test]
async fn what_was_asked_wrongly_says_nothing_about_the_credential() {
    let place = at_once().await;
    let (tenant, id, secret) = (place.tenant, place.payments.client_id, place.secret.value.as_str());
    let unknown = Uuid::from_u128(7);
    for (tenant, id, secret, scope, reason, code) in [
        (unknown, id, secret, GRAPH_SCOPE, Reason::Refused, "AADSTS90002"),
        (tenant, unknown, secret, GRAPH_SCOPE, Reason::ApplicationNotFound, "AADSTS700016"),
        (tenant, id, secret, "https://example.com/.default", Reason::ScopeInvalid, "AADSTS500011"),
        (tenant, id, secret, "https://graph.microsoft.com/User.Read", Reason::ScopeInvalid, "AADSTS1002012"),
        (tenant, id, "", GRAPH_SCOPE, Reason::InternalError, "AADSTS7000216"),
    ] {
        let (verdict, trouble) = told(place.sign_in_for(tenant, id, secret, scope).await);
        assert_eq!((verdict, trouble.reason, trouble.code.as_deref()), ("misasked", reason, Some(code)));
    }
    place.azure.edit_principal(&place.payments, |principal| principal.enabled = false).unwrap();
    assert_eq!(told(place.prove().await).1.reason, Reason::ApplicationDisabled);
    place.azure.delete_principal(&place.payments).unwrap();
    assert_eq!(told(place.prove().await).1.reason, Reason::NoServicePrincipal);
    place.azure.delete_application(&place.payments).unwrap();
    assert_eq!(told(place.prove().await).1.reason, Reason::ApplicationNotFound);
}

/// A new secret is refused, then accepted and refused by turns, then accepted.
#[tokio::test]
async fn a_new_secret_flaps_before_it_is_known_everywhere() {
    let place = place(Options { scale: 0.05, replicas: 3, ..Options::default() }).await;
    let secret = place.azure.add_password(&place.payments, NewPassword::default()).unwrap();
    let mut verdicts = vec![];
    while !verdicts.ends_with(&[true; 20]) {
        match place.sign_in(&secret.value).await {
            Verdict::Accepted => verdicts.push(true),
            verdict => {
                assert_eq!((told(verdict).0), "refused");
                verdicts.push(false);
            }
        }
        assert!(verdicts.len() < 10_000, "never known everywhere");
    }
    let turns = verdicts.windows(2).filter(|pair| *pair == [true, false]).count();
    assert!(!verdicts[0] && turns > 0, "accepted once is not accepted: {verdicts:?}");
}

#[tokio::test]
async fn throttled_is_no_verdict_with_json_and_without() {
    let place = at_once().await;
    place.azure.set_limits(|limits| limits.sign_ins = Some(Limit::new(0, SignedDuration::from_mins(1))));
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..30 {
        let (verdict, trouble) = told(place.prove().await);
        assert_eq!((verdict, trouble.reason), ("unheard", Reason::Throttled));
        assert_eq!(trouble.retry_after, Some(Duration::from_mins(1)));
        codes.insert(trouble.code);
    }
    assert_eq!(codes.len(), 2, "some in JSON, with a code, and some in plain text: {codes:?}");
}

#[tokio::test]
async fn a_service_in_trouble_is_no_verdict() {
    let place = at_once().await;
    fault(&place, Action::Answer { status: 503, retry_after: Some(Duration::from_hours(24)), body: None });
    let (verdict, trouble) = told(place.prove().await);
    assert_eq!(
        (verdict, trouble.reason, trouble.code.as_deref()),
        ("unheard", Reason::Unreachable, Some("AADSTS90033"))
    );
    assert_eq!(trouble.retry_after, Some(Duration::from_hours(1)), "nobody sends us away for a day");
}

#[tokio::test]
async fn somebody_elses_page_is_no_verdict_and_is_not_quoted() {
    for (status, body, reason) in [
        (403, "<html>your client_secret=hush is not allowed out</html>", Reason::Unintelligible),
        (200, "<html>welcome, hush</html>", Reason::Unintelligible),
        (200, r#"{"token_type":"Bearer","access_token":""}"#, Reason::Unintelligible),
        (502, "<html>hush</html>", Reason::Unreachable),
        (401, r#"{"error":"invalid_client","error_codes":[7999999]}"#, Reason::Refused),
    ] {
        let place = at_once().await;
        fault(&place, answer(status, body));
        let (verdict, trouble) = told(place.sign_in("hush").await);
        assert_eq!((verdict, trouble.reason), ("unheard", reason), "{status} {body}");
        assert!(!format!("{trouble:?}").contains("hush"), "{trouble:?}");
    }
}

#[tokio::test]
async fn even_what_looks_like_entra_cannot_make_us_repeat_a_secret() {
    let place = at_once().await;
    fault(
        &place,
        answer(401, r#"{"error":"invalid_client","error_description":"AADSTS7000215: hush-hush is wrong."}"#),
    );
    let (verdict, trouble) = told(place.sign_in("hush-hush").await);
    assert!(verdict == "refused" && !format!("{trouble:?}").contains("hush"), "{trouble:?}");
}

#[tokio::test]
async fn a_cut_is_no_verdict() {
    for action in [Action::CutBefore, Action::CutAfter, Action::Truncate(20)] {
        let place = at_once().await;
        fault(&place, action);
        let (verdict, trouble) = told(place.prove().await);
        assert_eq!((verdict, trouble.reason, trouble.effect), ("unheard", Reason::Unreachable, Effect::Unknown));
        assert!(!trouble.message.contains(&place.secret.value) && !trouble.remedy.is_empty());
        assert_eq!(place.azure.journal().count(|entry| entry.verb == "signIn"), 1, "sent once");
    }
}

#[tokio::test]
async fn silence_ends_with_the_clients_patience() {
    let place = at_once().await;
    fault(&place, Action::Hang);
    let begin = Instant::now();
    let (verdict, trouble) = told(place.prove().await);
    assert_eq!((verdict, trouble.reason, trouble.effect), ("unheard", Reason::Unreachable, Effect::Unknown));
    assert!(trouble.message.contains("no answer in time"), "{}", trouble.message);
    assert!(begin.elapsed() >= PATIENCE && begin.elapsed() < PATIENCE * 5, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let mut place = at_once().await;
    place.http = for_proofs(through(&place.azure, "http://127.0.0.1:1")).build().unwrap();
    let (verdict, trouble) = told(place.prove().await);
    assert_eq!((verdict, trouble.reason, trouble.effect), ("unheard", Reason::Unreachable, Effect::NotSent));
}

/// A kept connection would ask the same server of Entra again and again.
#[tokio::test]
async fn every_proof_has_a_connection_of_its_own() {
    let mut place = at_once().await;
    let (proxy, connections) = counting(&place.azure.endpoints().proxy).await;
    place.http = for_proofs(through(&place.azure, &proxy)).build().unwrap();
    for _ in 0..5 {
        assert_eq!(place.prove().await, Verdict::Accepted);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 5);
}

/// A redirect would carry the secret to wherever it points.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut place = at_once().await;
    let (here, there) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let location = format!("http://{}/", there.local_addr().unwrap());
    place.authority = format!("http://{}", here.local_addr().unwrap()).as_str().into();
    place.http = for_proofs(reqwest::Client::builder().no_proxy().timeout(PATIENCE)).build().unwrap();
    let redirecting = async {
        let (mut client, _) = here.accept().await.unwrap();
        client.read_u8().await.unwrap();
        let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        client.write_all(answer.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        verdict = place.prove() => assert_eq!(told(verdict).1.reason, Reason::Unintelligible),
        () = redirecting => unreachable!("it waits for ever"),
        _ = there.accept() => panic!("the secret was carried away"),
    }
}

#[tokio::test]
async fn a_change_takes_its_time() {
    let place = at_once().await;
    let lag = Lag { least: SignedDuration::from_hours(1), most: SignedDuration::from_hours(1) };
    place.azure.set_weather(place.tenant, |weather| weather.sign_ins = lag).unwrap();
    place.azure.remove_password(&place.payments, place.secret.key_id).unwrap();
    assert_eq!(place.prove().await, Verdict::Accepted, "a removal lags as well, so one acceptance is no evidence");
}
