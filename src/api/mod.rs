//! What users write and read: the two kinds, their statuses, conditions and reasons. No I/O, no decisions.
//!
//! The descriptions in this room are the reference documentation: they become the text of `kubectl explain`.

/// What a duration looks like: for the rule of its type, and inside the rules that compare two.
macro_rules! period_pattern {
    () => {
        "^([0-9]{1,5}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
    };
}

pub mod conditions;
pub mod consumers;
pub mod credential;
pub mod declared;
pub mod grant;
pub mod kinds;
pub mod period;
pub mod publish;
pub mod reasons;
pub mod rotation;
mod rules;
pub mod status;
pub mod tenant;
pub mod values;

pub use credential::{EntraAppCredential, EntraAppCredentialSpec};
pub use declared::Declared;
pub use period::Period;
pub use reasons::Reason;
pub use status::{EntraAppCredentialStatus, EntraTenantStatus};
pub use tenant::{EntraTenant, EntraTenantSpec};
pub use values::{ClientId, KeyId, TenantId};

/// The API group of both kinds, and the prefix of every label and annotation that is ours.
pub const GROUP: &str = "keywright.dev";

/// The finalizer of a resource with which something is to go when it is deleted.
pub const FINALIZER: &str = "keywright.dev/deletion";
