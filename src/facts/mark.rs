//! How everything that is minted is told apart: whose it is, which of theirs, and by which attempt.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

/// What our marks begin with; the number is the version of their form.
const PREFIX: &str = "kw1:";

/// How long an owner and a nonce are.
const LENGTH: usize = 16;

/// The characters of base32, in the case in which Kubernetes takes them in names.
fn is_base32(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte))
}

fn base32(bytes: &[u8]) -> String {
    let mut text = BASE32_NOPAD.encode(bytes).to_ascii_lowercase();
    text.truncate(LENGTH);
    text
}

macro_rules! word {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The word itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAWord;

            fn from_str(text: &str) -> Result<Self, NotAWord> {
                if is_base32(text) { Ok(Self(text.to_owned())) } else { Err(NotAWord) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAWord;

            fn try_from(text: String) -> Result<Self, NotAWord> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }
    };
}

/// A text that is no owner and no nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 16 characters of lower-case base32")]
pub struct NotAWord;

word!(
    Owner,
    "Whose a credential is: a resource of a cluster, in a form that fits everywhere and cannot be guessed back."
);
word!(Nonce, "One attempt to mint. Whoever wrote it last into the record is the only one who may keep what it brings.");

impl Owner {
    /// The owner that a resource is.
    #[must_use]
    pub fn of(cluster_id: &str, namespace: &str, name: &str) -> Self {
        Self(base32(digest(&SHA256, format!("{cluster_id}/{namespace}/{name}").as_bytes()).as_ref()))
    }
}

impl Nonce {
    /// A nonce of ten bytes of chance.
    #[must_use]
    pub fn of(chance: [u8; 10]) -> Self {
        Self(base32(&chance))
    }
}

/// The number of a credential in the life of its resource, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u32);

impl Sequence {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What stands in the name of everything we mint. What decides is in its first 50 characters, since Entra shortens names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Whose it is.
    pub owner: Owner,
    /// Which of theirs.
    pub sequence: Sequence,
    /// By which attempt.
    pub nonce: Nonce,
}

impl Mark {
    /// The mark with the name of its resource behind it, for people who read it in Entra's portal.
    #[must_use]
    pub fn display_name(&self, namespace: &str, name: &str) -> String {
        format!("{self} {namespace}/{name}")
    }

    /// The mark in a name that Entra shows, if it has one.
    #[must_use]
    pub fn in_name(name: &str) -> Option<Self> {
        name.split(' ').next()?.parse().ok()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX}{}.{}.{}", self.owner, self.sequence, self.nonce)
    }
}

/// A text that is no mark of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {PREFIX}<owner>.<sequence>.<nonce>")]
pub struct NotAMark;

impl FromStr for Mark {
    type Err = NotAMark;

    fn from_str(text: &str) -> Result<Self, NotAMark> {
        let mut parts = text.strip_prefix(PREFIX).ok_or(NotAMark)?.split('.');
        let (Some(owner), Some(sequence), Some(nonce), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotAMark);
        };
        let number: u32 = sequence.parse().map_err(|_| NotAMark)?;
        // One spelling each, so that what is compared as text is the same as what is compared as marks.
        if number == 0 || number.to_string() != sequence {
            return Err(NotAMark);
        }
        let word = |text: &str| text.parse().map_err(|NotAWord| NotAMark);
        Ok(Self { owner: word(owner)?, sequence: Sequence(number), nonce: nonce.parse().map_err(|NotAWord| NotAMark)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark() -> Mark {
        Mark { owner: Owner::of("c", "payments", "api"), sequence: Sequence(u32::MAX), nonce: Nonce::of([7; 10]) }
    }

    #[test]
    fn what_decides_stands_in_the_first_fifty_characters() {
        assert!(mark().to_string().len() <= 50, "{}", mark());
    }

    #[test]
    fn a_name_that_entra_has_shortened_still_has_its_mark() {
        let name = mark().display_name("payments", &"a".repeat(63));
        assert_eq!(Mark::in_name(&name[..90]), Some(mark()));
        assert_eq!(Mark::in_name(&name[..50]), Some(mark()));
    }

    #[test]
    fn a_resource_of_another_cluster_is_another_owner() {
        assert_ne!(Owner::of("a", "n", "x"), Owner::of("b", "n", "x"));
        assert_eq!(Owner::of("a", "n", "x"), Owner::of("a", "n", "x"));
    }

    #[test]
    fn what_merely_looks_like_a_mark_is_none() {
        let (owner, nonce) = (Owner::of("a", "n", "x"), Nonce::of([0; 10]));
        for text in [
            String::new(),
            "kw1:".into(),
            format!("kw1:{owner}.1"),
            format!("kw1:{owner}.0.{nonce}"),
            format!("kw1:{owner}.01.{nonce}"),
            format!("kw1:{owner}.+1.{nonce}"),
            format!("kw1:{owner}.1.{nonce}."),
            format!("kw1:{owner}.1.{nonce}x"),
            format!("kw2:{owner}.1.{nonce}"),
            format!("KW1:{owner}.1.{nonce}"),
        ] {
            assert_eq!(text.parse::<Mark>(), Err(NotAMark), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(sequence in 1_u32.., chance: [u8; 10], id in ".*", namespace in ".*", name in ".*") {
            let mark = Mark { owner: Owner::of(&id, &namespace, &name), sequence: Sequence(sequence), nonce: Nonce::of(chance) };
            prop_assert_eq!(mark.to_string().parse(), Ok(mark.clone()));
            prop_assert_eq!(Mark::in_name(&mark.display_name("n", "x")), Some(mark));
        }

        #[test]
        fn no_text_is_a_surprise(text in ".{0,80}") {
            drop(Mark::in_name(&text));
        }
    }
}
