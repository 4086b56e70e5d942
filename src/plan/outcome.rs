//! What a step has brought: what was read, what became of an effect, or why it did not succeed.

use jiff::Timestamp;

use crate::facts::{
    AccountSeen, Application, Consumers, Exchange, Federated, Kept, ListedKey, Looked, Record, Records, Source,
    TargetState, Trouble, Usage, Verdict, WorkloadSeen,
};

/// What a step has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The records, listed afresh.
    Records(Records),
    /// The application.
    Application(Looked<Application>),
    /// A target.
    Target(Looked<TargetState>),
    /// The workloads and pods.
    Consumers(Consumers),
    /// A record as it is now.
    Written(Box<Record>),
    /// The API server would take the value.
    Rehearsed,
    /// There is a new credential, whose value is in the memory of this process: a secret was added to the application, or a
    /// certificate was made.
    Minted(Kept),
    /// The Secret that a certificate is taken from.
    Source(Looked<Source>),
    /// The application, and its list of certificates.
    List(Looked<Application>, Vec<ListedKey>),
    /// The list was written.
    Listed,
    /// What was known of the records is no longer so: somebody else has written, or it is not known who has.
    Outpaced,
    /// The value in memory is in no record, and never will be.
    Lost,
    /// A target has changed since it was looked at.
    Overtaken,
    /// A workload has the annotation; none if there is no such workload.
    Rolled(Option<Box<WorkloadSeen>>),
    /// They are watched from now on, but not all of them have been read yet.
    Watching,
    /// Whether a copy is one of what the record keeps.
    Copied(bool),
    /// When credentials were last used, as the report has it.
    Usage(Looked<Usage>),
    /// Whether there was a slot.
    Slot(bool),
    /// The earlier versions are disabled.
    Disabled,
    /// A sign-in has shown something.
    Verdict(Verdict),
    /// A credential is gone from the application.
    Removed,
    /// How the cluster spells its issuer.
    Issuer(Looked<String>),
    /// The federated credentials of the application.
    Federation(Looked<Vec<Federated>>),
    /// A federated credential was added.
    Established(Federated),
    /// An exchange has shown something.
    Exchanged(Exchange),
    /// A `ServiceAccount`, where there is one.
    Account(Looked<Option<AccountSeen>>),
    /// A record is gone.
    Forgotten,
    /// The resource as it is now.
    Detained {
        /// Whether it is kept when it is deleted.
        detained: bool,
        /// Since when it is being deleted, or gone.
        deleted_at: Option<Timestamp>,
    },
    /// It was too late to do it: what it was decided on is too old.
    Expired,
    /// It did not succeed.
    Failed(Trouble),
}

impl Outcome {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Records(_)
            | Self::Application(_)
            | Self::Target(_)
            | Self::Consumers(_)
            | Self::Written(_)
            | Self::Rehearsed
            | Self::Minted(_)
            | Self::Source(_)
            | Self::List(..)
            | Self::Listed
            | Self::Removed
            | Self::Issuer(_)
            | Self::Federation(_)
            | Self::Established(_)
            | Self::Exchanged(_)
            | Self::Account(_)
            | Self::Rolled(_)
            | Self::Disabled
            | Self::Slot(_)
            | Self::Copied(_)
            | Self::Usage(_)
            | Self::Watching
            | Self::Forgotten
            | Self::Detained { .. }
            | Self::Verdict(_) => "ok",
            Self::Outpaced => "outpaced",
            Self::Overtaken => "overtaken",
            Self::Lost => "lost",
            Self::Expired => "expired",
            Self::Failed(_) => "failed",
        }
    }
}
