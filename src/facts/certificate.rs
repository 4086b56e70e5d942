//! Certificates: what identifies one, the list of an application's, which is only ever written whole, and the Secret of
//! somebody else's from which one is taken. Keys never come here.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Builder;

use super::{Mark, Nonce, Trouble};
use crate::api::KeyId;

/// The SHA-256 of a certificate, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(String);

/// A text that is no thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hexadecimal digits")]
pub struct NotAThumbprint;

impl Thumbprint {
    /// That of a certificate in DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(HEXLOWER.encode(digest(&SHA256, der).as_ref()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key ID under which an attempt adds the certificate: known before it is added, so that a lost answer is answered
    /// by a look; and another one each time, so that the same certificate can come again.
    #[must_use]
    pub fn key_id(&self, nonce: &Nonce) -> KeyId {
        let mut bytes = [0; 16];
        let sum = digest(&SHA256, format!("{nonce}/{self}").as_bytes());
        bytes.iter_mut().zip(sum.as_ref()).for_each(|(byte, of)| *byte = *of);
        KeyId(Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for Thumbprint {
    type Err = NotAThumbprint;

    fn from_str(text: &str) -> Result<Self, NotAThumbprint> {
        let is_one = text.len() == 64 && text.bytes().all(|one| one.is_ascii_digit() || (b'a'..=b'f').contains(&one));
        if is_one { Ok(Self(text.to_owned())) } else { Err(NotAThumbprint) }
    }
}

/// The SHA-1 of a certificate in hexadecimal, from what Graph shows as its `customKeyIdentifier`: the digits themselves,
/// their bytes in base64, or the digest's.
#[must_use]
pub fn shown_thumbprint(identifier: &str) -> Option<String> {
    let is_digest = |bytes: &Vec<u8>| bytes.len() == 20;
    let digits = |text: &[u8]| HEXLOWER_PERMISSIVE.decode(text).ok().filter(is_digest);
    let coded = || {
        let bytes = BASE64.decode(identifier.as_bytes()).ok()?;
        if is_digest(&bytes) { Some(bytes) } else { digits(&bytes) }
    };
    digits(identifier.as_bytes()).or_else(coded).map(|bytes| HEXLOWER.encode(&bytes))
}

/// One of an application's certificates, as Graph told it, so that it can be written back as it is. By its key ID alone it
/// stays where it is; to come back it needs the certificate itself, which Graph tells only to whoever asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// Its key ID.
    pub key_id: KeyId,
    /// Everything that was told.
    pub told: Map<String, Value>,
}

impl ListedKey {
    /// Whether the certificate itself was told.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.told.contains_key("key")
    }

    /// The mark in its name, if one of us made it.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.told.get("displayName").and_then(Value::as_str).and_then(Mark::in_name)
    }
}

/// What this process has seen of an application's list of certificates, and what it has done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSeen {
    /// What the last read has shown, by key ID.
    pub last: Vec<ListedKey>,
    /// When the reads were made that have shown the same in a row, the last at the end.
    pub row: Vec<Timestamp>,
    /// What was written last.
    pub written: Option<ListWritten>,
}

/// A list that this process has written in the place of what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListWritten {
    /// When.
    pub at: Timestamp,
    /// What was in it.
    pub keys: Vec<KeyId>,
    /// The credential that was added by it, and how often by now.
    pub added: Option<(KeyId, u32)>,
    /// What reads have shown since then that was not in it, and when first: it may have come after it, or have been there
    /// already, unseen, and be lost by it.
    pub strangers: Vec<(ListedKey, Timestamp)>,
}

/// A Secret of somebody else's from which a certificate is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// There is none of that name.
    Absent,
    /// What it has cannot be used.
    Unsuited(Trouble),
    /// It has a certificate with its key.
    Fit {
        /// Which.
        thumbprint: Thumbprint,
        /// From when on it is valid.
        begins: Timestamp,
        /// Until when.
        ends: Timestamp,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::facts::{Owner, Sequence};

    #[test]
    fn a_thumbprint_is_read_as_it_is_printed_and_nothing_else_is_one() {
        let one = Thumbprint::of(b"certificate");
        assert_eq!(one.to_string().parse(), Ok(one.clone()));
        for odd in [String::new(), "ab".repeat(31), "AB".repeat(32), "xy".repeat(32)] {
            assert_eq!(odd.parse::<Thumbprint>(), Err(NotAThumbprint), "{odd}");
        }
    }

    #[test]
    fn each_attempt_adds_a_certificate_under_a_key_id_of_its_own() {
        let (one, other) = (Thumbprint::of(b"one"), Thumbprint::of(b"other"));
        let [first, second] = [1, 2].map(|number| Nonce::of([number; 10]));
        assert_eq!(one.key_id(&first), one.key_id(&first));
        assert_ne!(one.key_id(&first), one.key_id(&second));
        assert_ne!(one.key_id(&first), other.key_id(&first));
    }

    /// AZURE 5: hexadecimal and base64 variants are shown; they are compared by what they mean.
    #[test]
    fn every_spelling_of_a_thumbprint_means_the_same() {
        let digits = "52ed9b50a1b2c3d4e5f60718293a4b5c6d7e8f90";
        let bytes = HEXLOWER.decode(digits.as_bytes()).unwrap();
        let spellings = [
            digits.to_owned(),
            digits.to_uppercase(),
            BASE64.encode(&bytes),
            BASE64.encode(digits.as_bytes()),
            BASE64.encode(digits.to_uppercase().as_bytes()),
        ];
        for spelling in spellings {
            assert_eq!(shown_thumbprint(&spelling).as_deref(), Some(digits), "{spelling}");
        }
        for odd in ["", "AAAA", "52ed", "not base64!"] {
            assert_eq!(shown_thumbprint(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_mark_is_read_from_the_name() {
        let mark = Mark { owner: Owner::of("c", "n", "x"), sequence: Sequence(7), nonce: Nonce::of([7; 10]) };
        let listed = |name: Value| {
            let told = json!({"displayName": name});
            ListedKey { key_id: KeyId(uuid::Uuid::nil()), told: told.as_object().unwrap().clone() }
        };
        assert_eq!(listed(json!(mark.display_name("n", "x"))).mark(), Some(mark));
        assert_eq!((listed(json!("CN=web")).mark(), listed(Value::Null).mark()), (None, None));
    }

    proptest! {
        #[test]
        fn no_identifier_is_a_surprise(text in ".{0,80}") {
            drop(shown_thumbprint(&text));
            drop(text.parse::<Thumbprint>());
        }
    }
}
