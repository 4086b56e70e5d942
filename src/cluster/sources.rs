//! Secrets of somebody else's from which certificates are taken: read, checked, and never written.

use kube::Client;
use secrecy::ExposeSecret;

use super::{connect::Connection, secrets::stored, trouble::trouble};
use crate::{
    api::Reason,
    certificate::{Bundle, Unsuited},
    facts::{Effect, Source, Trouble},
};

/// The keys of a Secret with a certificate, as Kubernetes names them.
const KEYS: [&str; 2] = ["tls.crt", "tls.key"];

/// By these cert-manager says of which certificate a Secret is, and who has issued it: without the latter it only stands in for
/// one that is on its way.
const OF_CERTIFICATE: &str = "cert-manager.io/certificate-name";
const ISSUED_BY: &str = "cert-manager.io/issuer-name";

/// The Secrets of this cluster that certificates are taken from.
#[derive(Clone)]
pub struct Sources {
    once: Client,
}

/// What one has.
#[derive(Debug)]
pub struct Found {
    /// For whoever decides.
    pub source: Source,
    /// The certificate with its key, if it can be used.
    pub bundle: Option<Bundle>,
}

impl Sources {
    /// Those of a cluster.
    #[must_use]
    pub fn new(cluster: &Connection) -> Self {
        Self { once: cluster.once.clone() }
    }

    /// What a Secret has.
    pub async fn read(&self, namespace: &str, name: &str) -> Result<Found, Trouble> {
        let Some(stored) = stored(&self.once, namespace, name).await? else {
            return Ok(Found { source: Source::Absent, bundle: None });
        };
        let texts = KEYS.map(|key| stored.text(key));
        let [Some(certificates), Some(key)] = &texts else {
            let lacking = if texts[0].is_none() { Unsuited::NoCertificate } else { Unsuited::NoKey };
            return Ok(unsuited(namespace, name, &lacking.to_string()));
        };
        if stored.annotation(OF_CERTIFICATE).is_some() && stored.annotation(ISSUED_BY).is_none() {
            return Ok(unsuited(namespace, name, "it is a temporary one, until its issuer has answered"));
        }
        let both = secrecy::SecretString::from(format!("{}\n{}", certificates.expose_secret(), key.expose_secret()));
        Ok(match Bundle::of(&both) {
            Ok(bundle) => {
                let (thumbprint, begins, ends) = (bundle.thumbprint(), bundle.begins(), bundle.ends());
                Found { source: Source::Fit { thumbprint, begins, ends }, bundle: Some(bundle) }
            }
            Err(why) => unsuited(namespace, name, &why.to_string()),
        })
    }
}

fn unsuited(namespace: &str, name: &str, why: &str) -> Found {
    let remedy =
        "See what keeps it (cert-manager: kubectl describe certificate), with algorithm RSA and at least 2048 bits";
    let message = format!("the certificate in Secret {namespace}/{name} cannot be used: {why}");
    let trouble = trouble((Reason::SourceUnsuited, Effect::NotSent, remedy), message);
    Found { source: Source::Unsuited(trouble), bundle: None }
}
