//! What can be done next: one effect, or one look. `reconcile::act` has an arm for each.

use std::fmt;

use jiff::Timestamp;

use crate::{
    api::KeyId,
    facts::{
        Application, Carried, Entry, Kept, Looked, Nonce, PodSeen, Record, Records, Sequence, TargetId, TargetState,
        Trouble, Verdict, Work,
    },
};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// List the records afresh.
    ReadRecords,
    /// Read the application.
    ReadApplication,
    /// Look at a target, and compare it with what this record makes of it.
    ReadTarget {
        /// Which.
        target: TargetId,
        /// The number of the credential that is to be there, if one is kept.
        wanted: Option<Sequence>,
    },
    /// List the pods of the namespace.
    ReadPods,
    /// Open a record, with the first attempt in it.
    Open {
        /// What it will say.
        entry: Box<Entry>,
    },
    /// Take an open record over: a new attempt, which fences those before it.
    TakeOver {
        /// The record.
        record: Box<Record>,
        /// What it will say.
        entry: Box<Entry>,
    },
    /// Ask the API server whether it would take a value, before there is one.
    Rehearse {
        /// The record.
        record: Box<Record>,
    },
    /// Add a secret to the application, under the mark of the record's last attempt.
    Mint {
        /// The record.
        record: Box<Record>,
        /// Until when the secret is to be valid.
        end: Timestamp,
    },
    /// Put a value that is in memory into its record.
    Keep {
        /// The record.
        record: Box<Record>,
        /// What it will say.
        entry: Box<Entry>,
    },
    /// Find out what became of a value that may or may not be in its record.
    Settle {
        /// The number of the record.
        sequence: Sequence,
        /// The attempt whose value it is.
        nonce: Nonce,
    },
    /// Put the value that a target carries into its open record: etcd went back between mint and keep.
    KeepFromTarget {
        /// The record.
        record: Box<Record>,
        /// What it will say.
        entry: Box<Entry>,
        /// Where the value is.
        target: TargetId,
    },
    /// Write anew the record of a credential that a target carries and that signs in.
    Rebuild {
        /// What it will say.
        entry: Box<Entry>,
        /// Where the value is.
        target: TargetId,
    },
    /// Sign in once with what a record keeps.
    SignIn {
        /// The record.
        record: Box<Record>,
        /// The credential.
        key_id: KeyId,
    },
    /// Write how far a record is, by compare-and-swap.
    Note {
        /// The record.
        record: Box<Record>,
        /// What it will say.
        entry: Box<Entry>,
        /// Whether the finalizer is to stand on it.
        finalized: bool,
    },
    /// Write a target, and read it back.
    Publish {
        /// Whose value.
        record: Box<Record>,
        /// Where.
        target: TargetId,
        /// What is there, to be replaced; none if nothing is.
        over: Option<Box<Carried>>,
    },
    /// Remove a credential from the application.
    Remove {
        /// Which.
        key_id: KeyId,
        /// Why it may go.
        because: Removable,
    },
    /// Delete a record whose credential is gone.
    Forget {
        /// The record.
        record: Box<Record>,
    },
}

/// Why a credential may be removed. There is no other way to a removal than one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removable {
    /// This process minted it and knows that its value never got into a record, and never will.
    Lost,
    /// An attempt that was fenced minted it, and nobody holds it.
    Fenced,
    /// Its record was given up before it was published, and nobody holds it.
    Abandoned,
    /// It has expired, and it is ours.
    Expired,
}

impl Removable {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "it was minted, but its value got lost",
            Self::Fenced => "an attempt minted it that was overtaken, and nobody holds it",
            Self::Abandoned => "it was given up before it was published, and nobody holds it",
            Self::Expired => "it has expired",
        }
    }
}

/// What a step has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The records, listed afresh.
    Records(Records),
    /// The application.
    Application(Looked<Application>),
    /// A target.
    Target(Looked<TargetState>),
    /// The pods.
    Pods(Looked<Vec<PodSeen>>),
    /// A record as it is now.
    Written(Box<Record>),
    /// The API server would take the value.
    Rehearsed,
    /// A secret was added; its value is in the memory of this process.
    Minted(Kept),
    /// What was known of the records is no longer so: somebody else has written, or it is not known who has.
    Outpaced,
    /// The value in memory is in no record, and never will be.
    Lost,
    /// A target has changed since it was looked at.
    Overtaken,
    /// A sign-in has shown something.
    Verdict(Verdict),
    /// A credential is gone from the application.
    Removed,
    /// A record is gone.
    Forgotten,
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
            | Self::Pods(_)
            | Self::Written(_)
            | Self::Rehearsed
            | Self::Minted(_)
            | Self::Removed
            | Self::Forgotten
            | Self::Verdict(_) => "ok",
            Self::Outpaced => "outpaced",
            Self::Overtaken => "overtaken",
            Self::Lost => "lost",
            Self::Expired => "expired",
            Self::Failed(_) => "failed",
        }
    }
}

