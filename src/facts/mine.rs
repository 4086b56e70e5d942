//! What one process remembers of its own doing with a resource. A crash forgets it, and nothing depends on that: the
//! record is the evidence, this only makes it quicker.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use super::{Kept, ListSeen, Looked, Nonce, Sequence, TargetId, Trouble, Usage, Verdict, WorkloadId};
use crate::api::KeyId;

/// What this process remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mine {
    /// The attempts that it wrote into records, and what became of each.
    pub attempts: Vec<OwnAttempt>,
    /// How far the proof of a new credential is.
    pub proof: Option<Proof>,
    /// Whether it has one of the slots of its tenant; none if it has not asked.
    pub slot: Option<bool>,
    /// Since when a workload that was restarted does not get well.
    pub stalled_at: Option<Timestamp>,
    /// Whether the workloads and pods are watched since a moment ago, and not all of them have been read yet.
    pub watching: bool,
    /// Since when they are watched without having been read.
    pub unread_since: Option<Timestamp>,
    /// What suggests that the published credential is gone from the application.
    pub missing: Option<Missing>,
    /// The last sign-in with what each target holds.
    pub tried: BTreeMap<TargetId, Tried>,
    /// Since when it has seen workloads with the annotation of a credential.
    pub rolled: BTreeMap<WorkloadId, Rolled>,
    /// What copies that other tools make have shown of the published credential.
    pub copies: BTreeMap<CopyId, CopySeen>,
    /// What Microsoft's report said when it was last read. It is asked too seldom to be read with everything else.
    pub usage: Option<Looked<Usage>>,
    /// The entries of vaults whose versions before this number it has disabled.
    pub disabled: BTreeMap<TargetId, Sequence>,
    /// What it has removed from the application, and when; reads show it a while longer.
    pub removed: BTreeMap<KeyId, Timestamp>,
    /// What it has seen of the application's list of certificates, since it last had something to do with it.
    pub list: Option<ListSeen>,
    /// How far the proofs of federated credentials are, by their ID.
    pub exchanges: BTreeMap<KeyId, Proof>,
    /// The `ServiceAccount`s of which it may not have tokens.
    pub withheld: BTreeMap<String, Withheld>,
    /// What suggests that federated credentials are gone from the application.
    pub absent: BTreeMap<KeyId, Absent>,
    /// What did not succeed yet.
    pub failing: BTreeMap<Work, Failing>,
}

/// Tokens that this process may not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// Since when. Rights that were just given are not known everywhere at once.
    pub since: Timestamp,
    /// When that was so last.
    pub last_at: Timestamp,
    /// Why.
    pub trouble: Trouble,
}

/// An attempt of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAttempt {
    /// The number of the record.
    pub sequence: Sequence,
    /// The attempt.
    pub nonce: Nonce,
    /// When it began to write the nonce into the record.
    pub begun_at: Timestamp,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an attempt to mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The nonce is in the record; nothing was sent.
    Announced,
    /// The same, and the API server has said that it would take the value.
    Rehearsed,
    /// Nothing was minted, for certain.
    Nothing,
    /// It may have been minted, but nobody has the value.
    Unknown {
        /// When it was sent.
        sent_at: Timestamp,
    },
    /// It was minted, and the value is in the memory of this process.
    Held {
        /// The credential.
        kept: Kept,
        /// Whether it must be found out what became of a write of the value before it is written again.
        unsettled: bool,
        /// Whether any write of the value has had an unknown end: it may land late, or may have landed and been undone.
        in_doubt: bool,
    },
    /// The value is in the record.
    Kept,
    /// It was minted, and the value will never be in a record.
    Lost {
        /// The credential.
        key_id: KeyId,
    },
}

/// How far the proof of a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Which credential.
    pub key_id: KeyId,
    /// When it was first tried.
    pub since: Timestamp,
    /// How many sign-ins in a row have succeeded.
    pub successes: u32,
    /// When the first of them did.
    pub first_success_at: Option<Timestamp>,
    /// When it was last tried.
    pub last_at: Timestamp,
    /// How many in a row have not.
    pub misses: u32,
    /// What the last one has shown.
    pub last: Verdict,
}

/// What suggests that the published credential is gone from the application: reads lag, and one alone proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub key_id: KeyId,
    /// Since when.
    pub since: Timestamp,
    /// How many reads in a row have not shown it.
    pub reads: u32,
    /// When the last of them was made.
    pub read_at: Timestamp,
    /// How many sign-ins in a row Entra has refused.
    pub refusals: u32,
    /// When it was last tried to sign in with it, whatever came of it.
    pub tried_at: Option<Timestamp>,
}

/// A federated credential that reads do not show any more: they lag, and one alone proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absent {
    /// Since when.
    pub since: Timestamp,
    /// How many reads in a row have not shown it.
    pub reads: u32,
}

