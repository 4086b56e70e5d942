//! What a sign-in with a credential has shown.

use super::Trouble;

/// What one raw token request has shown about the credential in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Entra has given a token.
    Accepted,
    /// Entra knows the credential, but a policy blocks the sign-in. Never silently taken for a proof.
    Blocked(Trouble),
    /// Entra refuses the credential, for now or for good; after a write one cannot tell which.
    Refused(Trouble),
    /// What was asked for is wrong (the scope, the application, the tenant), which says nothing about the credential.
    Misasked(Trouble),
    /// No verdict: throttled, not answered, or the service is in trouble.
    Unheard(Trouble),
}

impl Verdict {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Blocked(_) => "blocked",
            Self::Refused(_) => "refused",
            Self::Misasked(_) => "misasked",
            Self::Unheard(_) => "unheard",
        }
    }
}
