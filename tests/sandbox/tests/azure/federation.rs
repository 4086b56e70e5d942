//! Sign-ins by what somebody else has issued: which are accepted, and with which code the others are refused (AZURE 4.3,
//! 7). Issuers are really asked for their keys.

use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::azure::{Cause, Lag, NewFederated, Options, OutsideIssuer};
use serde_json::json;

use crate::client::Reply;
use crate::places::{GRAPH_SCOPE, Place, at_once, place};

pub const AUDIENCE: &str = "api://AzureADTokenExchange";
const SUBJECT: &str = "repo:contoso/payments:ref:refs/heads/main";

/// A place with an issuer for whose subject `payments` has a federated credential of old.
struct Federation {
    place: Place,
    issuer: OutsideIssuer,
    id: uuid::Uuid,
}

impl Federation {
    async fn of(place: Place) -> Self {
        let issuer = place.azure.open_issuer().await.unwrap();
        let id = place.azure.seed_federated(&place.payments, wanted(&issuer, SUBJECT)).unwrap().id;
        Self { place, issuer, id }
    }

    async fn exchange(&self, assertion: &str) -> Reply {
        exchange(&self.place, assertion).await
    }

    /// What comes of a token for a subject: 200, or the code.
    async fn comes_of(&self, subject: &str) -> String {
        told(&self.exchange(&self.issuer.mint(subject, AUDIENCE).unwrap()).await)
    }

    fn causes(&self) -> Vec<Cause> {
        self.place.azure.refused_sign_ins().iter().map(|refused| refused.cause).collect()
    }

    fn fetches(&self) -> usize {
        self.issuer.journal().len()
    }
}

/// Signs in as `payments` with what somebody else has issued.
pub async fn exchange(place: &Place, assertion: &str) -> Reply {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &place.payments.client_id.to_string())
        .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        .append_pair("client_assertion", assertion)
        .append_pair("scope", GRAPH_SCOPE)
        .finish();
    place.post_form(&place.token_url(), &form).await
}

fn wanted(issuer: &OutsideIssuer, subject: &str) -> NewFederated {
    NewFederated {
        name: "github".into(),
        issuer: issuer.url().into(),
        subject: Some(subject.into()),
        ..NewFederated::default()
    }
}

/// 200, or the code.
pub fn told(reply: &Reply) -> String {
    if reply.status == 200 { "200".to_owned() } else { reply.code() }
}

#[tokio::test]
async fn a_right_assertion_is_a_sign_in() {
    let federation = Federation::of(at_once().await).await;
    let assertion = federation.issuer.mint(SUBJECT, AUDIENCE).unwrap();
    for _ in 0..2 {
        let reply = federation.exchange(&assertion).await;
        assert_eq!((reply.status, &reply.json()["token_type"]), (200, &"Bearer".into()), "{}", reply.text);
    }
    let inspected = federation.place.azure.inspect();
    let accounts = inspected["accepted"].as_array().unwrap();
    assert_eq!(accounts.len(), 1);
    assert_eq!((&accounts[0]["keyId"], &accounts[0]["count"]), (&json!(federation.id), &json!(2)));
    assert!(federation.causes().is_empty());
}

/// AZURE 4.3: 700211, 700213, 7002138, 700212, with status 401 and what was presented in the text.
#[tokio::test]
async fn what_matches_nothing_has_its_code() {
    let federation = Federation::of(at_once().await).await;
    let elsewhere = federation.place.azure.open_issuer().await.unwrap();
    for (assertion, code, named) in [
        (elsewhere.mint(SUBJECT, AUDIENCE).unwrap(), "700211", format!("issuer '{}'", elsewhere.url())),
        (federation.issuer.mint("repo:contoso/other", AUDIENCE).unwrap(), "700213", "'repo:contoso/other'".into()),
        (
            federation.issuer.mint(&SUBJECT.replace("contoso", "Contoso"), AUDIENCE).unwrap(),
            "7002138",
            "Contoso".into(),
        ),
        (federation.issuer.mint(SUBJECT, "api://other").unwrap(), "700212", "audience 'api://other'".into()),
    ] {
        let refused = federation.exchange(&assertion).await;
        assert_eq!((refused.status, refused.code().as_str()), (401, code), "{}", refused.text);
        assert!(refused.text.contains(&named), "{}", refused.text);
        assert_eq!(refused.json()["error"], "invalid_client");
    }
    assert_eq!(federation.causes(), [Cause::WrongValue; 4]);
    assert_eq!((federation.fetches(), elsewhere.journal().len()), (0, 0), "nobody is asked who is not trusted");
}

