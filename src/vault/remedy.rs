//! What to do about each refusal of a vault. Pure: status and code in, words out.

use super::Call;
use crate::api::{Reason, publish::VaultObjectType};

/// What Key Vault says of a name that is not there.
pub(super) const NOT_FOUND: [&str; 2] = ["SecretNotFound", "CertificateNotFound"];

pub(super) const UNREACHABLE: &str =
    "Nothing, unless it lasts: then see that the cluster, and its proxy if there is one, reaches the vault";
pub(super) const MANAGED: &str = "Choose another name, or set objectType to Certificate";
pub(super) const TAKEN: &str =
    "Choose another name; or, if it is a secret in the certificate's way that nobody needs, delete and purge it";
pub(super) const DISABLED: &str =
    "Somebody has disabled the latest version, which is not undone unasked: enable it, or delete the entry";

pub(super) const fn deleted(call: Call<'_>) -> &'static str {
    match call.object {
        VaultObjectType::Secret => {
            "Recover it (az keyvault secret recover), or purge it if nobody needs it: what was deleted is never recovered \
             unasked"
        }
        VaultObjectType::Certificate => {
            "Recover it (az keyvault certificate recover; or secret recover, if it was one), or purge it if nobody needs it: \
             what was deleted is never recovered unasked"
        }
    }
}

/// What the operator's identity lacks where roles decide.
const fn role(call: Call<'_>) -> &'static str {
    match call.object {
        VaultObjectType::Secret => {
            "Assign the role \"Key Vault Secrets Officer\" to the operator's identity, for the vault or for this secret; it takes some minutes to be known"
        }
        VaultObjectType::Certificate => {
            "Assign the roles \"Key Vault Certificates Officer\" and \"Key Vault Certificate User\" to the operator's identity, for the vault or for this certificate; it takes some minutes to be known"
        }
    }
}

/// What it lacks where access policies decide.
const fn policy(call: Call<'_>) -> &'static str {
    match call.object {
        VaultObjectType::Secret => {
            "Give the operator's identity the secret permissions Get, List and Set in the vault's access policies"
        }
        VaultObjectType::Certificate => {
            "Give the operator's identity the certificate permissions Get, List, Import and Update, and the secret permission Get, in the vault's access policies"
        }
    }
}

/// What a refusal means: its reason, and what to do.
pub(super) fn meaning(call: Call<'_>, status: u16, code: &str) -> (Reason, &'static str) {
    match (status, code) {
        (401, "AKV10032") => (
            Reason::VaultForbidden,
            "The vault trusts another tenant than the one that the operator signs in to: name a vault of the EntraTenant's tenant",
        ),
        (401, _) => (
            Reason::OperatorCannotSignIn,
            "Compare cloud and endpoints of the EntraTenant with the vault's, and the clocks of the cluster's machines with the time of the answer",
        ),
        (403, "ForbiddenByRbac") => (Reason::VaultForbidden, role(call)),
        (403, "ForbiddenByPolicy" | "AccessDenied") => (Reason::VaultForbidden, policy(call)),
        (403, "ForbiddenByFirewall") => (
            Reason::VaultUnreachable,
            "Allow the address that the cluster's requests come from in the vault's firewall, or reach it by a private endpoint",
        ),
        (403, "ForbiddenByConnection") => (
            Reason::VaultUnreachable,
            "The vault can be reached by private endpoints only: give the cluster's network one, with its DNS zone",
        ),
        (403, "SecretDisabled") => (Reason::VaultForbidden, DISABLED),
        (403, "SecretManagedByKeyVault") => (Reason::VaultEntryNotOurs, MANAGED),
        (403, _) => (Reason::VaultForbidden, "Let the operator's identity read and write this entry"),
        (404, code) if NOT_FOUND.contains(&code) => (Reason::Refused, "Create it, or correct its name"),
        (409, "ObjectIsBeingRecovered") => {
            (Reason::VaultEntryDeleted, "Nothing: it is being recovered, and is written to when that is done")
        }
        (409, "ObjectIsDeletedButRecoverable" | "ObjectIsBeingDeleted") => (Reason::VaultEntryDeleted, deleted(call)),
        // Said without an inner code.
        (409, _) if call.object == VaultObjectType::Certificate => (Reason::VaultEntryNotOurs, TAKEN),
        (400, _) if call.object == VaultObjectType::Certificate => (
            Reason::Refused,
            "Key Vault imports no certificate that has expired, and only RSA keys of 2048, 3072 or 4096 bits: see when it ends, and what its key is",
        ),
        (429, _) => (Reason::Throttled, "Nothing: it is tried again when the time is over"),
        (408 | 500.., _) => {
            (Reason::Unreachable, "Nothing: it is tried again. If it lasts, see https://azure.status.microsoft")
        }
        _ => (Reason::Refused, "Look the code up in Key Vault's error codes, and report that it is missing here"),
    }
}
