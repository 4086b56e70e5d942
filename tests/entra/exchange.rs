//! The proof of a federated credential: a token of somebody whom the application trusts, presented to Entra; what comes back,
//! and what is said of it.

use jiff::{SignedDuration, Timestamp};
use keywright::{
    api::Reason,
    entra::exchange,
    facts::{Claims, Effect, Trouble, Verdict},
    wire,
};
use keywright_sandbox::{
    Rule,
    azure::{Lag, NewFederated, OutsideIssuer, TOKEN},
    faults::Action,
};
use serde_json::json;

use crate::place::{OWNED, Place};

const AUDIENCE: &str = "api://AzureADTokenExchange";
const SUBJECT: &str = "system:serviceaccount:payments:api";

/// `payments` trusts an issuer's tokens for one subject.
struct Trust {
    place: Place,
    wire: wire::Client,
    issuer: OutsideIssuer,
}

impl Trust {
    async fn new() -> Self {
        let place = Place::new(OWNED).await;
        let issuer = place.azure.open_issuer().await.unwrap();
        place.azure.seed_federated(&place.payments, federated("ours", issuer.url(), SUBJECT)).unwrap();
        let wire = wire::Client::new(place.settings()).unwrap();
        Self { place, wire, issuer }
    }

    /// What the federated credential says.
    fn claims(&self) -> Claims {
        Claims { issuer: self.issuer.url().into(), subject: SUBJECT.into(), audience: AUDIENCE.into() }
    }

    fn token(&self, subject: &str, audience: &str) -> String {
        self.issuer.mint(subject, audience).unwrap()
    }

    /// The verdict on a token, of which nothing may be in what is told.
    async fn verdict(&self, token: &str, expected: &Claims) -> Verdict {
        let (cloud, client_id) = (self.place.cloud(), self.place.client_id());
        let (authority, scope) = (cloud.authority().into(), cloud.proof_scope().as_str().into());
        let (tenant, assertion) = (self.place.tenant_id(), token.into());
        let verdict = exchange(&self.wire, &authority, tenant, client_id, &assertion, &scope, expected).await;
        let told = format!("{verdict:?}");
        assert!(token.split('.').all(|part| !told.contains(part)), "{told}");
        verdict
    }

    /// The same, of one that is not accepted.
    async fn told(&self, token: &str) -> (&'static str, Trouble) {
        let verdict = self.verdict(token, &self.claims()).await;
        let word = verdict.as_str();
        let trouble = match verdict {
            Verdict::Accepted => None,
            Verdict::Blocked(trouble)
            | Verdict::Refused(trouble)
            | Verdict::Misasked(trouble)
            | Verdict::Unheard(trouble) => Some(trouble),
        };
        (word, trouble.unwrap())
    }
}

fn federated(name: &str, issuer: &str, subject: &str) -> NewFederated {
    NewFederated {
        name: name.into(),
        issuer: issuer.into(),
        subject: Some(subject.into()),
        audience: AUDIENCE.into(),
        description: None,
    }
}

#[tokio::test]
async fn a_right_token_is_accepted_each_time_anew() {
    let trust = Trust::new().await;
    let token = trust.token(SUBJECT, AUDIENCE);
    for _ in 0..3 {
        assert_eq!(trust.verdict(&token, &trust.claims()).await, Verdict::Accepted);
    }
    assert_eq!(trust.place.sign_ins(), 3, "no token is kept");
}

/// AZURE 4.3: 700211, 700212, 700213, 7002138.
#[tokio::test]
async fn a_claim_that_differs_is_shown_beside_what_it_should_be() {
    let trust = Trust::new().await;
    let elsewhere = trust.place.azure.open_issuer().await.unwrap();
    let (ours, cased) = (trust.issuer.url(), SUBJECT.replace("payments", "Payments"));
    for (token, code, sides) in [
        (
            elsewhere.mint(SUBJECT, AUDIENCE).unwrap(),
            "AADSTS700211",
            format!("They differ: the token says iss \"{}\", the federated credential \"{ours}\"", elsewhere.url()),
        ),
        (
            trust.token(SUBJECT, "api://other"),
            "AADSTS700212",
            format!("the token says aud \"api://other\", the federated credential \"{AUDIENCE}\""),
        ),
        (
            trust.token("system:serviceaccount:payments:other", AUDIENCE),
            "AADSTS700213",
            format!("sub \"system:serviceaccount:payments:other\", the federated credential \"{SUBJECT}\""),
        ),
        (
            trust.token(&cased, AUDIENCE),
            "AADSTS7002138",
            format!(
                "in upper and lower case only: the token says sub \"{cased}\", the federated credential \"{SUBJECT}\""
            ),
        ),
    ] {
        let (word, trouble) = trust.told(&token).await;
        assert_eq!((word, trouble.reason, trouble.effect), ("refused", Reason::CredentialUnknown, Effect::Refused));
        assert_eq!(trouble.code.as_deref(), Some(code));
        assert!(trouble.message.contains(&sides), "{}", trouble.message);
    }
}

