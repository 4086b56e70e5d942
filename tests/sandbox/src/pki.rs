//! The keys and certificates of one run: a CA of its own, leaves for whoever serves TLS, and the key that signs
//! ServiceAccount tokens. Made afresh for every run and trusted by nobody else; it never reads or keeps a key of a
//! real cluster.

use std::sync::Arc;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The certificate authority of one run.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate and its key.
pub(crate) struct Leaf {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Ca {
    /// A new CA, valid as long as `rcgen` says (it is thrown away with the run).
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "keywright sandbox");
        let issuer = KeyPair::generate().and_then(|key| CertifiedIssuer::self_signed(params, key));
        Ok(Self(issuer.context("could not make the sandbox's CA")?))
    }

    /// A leaf for a server with these names. It is never the CA itself: rustls refuses a CA as a server.
    pub(crate) fn leaf(&self, common_name: &str, names: &[&str]) -> anyhow::Result<Leaf> {
        let leaf = || {
            let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())?;
            params.distinguished_name.push(DnType::CommonName, common_name);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &self.0)?;
            Ok::<_, rcgen::Error>(Leaf { certificate, key })
        };
        leaf().with_context(|| format!("could not make a certificate for {common_name}"))
    }

    /// The CA's certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// How a client of this run's servers checks them: HTTP/1.1, this CA and no other.
    pub(crate) fn client(&self) -> anyhow::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).context("rustls refuses the sandbox's CA")?;
        let mut config = client_trusting(roots)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// How a client checks servers: by these authorities and no other.
pub(crate) fn client_trusting(roots: RootCertStore) -> anyhow::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.context("could not set up TLS for a client in the sandbox")?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Leaf {
    /// The certificate.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Its key.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// How a server that has this leaf answers: HTTP/1.1 only.
    pub(crate) fn server(&self) -> anyhow::Result<ServerConfig> {
        let certificate = CertificateDer::from(self.certificate.der().to_vec());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key));
        let mut config = config.context("could not set up TLS for a server in the sandbox")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The key that signs ServiceAccount tokens: RSA, because Entra takes RS256 only.
pub(crate) fn service_account_key() -> anyhow::Result<String> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
    Ok(key.context("could not make the key that signs ServiceAccount tokens")?.serialize_pem())
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = provider().secure_random.fill(&mut bytes);
    filled.ok().context("the system has no random bytes for us")?;
    Ok(bytes)
}

/// A random word of eight lower-case hexadecimal digits.
pub(crate) fn random_word() -> anyhow::Result<String> {
    Ok(format!("{:08x}", u32::from_be_bytes(random()?)))
}

/// One TLS library, named: nothing depends on what a process chose as its default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
