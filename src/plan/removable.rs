//! The reasons for which a credential may leave.

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
    /// Its successor is proven to be with everybody.
    Replaced,
    /// The spec names it, the tenant allows it, and ours is proven to be with everybody.
    Foreign,
    /// It was adopted, and everybody has its successor.
    Adopted,
    /// Somebody else may know it.
    Compromised,
    /// The spec does not name its identity any more, and no pod signs in by it.
    Undeclared,
    /// The spec declares another kind, which everybody has, and nobody uses this one any more.
    Migrated,
    /// Its resource is being deleted, which says so, and nobody reads it any more.
    Revoked,
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
            Self::Replaced => "everybody has its successor",
            Self::Adopted => "it was adopted, and everybody has its successor",
            Self::Foreign => "spec.retirement.foreignKeyIds names it, and everybody has ours",
            Self::Compromised => "spec.retirement.compromisedKeyIds names it",
            Self::Undeclared => "the spec does not name its identity any more, and no pod signs in by it",
            Self::Migrated => "another kind has taken its place, and nobody uses it any more",
            Self::Revoked => "its resource is being deleted with deletionPolicy Revoke, and nobody reads it any more",
        }
    }
}
