//! A certificate itself: what stands in it, and by what it is called. Whether anybody trusts it is decided by others.

use std::fmt;

use aws_lc_rs::digest::{self, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::oid_registry::OID_PKCS1_RSAENCRYPTION;
use x509_parser::parse_x509_certificate;

use super::signing::{PublicKey, SigningKey};
use crate::witness::Fingerprint;

/// How a certificate in PEM begins.
const PEM: &[u8] = b"-----BEGIN";

/// A certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct X509 {
    der: Vec<u8>,
    begin: Timestamp,
    end: Timestamp,
    key: Option<PublicKey>,
}

impl X509 {
    /// Reads one in DER, or the first in a text of PEM (AZURE 1.4); nothing if it is none, or has something behind it.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let der =
            if bytes.starts_with(PEM) { CertificateDer::from_pem_slice(bytes).ok()?.to_vec() } else { bytes.to_vec() };
        let (rest, read) = parse_x509_certificate(&der).ok()?;
        let validity = read.validity();
        let [begin, end] = [validity.not_before, validity.not_after].map(|time| time.timestamp());
        let (begin, end) = (Timestamp::from_second(begin).ok()?, Timestamp::from_second(end).ok()?);
        let key = read.public_key();
        let is_rsa = key.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION;
        let key = is_rsa.then(|| PublicKey::of_rsa(&key.subject_public_key.data));
        rest.is_empty().then_some(())?;
        Some(Self { der, begin, end, key })
    }

    /// All that there are in a text of PEM, whatever else is there.
    #[must_use]
    pub fn all_in(text: &str) -> Vec<Self> {
        let found = CertificateDer::pem_slice_iter(text.as_bytes()).filter_map(Result::ok);
        found.filter_map(|der| Self::read(&der)).collect()
    }

    /// Whether this private key, in PKCS #8, is its own.
    #[must_use]
    pub fn belongs_to(&self, key: &[u8]) -> bool {
        SigningKey::from_pkcs8(key).is_ok_and(|key| self.key.as_ref() == Some(&key.public()))
    }

    /// It itself.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// From when on it is good.
    #[must_use]
    pub const fn begin(&self) -> Timestamp {
        self.begin
    }

    /// Until when.
    #[must_use]
    pub const fn end(&self) -> Timestamp {
        self.end
    }

    /// Its key, if it is one of RSA: signatures by others are not taken (AZURE 5).
    pub(super) const fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    /// Whether this is a thumbprint of it, by SHA-1 or by SHA-256.
    pub(super) fn is_called(&self, thumbprint: &[u8]) -> bool {
        [&digest::SHA1_FOR_LEGACY_USE_ONLY, &digest::SHA256]
            .into_iter()
            .any(|algorithm| digest(algorithm, &self.der).as_ref() == thumbprint)
    }

    /// Its thumbprint by SHA-1, as everybody calls it: 40 upper-case hexadecimal digits.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        hexadecimal(digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der).as_ref())
    }

    /// The same thumbprint in base64, as Key Vault and older assertions have it: `x5t`.
    #[must_use]
    pub fn thumbprint_in_base64(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der))
    }

    /// Its thumbprint by SHA-256 in base64, as assertions have it: `x5t#S256`.
    pub(super) fn longer_thumbprint_in_base64(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&digest::SHA256, &self.der))
    }

    /// What pods are told apart by that hold it: its thumbprint by SHA-256.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.der)
    }
}

/// As thumbprints are written: in upper case.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])).collect()
}

impl fmt::Debug for X509 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "X509({}, {} to {})", self.thumbprint(), self.begin, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::SelfSigned;

    fn made() -> SelfSigned {
        SelfSigned::for_days("payments", 90).unwrap()
    }

    #[test]
    fn a_certificate_is_read_from_der_and_from_pem() {
        let made = made();
        let read = X509::read(made.der()).unwrap();
        assert_eq!(X509::read(made.pem().as_bytes()), Some(read.clone()));
        let other = self::made();
        let text = format!("tls.key {} tls.crt\n{}{}", made.key_pem(), other.pem(), made.pem());
        assert_eq!(X509::all_in(&text), [X509::read(other.der()).unwrap(), read.clone()]);
        assert_eq!(read.end().duration_since(read.begin()).as_hours(), 90 * 24);
        assert_eq!(read.der(), made.der());
        assert_eq!(read.fingerprint(), Fingerprint::of(made.der()));
    }

    #[test]
    fn a_thumbprint_is_written_as_everybody_writes_it() {
        let read = X509 { der: b"abc".to_vec(), ..X509::read(made().der()).unwrap() };
        assert_eq!(read.thumbprint(), "A9993E364706816ABA3E25717850C26C9CD0D89D");
    }

    #[test]
    fn what_is_no_certificate_is_not_read() {
        let made = made();
        let behind = [made.der(), &[0]].concat();
        let key = made.key_pem();
        for odd in [&b""[..], b"gibberish", &behind, &made.der()[1..], key.as_bytes(), b"-----BEGIN CERTIFICATE-----"] {
            assert_eq!(X509::read(odd), None);
        }
    }
}
