//! Why a resource is as it is, in one word: the reason of its conditions, of its Events, and the label of its metrics.
//! `docs/reasons.md` has a paragraph for each; a test holds the two together.

use std::fmt;

/// A reason, with the same spelling everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The spec has something that this version of the operator cannot read.
    SpecUndecodable,
    /// The `EntraTenant` that is named does not exist.
    TenantNotFound,
    /// The `EntraTenant` that is named has something that this version of the operator cannot read.
    TenantUndecodable,
    /// The application that is declared is the operator's own.
    OwnApplication,
    /// No grant of the tenant is for this namespace.
    NamespaceNotGranted,
    /// No grant for this namespace lists the application.
    ApplicationNotGranted,
    /// No grant for this application lists the kind of credential.
    KindNotGranted,
    /// The grant does not list the outside issuer with this subject.
    IssuerNotGranted,
    /// The grant does not list the Key Vault, or not this name in it.
    VaultNotGranted,
    /// The grant does not allow a Secret of this name.
    SecretNameNotGranted,
    /// The grant does not allow removing credentials in this way.
    RetirementNotGranted,
    /// Resource, tenant and built-in defaults together make no sense.
    InvalidPolicy,
    /// The API accepts it, but this version of the operator does not do it yet.
    NotSupportedYet,
    /// A check of our own failed in a way that was never meant to happen.
    InternalError,
}

impl Reason {
    /// Every reason, in the order of the checks.
    pub const ALL: [Self; 14] = [
        Self::SpecUndecodable,
        Self::TenantNotFound,
        Self::TenantUndecodable,
        Self::OwnApplication,
        Self::NamespaceNotGranted,
        Self::ApplicationNotGranted,
        Self::KindNotGranted,
        Self::IssuerNotGranted,
        Self::VaultNotGranted,
        Self::SecretNameNotGranted,
        Self::RetirementNotGranted,
        Self::InvalidPolicy,
        Self::NotSupportedYet,
        Self::InternalError,
    ];

    /// The word itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SpecUndecodable => "SpecUndecodable",
            Self::TenantNotFound => "TenantNotFound",
            Self::TenantUndecodable => "TenantUndecodable",
            Self::OwnApplication => "OwnApplication",
            Self::NamespaceNotGranted => "NamespaceNotGranted",
            Self::ApplicationNotGranted => "ApplicationNotGranted",
            Self::KindNotGranted => "KindNotGranted",
            Self::IssuerNotGranted => "IssuerNotGranted",
            Self::VaultNotGranted => "VaultNotGranted",
            Self::SecretNameNotGranted => "SecretNameNotGranted",
            Self::RetirementNotGranted => "RetirementNotGranted",
            Self::InvalidPolicy => "InvalidPolicy",
            Self::NotSupportedYet => "NotSupportedYet",
            Self::InternalError => "InternalError",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_paragraph_and_no_paragraph_is_left_over() {
        let page = include_str!("../../docs/reasons.md");
        let written: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(written, Reason::ALL.map(Reason::as_str));
    }
}
