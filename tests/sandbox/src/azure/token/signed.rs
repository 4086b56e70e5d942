//! A client assertion that the client has signed itself, with the key of a certificate, taken apart (AZURE 5): what it
//! says, by what the certificate is called, and what is signed of it. Whether any of it is so is not decided here.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::azure::signing::{Algorithm, PublicKey};
use crate::azure::x509::hexadecimal;

/// Thumbprints come with padding and without, and so does all the rest: azure-identity for Python pads every part of the
/// token that it signs.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// By how much clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A client assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Who has issued it.
    pub(crate) issuer: String,
    /// For whom it speaks.
    pub(crate) subject: String,
    /// For whom it is.
    pub(crate) audience: String,
    /// From when on it is good.
    pub(crate) begin: Timestamp,
    /// Until when.
    pub(crate) end: Timestamp,
    /// The thumbprint of the certificate, by SHA-1 or SHA-256; none if nobody can read it.
    pub(crate) thumbprint: Option<Vec<u8>>,
    algorithm: Algorithm,
    /// What the signature is about.
    text: String,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    x5t: Option<String>,
    #[serde(rename = "x5t#S256")]
    x5t_s256: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    jti: String,
    nbf: Option<Second>,
    exp: Second,
}

/// MSAL writes seconds as text (AZURE 5), or as a number that is not whole.
#[derive(Deserialize)]
#[serde(untagged)]
enum Second {
    Number(f64),
    Text(String),
}

impl Second {
    fn time(&self) -> Option<Timestamp> {
        let second = match self {
            Self::Number(second) => *second,
            Self::Text(text) => text.parse().ok()?,
        };
        Timestamp::from_duration(SignedDuration::try_from_secs_f64(second).ok()?).ok()
    }
}

impl Signed {
    /// Reads one; nothing if it is malformed, lacks a claim or a thumbprint, or is signed in another way.
    pub(crate) fn read(token: &str) -> Option<Self> {
        let (text, signature) = token.rsplit_once('.')?;
        let (head, claims) = text.split_once('.')?;
        let Head { alg, x5t, x5t_s256 } = part(head)?;
        let Claims { iss: issuer, sub: subject, aud: audience, jti, nbf, exp } = part(claims)?;
        let algorithm = Algorithm::named(&alg)?;
        // The older thumbprint goes with the older algorithm.
        let (thumbprint, length) = match (x5t_s256, x5t) {
            (Some(thumbprint), _) => (thumbprint, 32),
            (None, Some(thumbprint)) if algorithm == Algorithm::Rs256 => (thumbprint, 20),
            _ => return None,
        };
        (!jti.is_empty()).then_some(())?;
        Some(Self {
            issuer,
            subject,
            audience,
            begin: nbf.map_or(Some(Timestamp::MIN), |second| second.time())?,
            end: exp.time()?,
            thumbprint: LENIENT.decode(thumbprint).ok().filter(|bytes| bytes.len() == length),
            algorithm,
            text: text.to_owned(),
            signature: LENIENT.decode(signature).ok()?,
        })
    }

    /// The thumbprint, as it is told to people.
    pub(crate) fn told_thumbprint(&self) -> Option<String> {
        self.thumbprint.as_deref().map(hexadecimal)
    }

    /// Whether the other half of this key has signed it.
    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.has_signed(self.algorithm, &self.text, &self.signature)
    }

    /// Whether it is good at a time, by a clock that is not quite ours.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        self.begin.duration_since(now) <= SKEW && now.duration_since(self.end) < SKEW
    }
}