/// AZURE 4.3: 70021 where the application has none; 700016 where there is no application.
#[tokio::test]
async fn where_nothing_is_federated_nothing_matches() {
    let federation = Federation::of(at_once().await).await;
    federation.place.azure.remove_federated(&federation.place.payments, federation.id).unwrap();
    let refused = federation.exchange(&federation.issuer.mint(SUBJECT, AUDIENCE).unwrap()).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "70021"));
    assert!(refused.text.contains(&format!("Assertion Subject: '{SUBJECT}'")), "{}", refused.text);
    assert_eq!(federation.causes(), [Cause::Removed]);
    federation.place.azure.delete_application(&federation.place.payments).unwrap();
    assert_eq!(federation.comes_of(SUBJECT).await, "700016");
}

/// AZURE 4.3: 700024 for what is stale or comes early, 50027 for what is malformed, 50012 for what somebody else signed.
#[tokio::test]
async fn an_assertion_is_really_checked() {
    let federation = Federation::of(at_once().await).await;
    let now = Timestamp::now().as_second();
    let claims = |begin: i64, end: i64| json!({"iss": federation.issuer.url(), "sub": SUBJECT, "aud": [AUDIENCE], "nbf": now + begin, "exp": now + end});
    let minted = |claims| federation.issuer.mint_with(&claims).unwrap();
    let good = minted(claims(-5, 60));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (_, other) = good.split_once('.').unwrap();
    let stale = federation.exchange(&minted(claims(-3_600, -1))).await;
    assert_eq!((stale.status, stale.code().as_str()), (401, "700024"));
    assert!(stale.text.contains("Client assertion is not within its valid time range."), "{}", stale.text);
    assert_eq!(told(&federation.exchange(&minted(claims(30, 60))).await), "700024");
    let without_end = json!({"iss": federation.issuer.url(), "sub": SUBJECT, "aud": AUDIENCE});
    assert_eq!(told(&federation.exchange(&minted(without_end)).await), "50027");
    assert_eq!(told(&federation.exchange(signed).await), "50027");
    assert_eq!(told(&federation.exchange(other).await), "50027");
    let forged = minted(claims(-6, 600));
    let (changed, _) = forged.rsplit_once('.').unwrap();
    assert_eq!(told(&federation.exchange(&format!("{changed}.{signature}")).await), "50012");
    assert_eq!(told(&federation.exchange(&good).await), "200");
}

/// AZURE 4.3: 90061, as `invalid_request` with status 400; what was fetched before is enough.
#[tokio::test]
async fn an_issuer_out_of_reach_is_told_until_its_keys_are_known() {
    let federation = Federation::of(at_once().await).await;
    federation.issuer.go_away();
    let refused = federation.exchange(&federation.issuer.mint(SUBJECT, AUDIENCE).unwrap()).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "90061"), "{}", refused.text);
    assert_eq!(refused.json()["error"], "invalid_request");
    assert_eq!(federation.causes(), [Cause::IssuerUnreachable]);
    federation.issuer.come_back();
    assert_eq!(federation.comes_of(SUBJECT).await, "200");
    federation.issuer.go_away();
    assert_eq!(federation.comes_of(SUBJECT).await, "200", "its keys are kept");
    assert_eq!(federation.fetches(), 2, "metadata and keys, once");
}

/// AZURE 7: keys are kept, and an unknown one is looked for; 7000272 if it is not published.
#[tokio::test]
async fn an_issuer_may_change_its_key() {
    let federation = Federation::of(at_once().await).await;
    let old = federation.issuer.mint(SUBJECT, AUDIENCE).unwrap();
    assert_eq!(told(&federation.exchange(&old).await), "200");
    federation.issuer.rotate().unwrap();
    assert_eq!(told(&federation.exchange(&old).await), "200", "the old key is kept for a while");
    assert_eq!(federation.comes_of(SUBJECT).await, "200");
    assert_eq!(federation.fetches(), 4);
    let refused = federation.exchange(&old).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "7000272"), "{}", refused.text);
}

