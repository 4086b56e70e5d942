use azure_core::http::StatusCode;
use serde_json::json;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    let mut headers = Headers::new();
    headers.insert("date", "Sat, 21 Nov 2026 08:01:07 GMT");
    headers.insert("request-id", "5b1e");
    Answer::of(
        RawResponse::from_bytes(StatusCode::from(status), headers, body.as_bytes().to_vec()),
        Some("77aa".to_owned()),
    )
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, &format!(r#"{{"error": {{"code": "{code}", "message": "Some\nwords.", "innerError": {{}}}}}}"#))
}

fn asked(about: About) -> Asked {
    let doing = "add a secret to application 8f3c in tenant contoso".to_owned();
    Asked { operation: "add_password", doing, about, counts: vec![Scope::AllWrites] }
}

fn reason_of(about: About, answer: &Answer) -> (Reason, Effect) {
    let trouble = refused(&asked(about), answer);
    (trouble.reason, trouble.effect)
}

#[test]
fn a_refusal_is_advice() {
    let trouble = refused(&asked(About::Application), &error(403, "Authorization_RequestDenied"));
    let expected = Trouble {
        reason: Reason::NotOwner,
        service: Service::Graph,
        effect: Effect::Refused,
        message: "could not add a secret to application 8f3c in tenant contoso: Graph refused (403 \
                  Authorization_RequestDenied, request 5b1e, 2026-11-21T08:01:07Z)."
            .to_owned(),
        remedy: remedy(Reason::NotOwner, About::Application).to_owned(),
        code: Some("Authorization_RequestDenied".to_owned()),
        trace_id: Some("5b1e".to_owned()),
        correlation_id: Some("77aa".to_owned()),
        at: Some("2026-11-21T08:01:07Z".parse().unwrap()),
        retry_after: None,
    };
    assert_eq!(trouble, expected);
}

/// AZURE 1.1, 1.2, 1.8: what Graph's codes mean.
#[test]
fn each_code_has_its_reason() {
    for (status, code, reason) in [
        (401, "InvalidAuthenticationToken", Reason::OperatorCannotSignIn),
        (404, "Request_ResourceNotFound", Reason::ApplicationNotFound),
        (400, "TooManyAppPasswords", Reason::TooManyCredentials),
        (400, "Directory_ResourceSizeExceeded", Reason::TooManyCredentials),
        (400, "CredentialTypeNotAllowedAsPerAppPolicy", Reason::SecretsForbidden),
        (400, "CredentialInvalidLifetimeAsPerAppPolicy", Reason::LifetimeForbidden),
        (409, "Directory_ConcurrencyViolation", Reason::ConcurrentWrite),
        (423, "locked", Reason::ConcurrentWrite),
        (429, "TooManyRequests", Reason::Throttled),
        (400, "Request_BadRequest", Reason::Refused),
    ] {
        assert_eq!(reason_of(About::Application, &error(status, code)), (reason, Effect::Refused), "{status} {code}");
    }
    for status in [408, 500, 503] {
        let told = reason_of(About::Application, &error(status, "generalException"));
        assert_eq!(told, (Reason::Unreachable, Effect::Unknown), "{status}");
    }
}

/// AZURE 1.5, and what was seen of answers that are not documented.
#[test]
fn what_federated_credentials_are_refused_for_is_told_apart() {
    let said = |code: &str, message: &str| {
        let answer = answer(400, &json!({"error": {"code": code, "message": message}}).to_string());
        reason_of(About::Federation, &answer).0
    };
    let value = "InvalidFederatedIdentityCredentialValue";
    let taken = "The combination of issuer and subject must be unique for the application.";
    assert_eq!(said(value, taken), Reason::FederatedSubjectTaken);
    assert_eq!(said(value, "Issuer 'x' is not allowed as per assigned policy."), Reason::FederationForbidden);
    assert_eq!(said(value, "Something else."), Reason::Refused);
    assert_eq!(said("CredentialTypeNotAllowedAsPerAppPolicy", ""), Reason::FederationForbidden);
    assert_eq!(said("Request_BadRequest", "It has as many as it can have: 20."), Reason::TooManyCredentials);
    let name = "Request_MultipleObjectsWithSameKeyValue";
    assert_eq!(said(name, "FederatedIdentityCredential with name x already exists."), Reason::FederatedNameTaken);
    assert_eq!(reason_of(About::Federation, &error(403, "Authorization_RequestDenied")).0, Reason::NotOwner);
    assert_eq!(reason_of(About::Application, &error(409, name)).0, Reason::Refused, "no federated credential at all");
}

#[test]
fn an_answer_that_is_not_graphs_is_not_taken_for_one() {
    for status in [401, 403, 404] {
        let told = reason_of(About::Application, &answer(status, "<html>Blocked by your firewall</html>"));
        assert_eq!(told, (Reason::Unintelligible, Effect::Refused), "{status}");
    }
    assert_eq!(reason_of(About::Application, &answer(429, "Too Many Requests")).0, Reason::Throttled);
    assert_eq!(reason_of(About::Application, &answer(302, "")), (Reason::Unintelligible, Effect::Unknown));
}

#[test]
fn without_a_permission_for_the_tenant_nobody_is_told_to_own_an_application() {
    let trouble = refused(&asked(About::Tenant), &error(403, "Authorization_RequestDenied"));
    assert_eq!(trouble.reason, Reason::Refused);
    assert!(trouble.remedy.contains("Application.ReadWrite.OwnedBy"), "{}", trouble.remedy);
}

#[test]
fn what_a_service_says_stays_one_short_line() {
    let odd = error(400, "Request_BadRequest");
    let message = refused(&asked(About::Application), &odd).message;
    assert!(message.contains("(400 Request_BadRequest \"Some words.\", request"), "{message}");
    assert_eq!(line(&"a ".repeat(1_000)).chars().count(), MOST_SAID + 1);
}

#[test]
fn a_write_without_an_answer_may_have_happened() {
    let asked = asked(About::Application);
    let trouble = unanswered(&asked, "77aa", &End::TimeUp(Duration::from_secs(10)));
    assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::Unknown));
    assert_eq!(
        trouble.message,
        "could not add a secret to application 8f3c in tenant contoso: Graph was not reached: no answer within 10s \
         (client request 77aa); it may have happened all the same."
    );
}
