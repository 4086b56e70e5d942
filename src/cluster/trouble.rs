//! What the API server's refusals mean, in the words of facts, and what to do about each. The words of the API server decide
//! nothing but the advice.

use std::{error::Error as StdError, io, time::Duration};

use kube::core::Status;

use super::{Error, Written};
use crate::{
    api::Reason,
    facts::{Effect, Service, Trouble},
};

/// The cause by which the API server says that a namespace is on its way out.
const TERMINATING: &str = "NamespaceTerminating";

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let status = error.status();
        let code = status.map(|status| &status.reason).filter(|reason| !reason.is_empty());
        let wait = status.and_then(|status| Some(status.details.as_ref()?.retry_after_seconds));
        let wait = wait.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into()));
        Self { code: code.cloned(), retry_after: wait, ..trouble(error.meaning(), error.to_string()) }
    }
}

impl Error {
    fn meaning(&self) -> Meaning {
        match self {
            Self::Refused { source, .. } => match &**source {
                kube::Error::Api(status) => meaning_of(status),
                other => meaning_of_no_answer(other),
            },
            Self::TimedOut { .. } => unreachable(Effect::Unknown),
            Self::NoCluster(_) => unreachable(Effect::NotSent),
            Self::NotARecord { .. } => (
                Reason::RecordForged,
                Effect::Unknown,
                "Find out who writes Secrets of this name and type; delete it if no credential depends on it.",
            ),
            Self::Replaced { .. } => (Reason::Refused, Effect::Refused, "Keywright looks again by itself."),
        }
    }

    /// What a change that did not happen means: outpaced, or trouble.
    pub(super) fn unless_outpaced<T>(self) -> Result<Written<T>, Self> {
        if self.is_outpaced() { Ok(Written::Outpaced) } else { Err(self) }
    }

    /// Whether there is no object of that name.
    pub(super) fn is_gone(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404 && !is_about_namespaces(status))
    }

    /// The API server's refusal, if it is one.
    pub(super) fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a Secret that was to be changed is no longer the one that was read: changed, gone, or another of its name.
    fn is_outpaced(&self) -> bool {
        let swapped = self.status().is_some_and(|status| {
            let of_another = |field: &str| field == "metadata.uid" || field == "metadata.resourceVersion";
            match status.code {
                409 => !status.is_already_exists() && rivals(status).is_empty(),
                422 => causes(status).any(|cause| of_another(&cause.field)),
                _ => false,
            }
        });
        swapped || self.is_gone()
    }
}

/// A reason, what became of the call, and what to do.
pub(super) type Meaning = (Reason, Effect, &'static str);

/// What is known, of what was said.
pub(super) fn trouble((reason, effect, remedy): Meaning, message: String) -> Trouble {
    Trouble {
        reason,
        service: Service::Kubernetes,
        effect,
        message,
        remedy: remedy.to_owned(),
        code: None,
        trace_id: None,
        correlation_id: None,
        at: None,
        retry_after: None,
    }
}

fn causes(status: &Status) -> impl Iterator<Item = &kube::core::response::StatusCause> {
    status.details.iter().flat_map(|details| &details.causes)
}

fn is_about_namespaces(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
}

/// Who else claims fields that were to be applied, in the words of the API server.
pub(super) fn rivals(status: &Status) -> Vec<String> {
    let rival = causes(status).filter(|cause| cause.reason == "FieldManagerConflict");
    rival.map(|cause| format!("{} of {}", cause.message, cause.field)).collect()
}

fn unreachable(effect: Effect) -> Meaning {
    (Reason::Unreachable, effect, "Keywright tries again by itself.")
}

fn meaning_of(status: &Status) -> Meaning {
    let terminating = causes(status).any(|cause| cause.reason == TERMINATING);
    match status.code {
        403 | 404 if terminating || is_about_namespaces(status) => (
            Reason::NamespaceTerminating,
            Effect::Refused,
            "Declare the resource in a namespace that stays, if it is still needed.",
        ),
        429 => (Reason::Throttled, Effect::Refused, "Keywright waits as long as the API server says."),
        // Somebody else was writing to what the API server had to write along, such as the use of a quota.
        409 => unreachable(Effect::Refused),
        400..=499 => (Reason::ClusterRefused, Effect::Refused, remedy(status)),
        // Only what the API server itself calls a refusal surely is one: what stands before it may have lost the answer.
        _ if status.message.contains("failed calling webhook") => {
            (Reason::ClusterRefused, Effect::Unknown, "Ask whoever keeps the admission webhook to mend it.")
        }
        _ => unreachable(Effect::Unknown),
    }
}

fn remedy(status: &Status) -> &'static str {
    let says = |words| status.message.contains(words);
    if says("exceeded quota") {
        "Raise the ResourceQuota of the namespace, or delete Secrets that nobody needs."
    } else if says("admission webhook") || says("ValidatingAdmissionPolicy") {
        "Ask whoever keeps the admission policy to let pass what Keywright writes."
    } else if status.code == 401 {
        "Check the token of the operator's ServiceAccount."
    } else if says("cannot ") && says(" resource ") {
        "Give the operator's ServiceAccount this permission, as the chart does."
    } else {
        "Change what the API server names."
    }
}

