//! Why a vault does not do what it is asked to. How that is said to whoever asks is decided elsewhere.

/// Why a vault does not do what it is asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No secret can be called so.
    BadName(String),
    /// Something that was sent does not fit.
    BadProperty,
    /// There is no such secret, or no such version.
    NotFound(String),
    /// There is no such deleted secret.
    NotDeleted(String),
    /// The version is disabled.
    Disabled,
    /// It is being deleted.
    BeingDeleted(String),
    /// It is deleted, and its name taken.
    DeletedButRecoverable(String),
    /// It is being recovered.
    BeingRecovered(String),
    /// The vault protects what is deleted.
    PurgeProtected,
    /// It is the secret of a certificate, which this cannot be done to.
    Managed(&'static str),
    /// A certificate cannot be called so, since a secret is.
    TakenBySecret(String),
    /// The same about the secret that is in a certificate's way.
    OfSecret(Box<Self>),
    /// What is imported is no certificate with its key in PEM, as it has to be.
    BadPem,
    /// What is imported is none in PKCS #12.
    BadPfx,
    /// What is imported has expired.
    ExpiredCertificate,
}
