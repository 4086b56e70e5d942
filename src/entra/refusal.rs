//! What the end of a call means when it did not bring what was asked for: Graph's envelope of errors and Entra's (AZURE
//! 1.1, 4.2) in the words of [`Trouble`], each with advice. It branches on codes, never on messages, and quotes no body of
//! an answer that may have a value in it. Pure.

use std::{error::Error, fmt::Write, time::Duration};

use azure_core::{
    error::ErrorKind,
    http::{
        RawResponse,
        headers::{HeaderName, Headers},
        response::ResponseBody,
    },
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Cloud, Identity, identity::Unusable};
use crate::{
    api::{Reason, TenantId},
    facts::{Effect, Service, Trouble},
    wire::{Scope, Told, effect},
};

/// How much of what a service says is repeated.
const MOST_SAID: usize = 300;

/// A call, in the words in which its end is told.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The word for metrics.
    pub(super) operation: &'static str,
    /// What is being done, to what: "could not …".
    pub(super) doing: String,
    /// Whose permission is missing if there is none.
    pub(super) about: About,
    /// What it counts as; nothing if it only reads.
    pub(super) counts: Vec<Scope>,
}

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// One application.
    Application,
    /// All of them.
    Tenant,
}

impl Asked {
    /// Whether it changes something.
    pub(super) fn changes(&self) -> bool {
        !self.counts.is_empty()
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) told: Told,
    pub(super) body: ResponseBody,
    headers: Headers,
}

impl Answer {
    pub(super) fn of(answer: RawResponse) -> Self {
        let (status, headers, body) = answer.deconstruct();
        let header = |name| headers.get_optional_str(&HeaderName::from_static(name));
        let told = Told::of(header, Timestamp::now());
        Self { status: status.into(), told, body, headers }
    }

    fn header(&self, name: &'static str) -> Option<String> {
        self.headers.get_optional_string(&HeaderName::from_static(name))
    }

    /// What Graph says of its refusal; nothing if the answer is not Graph's.
    pub(super) fn said(&self) -> Option<Said> {
        serde_json::from_slice::<Envelope>(&self.body).ok().map(|envelope| envelope.error)
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: Said,
}

/// What Graph says of a refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    pub(super) code: String,
    #[serde(default)]
    message: Option<String>,
}

/// A call that did not bring what was asked for, with the status of its answer if there was one.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: Option<u16>,
    pub(super) trouble: Trouble,
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self { status: None, trouble }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        failure.trouble
    }
}

/// Graph has said no, or that it cannot.
pub(super) fn refused(asked: &Asked, answer: &Answer) -> Trouble {
    let said = answer.said();
    let code = said.as_ref().map(|said| said.code.clone());
    let reason = reason(answer.status, code.as_deref(), asked.about);
    let mut what = answer.status.to_string();
    if let Some(said) = &said {
        _ = write!(what, " {}", line(&said.code));
        // Where the code has no word of its own, only the message tells.
        if let (Reason::Refused, Some(message)) = (reason, &said.message) {
            _ = write!(what, " \"{}\"", line(message));
        }
    }
    let how = match reason {
        Reason::Throttled => "Graph asks to be left alone",
        Reason::Unreachable => "Graph is in trouble",
        Reason::Unintelligible => "what answered does not speak as Graph does",
        _ => "Graph refused",
    };
    Trouble {
        effect: effect::of_status(answer.status).unwrap_or(Effect::Unknown),
        code,
        ..told(reason, asked, answer, &format!("{how} ({what}"))
    }
}

/// Graph has answered what cannot be read, though it seems to have done what it was asked for.
pub(super) fn unreadable(asked: &Asked, answer: &Answer, why: &str) -> Trouble {
    let what = format!("what Graph answered cannot be used: {why} ({}", answer.status);
    told(Reason::Unintelligible, asked, answer, &what)
}

fn told(reason: Reason, asked: &Asked, answer: &Answer, what: &str) -> Trouble {
    let trace_id = answer.header("request-id");
    let mut message = format!("could not {}: {what}", asked.doing);
    if let Some(id) = &trace_id {
        _ = write!(message, ", request {}", line(id));
    }
    if let Some(at) = answer.told.at {
        _ = write!(message, ", {at}");
    }
    message.push_str(").");
    Trouble {
        reason,
        service: Service::Graph,
        effect: Effect::Unknown,
        message,
        remedy: remedy(reason, asked.about).to_owned(),
        code: None,
        trace_id,
        correlation_id: answer.header("client-request-id"),
        at: answer.told.at,
        retry_after: answer.told.retry_after,
    }
}

