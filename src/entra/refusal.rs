//! What the end of a call of Graph means when it did not bring what was asked for: Graph's envelope of errors (AZURE 1.1)
//! in the words of [`Trouble`], each with advice. It branches on codes, never on messages, and quotes no body of an answer
//! that may have a value in it. Pure.

use std::{fmt::Write, time::Duration};

use azure_core::http::{
    RawResponse,
    headers::{HeaderName, Headers},
    response::ResponseBody,
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    api::Reason,
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
    /// What it counts as; most reads as nothing.
    pub(super) counts: Vec<Scope>,
}

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// One application.
    Application,
    /// The federated credentials of one.
    Federation,
    /// All of them.
    Tenant,
    /// A report of Microsoft's about their use.
    Report,
}

impl About {
    /// Whether it is one application that may be another's, or not there.
    fn is_an_application(self) -> bool {
        matches!(self, Self::Application | Self::Federation)
    }
}

impl Asked {
    /// Whether it changes something.
    pub(super) fn changes(&self) -> bool {
        self.counts.iter().any(|scope| !matches!(scope, Scope::CertificateReads(_) | Scope::Reports(_)))
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) told: Told,
    pub(super) body: ResponseBody,
    /// The ID that we gave the request, if we did.
    id: Option<String>,
    headers: Headers,
}

