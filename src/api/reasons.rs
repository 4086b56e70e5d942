//! Why a resource is as it is, in one word: the reason of its conditions, of its Events, and the label of its metrics.
//! `docs/what-can-go-wrong.md` has a paragraph for each; a test holds the two together.

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
    /// The resource or its tenant is suspended.
    Suspended,
    /// Too many resources of the tenant have failed in a row, so it has paused itself.
    TenantPaused,
    /// The namespace is being deleted.
    NamespaceTerminating,

    /// The credential that is to be adopted is not what the spec says.
    AdoptionRefused,

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
    /// A proven credential waits for a maintenance window, or for others of its tenant to be done.
    Queued,
    /// A proven credential is being written to where it is published.
    Publishing,
    /// What was published waits until no node serves what was there before.
    Settling,
    /// Workloads are being restarted.
    RollingOut,
    /// Everybody who is known to use the published credential has it.
    RolledOut,
    /// A rotation begins in some days, and somebody outside the cluster will need the new credential by hand.
    RotationAhead,
    /// The old credential lives on for a while although nobody needs it any more.
    Overlapping,
    /// The old credential is being removed.
    Retiring,
    /// The resource is being deleted, and what is to go with it is being removed.
    Revoking,
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
    /// The application has a federated credential of this name already.
    FederatedNameTaken,
    /// The application has another federated credential for this issuer and subject.
    FederatedSubjectTaken,
    /// A policy of the tenant forbids trusting this issuer.
    FederationForbidden,
    /// Somebody else was writing to the application at the same time.
    ConcurrentWrite,
    /// Somebody else keeps dropping our certificate from the application's list.
    CertificatesContested,
    /// The Secret that a certificate is to be taken from does not exist.
    SourceMissing,
    /// The certificate in the Secret that it is to be taken from cannot be used.
    SourceUnsuited,
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
    /// A token says something else than the federated credential that it was to prove.
    TokenDiffers,
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

    // What the cluster's part in federation may bring.
    /// The cluster does not tell who issues its tokens.
    IssuerUnknown,
    /// There is no such `ServiceAccount`.
    AccountMissing,
    /// Somebody else keeps the annotations of the `ServiceAccount`.
    AccountContested,
    /// The `ServiceAccount` lacks annotations that Keywright is not to write.
    AccountNotAnnotated,
    /// The operator may not ask for tokens of the `ServiceAccount`.
    TokenNotAllowed,

    // Who does not have it yet.
    /// A workload takes too long to become well after its restart.
    RolloutStalled,
    /// A workload is paused, so its pods are not replaced.
    WorkloadPaused,
    /// A workload replaces its pods only when somebody deletes them, or not all of them.
    WorkloadWaits,
    /// Somebody else takes the annotation by which a workload is restarted for their own.
    RolloutContested,
    /// The old pods of a workload that was restarted are ending.
    PodsEnding,
    /// A pod that nothing restarts still has the old credential.
    StragglersRemain,
    /// A copy that another tool makes does not have the new credential yet.
    CopyBehind,
    /// A holder outside has not confirmed that it has the new credential.
    NotConfirmed,
    /// Nobody is known to use the credential, so the old one is left to its own end.
    ConsumersUnknown,
    /// Somebody still uses the credential that is to go with the resource that is being deleted, or is of a kind that is not
    /// declared any more, or another resource declares the identity that this one declares no more.
    StillInUse,

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
                | Self::Queued
                | Self::Publishing
                | Self::Settling
                | Self::RollingOut
                | Self::PodsEnding
                | Self::CopyBehind
                | Self::RolledOut
                | Self::RotationAhead
                | Self::Overlapping
                | Self::Retiring
                | Self::Revoking
                | Self::ConsumersUnknown
                | Self::Published
                | Self::Idle
                | Self::Reached
                | Self::FederatedNameTaken
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
                Self::FederatedNameTaken
                    | Self::ConcurrentWrite
                    | Self::Throttled
                    | Self::Unreachable
                    | Self::CredentialUnknown
                    | Self::NotProven
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
        let page = include_str!("../../docs/what-can-go-wrong.md");
        let written: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let all: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(written, all);
    }
}
