//! A client assertion that somebody else has issued, taken apart: what it says, and what is signed of it. Whether any of
//! it is so is not decided here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::azure::federated::Presented;
use crate::azure::signing::{Algorithm, PublicKey};

/// A client assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assertion {
    /// Whom it names.
    pub(crate) presented: Presented,
    /// The ID of the key that has signed it.
    pub(crate) key_id: String,
    /// From when on it is good.
    pub(crate) begin: Timestamp,
    /// Until when.
    pub(crate) end: Timestamp,
    signed: String,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMore,
    nbf: Option<i64>,
    exp: i64,
}

/// An audience is written alone or in a list (RFC 7519, 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Assertion {
    /// Reads one; nothing if it is malformed, lacks a claim, or is signed by anything but RS256 (AZURE 1.5).
    pub(crate) fn read(token: &str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let head: Head = decoded(head)?;
        let Claims { iss: issuer, sub: subject, aud, nbf, exp } = decoded(claims)?;
        let audiences = match aud {
            OneOrMore::One(audience) => vec![audience],
            OneOrMore::More(audiences) => audiences,
        };
        (head.alg == "RS256").then_some(())?;
        Some(Self {
            presented: Presented { issuer, subject, audiences },
            key_id: head.kid,
            begin: nbf.map_or(Some(Timestamp::MIN), |second| Timestamp::from_second(second).ok())?,
            end: Timestamp::from_second(exp).ok()?,
            signed: signed.to_owned(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Whether the other half of this key has signed it.
    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.has_signed(Algorithm::Rs256, &self.signed, &self.signature)
    }

    /// Whether it is good at a time.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        self.begin <= now && now < self.end
    }
}

fn decoded<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claims() -> Value {
        json!({"iss": "https://a/", "sub": "b", "aud": ["c", "d"], "nbf": 1_000_000, "exp": 1_000_600})
    }

    fn head() -> Value {
        json!({"alg": "RS256", "kid": "1"})
    }

    fn token(head: &Value, claims: &Value) -> String {
        let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        format!("{head}.{claims}.AAAA")
    }

    #[test]
    fn an_assertion_is_read_as_it_is_written() {
        let read = Assertion::read(&token(&head(), &claims())).unwrap();
        let presented =
            Presented { issuer: "https://a/".into(), subject: "b".into(), audiences: vec!["c".into(), "d".into()] };
        assert_eq!((read.presented.clone(), read.key_id.as_str()), (presented, "1"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let times = [999_999, 1_000_000, 1_000_599, 1_000_600].map(|second| read.is_valid(at(second)));
        assert_eq!(times, [false, true, true, false]);
    }

    /// AZURE 4.3: 50027 for what is malformed or lacks a claim; AZURE 1.5: RS256 only.
    #[test]
    fn what_is_not_whole_is_not_read() {
        for odd in ["", "a.b", "a.b.c", "a.b.c.d"] {
            assert_eq!(Assertion::read(odd), None, "{odd}");
        }
        for claim in ["iss", "sub", "aud", "exp"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(claim);
            assert_eq!(Assertion::read(&token(&head(), &claims)), None, "{claim}");
        }
        assert_eq!(Assertion::read(&token(&json!({"alg": "PS256", "kid": "1"}), &claims())), None);
        assert_eq!(Assertion::read(&token(&json!({"alg": "RS256"}), &claims())), None);
    }
}