/// Answers of Graph that were well by themselves do not fit together.
pub(super) fn inconsistent(asked: &Asked, why: &str) -> Trouble {
    without_ids(Reason::Unintelligible, asked, Effect::Unknown, &format!("what Graph answered cannot be used: {why}"))
}

/// A request that cannot even be written down.
pub(super) fn unsendable(asked: &Asked) -> Trouble {
    without_ids(Reason::InternalError, asked, Effect::NotSent, "the request could not be written down")
}

fn without_ids(reason: Reason, asked: &Asked, effect: Effect, why: &str) -> Trouble {
    Trouble {
        reason,
        service: Service::Graph,
        effect,
        message: format!("could not {}: {why}.", asked.doing),
        remedy: remedy(reason, asked.about).to_owned(),
        code: None,
        trace_id: None,
        correlation_id: None,
        at: None,
        retry_after: None,
    }
}

/// There was no answer.
pub(super) fn unanswered(asked: &Asked, id: &str, end: &End<'_>) -> Trouble {
    let (effect, why) = match end {
        End::Error(error) => (effect::of_error(*error), effect::root_cause(*error)),
        End::TimeUp(limit) => (Effect::Unknown, format!("no answer within {limit:?}")),
    };
    let so = match effect {
        Effect::NotSent => "; nothing was sent",
        _ if asked.changes() => "; it may have happened all the same",
        _ => "",
    };
    let why = format!("Graph was not reached: {}{so} (client request {id})", line(&why));
    Trouble { correlation_id: Some(id.to_owned()), ..without_ids(Reason::Unreachable, asked, effect, &why) }
}

/// How a call ended that was not answered.
pub(super) enum End<'a> {
    /// By an error.
    Error(&'a azure_core::Error),
    /// By our patience.
    TimeUp(Duration),
}

fn reason(status: u16, code: Option<&str>, about: About) -> Reason {
    match (status, code) {
        (429, _) => Reason::Throttled,
        (408 | 500.., _) => Reason::Unreachable,
        // Graph always says why; a proxy or a firewall has an answer of its own.
        (_, None) => Reason::Unintelligible,
        (401, _) => Reason::OperatorCannotSignIn,
        (403, _) if about == About::Application => Reason::NotOwner,
        (404, _) if about == About::Application => Reason::ApplicationNotFound,
        (423, _) | (_, Some("Directory_ConcurrencyViolation")) => Reason::ConcurrentWrite,
        (_, Some("TooManyAppPasswords" | "Directory_ResourceSizeExceeded")) => Reason::TooManyCredentials,
        (_, Some("CredentialTypeNotAllowedAsPerAppPolicy")) => Reason::SecretsForbidden,
        (_, Some("CredentialInvalidLifetimeAsPerAppPolicy")) => Reason::LifetimeForbidden,
        _ => Reason::Refused,
    }
}

fn remedy(reason: Reason, about: About) -> &'static str {
    match reason {
        Reason::NotOwner => {
            "The operator's service principal is not an owner of it: add it as owner, or grant Application.ReadWrite.All."
        }
        Reason::ApplicationNotFound => {
            "Check that spec.clientId is the application (client) ID of an app registration in this tenant. One that was registered just now is unknown to some servers for minutes."
        }
        Reason::TooManyCredentials => "Remove a credential of the application that is not used any more.",
        Reason::SecretsForbidden => {
            "A policy of the tenant forbids client secrets: declare federated or certificate, or ask for an exemption."
        }
        Reason::LifetimeForbidden => {
            "A policy of the tenant forbids such a long life: ask for a shorter spec.clientSecret.validity."
        }
        Reason::ConcurrentWrite => "Nothing: somebody else was writing to it, and Keywright tries again by itself.",
        Reason::Throttled => "Nothing: Keywright waits as long as it was asked to, and tries again by itself.",
        Reason::OperatorCannotSignIn => {
            "Keywright asks for a new token by itself. If it lasts, check cloud, endpoints and identity of the EntraTenant."
        }
        Reason::Unreachable => {
            "If it lasts, check that the operator reaches Microsoft's services, and whether it needs a proxy (HTTPS_PROXY)."
        }
        Reason::Unintelligible => "Check whether a proxy or a firewall answers in the place of Microsoft's services.",
        _ if about == About::Tenant => {
            "Check that the operator has Application.ReadWrite.OwnedBy, or more, as an application permission in Graph."
        }
        _ => "Look up the code, or give Microsoft's support the IDs.",
    }
}

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
        ErrorKind::HttpResponse { raw_response: Some(answer), .. } => Some(Answer::of(RawResponse::clone(answer))),
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

/// What a service says, as a part of one line, and never more than so much of it.
fn line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let joined = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if joined.chars().count() <= MOST_SAID {
        return joined;
    }
    joined.chars().take(MOST_SAID).chain(['…']).collect()
}
