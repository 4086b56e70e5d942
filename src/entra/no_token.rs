//! Why the operator got no token: Entra's refusals (AZURE 4.2) as the Azure SDK hands them on, in the words of
//! [`Trouble`], with what to look at. What the token was wanted for was never sent. Pure.

use std::{error::Error, fmt::Write, time::Duration};

use azure_core::{error::ErrorKind, http::RawResponse};
use serde::Deserialize;

use super::{
    Cloud, Identity,
    identity::Unusable,
    refusal::{About, Answer, line, remedy},
};
use crate::{
    api::{Reason, TenantId},
    facts::{Effect, Service, Trouble},
    wire::effect,
};

/// A sign-in of the operator, in the words in which its end is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignIn<'a> {
    pub(super) tenant: TenantId,
    pub(super) cloud: &'a Cloud,
    pub(super) identity: &'a Identity,
}

impl SignIn<'_> {
    pub(super) fn doing(&self) -> String {
        let whom = self.identity.client_id().map(|id| format!(" as {id}")).unwrap_or_default();
        format!("sign the operator in{whom} to tenant {}", self.tenant)
    }

    /// A sign-in that failed. What it was needed for was not sent.
    fn failed(&self, reason: Reason, why: &str) -> Trouble {
        let remedy = match reason {
            Reason::OperatorCannotSignIn => self.identity.remedy(),
            reason => remedy(reason, About::Tenant).to_owned(),
        };
        Trouble {
            reason,
            service: Service::Token,
            effect: Effect::NotSent,
            message: format!("could not {}: {why}.", self.doing()),
            remedy,
            code: None,
            trace_id: None,
            correlation_id: None,
            at: None,
            retry_after: None,
        }
    }
}

/// What Entra says of a refusal (AZURE 4.2).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EntraSaid {
    error: String,
    error_codes: Vec<u32>,
    error_description: String,
    trace_id: Option<String>,
    correlation_id: Option<String>,
}

/// The answer that made a sign-in fail, if there was one.
pub(super) fn answer_in(error: &azure_core::Error) -> Option<Answer> {
    let answer = |error: &(dyn Error + 'static)| match error.downcast_ref::<azure_core::Error>()?.kind() {
        ErrorKind::HttpResponse { raw_response: Some(answer), .. } => {
            Some(Answer::of(RawResponse::clone(answer), None))
        }
        _ => None,
    };
    effect::chain(error).find_map(answer)
}

/// A sign-in of the operator failed.
pub(super) fn of_sign_in(sign_in: &SignIn<'_>, error: &azure_core::Error) -> Trouble {
    let Some(answer) = answer_in(error) else { return without_answer(sign_in, error) };
    let said: Option<EntraSaid> = serde_json::from_slice(&answer.body).ok();
    let code = said.as_ref().and_then(|said| said.error_codes.first()).map(|code| format!("AADSTS{code}"));
    let reason = match (answer.status, &said) {
        (429, _) => Reason::Throttled,
        (408 | 500.., _) => Reason::Unreachable,
        (_, Some(said)) if said.error == "temporarily_unavailable" => Reason::Unreachable,
        (_, Some(said)) if !said.error.is_empty() => Reason::OperatorCannotSignIn,
        _ if matches!(sign_in.identity, Identity::ManagedIdentity { .. }) => Reason::OperatorCannotSignIn,
        _ => Reason::Unintelligible,
    };
    let EntraSaid { error_description, trace_id, correlation_id, .. } = said.unwrap_or_default();
    let mut why = match reason {
        Reason::Throttled => "Entra asks to be left alone (".to_owned(),
        Reason::Unreachable => "Entra is in trouble (".to_owned(),
        Reason::Unintelligible => "what answered does not speak as Entra does (".to_owned(),
        _ => format!("{} (", described(&error_description)),
    };
    _ = write!(why, "{}", answer.status);
    let at = answer.told.at.map(|at| at.to_string());
    for (word, id) in [(" ", &code), (", trace ", &trace_id), (", correlation ", &correlation_id), (", ", &at)] {
        if let Some(id) = id {
            _ = write!(why, "{word}{}", line(id));
        }
    }
    why.push(')');
    Trouble {
        code,
        trace_id,
        correlation_id,
        at: answer.told.at,
        retry_after: answer.told.retry_after,
        ..sign_in.failed(reason, &why)
    }
}

fn without_answer(sign_in: &SignIn<'_>, error: &azure_core::Error) -> Trouble {
    let kinds = effect::chain(error).filter_map(|error| error.downcast_ref::<azure_core::Error>());
    match kinds.map(azure_core::Error::kind).last() {
        Some(ErrorKind::Connection | ErrorKind::Io) => {
            let authority = sign_in.cloud.authority();
            let why = format!("{authority} was not reached: {}", line(&effect::root_cause(error)));
            sign_in.failed(Reason::Unreachable, &why)
        }
        // Here the SDK quotes what it could not read, which has a token in it.
        Some(ErrorKind::DataConversion) | None => {
            sign_in.failed(Reason::Unintelligible, "what Entra answered cannot be read")
        }
        Some(_) => sign_in.failed(Reason::OperatorCannotSignIn, &line(&effect::root_cause(error))),
    }
}