/// A part of a token.
pub(super) fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&LENIENT.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    /// In base64 of either alphabet it looks different: `-_8=` and `+/8=`.
    const SHA_1: [u8; 20] = [0xfb; 20];
    const SHA_256: [u8; 32] = [0xff; 32];

    fn head() -> Value {
        json!({"alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(SHA_256)})
    }

    fn claims() -> Value {
        json!({"iss": "a", "sub": "a", "aud": "b", "jti": "c", "nbf": 1_000_000, "iat": 1_000_000, "exp": 1_000_600})
    }

    fn read(head: &Value, claims: &Value) -> Option<Signed> {
        let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        Signed::read(&format!("{head}.{claims}.AAAA"))
    }

    fn but(mut part: Value, name: &str, value: Value) -> Value {
        part[name] = value;
        part
    }

    /// AZURE 4.3: what official clients send, so a checker must accept it.
    #[test]
    fn thumbprints_come_in_several_forms() {
        let old = |text: String| json!({"alg": "RS256", "x5t": text});
        let new = |alg: &str, text: String| json!({"alg": alg, "x5t#S256": text});
        let thumbprint = |head: &Value| read(head, &claims()).unwrap().thumbprint;
        for head in [old(URL_SAFE_NO_PAD.encode(SHA_1)), old(URL_SAFE.encode(SHA_1))] {
            assert_eq!(thumbprint(&head), Some(SHA_1.to_vec()), "{head}");
        }
        for alg in ["PS256", "RS256"] {
            for text in [URL_SAFE_NO_PAD.encode(SHA_256), URL_SAFE.encode(SHA_256)] {
                let head = but(new(alg, text), "x5t", "whatever".into());
                assert_eq!(thumbprint(&head), Some(SHA_256.to_vec()), "{head}");
            }
        }
        // AZURE 5: wrong base64, hexadecimal digits, the one in place of the other.
        for odd in [STANDARD.encode(SHA_1), "FB".repeat(20), URL_SAFE_NO_PAD.encode(SHA_256), String::new()] {
            assert_eq!(thumbprint(&old(odd.clone())), None, "{odd}");
        }
        assert_eq!(thumbprint(&new("PS256", URL_SAFE_NO_PAD.encode(SHA_1))), None);
        let told = read(&old(URL_SAFE.encode(SHA_1)), &claims()).unwrap().told_thumbprint();
        assert_eq!(told, Some("FB".repeat(20)));
    }

    /// Five minutes; seconds written as text, and such as are not whole.
    #[test]
    fn clocks_may_differ_a_little() {
        let text = but(but(claims(), "nbf", "1000000".into()), "exp", "1000600".into());
        let no_begin = but(claims(), "nbf", Value::Null);
        let at = |second| Timestamp::from_second(second).unwrap();
        let seconds = [999_699, 999_700, 1_000_899, 1_000_900];
        let not_whole = but(but(claims(), "nbf", json!(1_000_000.0)), "exp", json!(1_000_599.999));
        for claims in [claims(), text, not_whole] {
            let read = read(&head(), &claims).unwrap();
            assert_eq!(seconds.map(|second| read.is_valid(at(second))), [false, true, true, false], "{claims}");
        }
        let read = read(&head(), &no_begin).unwrap();
        assert_eq!(seconds.map(|second| read.is_valid(at(second))), [true, true, true, false]);
    }

    #[test]
    fn every_part_may_be_padded() {
        let [head, claims] = [head(), but(claims(), "aud", "four".into())].map(|part| part.to_string());
        let padded = [&head, &claims, "a"].map(|part| URL_SAFE.encode(part)).join(".");
        assert!(padded.contains("=.") && padded.ends_with('='), "{padded}");
        let plain = [&head, &claims, "a"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let text = |token: &str| Signed { text: String::new(), ..Signed::read(token).unwrap() };
        assert_eq!(text(&padded), text(&plain));
    }

    /// AZURE 4.3: 50027.
    #[test]
    fn what_is_not_whole_is_not_read() {
        for odd in ["", "a.b", "a.b.c", "a.b.c.d"] {
            assert_eq!(Signed::read(odd), None, "{odd}");
        }
        for claim in ["iss", "sub", "aud", "jti", "exp"] {
            assert_eq!(read(&head(), &but(claims(), claim, Value::Null)), None, "{claim}");
        }
        for (claim, odd) in [("jti", json!("")), ("exp", json!("soon")), ("exp", json!(1e30)), ("aud", json!(["b"]))] {
            assert_eq!(read(&head(), &but(claims(), claim, odd)), None, "{claim}");
        }
        assert_eq!(read(&but(head(), "x5t#S256", Value::Null), &claims()), None);
        let old_with_new = json!({"alg": "PS256", "x5t": URL_SAFE.encode(SHA_1)});
        assert_eq!(read(&old_with_new, &claims()), None);
        for alg in ["none", "HS256", "ES256"] {
            assert_eq!(read(&but(head(), "alg", alg.into()), &claims()), None, "{alg}");
        }
    }
}
