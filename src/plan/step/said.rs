//! A step as a sentence.

use std::fmt;

use super::{Origin, Step};

/// What would be done, for people who have suspended it.
impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadRecords => write!(out, "list the records"),
            Self::ReadApplication => write!(out, "read the application"),
            Self::ReadTarget { target, .. } => write!(out, "look at {target}"),
            Self::WatchConsumers { .. } => write!(out, "watch the workloads and pods"),
            Self::ReadConsumers => write!(out, "list the workloads and pods"),
            Self::TakeSlot { .. } => write!(out, "take a slot of the tenant"),
            Self::ReadCopy { copy, .. } => write!(out, "look at the copy in {copy}"),
            Self::ReadUsage => write!(out, "read Microsoft's report of who signs in with what"),
            Self::Roll { workload, mark } => write!(out, "restart {workload} for credential {mark}"),
            Self::TryTarget { target, key_id, .. } => write!(out, "sign in with what {target} holds of {key_id}"),
            Self::DisableVersions { target, before } => {
                write!(out, "disable the versions of {target} that carry credentials before {before}")
            }
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
            Self::Make { record, from: Origin::Generated(_) } => {
                write!(out, "make certificate {}", record.entry.sequence)
            }
            Self::Make { record, from: Origin::Secret { name, .. } } => {
                write!(out, "take certificate {} from secret/{name}", record.entry.sequence)
            }
            Self::ReadSource { name } => write!(out, "look at secret/{name}"),
            Self::ReadList { .. } => write!(out, "read the certificates of the application"),
            Self::WriteList { add: Some(record), .. } => {
                write!(out, "add certificate {} to application {}", record.entry.sequence, record.entry.client_id)
            }
            Self::WriteList { drop: None, .. } => {
                write!(out, "put back what was dropped from the certificates of the application")
            }
            Self::Keep { record, .. } => write!(out, "keep the new credential in {}", record.entry.name()),
            Self::Settle { sequence, .. } => write!(out, "find out what became of credential {sequence}"),
            Self::KeepFromTarget { record, target, .. } => {
                write!(out, "keep in {} the credential that {target} carries", record.entry.name())
            }
            Self::Rebuild { entry, target } => write!(out, "write record {} anew from {target}", entry.name()),
            Self::Adopt { entry, .. } => write!(out, "adopt a credential as {}", entry.sequence),
            Self::SignIn { key_id, .. } => write!(out, "sign in with {key_id}"),
            Self::Note { record, .. } => write!(out, "note in {} how far it is", record.entry.name()),
            Self::Publish { record, target, .. } if record.entry.claims.is_some() => {
                write!(out, "publish to {target} where to sign in, and as what")
            }
            Self::Publish { record, target, .. } => {
                write!(out, "publish credential {} to {target}", record.entry.sequence)
            }
            Self::ReadIssuer => write!(out, "ask the cluster for its issuer"),
            Self::ReadFederation => write!(out, "read the federated credentials of the application"),
            Self::Establish { record } => {
                let what = record.entry.claims.as_ref().map(ToString::to_string).unwrap_or_default();
                write!(out, "have application {} accept {what}", record.entry.client_id)
            }
            Self::Exchange { account, key_id, .. } => {
                write!(out, "exchange a token of serviceaccount/{account} by {key_id}")
            }
            Self::ReadAccount { account } => write!(out, "look at serviceaccount/{account}"),
            Self::Annotate { account, told: true, .. } => write!(out, "annotate serviceaccount/{account}"),
            Self::Annotate { account, told: false, .. } => {
                write!(out, "take the annotations of serviceaccount/{account} back")
            }
            Self::Remove { key_id, because }
            | Self::Withdraw { key_id, because }
            | Self::WriteList { drop: Some((key_id, because)), .. } => {
                write!(out, "remove {key_id}, since {}", because.as_str())
            }
            Self::Forget { record } => write!(out, "delete record {}", record.entry.name()),
            Self::Detain { detained: true } => {
                write!(out, "have the resource stay when it is deleted, until it is cleared up")
            }
            Self::Detain { detained: false } => write!(out, "let the resource go when it is deleted"),
            Self::Unpublish { target, .. } => write!(out, "delete {target}"),
        }
    }
}