/// AZURE 7.
#[tokio::test]
async fn keys_are_kept_no_longer_than_they_shall_be() {
    let options = Options { scale: 0.0, keys_kept: SignedDuration::ZERO, ..Options::default() };
    let federation = Federation::of(place(options, "Application.ReadWrite.OwnedBy").await).await;
    assert_eq!(federation.comes_of(SUBJECT).await, "200");
    let old = federation.issuer.mint(SUBJECT, AUDIENCE).unwrap();
    federation.issuer.rotate().unwrap();
    assert_eq!(told(&federation.exchange(&old).await), "7000272");
}

/// AZURE 4.3: 53003, 7000112 and 7000229 come after the assertion was found to be right; 500011 before.
#[tokio::test]
async fn an_application_that_is_blocked_is_so_for_federated_sign_ins() {
    let federation = Federation::of(at_once().await).await;
    let Place { azure, payments, .. } = &federation.place;
    azure.set_principal(payments, |principal| principal.blocked = true).unwrap();
    assert_eq!(federation.comes_of(SUBJECT).await, "53003");
    assert_eq!(federation.comes_of("repo:contoso/other").await, "700213");
    azure.set_principal(payments, |principal| principal.enabled = false).unwrap();
    assert_eq!(federation.comes_of(SUBJECT).await, "7000112");
    azure.delete_principal(payments).unwrap();
    assert_eq!(federation.comes_of(SUBJECT).await, "7000229");
}

/// AZURE 3: refused until every replica knows it; whoever asked too early is refused for longer.
#[tokio::test]
async fn a_new_federated_credential_is_refused_for_longer_if_it_is_tried_early() {
    let federation = Federation::of(at_once().await).await;
    let Place { azure, payments, tenant, .. } = &federation.place;
    let memory = SignedDuration::from_secs(3);
    let lag = Lag { least: SignedDuration::from_secs(1), most: SignedDuration::from_secs(2) };
    azure.set_weather(*tenant, |weather| (weather.federated, weather.memory) = (lag, memory)).unwrap();
    let begun = Timestamp::now();
    let added = NewFederated { name: "second".into(), ..wanted(&federation.issuer, "second") };
    azure.add_federated(payments, added).unwrap();
    assert_eq!(federation.comes_of("second").await, "700213", "the first is known for this issuer");
    let mut accepted_in_a_row = 0;
    while accepted_in_a_row < 20 {
        let accepted = federation.comes_of("second").await == "200";
        accepted_in_a_row = if accepted { accepted_in_a_row + 1 } else { 0 };
        assert!(begun.duration_until(Timestamp::now()) < SignedDuration::from_secs(20));
    }
    assert!(begun.duration_until(Timestamp::now()) >= memory, "it was remembered");
    let causes = federation.causes();
    assert_eq!(causes[0], Cause::NotYetKnown);
    assert!(causes.contains(&Cause::Remembered), "{causes:?}");
    assert!(causes.iter().all(|cause| matches!(cause, Cause::NotYetKnown | Cause::Remembered)), "{causes:?}");
}

/// AZURE 3: a removed one lets in for a while.
#[tokio::test]
async fn a_removed_federated_credential_lets_in_for_a_while() {
    let federation = Federation::of(at_once().await).await;
    let Place { azure, payments, tenant, .. } = &federation.place;
    let lag = Lag { least: SignedDuration::from_mins(1), most: SignedDuration::from_mins(2) };
    azure.set_weather(*tenant, |weather| weather.federated = lag).unwrap();
    azure.remove_federated(payments, federation.id).unwrap();
    assert_eq!(federation.comes_of(SUBJECT).await, "200");
}

/// AZURE 3: 2.2 % of right exchanges were refused with 700213.
#[tokio::test]
async fn noise_refuses_what_is_right() {
    let federation = Federation::of(at_once().await).await;
    federation.place.azure.set_weather(federation.place.tenant, |weather| weather.noise = 0.5).unwrap();
    let assertion = federation.issuer.mint(SUBJECT, AUDIENCE).unwrap();
    let mut codes = vec![];
    for _ in 0..40 {
        codes.push(told(&federation.exchange(&assertion).await));
    }
    let accepted = codes.iter().filter(|code| *code == "200").count();
    assert!((5..35).contains(&accepted), "{accepted}");
    assert!(codes.iter().all(|code| code == "200" || code == "700213"), "{codes:?}");
    assert!(federation.causes().iter().all(|cause| *cause == Cause::Noise));
}
