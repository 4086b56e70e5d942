//! What one process remembers of its own doing with a resource. A crash forgets it, and nothing depends on that: the
//! record is the evidence, this only makes it quicker.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use super::{Kept, Nonce, Sequence, TargetId, Trouble, Verdict};
use crate::api::KeyId;

/// What this process remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mine {
    /// The attempts that it wrote into records, and what became of each.
    pub attempts: Vec<OwnAttempt>,
    /// How far the proof of a new credential is.
    pub proof: Option<Proof>,
    /// What it has removed from the application, and when; reads show it a while longer.
    pub removed: BTreeMap<KeyId, Timestamp>,
    /// What did not succeed yet.
    pub failing: BTreeMap<Work, Failing>,
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
    /// Keeping.
    Keeping,
    /// Writing how far a record is.
    Noting,
    /// A proof that was given up.
    Proving,
    /// A target.
    Target(TargetId),
    /// Reading the pods.
    Pods,
    /// Removing a credential.
    Removing(KeyId),
}

impl fmt::Display for Work {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records => out.write_str("reading the records"),
            Self::Application => out.write_str("reading the application"),
            Self::Opening => out.write_str("opening a record"),
            Self::Minting => out.write_str("minting"),
            Self::Keeping => out.write_str("keeping"),
            Self::Noting => out.write_str("writing to a record"),
            Self::Proving => out.write_str("proving"),
            Self::Target(target) => write!(out, "{target}"),
            Self::Pods => out.write_str("reading the pods"),
            Self::Removing(key_id) => write!(out, "removing {key_id}"),
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
