//! The admin server: `/livez`, `/readyz` and `/metrics`. Says nothing that is not for everybody in the cluster.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::readiness::Readiness;

/// Why the admin server could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not ours.
    #[error("could not listen on {address} for probes and metrics: choose another with --admin-address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It listened, and then failed.
    #[error("the server for probes and metrics failed")]
    Serve(#[from] io::Error),
}

/// The admin server, listening.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Clone)]
struct Shown {
    readiness: Readiness,
    registry: Arc<Registry>,
}

impl Admin {
    /// Take the address, so that a wrong one is known at once.
    pub async fn listen(address: SocketAddr) -> Result<Self, Error> {
        let listen = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        listen.await.map_err(|source| Error::Listen { address, source })
    }

    /// The address; with port 0 asked for, the port that was given.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answer until `stop` is cancelled.
    pub async fn serve(self, readiness: Readiness, registry: Registry, stop: CancellationToken) -> Result<(), Error> {
        let routes = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(Shown { readiness, registry: Arc::new(registry) });
        axum::serve(self.listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await?;
        Ok(())
    }
}

async fn readyz(State(shown): State<Shown>) -> Response {
    match shown.readiness.missing().as_slice() {
        [] => "ok\n".into_response(),
        missing => {
            let text = format!("not ready, waiting for: {}\n", missing.join(", "));
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn metrics(State(shown): State<Shown>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &shown.registry) {
        Ok(()) => {
            let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, open_metrics)], text).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("could not write the metrics: {error}\n")).into_response()
        }
    }
}
