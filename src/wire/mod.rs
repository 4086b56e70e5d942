//! What every call outside of the cluster shares: one HTTP client, what the end of a call says about its effect, for how
//! long to stay away, how much may be asked at all, who does not answer at this moment, and the counting of it. It knows
//! HTTP, and no service: what an answer means is said by the adapter that asked. It never sleeps and never asks twice;
//! when to ask again is planned elsewhere.
//!
//! Reading order: [`effect`], [`told`], [`quotas`], [`ways`], [`in_time`], [`metrics`].

pub mod effect;
pub mod in_time;
pub mod metrics;
pub mod quotas;
pub mod told;
pub mod ways;

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Certificate, ClientBuilder, redirect, retry};

pub use self::{
    in_time::InTime,
    metrics::Metrics,
    quotas::{Limits, Quotas, Scope},
    told::Told,
    ways::{Way, Ways},
};

/// For how long anything is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a connection, from the name to the end of TLS. Less than for an effect: a connection that never comes is then
    /// known as "not sent", where running out of the other is "unknown".
    pub connect: Duration,
    /// For the whole of a request that changes something.
    pub effect: Duration,
    /// For the whole of a request that reads.
    pub read: Duration,
    /// For a token of our own.
    pub token: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(8),
            effect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            token: Duration::from_secs(10),
        }
    }
}

/// What may be chosen about calls outside.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// A PEM file of CAs that are trusted besides those of the system (for which there is `SSL_CERT_FILE`).
    pub ca_file: Option<PathBuf>,
    /// For how long anything is waited for.
    pub patience: Patience,
    /// How much may be asked.
    pub limits: Limits,
    /// Where calls are counted.
    pub metrics: Metrics,
}

/// Why nothing can be called.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of CAs cannot be read.
    #[error("could not read CAs from {}", path.display())]
    CaFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file of CAs has none.
    #[error("{} has no certificate in PEM that could be trusted", path.display())]
    NoCa {
        /// Which.
        path: PathBuf,
    },
    /// The system has nothing to check certificates by.
    #[error("could not set up TLS: does the system have certificates of CAs, and is SSL_CERT_FILE right if it is set?")]
    Tls(#[source] reqwest::Error),
}

/// What calls outside are made with. Clones are the same.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    http: reqwest::Client,
    fresh: reqwest::Client,
    metadata: reqwest::Client,
    quotas: Quotas,
    ways: Ways,
    patience: Patience,
    metrics: Metrics,
}

impl Client {
    /// Sets everything up; nothing is called yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let Settings { ca_file, patience, limits, metrics } = settings;
        let cas = ca_file.map(cas).transpose()?.unwrap_or_default();
        let outside = || common(patience).https_only(true).tls_certs_merge(cas.clone());
        let built = |builder: ClientBuilder| builder.build().map_err(Error::Tls);
        Ok(Self(Arc::new(Inside {
            http: built(outside().pool_idle_timeout(Duration::from_mins(1)))?,
            // Without a pool there is nothing to be reused.
            fresh: built(outside().http1_only().pool_max_idle_per_host(0).timeout(patience.effect))?,
            metadata: built(common(patience).no_proxy())?,
            quotas: Quotas::new(limits, metrics.clone()),
            ways: Ways::default(),
            patience,
            metrics,
        })))
    }

    /// The client that all share.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    /// A client that makes a new connection, TLS and all, for every request: behind one that is kept there is always the
    /// same server, and a proof by that one alone is none.
    #[must_use]
    pub fn fresh(&self) -> &reqwest::Client {
        &self.0.fresh
    }

    /// A client for the machine's own metadata service, which speaks no TLS and stands behind no proxy.
    #[must_use]
    pub fn metadata(&self) -> &reqwest::Client {
        &self.0.metadata
    }

    /// How much may be asked.
    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.0.quotas
    }

    /// Which ways lead nowhere at this moment.
    #[must_use]
    pub fn ways(&self) -> &Ways {
        &self.0.ways
    }

    /// For how long anything is waited for.
    #[must_use]
    pub fn patience(&self) -> Patience {
        self.0.patience
    }

    /// Where calls are counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

/// No redirects, which could carry a secret elsewhere, and nothing sent twice: by default reqwest sends again what an
/// HTTP/2 server says not to have begun with.
fn common(patience: Patience) -> ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("keywright/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience.connect)
        .timeout(patience.read)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        // A connection that died silently is found out before somebody waits on it for nothing.
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(5))
}

fn cas(path: PathBuf) -> Result<Vec<Certificate>, Error> {
    let pem = match fs::read(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(Error::CaFile { path, source }),
    };
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Error::NoCa { path }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(ca_file: &str) -> Error {
        let settings = Settings { ca_file: Some(ca_file.into()), ..Settings::default() };
        Client::new(settings).expect_err("no such CAs")
    }

    #[test]
    fn a_file_without_cas_is_told_from_one_that_is_not_there() {
        assert!(matches!(with("/nowhere/ca.pem"), Error::CaFile { .. }));
        assert!(matches!(with("Cargo.toml"), Error::NoCa { .. }));
    }

    #[test]
    fn a_connection_that_never_comes_is_noticed_before_time_is_up() {
        let patience = Patience::default();
        assert!(patience.connect < patience.effect);
    }
}
