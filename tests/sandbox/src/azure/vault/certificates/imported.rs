//! A certificate as it is imported (AZURE 6): read as strictly as the service does, and what is kept of it. Pure; what it
//! is stored under, and who may do it, is decided elsewhere.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::pki_types::pem::{PemObject, SectionKind};
use x509_parser::parse_x509_certificate;
use x509_parser::public_key::PublicKey;

use super::body::{Body, KeyProperties, Policy};
use crate::azure::vault::refusal::Refusal;
use crate::azure::vault::secrets::SecretEdit;
use crate::azure::x509::X509;

/// How the policy calls PEM.
pub(super) const PEM: &str = "application/x-pem-file";
const BEGINNING: &str = "-----BEGIN";
/// The mean length of a month, in days.
const MONTH: f64 = 30.44;
/// How long a line in PEM is, in bytes of what it stands for.
const LINE: usize = 48;

/// A certificate that was imported.
#[derive(Clone)]
pub(crate) struct Imported {
    pub(crate) x509: X509,
    /// What its secret has: the key, if it may be exported, and then the certificates.
    pub(crate) value: String,
    pub(crate) key: RsaKey,
    pub(crate) subject: String,
    pub(crate) months: i64,
    pub(crate) is_exportable: bool,
    pub(crate) keeps_order: bool,
    pub(crate) issuer: String,
}

/// The public half of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RsaKey {
    pub(crate) modulus: Vec<u8>,
    pub(crate) exponent: Vec<u8>,
}

impl RsaKey {
    pub(crate) const fn bits(&self) -> usize {
        self.modulus.len() * 8
    }
}

impl Imported {
    /// Of what is sent: one key in PKCS #8 with its certificate, and maybe with those that have signed that, in PEM.
    pub(super) fn of(body: &Body, now: Timestamp) -> Result<Self, Refusal> {
        let policy = body.policy.clone().unwrap_or_default();
        let pem = text(body.value.as_deref().ok_or(Refusal::BadProperty)?, &policy)?;
        let (key, mut certificates) = parts(&pem).ok_or(Refusal::BadPem)?;
        let read: Option<Vec<X509>> = certificates.iter().map(|der| X509::read(der)).collect();
        let found = read.ok_or(Refusal::BadPem)?.into_iter().enumerate().find(|(_, x509)| x509.belongs_to(&key));
        let (place, x509) = found.ok_or(Refusal::BadPem)?;
        let (key_half, subject) = facts(x509.der()).ok_or(Refusal::BadPem)?;
        if x509.end() <= now {
            return Err(Refusal::ExpiredCertificate);
        }
        let KeyProperties { exportable, kty, key_size } = policy.key_props.unwrap_or_default();
        let is_meant =
            kty.as_deref().is_none_or(|kty| kty == "RSA") && key_size.is_none_or(|size| size == key_half.bits());
        if !is_meant {
            return Err(Refusal::BadProperty);
        }
        let keeps_order = body.preserve_cert_order.unwrap_or_default();
        if !keeps_order {
            certificates[..=place].rotate_right(1);
        }
        let is_exportable = exportable.unwrap_or(true);
        let key = is_exportable.then(|| section("PRIVATE KEY", &key));
        let certificates = certificates.iter().map(|der| section("CERTIFICATE", der));
        Ok(Self {
            value: key.into_iter().chain(certificates).collect(),
            key: key_half,
            subject,
            months: months(&x509),
            is_exportable,
            keeps_order,
            issuer: policy.issuer.and_then(|issuer| issuer.name).unwrap_or_else(|| "Unknown".to_owned()),
            x509,
        })
    }
}

impl Imported {
    /// Of PEM that somebody imports by hand, and what is written about it.
    pub(in crate::azure::vault) fn by_hand(
        pem: &str,
        edit: SecretEdit,
        now: Timestamp,
    ) -> Result<(Self, SecretEdit), Refusal> {
        let body = Body::by_hand(pem, edit);
        let imported = Self::of(&body, now)?;
        let edit = body.about(&imported.x509);
        Ok((imported, edit))
    }
}

impl fmt::Debug for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.x509.fmt(f)
    }
}

/// What is sent is PEM, or PEM in base64, and the policy says so: without, it would be PKCS #12, which nobody here imports.
fn text(value: &str, policy: &Policy) -> Result<String, Refusal> {
    let content_type = policy.secret_props.as_ref().and_then(|secret| secret.content_type.as_deref());
    if content_type != Some(PEM) {
        return Err(Refusal::BadPfx);
    }
    let text = if value.starts_with(BEGINNING) {
        Some(value.to_owned())
    } else {
        STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok())
    };
    // With line breaks of another system it is not read.
    text.filter(|text| text.starts_with(BEGINNING) && !text.contains('\r')).ok_or(Refusal::BadPem)
}

/// The key and the certificates in DER; nothing if there is anything else, more than one key, or no certificate.
fn parts(pem: &str) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let (mut keys, mut certificates) = (vec![], vec![]);
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        match section.ok()? {
            (SectionKind::PrivateKey, der) => keys.push(der),
            (SectionKind::Certificate, der) => certificates.push(der),
            _ => return None,
        }
    }
    let is_whole = keys.len() == 1 && !certificates.is_empty();
    // What is of a kind that nobody knows is left out by those who read PEM.
    let is_all = pem.matches(BEGINNING).count() == 1 + certificates.len();
    keys.pop().filter(|_| is_whole && is_all).map(|key| (key, certificates))
}