impl Step {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ReadRecords => "read_records",
            Self::ReadApplication => "read_application",
            Self::ReadTarget { .. } => "read_target",
            Self::ReadPods => "read_pods",
            Self::Open { .. } => "open",
            Self::TakeOver { .. } => "take_over",
            Self::Rehearse { .. } => "rehearse",
            Self::Mint { .. } => "mint",
            Self::Keep { .. } => "keep",
            Self::Settle { .. } => "settle",
            Self::KeepFromTarget { .. } => "keep_from_target",
            Self::Rebuild { .. } => "rebuild",
            Self::SignIn { .. } => "sign_in",
            Self::Note { .. } => "note",
            Self::Publish { .. } => "publish",
            Self::Remove { .. } => "remove",
            Self::Forget { .. } => "forget",
        }
    }

    /// Whether it changes anything outside of this process. A suspended resource is only looked at.
    #[must_use]
    pub const fn has_effect(&self) -> bool {
        !matches!(
            self,
            Self::ReadRecords
                | Self::ReadApplication
                | Self::ReadTarget { .. }
                | Self::ReadPods
                | Self::Settle { .. }
                | Self::Rehearse { .. }
        )
    }

    /// Which piece of work fails if it does.
    #[must_use]
    pub fn work(&self) -> Work {
        match self {
            Self::ReadRecords => Work::Records,
            Self::ReadApplication => Work::Application,
            Self::ReadTarget { target, .. } | Self::Publish { target, .. } => Work::Target(target.clone()),
            Self::ReadPods => Work::Pods,
            Self::Open { .. } | Self::TakeOver { .. } | Self::Rehearse { .. } => Work::Opening,
            Self::Mint { .. } => Work::Minting,
            Self::Keep { .. } | Self::Settle { .. } | Self::KeepFromTarget { .. } => Work::Keeping,
            Self::SignIn { .. } => Work::Proving,
            Self::Rebuild { .. } | Self::Note { .. } | Self::Forget { .. } => Work::Noting,
            Self::Remove { key_id, .. } => Work::Removing(*key_id),
        }
    }
}

/// What would be done, for people who have suspended it.
impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadRecords => write!(out, "list the records"),
            Self::ReadApplication => write!(out, "read the application"),
            Self::ReadTarget { target, .. } => write!(out, "look at {target}"),
            Self::ReadPods => write!(out, "list the pods"),
            Self::Open { entry } => write!(out, "open record {}", entry.name()),
            Self::TakeOver { entry, .. } => write!(out, "take record {} over", entry.name()),
            Self::Rehearse { record } => write!(out, "rehearse keeping a value in {}", record.entry.name()),
            Self::Mint { record, end } => {
                write!(
                    out,
                    "add secret {} to application {}, valid until {end}",
                    record.entry.sequence, record.entry.client_id
                )
            }
            Self::Keep { record, .. } => write!(out, "keep the new secret in {}", record.entry.name()),
            Self::Settle { sequence, .. } => write!(out, "find out what became of secret {sequence}"),
            Self::KeepFromTarget { record, target, .. } => {
                write!(out, "keep in {} the secret that {target} carries", record.entry.name())
            }
            Self::Rebuild { entry, target } => write!(out, "write record {} anew from {target}", entry.name()),
            Self::SignIn { key_id, .. } => write!(out, "sign in with {key_id}"),
            Self::Note { record, .. } => write!(out, "note in {} how far it is", record.entry.name()),
            Self::Publish { record, target, .. } => write!(out, "publish secret {} to {target}", record.entry.sequence),
            Self::Remove { key_id, because } => write!(out, "remove {key_id}, since {}", because.as_str()),
            Self::Forget { record } => write!(out, "delete record {}", record.entry.name()),
        }
    }
}
