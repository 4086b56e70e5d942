//! A certificate with its key, as people make one for an application: RSA, and signed by itself. It knows nothing of
//! applications.

use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use serde_json::Value;

use super::bearer::{self, Form};
use super::certificates::CertificateEntry;
use super::signing::SigningKey;
use super::x509::X509;

/// A certificate, and the key that belongs to it.
pub struct SelfSigned {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl SelfSigned {
    /// One that is good between two moments, to the second.
    pub fn new(common_name: &str, begin: Timestamp, end: Timestamp) -> anyhow::Result<Self> {
        let second = |time: Timestamp| {
            let since = u64::try_from(time.as_second()).context("a certificate cannot begin before 1970")?;
            anyhow::Ok(date_time_ymd(1970, 1, 1) + Duration::from_secs(since))
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        (params.not_before, params.not_after) = (second(begin)?, second(end)?);
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
        let made = key.and_then(|key| Ok(Self { certificate: params.self_signed(&key)?, key }));
        made.with_context(|| format!("could not make a certificate for {common_name}"))
    }

    /// One that is good from now on for so many days.
    pub fn for_days(common_name: &str, days: i64) -> anyhow::Result<Self> {
        let now = Timestamp::now();
        Self::new(common_name, now, now + SignedDuration::from_hours(24 * days))
    }

    /// The certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// The certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The key, in PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The assertion by which a client signs in that has this certificate (AZURE 5); the audience is where it signs in.
    pub fn assertion(&self, client_id: &str, audience: &str) -> anyhow::Result<String> {
        let x509 = X509::read(self.der()).context("a certificate that was just made cannot be read")?;
        let (head, claims) = bearer::assertion(&x509, client_id, audience, Form::Newer)?;
        self.sign(&head, &claims)
    }

    /// An assertion that says just this, signed as its head says: by `PS256` or `RS256`.
    pub fn sign(&self, head: &Value, claims: &Value) -> anyhow::Result<String> {
        SigningKey::from_pkcs8(&self.key.serialize_der())?.sign(head, claims)
    }

    /// What is written to give an application this certificate.
    #[must_use]
    pub fn entry(&self, display_name: &str) -> CertificateEntry {
        let (display_name, key) = (Some(display_name.to_owned()), Some(self.der().to_vec()));
        CertificateEntry { display_name, key, ..CertificateEntry::default() }
    }
}

impl std::fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelfSigned").field("certificate", &self.pem()).finish_non_exhaustive()
    }
}