fn section(name: &str, der: &[u8]) -> String {
    let lines = der.chunks(LINE).map(|line| STANDARD.encode(line) + "\n");
    format!("-----BEGIN {name}-----\n{}-----END {name}-----\n", lines.collect::<String>())
}

fn facts(der: &[u8]) -> Option<(RsaKey, String)> {
    let (_, read) = parse_x509_certificate(der).ok()?;
    let PublicKey::RSA(key) = read.public_key().parsed().ok()? else { return None };
    let number = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    let key = RsaKey { modulus: number(key.modulus), exponent: number(key.exponent) };
    Some((key, read.subject().to_string()))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a number of months, which is small")]
fn months(x509: &X509) -> i64 {
    let days = x509.end().duration_since(x509.begin()).as_hours() / 24;
    (days as f64 / MONTH).round() as i64
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::{Value, json};

    use super::*;
    use crate::azure::SelfSigned;

    fn made() -> SelfSigned {
        SelfSigned::for_days("payments", 90).unwrap()
    }

    fn sent(body: &Value) -> Body {
        serde_json::from_value(body.clone()).unwrap()
    }

    fn read(body: &Value) -> Result<Imported, Refusal> {
        Imported::of(&sent(body), Timestamp::now())
    }

    fn body(value: &str) -> Value {
        json!({"value": value, "policy": {"secret_props": {"contentType": PEM}}})
    }

    fn but(value: &str, name: &str, policy: Value) -> Value {
        let mut body = body(value);
        body["policy"][name] = policy;
        body
    }

    /// AZURE 6: PEM as it is, or in base64, as azure-keyvault-certificates sends it; the key comes first either way.
    #[test]
    fn pem_is_read_with_the_key_before_or_after() {
        let made = made();
        let (key, pem) = (made.key_pem(), made.pem());
        let first = read(&body(&format!("{key}{pem}"))).unwrap();
        assert_eq!(first.value, format!("{key}{pem}"));
        assert_eq!((first.x509.der(), first.subject.as_str(), first.months), (made.der(), "CN=payments", 3));
        assert_eq!((first.key.bits(), first.key.exponent.as_slice()), (2_048, &[1, 0, 1][..]));
        assert_eq!((first.issuer.as_str(), first.keeps_order), ("Unknown", false));
        let encoded = STANDARD.encode(format!("{pem}{key}"));
        assert_eq!(read(&body(&encoded)).unwrap().value, first.value);
    }

    /// The one that the key belongs to comes first, unless the order is to be kept.
    #[test]
    fn a_chain_begins_with_the_leaf() {
        let (leaf, issuer) = (made(), made());
        let [key, leaf_pem, issuer_pem] = [leaf.key_pem(), leaf.pem(), issuer.pem()];
        let mut chain = body(&format!("{key}{issuer_pem}{leaf_pem}"));
        let read_as = |body: &Value| read(body).map(|read| (read.value, read.x509.thumbprint())).unwrap();
        let thumbprint = X509::read(leaf.der()).unwrap().thumbprint();
        assert_eq!(read_as(&chain), (format!("{key}{leaf_pem}{issuer_pem}"), thumbprint.clone()));
        chain["preserveCertOrder"] = true.into();
        assert_eq!(read_as(&chain), (format!("{key}{issuer_pem}{leaf_pem}"), thumbprint));
    }

    #[test]
    fn what_is_not_as_it_has_to_be_is_refused() {
        let (made, other) = (made(), made());
        let [key, pem] = [made.key_pem(), made.pem()];
        let whole = format!("{key}{pem}");
        let refused = |body: &Value| read(body).unwrap_err();
        for odd in [
            pem.clone(),
            key.clone(),
            format!("{key}{key}{pem}"),
            whole.replace('\n', "\r\n"),
            whole.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
            whole.replace("PRIVATE KEY", "SOMETHING ELSE"),
            format!("{key}{}", other.pem()),
            format!(" {whole}"),
            STANDARD.encode(made.der()),
        ] {
            assert_eq!(refused(&body(&odd)), Refusal::BadPem, "{odd}");
        }
        assert_eq!(refused(&json!({"value": whole})), Refusal::BadPfx, "PKCS #12 is what is meant without a policy");
        let pfx = but(&whole, "secret_props", json!({"contentType": "application/x-pkcs12"}));
        assert_eq!(refused(&pfx), Refusal::BadPfx);
        assert_eq!(refused(&json!({})), Refusal::BadProperty);
        for key in [json!({"kty": "EC"}), json!({"key_size": 4_096})] {
            assert_eq!(refused(&but(&whole, "key_props", key)), Refusal::BadProperty);
        }
        assert!(read(&but(&whole, "key_props", json!({"kty": "RSA", "key_size": 2_048}))).is_ok());
        let begin = Timestamp::now() - SignedDuration::from_hours(48);
        let old = SelfSigned::new("old", begin, begin + SignedDuration::from_hours(24)).unwrap();
        let old = format!("{}{}", old.key_pem(), old.pem());
        assert_eq!(refused(&body(&old)), Refusal::ExpiredCertificate);
    }

    /// Who asks for a key that cannot be exported gets a secret without it.
    #[test]
    fn a_key_that_cannot_be_exported_is_not_in_the_secret() {
        let made = made();
        let whole = format!("{}{}", made.key_pem(), made.pem());
        let kept = read(&but(&whole, "key_props", json!({"exportable": false}))).unwrap();
        assert_eq!(kept.value, made.pem());
        assert!(!format!("{kept:?}").contains("PRIVATE"));
    }
}
