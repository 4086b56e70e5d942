//! Why a resource is as it is, in one word: the reason of its conditions, of its Events, and the label of its metrics.
//! `docs/reasons.md` has a paragraph for each; a test holds the two together.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A reason, with the same spelling everywhere.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason, in the order of the docs.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word itself.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

reasons! {
    // What is refused before anything happens.
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
    /// A template has a placeholder or a filter that does not exist.
    InvalidTemplate,
    /// An older resource publishes to the same place.
    TargetConflict,
    /// The API accepts it, but this version of the operator does not do it yet.
    NotSupportedYet,
    /// The resource or its tenant is suspended.
    Suspended,
    /// The namespace is being deleted.
    NamespaceTerminating,

    // How far a credential is.
    /// The record of a credential is being opened, before anything is minted.
    Opening,
    /// A credential is being added to the application.
    Minting,
    /// The value of a new credential is being kept in its record.
    Keeping,
    /// A new credential is proving itself by sign-ins.
    Proving,
    /// A proven credential waits until every server of Entra has surely heard of it.
    Maturing,
    /// A proven credential is being written to where it is published.
    Publishing,
    /// A proven, unexpired credential is published.
    Published,
    /// Nothing is on its way.
    Idle,

    // What a call outside may bring.
    /// The operator can do its work in the tenant.
    Reached,
    /// The operator itself cannot sign in to the tenant.
    OperatorCannotSignIn,
    /// The operator may not change this application.
    NotOwner,
    /// There is no such application in the tenant.
    ApplicationNotFound,
    /// The application holds as many credentials as Entra allows.
    TooManyCredentials,
    /// A policy of the tenant forbids client secrets.
    SecretsForbidden,
    /// A policy of the tenant forbids a credential that lives so long.
    LifetimeForbidden,
    /// Somebody else was writing to the application at the same time.
    ConcurrentWrite,
    /// A service asked us to wait.
    Throttled,
    /// A service did not answer, or only that it cannot now.
    Unreachable,
    /// A service refused for a reason that this version has no word for.
    Refused,
    /// A service answered what cannot be understood.
    Unintelligible,

    // What a sign-in may bring.
    /// Entra does not know the credential: not yet, no more, or it never was the application's.
    CredentialUnknown,
    /// Entra says that the credential has expired.
    CredentialExpired,
    /// Entra accepts the credential, but a policy blocks the sign-in.
    SignInBlocked,
    /// The application has no service principal in the tenant.
    NoServicePrincipal,
    /// The application is disabled.
    ApplicationDisabled,
    /// The scope of the proof names nothing in this tenant.
    ScopeInvalid,
    /// A new credential was not proven in time and is given up.
    NotProven,

    // What a place to publish to may bring.
    /// A Secret of that name exists and is not ours.
    SecretNotOurs,
    /// The Secret has another type, which Kubernetes does not let anybody change.
    SecretTypeDiffers,
    /// The Secret is immutable.
    SecretImmutable,
    /// The Secret that our keys are to be merged into does not exist.
    SecretMissing,
    /// The API server refuses an object of ours: a quota, an admission webhook, or a missing permission.
    ClusterRefused,
    /// An entry of that name exists in the Key Vault and is not ours.
    VaultEntryNotOurs,
    /// The entry is deleted but recoverable, so its name is taken.
    VaultEntryDeleted,
    /// The operator may not read or write there.
    VaultForbidden,
    /// The Key Vault's firewall does not let the operator in.
    VaultUnreachable,
    /// There is no such Key Vault.
    VaultNotFound,

    // What must not be guessed.
    /// A record says what cannot be, so somebody else has written it.
    RecordForged,
    /// The application has a credential with our mark that no record knows.
    UnknownCredential,
    /// A record of ours knows the number of a credential, but not its nonce: there may be a second one of us.
    SplitBrain,
    /// A check of our own failed in a way that was never meant to happen.
    InternalError,
}

impl Reason {
    /// Whether nothing gets better until a person does something.
    #[must_use]
    pub const fn needs_a_person(self) -> bool {
        !matches!(
            self,
            Self::Suspended
                | Self::NamespaceTerminating
                | Self::Opening
                | Self::Minting
                | Self::Keeping
                | Self::Proving
                | Self::Maturing
                | Self::Publishing
                | Self::Published
                | Self::Idle
                | Self::Reached
                | Self::ConcurrentWrite
                | Self::Throttled
                | Self::Unreachable
                | Self::CredentialUnknown
                | Self::NotProven
        )
    }
}

impl Reason {
    /// Whether it says that something went wrong, for whatever reason.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        self.needs_a_person()
            || matches!(
                self,
                Self::ConcurrentWrite | Self::Throttled | Self::Unreachable | Self::CredentialUnknown | Self::NotProven
            )
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
        let all: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(written, all);
    }
}
