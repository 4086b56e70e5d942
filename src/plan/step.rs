//! What can be done next: one effect, or one look. `reconcile::act` has an arm for each.

use jiff::Timestamp;

use super::removable::Removable;
use crate::{
    api::{KeyId, rotation::ValueFrom, values::ObjectName},
    certificate::made::Wish,
    facts::{
        AccountSeen, Carried, Claims, CopyId, Entry, ListedKey, Nonce, Record, Sequence, TargetId, Thumbprint, Work,
        WorkloadId,
    },
};

mod said;

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is made like this.
    Generated(Wish),
    /// It is taken from a Secret, if that still has this one.
    Secret {
        /// The name of the Secret.
        name: ObjectName,
        /// Which certificate.
        thumbprint: Thumbprint,
    },
}

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
    /// See who reads what is published, by a watch that goes on for as long as this is asked for.
    WatchConsumers {
        /// Whoever reads one of these Secrets.
        secrets: Vec<String>,
        /// These workloads, whatever they read.
        workloads: Vec<WorkloadId>,
        /// Whoever runs as one of these `ServiceAccount`s.
        accounts: Vec<String>,
    },
    /// List the workloads and pods of the namespace afresh.
    ReadConsumers,
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
    /// Make a key and a certificate, or take them from a Secret. Nobody hears of them by that.
    Make {
        /// The record.
        record: Box<Record>,
        /// From where.
        from: Origin,
    },
    /// Look at the Secret that a certificate is to be taken from.
    ReadSource {
        /// Its name.
        name: ObjectName,
    },
    /// Read the application's list of certificates.
    ReadList {
        /// With the certificates themselves, which Graph tells a tenant only so often.
        whole: bool,
    },
    /// Write the application's list of certificates, whole.
    WriteList {
        /// Those that are to stay, or to come back, as they were told.
        keep: Vec<ListedKey>,
        /// The record of the one that is added.
        add: Option<Box<Record>>,
        /// The one that goes, and why it may.
        drop: Option<(KeyId, Removable)>,
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
    /// Write the record of a credential that somebody else made, if its value is what it has to be.
    Adopt {
        /// The record, if it was opened before.
        record: Option<Box<Record>>,
        /// What it will say.
        entry: Box<Entry>,
        /// Where the value is.
        from: ValueFrom,
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
    /// Take one of the slots of the tenant, if fewer than so many are taken.
    TakeSlot {
        /// So many.
        most: usize,
    },
    /// Compare a copy that another tool makes with what a record keeps.
    ReadCopy {
        /// The copy.
        copy: CopyId,
        /// The record.
        record: Box<Record>,
        /// The credential.
        key_id: KeyId,
    },
    /// Read Microsoft's report of when the credentials of the application were last used.
    ReadUsage,
    /// Restart a workload, by an annotation in its pod template.
    Roll {
        /// Which.
        workload: WorkloadId,
        /// What the annotation says.
        mark: String,
    },
    /// Sign in with what a target holds.
    TryTarget {
        /// The record of what it is to hold.
        record: Box<Record>,
        /// Which.
        target: TargetId,
        /// The credential that it is to be.
        key_id: KeyId,
    },
    /// Disable the versions of a vault's entry that carry earlier credentials.
    DisableVersions {
        /// The entry.
        target: TargetId,
        /// The number of the first credential whose versions stay.
        before: Sequence,
    },
    /// Remove a credential from the application.
    Remove {
        /// Which.
        key_id: KeyId,
        /// Why it may go.
        because: Removable,
    },
    /// Ask the cluster how it spells the issuer of its `ServiceAccount` tokens.
    ReadIssuer,
    /// Read the federated credentials of the application.
    ReadFederation,
    /// Add the federated credential that a record speaks of, under the mark of its attempt.
    Establish {
        /// The record.
        record: Box<Record>,
    },
    /// Exchange a token of a `ServiceAccount` once.
    Exchange {
        /// The `ServiceAccount`.
        account: String,
        /// What the token says, and what the federated credential accepts.
        claims: Claims,
        /// The federated credential.
        key_id: KeyId,
    },
    /// Look at a `ServiceAccount`.
    ReadAccount {
        /// Its name.
        account: String,
    },
    /// Write into a `ServiceAccount` which application its pods sign in as, or take that back.
    Annotate {
        /// Its name.
        account: String,
        /// Whether it is to be told.
        told: bool,
        /// What was there when it was looked at.
        over: Box<AccountSeen>,
    },
    /// Remove a federated credential from the application.
    Withdraw {
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
    /// Have the API server keep the resource when it is deleted, until what is to go with it has gone; or let it go.
    Detain {
        /// Whether it is to be kept.
        detained: bool,
    },
    /// Delete a Secret that is published, with its resource.
    Unpublish {
        /// Which.
        target: TargetId,
        /// What is there.
        over: Box<Carried>,
    },
}

impl Step {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ReadRecords => "read_records",
            Self::ReadApplication => "read_application",
            Self::ReadTarget { .. } => "read_target",
            Self::WatchConsumers { .. } => "watch_consumers",
            Self::ReadConsumers => "read_consumers",
            Self::TakeSlot { .. } => "take_slot",
            Self::ReadCopy { .. } => "read_copy",
            Self::ReadUsage => "read_usage",
            Self::Roll { .. } => "roll",
            Self::TryTarget { .. } => "try_target",
            Self::DisableVersions { .. } => "disable_versions",
            Self::Open { .. } => "open",
            Self::TakeOver { .. } => "take_over",
            Self::Rehearse { .. } => "rehearse",
            Self::Mint { .. } => "mint",
            Self::Make { .. } => "make",
            Self::ReadSource { .. } => "read_source",
            Self::ReadList { .. } => "read_list",
            Self::WriteList { .. } => "write_list",
            Self::Keep { .. } => "keep",
            Self::Settle { .. } => "settle",
            Self::KeepFromTarget { .. } => "keep_from_target",
            Self::Rebuild { .. } => "rebuild",
            Self::Adopt { .. } => "adopt",
            Self::SignIn { .. } => "sign_in",
            Self::Note { .. } => "note",
            Self::Publish { .. } => "publish",
            Self::Remove { .. } => "remove",
            Self::ReadIssuer => "read_issuer",
            Self::ReadFederation => "read_federation",
            Self::Establish { .. } => "establish",
            Self::Exchange { .. } => "exchange",
            Self::ReadAccount { .. } => "read_account",
            Self::Annotate { .. } => "annotate",
            Self::Withdraw { .. } => "withdraw",
            Self::Forget { .. } => "forget",
            Self::Detain { .. } => "detain",
            Self::Unpublish { .. } => "unpublish",
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
                | Self::WatchConsumers { .. }
                | Self::ReadConsumers
                | Self::ReadIssuer
                | Self::ReadFederation
                | Self::ReadAccount { .. }
                | Self::Exchange { .. }
                | Self::TryTarget { .. }
                | Self::TakeSlot { .. }
                | Self::ReadCopy { .. }
                | Self::ReadUsage
                | Self::Settle { .. }
                | Self::Rehearse { .. }
                | Self::Make { .. }
                | Self::ReadSource { .. }
                | Self::ReadList { .. }
        )
    }

    /// Which piece of work fails if it does.
    #[must_use]
    pub fn work(&self) -> Work {
        match self {
            Self::ReadRecords => Work::Records,
            Self::ReadApplication => Work::Application,
            Self::ReadTarget { target, .. } => Work::Target(target.clone()),
            Self::Publish { target, .. } | Self::Unpublish { target, .. } => Work::Publishing(target.clone()),
            Self::WatchConsumers { .. } | Self::ReadConsumers => Work::Consumers,
            Self::TakeSlot { .. } => Work::Waiting,
            Self::ReadCopy { copy, .. } => Work::Copying(copy.clone()),
            Self::ReadUsage => Work::Reporting,
            Self::Roll { workload, .. } => Work::Rolling(workload.clone()),
            Self::TryTarget { target, .. } => Work::Trying(target.clone()),
            Self::DisableVersions { target, .. } => Work::Disabling(target.clone()),
            Self::Open { .. } | Self::Adopt { .. } | Self::TakeOver { .. } | Self::Rehearse { .. } => Work::Opening,
            Self::Mint { .. } => Work::Minting,
            Self::Make { .. } => Work::Making,
            Self::ReadSource { .. } => Work::Source,
            Self::ReadList { .. } | Self::WriteList { .. } => Work::Listing,
            Self::Keep { .. } | Self::Settle { .. } | Self::KeepFromTarget { .. } => Work::Keeping,
            Self::SignIn { .. } => Work::Proving,
            Self::Rebuild { .. } | Self::Note { .. } | Self::Forget { .. } => Work::Noting,
            Self::ReadIssuer => Work::Issuer,
            Self::ReadFederation => Work::Federation,
            Self::Establish { record } => Work::Establishing(record.entry.sequence),
            Self::Exchange { key_id, .. } => Work::Exchanging(*key_id),
            Self::ReadAccount { account } => Work::Account(account.clone()),
            Self::Annotate { account, .. } => Work::Annotating(account.clone()),
            Self::Remove { key_id, .. } | Self::Withdraw { key_id, .. } => Work::Removing(*key_id),
            Self::Detain { .. } => Work::Detaining,
        }
    }
}
