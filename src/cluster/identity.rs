//! What the operator needs to know of itself: the credential that it signs in to Entra with, read from its own namespace
//! each time it is needed, and the name of the cluster in marks.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use secrecy::{ExposeSecret, SecretString};

use super::{Error, secrets::stored, stored::Stored, trouble::trouble, within};
use crate::{
    api::{Reason, kinds::SecretRef, tenant::IdentitySecretRef, values::ObjectName},
    facts::{Effect, Trouble},
};

/// The key of a client secret, if none is named: as Keywright publishes it.
const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";

/// The namespace that every cluster has, and that lives as long as the cluster.
const KUBE_SYSTEM: &str = "kube-system";

/// A certificate with its key, both PEM.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate, and those that vouch for it.
    pub chain: String,
    /// The private key.
    pub key: SecretString,
}

impl Certificate {
    /// Both in one text.
    #[must_use]
    pub fn pem(&self) -> SecretString {
        format!("{}\n{}", self.chain, self.key.expose_secret()).into()
    }
}

/// The client secret that the operator signs in with.
pub async fn client_secret(
    client: &Client,
    namespace: &str,
    reference: &IdentitySecretRef,
) -> Result<SecretString, Trouble> {
    let key = reference.key.as_ref().map_or(CLIENT_SECRET, |key| key.as_str());
    let stored = own(client, namespace, &reference.name).await?;
    stored.text(key).ok_or_else(|| without(&stored, key))
}

/// The certificate that the operator signs in with.
pub async fn certificate(client: &Client, namespace: &str, reference: &SecretRef) -> Result<Certificate, Trouble> {
    let stored = own(client, namespace, &reference.name).await?;
    let [chain, key] = ["tls.crt", "tls.key"].map(|key| (key, stored.text(key)));
    match (chain, key) {
        ((_, Some(chain)), (_, Some(key))) => Ok(Certificate { chain: chain.expose_secret().to_owned(), key }),
        ((lacking, None), _) | (_, (lacking, None)) => Err(without(&stored, lacking)),
    }
}

/// What tells this cluster from others, as long as nobody names it.
pub async fn cluster_id(client: &Client) -> Result<String, Error> {
    let doing = || format!("read the UID of namespace {KUBE_SYSTEM}, which names this cluster");
    let namespace = within(doing, Api::<Namespace>::all(client.clone()).get_metadata(KUBE_SYSTEM)).await?;
    namespace.metadata.uid.ok_or_else(|| Error::Replaced { doing: doing() })
}

/// A Secret in the operator's own namespace.
async fn own(client: &Client, namespace: &str, name: &ObjectName) -> Result<Stored, Trouble> {
    let stored = stored(client, namespace, name.as_str()).await?;
    stored.ok_or_else(|| lacking(&format!("there is no Secret {namespace}/{name}")))
}

fn without(stored: &Stored, key: &str) -> Trouble {
    lacking(&format!("{} has no text in its key {key}", stored.name()))
}

fn lacking(what: &str) -> Trouble {
    let remedy = "Create it in the operator's namespace as spec.identity of the EntraTenant names it, or name another.";
    let message = format!("could not read what the operator signs in with: {what}");
    trouble((Reason::OperatorCannotSignIn, Effect::NotSent, remedy), message)
}
