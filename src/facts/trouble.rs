//! What is known about a call outside that did not bring what it was to bring.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::Reason;

/// Whom we talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Microsoft Graph.
    Graph,
    /// Entra's token endpoint.
    Token,
    /// A Key Vault.
    KeyVault,
    /// The API server.
    Kubernetes,
}

impl Service {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Token => "token",
            Self::KeyVault => "keyvault",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// Whether a call that failed has had its effect. An unknown outcome is not a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It never left this process.
    NotSent,
    /// The service has said no.
    Refused,
    /// It may have happened, it may not, and it may still.
    Unknown,
}

impl Trouble {
    /// Trouble before anything was sent, of which no service knows.
    #[must_use]
    pub fn unsent(service: Service, reason: Reason, message: String, remedy: &str) -> Self {
        Self {
            reason,
            service,
            effect: Effect::NotSent,
            message,
            remedy: remedy.to_owned(),
            code: None,
            trace_id: None,
            correlation_id: None,
            at: None,
            retry_after: None,
        }
    }
}

/// What is known about a call that did not bring what it was to bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Why, in one word.
    pub reason: Reason,
    /// With whom.
    pub service: Service,
    /// Whether it had its effect.
    pub effect: Effect,
    /// What was being done, to what, and what was answered, with the IDs that the service gave.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// The code of the answer: `AADSTS7000215`, `Authorization_RequestDenied`, `ForbiddenByRbac`.
    pub code: Option<String>,
    /// Microsoft's trace or request ID.
    pub trace_id: Option<String>,
    /// The correlation ID.
    pub correlation_id: Option<String>,
    /// When, by the clock of the service if it said.
    pub at: Option<Timestamp>,
    /// How long the service asks us to wait.
    pub retry_after: Option<Duration>,
}
