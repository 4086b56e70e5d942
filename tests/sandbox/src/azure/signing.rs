//! Signatures of JSON Web Tokens by RSA: a key that signs and tells its public half, and what a public half says about
//! a signature. What a token says, and whom it convinces, is decided by others.

use anyhow::Context;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, RsaEncoding,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// How DER marks an integer, and a sequence.
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
}

/// A key that signs; it is made for one run.
pub(super) struct SigningKey {
    pair: KeyPair,
    id: String,
    random: SystemRandom,
}

/// A public key, as `RSAPublicKey` in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey(Vec<u8>);

impl Algorithm {
    /// By the name that it has in the head of a token.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            _ => None,
        }
    }

    fn signs(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }

    fn verifies(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
        }
    }
}

impl SigningKey {
    pub(super) fn new() -> anyhow::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).ok().context("could not make a key that signs tokens")?;
        Ok(Self::of(pair))
    }

    /// One that somebody else has made, in PKCS #8.
    pub(super) fn from_pkcs8(der: &[u8]) -> anyhow::Result<Self> {
        Ok(Self::of(KeyPair::from_pkcs8(der).ok().context("what is to sign tokens is no key of RSA")?))
    }

    fn of(pair: KeyPair) -> Self {
        let id = URL_SAFE_NO_PAD.encode(&digest(&SHA256, pair.public_key().as_ref()).as_ref()[..20]);
        Self { pair, id, random: SystemRandom::new() }
    }

    /// How it is called in the head of a token.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// A token with this head and these claims, signed as the head says.
    pub(super) fn sign(&self, head: &Value, claims: &Value) -> anyhow::Result<String> {
        let algorithm = head["alg"].as_str().and_then(Algorithm::named);
        let algorithm = algorithm.with_context(|| format!("no token is signed by {}", head["alg"]))?;
        let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{head}.{claims}");
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let done = self.pair.sign(algorithm.signs(), &self.random, signed.as_bytes(), &mut signature);
        done.ok().context("could not sign a token")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey(self.pair.public_key().as_ref().to_vec())
    }

    /// Its public half, as a JSON Web Key.
    pub(super) fn jwk(&self) -> Value {
        // RSAPublicKey in DER ends with the modulus, and the exponent 65537 as five bytes. (aws-lc-rs tells the parts
        // only with a feature that brings a second version of `untrusted`.)
        let public = self.pair.public_key().as_ref();
        let (modulus, _) = public.split_at(public.len() - 5);
        let (_, modulus) = modulus.split_at(modulus.len() - self.pair.public_modulus_len());
        json!({
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.id,
            "n": URL_SAFE_NO_PAD.encode(modulus),
            "e": "AQAB",
        })
    }
}

impl PublicKey {
    /// Of a JSON Web Key, with the ID that it has there; nothing if it is none of RSA.
    pub(super) fn of_jwk(jwk: &Value) -> Option<(String, Self)> {
        let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
        let id = jwk["kid"].as_str().filter(|_| jwk["kty"] == "RSA")?.to_owned();
        let parts = [integer(&number("n")?), integer(&number("e")?)].concat();
        Some((id, Self(der(SEQUENCE, &parts))))
    }

    /// As certificates have it: `RSAPublicKey` in DER.
    pub(super) fn of_rsa(der: &[u8]) -> Self {
        Self(der.to_vec())
    }

    /// Whether its other half has signed this.
    pub(super) fn has_signed(&self, algorithm: Algorithm, signed: &str, signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(algorithm.verifies(), &self.0);
        key.verify(signed.as_bytes(), signature).is_ok()
    }
}

/// A positive number in DER: in as few bytes as possible, the first bit being its sign.
fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    let sign: &[u8] = if number.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    der(INTEGER, &[sign, number].concat())
}

fn der(mark: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let length = match length[..] {
        [] => vec![0],
        [short] if short < 0x80 => length,
        _ => [&[0x80 | u8::try_from(length.len()).unwrap_or_default()], &length[..]].concat(),
    };
    [&[mark], &length[..], content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_known_by_the_published_key() {
        let (key, other) = (SigningKey::new().unwrap(), SigningKey::new().unwrap());
        let (id, public) = PublicKey::of_jwk(&key.jwk()).unwrap();
        assert_eq!((id.as_str(), &public), (key.id(), &key.public()));
        for (name, algorithm, another) in
            [("RS256", Algorithm::Rs256, Algorithm::Ps256), ("PS256", Algorithm::Ps256, Algorithm::Rs256)]
        {
            let token = key.sign(&json!({"alg": name}), &json!({"sub": "web"})).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(public.has_signed(algorithm, signed, &signature));
            assert!(!public.has_signed(another, signed, &signature));
            assert!(!public.has_signed(algorithm, &signed[1..], &signature));
            assert!(!other.public().has_signed(algorithm, signed, &signature));
        }
        assert!(key.sign(&json!({"alg": "none"}), &json!({})).is_err());
        assert_eq!(PublicKey::of_jwk(&json!({"kty": "EC", "kid": "1"})), None);
    }

    #[test]
    fn numbers_are_written_as_der_has_them() {
        assert_eq!(integer(&[0, 0, 1, 0, 1]), [2, 3, 1, 0, 1]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(der(SEQUENCE, &[7; 200])[..3], [SEQUENCE, 0x81, 200]);
        assert_eq!(der(SEQUENCE, &[7; 256])[..4], [SEQUENCE, 0x82, 1, 0]);
    }
}