impl Answer {
    pub(super) fn of(answer: RawResponse, id: Option<String>) -> Self {
        let (status, headers, body) = answer.deconstruct();
        let header = |name| headers.get_optional_str(&HeaderName::from_static(name));
        let told = Told::of(header, Timestamp::now());
        Self { status: status.into(), told, body, id, headers }
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
    let reason = reason(answer.status, said.as_ref(), asked.about);
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
    let effect = effect::of_status(answer.status).unwrap_or(Effect::Unknown);
    Trouble { code, ..told(reason, effect, asked, answer, &format!("{how} ({what}")) }
}

/// Graph has answered what cannot be read, though it seems to have done what it was asked for.
pub(super) fn unreadable(asked: &Asked, answer: &Answer, why: &str) -> Trouble {
    let what = format!("what Graph answered cannot be used: {why} ({}", answer.status);
    told(Reason::Unintelligible, Effect::Unknown, asked, answer, &what)
}

fn told(reason: Reason, effect: Effect, asked: &Asked, answer: &Answer, what: &str) -> Trouble {
    let trace_id = answer.header("request-id");
    let mut message = format!("could not {}: {what}", asked.doing);
    if let Some(id) = &trace_id {
        _ = write!(message, ", request {}", line(id));
    }
    if let Some(at) = answer.told.at {
        _ = write!(message, ", {at}");
    }
    _ = write!(message, "){}.", so(effect, asked));
    Trouble {
        reason,
        service: Service::Graph,
        effect,
        message,
        remedy: remedy(reason, asked.about).to_owned(),
        code: None,
        trace_id,
        correlation_id: answer.id.clone(),
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
    let why = format!("Graph was not reached: {} (client request {id}){}", line(&why), so(effect, asked));
    Trouble { correlation_id: Some(id.to_owned()), ..without_ids(Reason::Unreachable, asked, effect, &why) }
}

/// What an end says about the effect, where that is not plain.
fn so(effect: Effect, asked: &Asked) -> &'static str {
    match effect {
        Effect::NotSent => "; nothing was sent",
        Effect::Unknown if asked.changes() => "; it may have happened all the same",
        _ => "",
    }
}

/// How a call ended that was not answered.
pub(super) enum End<'a> {
    /// By an error.
    Error(&'a azure_core::Error),
    /// By our patience.
    TimeUp(Duration),
}

fn reason(status: u16, said: Option<&Said>, about: About) -> Reason {
    // Graph always says why; a proxy or a firewall has an answer of its own.
    let code = said.map(|said| said.code.as_str());
    match (status, code) {
        (429, _) => Reason::Throttled,
        (408 | 500.., _) => Reason::Unreachable,
        (_, None) => Reason::Unintelligible,
        (401, _) => Reason::OperatorCannotSignIn,
        (403, _) if about.is_an_application() => Reason::NotOwner,
        (404, _) if about.is_an_application() => Reason::ApplicationNotFound,
        (423, _) | (_, Some("Directory_ConcurrencyViolation")) => Reason::ConcurrentWrite,
        (_, Some("TooManyAppPasswords" | "Directory_ResourceSizeExceeded")) => Reason::TooManyCredentials,
        (_, Some("CredentialTypeNotAllowedAsPerAppPolicy")) if about == About::Federation => {
            Reason::FederationForbidden
        }
        (_, Some("CredentialTypeNotAllowedAsPerAppPolicy")) => Reason::SecretsForbidden,
        (_, Some("CredentialInvalidLifetimeAsPerAppPolicy")) => Reason::LifetimeForbidden,
        (_, Some("Request_MultipleObjectsWithSameKeyValue")) if about == About::Federation => {
            Reason::FederatedNameTaken
        }
        _ if about == About::Federation => said.map_or(Reason::Refused, in_words),
        _ => Reason::Refused,
    }
}

/// What Graph says of a federated credential in words only: one code stands for several things, and for others no code is
/// documented. All of them are refusals that a person has to do something about; the words decide nothing but what.
fn in_words(said: &Said) -> Reason {
    let words = said.message.as_deref().unwrap_or_default().to_lowercase();
    let says = |known: &[&str]| known.iter().any(|known| words.contains(known));
    if says(&["issuer and subject"]) {
        Reason::FederatedSubjectTaken
    } else if says(&["policy"]) {
        Reason::FederationForbidden
    } else if says(&["as many", "too many", "maximum number"]) {
        Reason::TooManyCredentials
    } else {
        Reason::Refused
    }
}

pub(super) fn remedy(reason: Reason, about: About) -> &'static str {
    match reason {
        Reason::NotOwner => {
            "The operator's service principal is not an owner of it: add it as owner, or grant Application.ReadWrite.All."
        }
        Reason::ApplicationNotFound => {
            "Check that spec.clientId is the application (client) ID of an app registration in this tenant. One that was registered just now is unknown to some servers for minutes."
        }
        Reason::TooManyCredentials if about == About::Federation => {
            "Remove a federated credential of the application that is not used any more: Entra allows 20."
        }
        Reason::FederatedNameTaken => {
            "Nothing: an earlier attempt has come through after all, and Keywright looks at it by its name."
        }
        Reason::FederatedSubjectTaken => {
            "Entra allows an issuer with a subject once for an application. One for the same audience is used as it is; remove one for another."
        }
        Reason::FederationForbidden => {
            "A policy of the tenant does not let the application trust this issuer: ask for an exemption."
        }
        Reason::TooManyCredentials => "Remove a credential of the application that is not used any more.",
        Reason::SecretsForbidden => {
            "A policy of the tenant forbids client secrets: declare federated or certificate, or ask for an exemption."
        }
        Reason::LifetimeForbidden => "A policy of the tenant forbids such a long life: ask for a shorter validity.",
        Reason::ConcurrentWrite => "Nothing: somebody else was writing to it, and Keywright tries again by itself.",
        Reason::Throttled => "Nothing: Keywright waits as long as it was asked to, and tries again by itself.",
        Reason::OperatorCannotSignIn => {
            "Keywright asks for a new token by itself. If it lasts, check cloud, endpoints and identity of the EntraTenant."
        }
        Reason::Unreachable => {
            "If it lasts, check that the operator reaches Microsoft's services, and whether it needs a proxy (HTTPS_PROXY)."
        }
        Reason::Unintelligible => "Check whether a proxy or a firewall answers in the place of Microsoft's services.",
        Reason::Refused if about == About::Report => {
            "The operator needs AuditLog.Read.All as an application permission in Graph, the tenant a licence that has this report, and the cloud to be Microsoft's public one."
        }
        _ if about == About::Tenant => {
            "Check that the operator has Application.ReadWrite.OwnedBy, or more, as an application permission in Graph."
        }
        _ => "Look up the code, or give Microsoft's support the IDs.",
    }
}

/// What a service says, as a part of one line, and never more than so much of it.
pub(super) fn line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let joined = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if joined.chars().count() <= MOST_SAID {
        return joined;
    }
    joined.chars().take(MOST_SAID).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
