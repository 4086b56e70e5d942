//! A signed statement by which an application with a certificate signs in: a token of our own, good for one use within
//! minutes (AZURE 5). It signs; it asks nobody.

use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::{rand::SystemRandom, signature::RSA_PSS_SHA256};
use azure_core::{Uuid, error::ErrorKind, http::ClientMethodOptions};
use azure_identity::ClientAssertion;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    api::ClientId,
    certificate::{Bundle, Unsuited},
};

/// Before now, for servers whose clock is behind ours.
const EARLY: SignedDuration = SignedDuration::from_mins(1);
/// Entra sets no limit, but its own clients stay at ten minutes.
const LIFE: SignedDuration = SignedDuration::from_mins(9);

/// A new statement. Each has an ID of its own, since a second use of one may be refused.
pub(super) fn statement(bundle: &Bundle, client_id: ClientId, audience: &str, now: Timestamp) -> Option<String> {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let thumbprint = URL_SAFE_NO_PAD.encode(bundle.sha256());
    let header = part(json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
    let second = now.as_second();
    let claims = part(json!({
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": Uuid::new_v4().to_string(),
        "iat": second,
        "nbf": second - EARLY.as_secs(),
        "exp": second + LIFE.as_secs(),
    }));
    let signed = format!("{header}.{claims}");
    let mut signature = vec![0; bundle.signer().public_modulus_len()];
    bundle.signer().sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Who signs.
pub(super) struct Signer {
    bundle: Bundle,
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
    /// Reads a certificate and its key from PEM.
    pub(super) fn new(pem: &str, client_id: ClientId, audience: String) -> Result<Self, Unsuited> {
        Ok(Self { bundle: Bundle::read(pem)?, client_id, audience })
    }
}

#[async_trait]
impl ClientAssertion for Signer {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let failed = || azure_core::Error::with_message(ErrorKind::Credential, "the certificate's key could not sign");
        statement(&self.bundle, self.client_id, &self.audience, Timestamp::now()).ok_or_else(failed)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{KeyPair, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use secrecy::ExposeSecret;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::certificate::made::{Wish, make};

    const AUDIENCE: &str = "https://login.example/t/oauth2/v2.0/token";

    fn bundle() -> Bundle {
        let (begins, ends) = (Timestamp::UNIX_EPOCH, "2030-01-01T00:00:00Z".parse().unwrap());
        make(&Wish { common_name: "x".into(), bits: 2048, begins, ends }).unwrap()
    }

    fn signed(bundle: &Bundle, now: Timestamp) -> String {
        statement(bundle, ClientId(Uuid::from_u128(7)), AUDIENCE, now).unwrap()
    }

    fn read(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    /// AZURE 5: PS256, the thumbprint by SHA-256, at most ten minutes.
    #[test]
    fn a_statement_says_who_to_whom_and_for_how_long_and_is_signed() {
        let bundle = bundle();
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let statement = signed(&bundle, now);
        let parts: Vec<&str> = statement.split('.').collect();
        let [header, claims, signature] = parts[..] else { panic!("{statement}") };
        let thumbprint = URL_SAFE_NO_PAD.encode(bundle.sha256());
        assert_eq!(read(header), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
        let claims_read = read(claims);
        assert_eq!(claims_read["aud"], AUDIENCE);
        assert_eq!(claims_read["iss"], Uuid::from_u128(7).to_string());
        assert_eq!(claims_read["sub"], claims_read["iss"]);
        let second = now.as_second();
        assert_eq!((&claims_read["nbf"], &claims_read["exp"]), (&json!(second - 60), &json!(second + 540)));
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, bundle.signer().public_key().as_ref())
            .verify(format!("{header}.{claims}").as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn no_two_statements_are_the_same() {
        let bundle = bundle();
        let id = || read(signed(&bundle, Timestamp::now()).split('.').nth(1).unwrap())["jti"].clone();
        assert_ne!(id(), id());
    }

    #[test]
    fn whoever_prints_it_sees_no_key() {
        let pem = bundle().pem();
        let signer = Signer::new(pem.expose_secret(), ClientId(Uuid::from_u128(7)), AUDIENCE.to_owned()).unwrap();
        assert_eq!(format!("{signer:?}"), format!("Signer(00000000-0000-0000-0000-000000000007 for {AUDIENCE})"));
    }
}