/// A sign-in with what a target holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The credential that it said it carries.
    pub key_id: KeyId,
    /// When.
    pub at: Timestamp,
    /// What it has shown.
    pub verdict: Verdict,
}

/// A copy of the credential that another tool makes: a key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyId {
    /// The name of the Secret.
    pub secret: String,
    /// The key.
    pub key: String,
}

impl fmt::Display for CopyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "secret/{}[{}]", self.secret, self.key)
    }
}

/// What a copy has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopySeen {
    /// Of which credential.
    pub key_id: KeyId,
    /// Since when it is known to be a copy of it; none if it is not yet.
    pub since: Option<Timestamp>,
    /// When it was last seen not to be one.
    pub lacked_at: Option<Timestamp>,
    /// When it was last looked at.
    pub at: Timestamp,
}

/// A workload whose template carries the annotation of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rolled {
    /// What it says.
    pub mark: String,
    /// Since when this process knows of it.
    pub since: Timestamp,
}

/// A piece of work that can fail on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// Reading the records.
    Records,
    /// Reading the application.
    Application,
    /// Opening a record, or taking it over.
    Opening,
    /// Minting.
    Minting,
    /// Making a key and a certificate, or taking them from a Secret.
    Making,
    /// Looking at the Secret that a certificate is taken from.
    Source,
    /// Reading or writing the application's list of certificates.
    Listing,
    /// Keeping.
    Keeping,
    /// Writing how far a record is.
    Noting,
    /// A proof that was given up.
    Proving,
    /// Looking at a target.
    Target(TargetId),
    /// Writing a target. A look at it that succeeds says nothing of whether it can be written.
    Publishing(TargetId),
    /// Reading the workloads and pods.
    Consumers,
    /// Waiting for its turn.
    Waiting,
    /// Looking at a copy.
    Copying(CopyId),
    /// Restarting a workload.
    Rolling(WorkloadId),
    /// Signing in with what a target holds.
    Trying(TargetId),
    /// Disabling the old versions of a vault's entry.
    Disabling(TargetId),
    /// Reading the issuer of the cluster.
    Issuer,
    /// Reading the federated credentials.
    Federation,
    /// Adding a federated credential.
    Establishing(Sequence),
    /// Exchanging a token for a federated credential.
    Exchanging(KeyId),
    /// Reading a `ServiceAccount`.
    Account(String),
    /// Annotating a `ServiceAccount`.
    Annotating(String),
    /// Removing a credential.
    Removing(KeyId),
    /// Having the resource stay when it is deleted, or letting it go.
    Detaining,
    /// Reading Microsoft's report of when credentials were last used.
    Reporting,
}

impl fmt::Display for Work {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records => out.write_str("reading the records"),
            Self::Application => out.write_str("reading the application"),
            Self::Opening => out.write_str("opening a record"),
            Self::Minting => out.write_str("minting"),
            Self::Making => out.write_str("making a certificate"),
            Self::Source => out.write_str("looking at the source of the certificate"),
            Self::Listing => out.write_str("the application's certificates"),
            Self::Keeping => out.write_str("keeping"),
            Self::Noting => out.write_str("writing to a record"),
            Self::Proving => out.write_str("proving"),
            Self::Target(target) => write!(out, "{target}"),
            Self::Publishing(target) => write!(out, "publishing to {target}"),
            Self::Consumers => out.write_str("reading the workloads and pods"),
            Self::Waiting => out.write_str("waiting for its turn"),
            Self::Copying(copy) => write!(out, "looking at {copy}"),
            Self::Rolling(workload) => write!(out, "rolling {workload}"),
            Self::Trying(target) => write!(out, "signing in with what {target} holds"),
            Self::Issuer => out.write_str("reading the issuer of the cluster"),
            Self::Federation => out.write_str("reading the federated credentials"),
            Self::Establishing(sequence) => write!(out, "adding federated credential {sequence}"),
            Self::Exchanging(key_id) => write!(out, "exchanging a token for {key_id}"),
            Self::Account(account) => write!(out, "reading serviceaccount/{account}"),
            Self::Annotating(account) => write!(out, "annotating serviceaccount/{account}"),
            Self::Disabling(target) => write!(out, "disabling old versions of {target}"),
            Self::Removing(key_id) => write!(out, "removing {key_id}"),
            Self::Detaining => out.write_str("writing the finalizer of the resource"),
            Self::Reporting => out.write_str("reading the sign-in report"),
        }
    }
}

/// A piece of work that did not succeed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// How often in a row.
    pub times: u32,
    /// When last.
    pub last_at: Timestamp,
    /// Why.
    pub trouble: Trouble,
}
