//! Doors that stand open: whoever connects is served in a task of its own, until the door is closed, which ends them
//! all. What is said once somebody is in, is not known here.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use futures::TryFutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A port of 127.0.0.1 that waits for somebody to connect.
pub(crate) struct Door {
    listener: TcpListener,
    /// Where it is.
    pub(crate) address: SocketAddr,
}

impl Door {
    /// Takes a port, `purpose` being what it is for.
    pub(crate) async fn new(purpose: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.with_context(|| format!("could not listen on a port of 127.0.0.1 for {purpose}"))?;
        let address = listener.local_addr().with_context(|| format!("the port of {purpose} is not known"))?;
        Ok(Self { listener, address })
    }

    /// Serves everybody until `open` is cancelled.
    pub(crate) async fn serve<S>(self, open: CancellationToken, serve: impl Fn(TcpStream) -> S)
    where
        S: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let accepting = async {
            loop {
                match self.listener.accept().await {
                    Ok((client, _)) => {
                        let served = serve(client).unwrap_or_else(|error| tracing::debug!("{error:#}"));
                        tokio::spawn(open.clone().run_until_cancelled_owned(served));
                    }
                    // No more file descriptors, most likely: nobody tells when there are some again.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        open.run_until_cancelled(accepting).await;
    }
}