fn meaning_of_no_answer(error: &kube::Error) -> Meaning {
    match error {
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => (
            Reason::Unintelligible,
            Effect::Unknown,
            "Look at what stands between the operator and the API server; if nothing does, report it with this message.",
        ),
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => {
            (Reason::InternalError, Effect::NotSent, "Report it with this message.")
        }
        kube::Error::Auth(_) => {
            (Reason::Unreachable, Effect::NotSent, "Check the operator's credentials for the API server.")
        }
        other if never_connected(other) => unreachable(Effect::NotSent),
        _ => unreachable(Effect::Unknown),
    }
}

/// Whether there surely was no connection by which anything could have been sent.
fn never_connected(error: &kube::Error) -> bool {
    let chain = std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| StdError::source(*error));
    chain.filter_map(|error| error.downcast_ref::<io::Error>()).any(|error| {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
        matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::{call::ask, connect::Connection};

    fn refused(status: serde_json::Value) -> Error {
        let status: Status = serde_json::from_value(status).unwrap();
        Error::Refused { doing: "do it".into(), source: Box::new(kube::Error::Api(Box::new(status))) }
    }

    fn meaning(status: serde_json::Value) -> (Reason, Effect) {
        let trouble = Trouble::from(refused(status));
        (trouble.reason, trouble.effect)
    }

    #[test]
    fn only_what_was_surely_refused_is_called_refused() {
        use Effect::{Refused, Unknown};
        for (code, expected) in [
            (400, (Reason::ClusterRefused, Refused)),
            (401, (Reason::ClusterRefused, Refused)),
            (403, (Reason::ClusterRefused, Refused)),
            (409, (Reason::Unreachable, Refused)),
            (422, (Reason::ClusterRefused, Refused)),
            (429, (Reason::Throttled, Refused)),
            (500, (Reason::Unreachable, Unknown)),
            (502, (Reason::Unreachable, Unknown)),
            (504, (Reason::Unreachable, Unknown)),
            (0, (Reason::Unreachable, Unknown)),
        ] {
            assert_eq!(meaning(json!({"code": code, "message": "no"})), expected, "{code}");
        }
        let webhook = json!({"code": 500, "message": "Internal error occurred: failed calling webhook \"a\": timeout"});
        assert_eq!(meaning(webhook), (Reason::ClusterRefused, Unknown));
        assert_eq!(Trouble::from(Error::TimedOut { doing: "do it".into() }).effect, Unknown);
    }

    #[test]
    fn a_policy_that_answers_422_is_not_taken_for_another_writer() {
        let policy =
            json!({"code": 422, "reason": "Invalid", "message": "ValidatingAdmissionPolicy 'p' denied request"});
        assert!(!refused(policy.clone()).is_outpaced());
        assert!(Trouble::from(refused(policy)).remedy.contains("admission policy"));
        let uid = json!({"code": 422, "details": {"causes": [{"field": "metadata.uid", "message": "Invalid value"}]}});
        assert!(refused(uid).is_outpaced());
    }

    #[tokio::test]
    async fn a_connection_that_was_never_made_has_sent_nothing() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Connection::to(kube::Config::new(format!("https://{nobody}").parse().unwrap())).unwrap().once;
        let request = Ok(http::Request::get("/version").body(vec![]).unwrap());
        let answer = ask::<serde_json::Value>(&client, || "do it".into(), request).await;
        let trouble = Trouble::from(answer.unwrap_err());
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::NotSent), "{}", trouble.message);
        let cut = kube::Error::Service(Box::new(io::Error::from(io::ErrorKind::ConnectionReset)));
        let trouble = Trouble::from(Error::Refused { doing: "do it".into(), source: Box::new(cut) });
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::Unknown));
    }

    #[test]
    fn what_to_do_fits_what_was_said() {
        for (message, remedy) in [
            ("secrets \"a\" is forbidden: exceeded quota: few, requested: secrets=1", "ResourceQuota"),
            ("admission webhook \"x\" denied the request: no", "admission policy"),
            ("secrets is forbidden: User \"u\" cannot create resource \"secrets\" in API group \"\"", "permission"),
        ] {
            let trouble = Trouble::from(refused(json!({"code": 403, "reason": "Forbidden", "message": message})));
            assert!(trouble.remedy.contains(remedy), "{}", trouble.remedy);
            assert!(trouble.message.contains(message), "{}", trouble.message);
            assert_eq!(trouble.code.as_deref(), Some("Forbidden"));
        }
    }
}