/// The identity cannot be used at all.
pub(super) fn of_identity(sign_in: &SignIn<'_>, unusable: &Unusable) -> Trouble {
    let why = match unusable {
        Unusable::Certificate(unsuited) => unsuited.to_string(),
        Unusable::Surroundings(error) => error.to_string(),
    };
    sign_in.failed(Reason::OperatorCannotSignIn, &line(&why))
}

/// A sign-in of the operator took too long.
pub(super) fn sign_in_timed_out(sign_in: &SignIn<'_>, limit: Duration) -> Trouble {
    let why = format!("{} gave no token within {limit:?}", sign_in.cloud.authority());
    sign_in.failed(Reason::Unreachable, &why)
}

/// What Entra's description says, without the code before it and the IDs behind it, which are told anyway.
fn described(description: &str) -> String {
    let text = description.split("Trace ID:").next().unwrap_or_default();
    let text = match text.split_once(": ") {
        Some((code, text)) if code.starts_with("AADSTS") => text,
        _ => text,
    };
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() { "Entra refused".to_owned() } else { format!("Entra refused: {}", line(text)) }
}

#[cfg(test)]
mod tests {
    use azure_core::http::{StatusCode, headers::Headers};
    use uuid::Uuid;

    use super::*;
    use crate::api::{ClientId, EntraTenantSpec};

    fn told(error: &azure_core::Error) -> Trouble {
        let tenant = TenantId(Uuid::nil());
        let spec: EntraTenantSpec = serde_json::from_value(serde_json::json!({"tenantId": tenant})).unwrap();
        let cloud = Cloud::of(&spec).unwrap();
        let identity = Identity::ClientSecret { client_id: ClientId(Uuid::nil()), secret: "abc8Q~value".into() };
        of_sign_in(&SignIn { tenant, cloud: &cloud, identity: &identity }, error)
    }

    /// As the SDK does it: the answer inside, the name of the credential outside.
    fn answered(status: u16, body: &str) -> Trouble {
        let mut headers = Headers::new();
        headers.insert("retry-after", "60");
        let status = StatusCode::from(status);
        let answer = RawResponse::from_bytes(status, headers, body.as_bytes().to_vec());
        let kind = ErrorKind::HttpResponse { status, error_code: None, raw_response: Some(Box::new(answer)) };
        let inner = azure_core::Error::with_message(kind, "refused");
        told(&azure_core::Error::with_error(ErrorKind::Credential, inner, "ClientSecretCredential failed"))
    }

    /// AZURE 4.2: the form of a refusal.
    #[test]
    fn entras_refusal_is_told_with_its_ids() {
        let trouble = answered(
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: 11 Correlation ID: 22 Timestamp: 2026-11-21 08:01:07Z","error_codes":[7000215],"trace_id":"11","correlation_id":"22"}"#,
        );
        assert_eq!((trouble.reason, trouble.effect), (Reason::OperatorCannotSignIn, Effect::NotSent));
        assert_eq!(trouble.code.as_deref(), Some("AADSTS7000215"));
        let ids = (trouble.trace_id.as_deref(), trouble.correlation_id.as_deref());
        assert_eq!(ids, (Some("11"), Some("22")));
        let nil = Uuid::nil();
        assert_eq!(
            trouble.message,
            format!(
                "could not sign the operator in as {nil} to tenant {nil}: Entra refused: Invalid client secret provided \
                 (401 AADSTS7000215, trace 11, correlation 22)."
            )
        );
        assert!(trouble.remedy.contains("spec.identity.clientSecret"), "{}", trouble.remedy);
    }

    /// AZURE 2: 429 may be plain text.
    #[test]
    fn too_many_requests_are_no_refusal_of_the_secret() {
        let trouble = answered(429, "Too Many Requests");
        assert_eq!((trouble.reason, trouble.retry_after), (Reason::Throttled, Some(Duration::from_mins(1))));
        assert_eq!(answered(503, "").reason, Reason::Unreachable);
        let busy = r#"{"error":"temporarily_unavailable","error_codes":[90033]}"#;
        assert_eq!(answered(400, busy).reason, Reason::Unreachable);
        assert_eq!(answered(403, "<html>").reason, Reason::Unintelligible);
    }

    #[test]
    fn a_token_that_cannot_be_read_is_not_quoted() {
        let quoted = azure_core::Error::with_message(ErrorKind::DataConversion, "invalid type: string \"eyJ0\"");
        let trouble = told(&azure_core::Error::with_error(ErrorKind::Credential, quoted, "eyJ0"));
        assert_eq!(trouble.reason, Reason::Unintelligible);
        assert!(!trouble.message.contains("eyJ0"), "{}", trouble.message);
    }

    #[test]
    fn a_machine_without_an_identity_is_told_from_a_network_without_a_way() {
        let missing = azure_core::Error::with_message(ErrorKind::Credential, "no token file specified");
        let trouble = told(&missing);
        assert_eq!(trouble.reason, Reason::OperatorCannotSignIn);
        assert!(trouble.message.contains("no token file specified"), "{}", trouble.message);
        let broken = azure_core::Error::with_message(ErrorKind::Connection, "no route to host");
        let trouble = told(&azure_core::Error::with_error(ErrorKind::Credential, broken, "failed"));
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::NotSent));
        assert!(trouble.message.contains("https://login.microsoftonline.com was not reached"), "{}", trouble.message);
    }
}
