//! A client that has a certificate with its key, and shows that it has (AZURE 5): the assertions that it signs, in the
//! forms that Microsoft's libraries have for them. Whether they let it in is decided by others.

use std::fmt;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::signing::SigningKey;
use super::x509::X509;
use crate::pki;
use crate::witness::Fingerprint;

/// How long an assertion is good for (AZURE 5).
const LIFE: SignedDuration = SignedDuration::from_mins(10);

/// In which form an assertion is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// PS256 and the thumbprint by SHA-256, as documents ask for.
    Newer,
    /// RS256 and the thumbprint by SHA-1, as azure-identity has it.
    Older,
}

/// A certificate and a key in the hands of a client. Whether the one belongs to the other shows when it signs in.
pub(crate) struct Bearer {
    x509: X509,
    key: SigningKey,
    /// The key as it was read, so that it can be taken out of texts, and two be compared.
    pem: String,
}

impl Bearer {
    /// Of the first key in PKCS #8 and the first certificate in a text of PEM.
    pub(crate) fn read(pem: &str) -> Option<Self> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
        let key = SigningKey::from_pkcs8(key.secret_pkcs8_der()).ok()?;
        Some(Self { x509: X509::all_in(pem).into_iter().next()?, key, pem: pem.to_owned() })
    }

    /// What can be told of it.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.x509.fingerprint()
    }

    /// An assertion for an endpoint.
    pub(crate) fn assertion(&self, client_id: &str, audience: &str, form: Form) -> anyhow::Result<String> {
        let (head, claims) = assertion(&self.x509, client_id, audience, form)?;
        self.key.sign(&head, &claims)
    }
}

/// What an assertion says, and how it is to be signed.
pub(super) fn assertion(x509: &X509, client_id: &str, audience: &str, form: Form) -> anyhow::Result<(Value, Value)> {
    let now = Timestamp::now();
    let head = match form {
        Form::Newer => json!({"alg": "PS256", "typ": "JWT", "x5t#S256": x509.longer_thumbprint_in_base64()}),
        Form::Older => json!({"alg": "RS256", "typ": "JWT", "x5t": x509.thumbprint_in_base64()}),
    };
    let claims = json!({
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": pki::random_word().context("could not name an assertion")?,
        "nbf": now.as_second(),
        "iat": now.as_second(),
        "exp": (now + LIFE).as_second(),
    });
    Ok((head, claims))
}

impl PartialEq for Bearer {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for Bearer {}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.x509.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::SelfSigned;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn part(token: &str, place: usize) -> Value {
        let part = token.split('.').nth(place).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    /// AZURE 5: what is signed, and by what the certificate is called.
    #[test]
    fn an_assertion_has_either_form() {
        let made = SelfSigned::for_days("payments", 90).unwrap();
        let bearer = Bearer::read(&format!("{}{}", made.key_pem(), made.pem())).unwrap();
        let read = X509::read(made.der()).unwrap();
        assert_eq!(bearer.fingerprint(), read.fingerprint());
        for (form, algorithm, name, length) in
            [(Form::Newer, "PS256", "x5t#S256", 32), (Form::Older, "RS256", "x5t", 20)]
        {
            let token = bearer.assertion("c", "https://login.example/t/oauth2/v2.0/token", form).unwrap();
            let (head, claims) = (part(&token, 0), part(&token, 1));
            assert_eq!(head["alg"], algorithm);
            assert_eq!(URL_SAFE_NO_PAD.decode(head[name].as_str().unwrap()).unwrap().len(), length);
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!("c"), &json!("c")));
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 600);
        }
        assert!(!format!("{bearer:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_not_both_is_no_bearer() {
        let made = SelfSigned::for_days("payments", 90).unwrap();
        let (key, pem) = (made.key_pem(), made.pem());
        assert!(Bearer::read(&format!("{pem}{key}")).is_some(), "in either order");
        assert!(Bearer::read(&key).is_none() && Bearer::read(&pem).is_none() && Bearer::read("").is_none());
    }
}
