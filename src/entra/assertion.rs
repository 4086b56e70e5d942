//! A signed statement by which an application with a certificate signs in: a token of our own, good for one use within
//! minutes (AZURE 5). It signs; it asks nobody.

use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa,
    signature::{KeyPair, RSA_PSS_SHA256},
};
use azure_core::{Uuid, error::ErrorKind, http::ClientMethodOptions};
use azure_identity::ClientAssertion;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::json;

use crate::api::ClientId;

/// Before now, for servers whose clock is behind ours.
const EARLY: SignedDuration = SignedDuration::from_mins(1);
/// Entra sets no limit, but its own clients stay at ten minutes.
const LIFE: SignedDuration = SignedDuration::from_mins(9);

/// Why a certificate and a key cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsuited {
    /// There is no certificate.
    #[error("there is no certificate in PEM (`tls.crt`)")]
    NoCertificate,
    /// There is no key.
    #[error("there is no private key in PEM that is not encrypted (`tls.key`)")]
    NoKey,
    /// The key is of another kind.
    #[error("the private key is not an RSA key of at least 2048 bits, as Entra wants it")]
    NotRsa,
    /// The key belongs to another certificate.
    #[error("the private key is not that of the certificate")]
    AnotherKey,
}

/// Who signs.
pub(super) struct Signer {
    key: rsa::KeyPair,
    thumbprint: String,
    client_id: ClientId,
    audience: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_id, audience, .. } = self;
        write!(out, "Signer({client_id} for {audience})")
    }
}

impl Signer {
    /// Reads a certificate and its key, in any order and among others, from PEM.
    pub(super) fn new(pem: &str, client_id: ClientId, audience: String) -> Result<Self, Unsuited> {
        let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).peekable();
        certificates.peek().ok_or(Unsuited::NoCertificate)?;
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| Unsuited::NoKey)? {
            PrivateKeyDer::Pkcs8(key) => rsa::KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => rsa::KeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(Unsuited::NotRsa),
        };
        let key = key.map_err(|_| Unsuited::NotRsa)?;
        // A certificate has its public key in it byte for byte, so it is found without reading X.509.
        let public = key.public_key().as_ref();
        let certificate = certificates.find(|certificate| certificate.windows(public.len()).any(|part| part == public));
        let certificate = certificate.ok_or(Unsuited::AnotherKey)?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate));
        Ok(Self { key, thumbprint, client_id, audience })
    }

    /// A new statement. Each has an ID of its own, since a second use of one may be refused.
    fn sign(&self, now: Timestamp) -> Option<String> {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint}));
        let second = now.as_second();
        let claims = part(json!({
            "aud": self.audience,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": Uuid::new_v4().to_string(),
            "iat": second,
            "nbf": second - EARLY.as_secs(),
            "exp": second + LIFE.as_secs(),
        }));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[async_trait]
impl ClientAssertion for Signer {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let failed = || azure_core::Error::with_message(ErrorKind::Credential, "the certificate's key could not sign");
        self.sign(Timestamp::now()).ok_or_else(failed)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der},
        rsa::KeySize,
        signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey},
    };
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    /// A key with something that looks like its certificate: all that matters is that the public key is in it.
    fn credential() -> (rsa::KeyPair, String, String) {
        let key = rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let certificate = [b"before", key.public_key().as_ref(), b"after"].concat();
        let private: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let private = pem("PRIVATE KEY", private.as_ref());
        (key, pem("CERTIFICATE", &certificate), private)
    }

    fn signer(pem: &str) -> Result<Signer, Unsuited> {
        Signer::new(pem, ClientId(Uuid::from_u128(7)), "https://login.example/t/oauth2/v2.0/token".to_owned())
    }

    fn read(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    /// AZURE 5: PS256, the thumbprint by SHA-256, at most ten minutes.
    #[test]
    fn a_statement_says_who_to_whom_and_for_how_long_and_is_signed() {
        let (key, certificate, private) = credential();
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let statement = signer(&format!("{certificate}{private}")).unwrap().sign(now).unwrap();
        let parts: Vec<&str> = statement.split('.').collect();
        let [header, claims, signature] = parts[..] else { panic!("{statement}") };
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &der));
        assert_eq!(read(header), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
        let claims_read = read(claims);
        assert_eq!(claims_read["aud"], "https://login.example/t/oauth2/v2.0/token");
        assert_eq!(claims_read["iss"], Uuid::from_u128(7).to_string());
        assert_eq!(claims_read["sub"], claims_read["iss"]);
        let second = now.as_second();
        assert_eq!((&claims_read["nbf"], &claims_read["exp"]), (&json!(second - 60), &json!(second + 540)));
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.public_key().as_ref())
            .verify(format!("{header}.{claims}").as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn no_two_statements_are_the_same() {
        let (_, certificate, private) = credential();
        let signer = signer(&format!("{certificate}{private}")).unwrap();
        let id = || read(signer.sign(Timestamp::now()).unwrap().split('.').nth(1).unwrap())["jti"].clone();
        assert_ne!(id(), id());
    }

    #[test]
    fn the_certificate_of_the_key_is_found_among_others() {
        let ((_, ca, _), (_, certificate, private)) = (credential(), credential());
        let found = signer(&format!("{private}{ca}{certificate}")).unwrap();
        assert_eq!(found.thumbprint, signer(&format!("{certificate}{private}")).unwrap().thumbprint);
    }

    #[test]
    fn a_key_in_the_older_form_signs_too() {
        let (_, certificate, private) = credential();
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(private.as_bytes()).unwrap() else { panic!() };
        // PKCS#8 wraps PKCS#1, which begins with the second long SEQUENCE and ends where it does.
        let der = key.secret_pkcs8_der();
        let (inner, _) = der.windows(2).enumerate().filter(|(_, two)| *two == [0x30, 0x82]).nth(1).unwrap();
        let older = pem("RSA PRIVATE KEY", &der[inner..]);
        assert!(signer(&format!("{certificate}{older}")).unwrap().sign(Timestamp::now()).is_some());
    }

    #[test]
    fn what_cannot_sign_is_told_apart() {
        let ((_, certificate, private), (_, other, _)) = (credential(), credential());
        let why = |pem: &str| signer(pem).err();
        assert_eq!(why(&private), Some(Unsuited::NoCertificate));
        assert_eq!(why(&certificate), Some(Unsuited::NoKey));
        assert_eq!(why(&format!("{certificate}{}", pem("EC PRIVATE KEY", b"x"))), Some(Unsuited::NotRsa));
        assert_eq!(why(&format!("{certificate}{}", pem("PRIVATE KEY", b"x"))), Some(Unsuited::NotRsa));
        assert_eq!(why(&format!("{other}{private}")), Some(Unsuited::AnotherKey));
    }

    #[test]
    fn whoever_prints_it_sees_no_key() {
        let (_, certificate, private) = credential();
        let printed = format!("{:?}", signer(&format!("{certificate}{private}")).unwrap());
        assert_eq!(
            printed,
            "Signer(00000000-0000-0000-0000-000000000007 for https://login.example/t/oauth2/v2.0/token)"
        );
    }
}