/// AZURE 4.3: 70021.
#[tokio::test]
async fn where_token_and_credential_agree_entra_has_yet_to_hear_of_it() {
    let trust = Trust::new().await;
    let Place { azure, payments, tenant, .. } = &trust.place;
    let late = Lag { least: SignedDuration::from_mins(5), most: SignedDuration::from_mins(5) };
    let another = Claims { subject: "another".into(), ..trust.claims() };
    azure.set_weather(*tenant, |weather| weather.federated = late).unwrap();
    azure.add_federated(payments, federated("new", trust.issuer.url(), "another")).unwrap();
    let verdict = trust.verdict(&trust.token("another", AUDIENCE), &another).await;
    let Verdict::Refused(trouble) = verdict else { panic!("{verdict:?}") };
    assert!(trouble.message.ends_with("Token and federated credential say the same, byte for byte"), "{trouble:?}");
    assert!(trouble.remedy.contains("For some minutes after it was made, wait"), "{}", trouble.remedy);
}

#[tokio::test]
async fn a_token_that_another_one_lets_in_proves_nothing() {
    let trust = Trust::new().await;
    let another = Claims { subject: "another".into(), ..trust.claims() };
    let verdict = trust.verdict(&trust.token(SUBJECT, AUDIENCE), &another).await;
    let Verdict::Misasked(trouble) = verdict else { panic!("{verdict:?}") };
    assert_eq!(trouble.reason, Reason::TokenDiffers);
}

/// AZURE 4.3: 90061, 7000272, 700024 and 700016 say nothing about the federated credential.
#[tokio::test]
async fn what_says_nothing_about_the_credential_is_not_held_against_it() {
    let trust = Trust::new().await;
    trust.issuer.go_away();
    let told = |(word, trouble): (_, Trouble)| (word, trouble.reason, trouble.code.unwrap_or_default());
    let early = trust.told(&trust.token(SUBJECT, AUDIENCE)).await;
    assert_eq!(told(early), ("unheard", Reason::Unreachable, "AADSTS90061".into()));
    trust.issuer.come_back();
    let old = trust.token(SUBJECT, AUDIENCE);
    trust.issuer.rotate().unwrap();
    assert_eq!(told(trust.told(&old).await), ("unheard", Reason::Unreachable, "AADSTS7000272".into()));

    let now = Timestamp::now().as_second();
    let claims =
        json!({"iss": trust.issuer.url(), "sub": SUBJECT, "aud": [AUDIENCE], "nbf": now - 3600, "exp": now - 1});
    let stale = trust.issuer.mint_with(&claims).unwrap();
    assert_eq!(told(trust.told(&stale).await), ("misasked", Reason::Refused, "AADSTS700024".into()));
    trust.place.azure.delete_application(&trust.place.payments).unwrap();
    let gone = trust.told(&trust.token(SUBJECT, AUDIENCE)).await;
    assert_eq!(told(gone), ("misasked", Reason::ApplicationNotFound, "AADSTS700016".into()));
}

#[tokio::test]
async fn whoever_repeats_the_token_is_not_repeated() {
    let trust = Trust::new().await;
    let token = trust.token(SUBJECT, AUDIENCE);
    for said in [format!("AADSTS700213: You sent '{token}'."), format!("AADSTS700213: {} {token}", "x".repeat(200))] {
        let body = json!({"error": "invalid_client", "error_description": said, "error_codes": [700_213]});
        let action = Action::Answer { status: 401, retry_after: None, body: Some(body.to_string()) };
        trust.place.fault(Rule::at(TOKEN, "signIn", "**").then(action));
        let (_, trouble) = trust.told(&token).await;
        assert!(trouble.message.contains("<token>"), "{}", trouble.message);
        assert!(!trouble.message.contains(&token[..20]), "{}", trouble.message);
        trust.place.azure.faults().clear();
    }
}
