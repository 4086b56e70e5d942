//! A certificate with its key: read from PEM, checked, made anew, and put into the texts that programs read. It looks at
//! what it is given and at nothing else; keys are never shown.
//!
//! Reading order: this file, then [`made`] (a new one).

pub mod made;

use std::fmt;

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    encoding::{AsDer, Pkcs8V1Der},
    rsa,
    signature::KeyPair,
};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use pem::{EncodeConfig, LineEnding};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use x509_parser::parse_x509_certificate;

use crate::facts::{Thumbprint, template::Pem};

/// Why a text is no certificate with its key that Entra would take.
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
    /// The certificate of the key cannot be read.
    #[error("the certificate of the private key is none that can be read (X.509)")]
    NotX509,
}

/// A certificate, its key, and those that vouch for it.
pub struct Bundle {
    signer: rsa::KeyPair,
    leaf: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    begins: Timestamp,
    ends: Timestamp,
}

/// The key is not shown.
impl fmt::Debug for Bundle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Bundle({}, until {})", self.thumbprint(), self.ends)
    }
}

impl Bundle {
    /// The same from a value that no log shows.
    pub fn of(value: &SecretString) -> Result<Self, Unsuited> {
        Self::read(value.expose_secret())
    }

    /// Reads a certificate, its key and those that vouch for it from PEM, in any order and among others.
    pub fn read(pem: &str) -> Result<Self, Unsuited> {
        let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect();
        if all.is_empty() {
            return Err(Unsuited::NoCertificate);
        }
        let signer = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| Unsuited::NoKey)? {
            PrivateKeyDer::Pkcs8(key) => rsa::KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => rsa::KeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(Unsuited::NotRsa),
        };
        let signer = signer.map_err(|_| Unsuited::NotRsa)?;
        // A certificate has its public key in it byte for byte.
        let public = signer.public_key().as_ref();
        let is_of_key = |one: &&CertificateDer<'_>| one.windows(public.len()).any(|part| part == public);
        let leaf = all.iter().find(is_of_key).ok_or(Unsuited::AnotherKey)?;
        let (begins, ends) = validity(leaf).ok_or(Unsuited::NotX509)?;
        Ok(Self { chain: chain(leaf, &all), leaf: leaf.clone(), signer, begins, ends })
    }

    /// What identifies the certificate.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of(&self.leaf)
    }

    /// The older thumbprint, by which Entra's portal and Graph show it: SHA-1, in hexadecimal.
    #[must_use]
    pub fn sha1(&self) -> String {
        HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.leaf).as_ref())
    }

    /// The SHA-256 of the certificate, byte for byte.
    #[must_use]
    pub fn sha256(&self) -> Vec<u8> {
        digest(&SHA256, &self.leaf).as_ref().to_vec()
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.leaf
    }

    /// From when on it is valid.
    #[must_use]
    pub const fn begins(&self) -> Timestamp {
        self.begins
    }

    /// Until when.
    #[must_use]
    pub const fn ends(&self) -> Timestamp {
        self.ends
    }

    /// The key, to sign with.
    #[must_use]
    pub const fn signer(&self) -> &rsa::KeyPair {
        &self.signer
    }

    /// `tls.crt`: the certificate, then those that vouch for it, each for the one before it.
    #[must_use]
    pub fn certificates(&self) -> String {
        let all = [&self.leaf].into_iter().chain(&self.chain);
        all.map(|one| armored("CERTIFICATE", one.to_vec()).to_string()).collect()
    }

    /// `tls.key`: the key as PKCS#8, which every SDK reads, whatever it was before.
    #[must_use]
    pub fn key(&self) -> SecretString {
        let der: Option<Pkcs8V1Der<'_>> = self.signer.as_der().ok();
        let pem = der.map(|der| armored("PRIVATE KEY", der.as_ref().to_vec()));
        pem.map(|pem| SecretString::from(pem.as_str())).unwrap_or_default()
    }

    /// All of it, for templates.
    #[must_use]
    pub fn texts(&self) -> Pem {
        Pem { certificates: self.certificates(), key: self.key(), both: self.pem() }
    }

    /// `credential.pem`: both in one text, as `AZURE_CLIENT_CERTIFICATE_PATH` wants it.
    #[must_use]
    pub fn pem(&self) -> SecretString {
        let (key, certificates) = (self.key(), self.certificates());
        let mut both = String::with_capacity(key.expose_secret().len() + certificates.len());
        both.push_str(key.expose_secret());
        both.push_str(&certificates);
        both.into()
    }
}

fn armored(label: &str, der: Vec<u8>) -> Zeroizing<String> {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    Zeroizing::new(pem::encode_config(&pem::Pem::new(label, der), lines))
}

/// From when to when a certificate is valid.
fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    let second = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    let validity = certificate.validity();
    Some((second(validity.not_before)?, second(validity.not_after)?))
}

/// Those that vouch for a certificate, each for the one before it. Whoever vouches for nobody here is left out.
fn chain(leaf: &CertificateDer<'static>, all: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
    let names = |der: &[u8]| {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        Some((certificate.subject().as_raw().to_vec(), certificate.issuer().as_raw().to_vec()))
    };
    let mut chain: Vec<CertificateDer<'static>> = Vec::new();
    let mut last = names(leaf);
    while let Some((subject, issuer)) = last.take().filter(|(subject, issuer)| subject != issuer) {
        let is_next = |one: &&CertificateDer<'static>| {
            let is_new = *one != leaf && !chain.contains(one);
            is_new && names(one).is_some_and(|(name, _)| name == issuer && name != subject)
        };
        if let Some(next) = all.iter().find(is_next) {
            last = names(next);
            chain.push(next.clone());
        }
    }
    chain
}

#[cfg(test)]
mod tests;
