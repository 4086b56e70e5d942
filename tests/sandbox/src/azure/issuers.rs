//! The keys of those who issue tokens for federated credentials, fetched from where they publish them, over TLS, and kept
//! for a while (AZURE 7). A key that is not among those that are kept is looked for once more, since issuers change
//! theirs. Whether a token is right is decided by others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{StatusCode, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::signing::PublicKey;
use crate::pki;

/// For how long an issuer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What issuers publish is short.
const LONGEST_DOCUMENT: usize = 1024 * 1024;

/// Everybody's keys.
#[derive(Debug)]
pub(super) struct Issuers {
    /// For how long they are kept.
    keep: SignedDuration,
    roots: Mutex<RootCertStore>,
    /// One lock an issuer, so that many who ask at once have one fetch between them, and do not wait for other issuers.
    kept: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Option<Kept>>>>>,
}

#[derive(Debug)]
struct Kept {
    fetched: Timestamp,
    keys: BTreeMap<String, PublicKey>,
}

impl Issuers {
    /// That trusts a certificate authority; there may be others later.
    pub(super) fn trusting(pem: &str, keep: SignedDuration) -> anyhow::Result<Self> {
        let issuers = Self { keep, roots: Mutex::new(RootCertStore::empty()), kept: Mutex::default() };
        issuers.trust(pem)?;
        Ok(issuers)
    }

    /// Trusts the certificate authorities in a text, too.
    pub(super) fn trust(&self, pem: &str) -> anyhow::Result<()> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.context("what Entra is to trust is no certificate in PEM")?;
            roots.add(certificate).context("rustls refuses a certificate that Entra is to trust")?;
        }
        Ok(())
    }

    /// A key of an issuer, if it publishes one of this ID; an error if nobody can say.
    pub(super) async fn key(&self, issuer: &str, id: &str, now: Timestamp) -> anyhow::Result<Option<PublicKey>> {
        let kept = {
            let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(issuer.to_owned()).or_default())
        };
        let mut kept = kept.lock().await;
        let fresh = kept.as_ref().filter(|kept| now < kept.fetched + self.keep);
        if let Some(key) = fresh.and_then(|kept| kept.keys.get(id)) {
            return Ok(Some(key.clone()));
        }
        let fetched = tokio::time::timeout(PATIENCE, self.fetch(issuer)).await;
        let keys = fetched.context("it did not answer in time").flatten();
        let keys = keys.with_context(|| format!("could not fetch the keys of issuer {issuer}"))?;
        let key = keys.get(id).cloned();
        *kept = Some(Kept { fetched: now, keys });
        Ok(key)
    }

    async fn fetch(&self, issuer: &str) -> anyhow::Result<BTreeMap<String, PublicKey>> {
        let base = issuer.trim_end_matches('/');
        let discovered = self.get(&format!("{base}/.well-known/openid-configuration")).await?;
        anyhow::ensure!(discovered["issuer"] == issuer, "its metadata are those of {}", discovered["issuer"]);
        let keys = discovered["jwks_uri"].as_str().context("its metadata name no keys")?;
        let keys = self.get(keys).await?;
        let keys = keys["keys"].as_array().context("what it publishes is no set of keys")?;
        Ok(keys.iter().filter_map(PublicKey::of_jwk).collect())
    }

    async fn get(&self, url: &str) -> anyhow::Result<Value> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let https = HttpsConnectorBuilder::new().with_tls_config(pki::client_trusting(roots)?).https_only();
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(https.enable_http1().build());
        let answer = client.get(uri).await.with_context(|| format!("{url} is out of reach"))?;
        anyhow::ensure!(answer.status() == StatusCode::OK, "{url} answered {}", answer.status());
        let body = Limited::new(answer.into_body(), LONGEST_DOCUMENT).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{url} did not answer to the end: {error}"))?;
        serde_json::from_slice(&body.to_bytes()).with_context(|| format!("{url} did not answer in JSON"))
    }
}
