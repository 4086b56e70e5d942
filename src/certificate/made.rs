//! A new certificate with its key: RSA, signed by itself, which is all that Entra asks for.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    RsaKeySize, date_time_ymd,
};
use secrecy::zeroize::Zeroizing;

use super::{Bundle, Unsuited};

/// What a new certificate is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The common name of its subject, for people.
    pub common_name: String,
    /// How many bits its key has: 2048, 3072 or 4096.
    pub bits: i32,
    /// From when on it is valid.
    pub begins: Timestamp,
    /// Until when.
    pub ends: Timestamp,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// The library says so.
    #[error("{0}")]
    Rcgen(#[from] rcgen::Error),
    /// What was made cannot be read.
    #[error("{0}")]
    Unsuited(#[from] Unsuited),
}

/// Makes one, which takes the processor some tenths of a second, for 4096 bits seconds.
pub fn make(wish: &Wish) -> Result<Bundle, NotMade> {
    let second = |time: Timestamp| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(time.as_second()).unwrap_or_default())
    };
    let size = match wish.bits {
        4096 => RsaKeySize::_4096,
        3072 => RsaKeySize::_3072,
        _ => RsaKeySize::_2048,
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, wish.common_name.as_str());
    (params.not_before, params.not_after) = (second(wish.begins), second(wish.ends));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size)?;
    let certificate = params.self_signed(&key)?;
    let both = Zeroizing::new(format!("{}{}", Zeroizing::new(key.serialize_pem()).as_str(), certificate.pem()));
    Ok(Bundle::read(&both)?)
}
