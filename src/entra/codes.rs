//! What the refusals of Entra's token endpoint mean: one table of codes, each with its class, its reason and what to do.
//! Pure. `docs/entra-codes.md` is printed from it.
//!
//! Entra promises none of the codes, only the few words in `error`; so a code that is not in the table claims nothing
//! about a credential, and neither does an answer that is not Entra's.

mod refusal;
mod table;

pub use refusal::Refusal;
pub use table::CODES;

use crate::api::Reason;

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The credential is unknown, wrong, removed, or not known everywhere yet: the code is the same for all of these.
    Wrong,
    /// The credential is over.
    Expired,
    /// The credential is accepted, and a policy blocks the sign-in all the same.
    Blocked,
    /// The scope, the application, the tenant or the service principal: the credential was not even the question.
    Misasked,
    /// Our own request is wrong, or how the operator is set up.
    Ours,
    /// We are asked to wait.
    Throttled,
    /// Entra is in trouble, or cannot reach what it needs.
    Unavailable,
    /// Nothing is known, so nothing is claimed.
    Unknown,
}

impl Class {
    /// All of them, in the order of the docs.
    pub const ALL: [Self; 8] = [
        Self::Wrong,
        Self::Expired,
        Self::Blocked,
        Self::Misasked,
        Self::Ours,
        Self::Throttled,
        Self::Unavailable,
        Self::Unknown,
    ];
}

/// What one or several codes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The numbers, as in `AADSTS7000215`.
    pub numbers: &'static [u32],
    /// What it is about.
    pub class: Class,
    /// The reason that people read.
    pub reason: Reason,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// What a number means, if it is in the table.
#[must_use]
pub fn known(number: u32) -> Option<&'static Code> {
    CODES.iter().find(|code| code.numbers.contains(&number))
}

#[cfg(test)]
mod docs;
