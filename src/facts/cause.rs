//! Where a credential comes from: why another one was due, or that it was there already.

use std::str::FromStr;

/// A word that stands for none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such word")]
pub struct NoSuchWord;

/// How certain it is which credential of the application was adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Adopted {
    /// No other begins as it does.
    Certain,
    /// Another one begins alike, so it is never removed.
    OneOfSeveral,
}

impl Adopted {
    /// The word for it, in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::OneOfSeveral => "one-of-several",
        }
    }
}

impl FromStr for Adopted {
    type Err = NoSuchWord;

    fn from_str(text: &str) -> Result<Self, NoSuchWord> {
        [Self::Certain, Self::OneOfSeveral].into_iter().find(|one| one.as_str() == text).ok_or(NoSuchWord)
    }
}

/// Why a credential is due. In the order in which they are looked for: the first is the one that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Somebody else may know the one that is published.
    Compromised,
    /// There is none.
    FirstIssue,
    /// The spec declares another kind than before.
    KindChanged,
    /// The one that is published is not on the application any more.
    KeyAbsent,
    /// The one that is published was minted before the time that the spec names.
    IssuedAfter,
    /// The one that is published has expired.
    Expired,
    /// The one that is published has so little time left that no window is waited for.
    ShortLife,
    /// It is time.
    Renewal,
    /// The Secret from which it is taken has another certificate.
    SourceRenewed,
    /// It was there already, and the spec names it.
    Adopted,
}

impl Cause {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Compromised,
        Self::FirstIssue,
        Self::KindChanged,
        Self::KeyAbsent,
        Self::IssuedAfter,
        Self::Expired,
        Self::ShortLife,
        Self::Renewal,
        Self::SourceRenewed,
        Self::Adopted,
    ];

    /// The word for it, in the record, in the status and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compromised => "Compromised",
            Self::FirstIssue => "FirstIssue",
            Self::KindChanged => "KindChanged",
            Self::KeyAbsent => "KeyAbsent",
            Self::IssuedAfter => "IssuedAfter",
            Self::Expired => "Expired",
            Self::ShortLife => "ShortLife",
            Self::Renewal => "Renewal",
            Self::SourceRenewed => "SourceRenewed",
            Self::Adopted => "Adopted",
        }
    }
}

impl FromStr for Cause {
    type Err = NoSuchWord;

    fn from_str(text: &str) -> Result<Self, NoSuchWord> {
        Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(NoSuchWord)
    }
}
