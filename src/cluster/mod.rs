//! Kubernetes' side: how the operator reads and writes the cluster. An adapter: it carries out and reports back, it
//! decides nothing. Every call has a time limit, because a connection can die without saying so.

pub mod account_tokens;
pub mod accounts;
mod argo;
pub mod attend;
mod call;
pub mod clock;
pub mod connect;
pub mod definitions;
pub mod detaining;
pub mod events;
pub mod follow;
pub mod identity;
pub mod issuer;
mod known;
pub mod pods;
pub mod read;
mod readers;
pub mod records;
mod rolling;
pub mod secrets;
pub mod sources;
pub mod status;
mod stored;
mod trouble;
pub mod wanted;
pub mod workloads;

use std::{future::Future, time::Duration};

pub use kube::Client;

use crate::facts::record::NotARecord;

/// How long one call may take, retries of the client included. (Watches have their own limit, in kube.)
const CALL: Duration = Duration::from_secs(10);

/// Why a call to the API server brought nothing. `doing` says what it was for, and on what.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no way to the API server.
    #[error("could not find out how to reach the Kubernetes API server: {0}. Run inside a cluster, or set KUBECONFIG")]
    NoCluster(String),
    /// The API server refused the call, or could not be reached.
    #[error("could not {doing}: {}", said(source))]
    Refused {
        /// What was being done, to what.
        doing: String,
        /// What the API server or the connection said.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("could not {doing}: no answer from the API server within {}s", CALL.as_secs())]
    TimedOut {
        /// What was being done, to what.
        doing: String,
    },
    /// A Secret that should be a record is none.
    #[error("could not {doing}: it is no record of ours: {why}")]
    NotARecord {
        /// What was being done, to what.
        doing: String,
        /// What is wrong with it.
        why: NotARecord,
    },
    /// What was read is not there any more.
    #[error("could not {doing}: it has gone, or another one is in its place")]
    Replaced {
        /// What was being done, to what.
        doing: String,
    },
}

/// What became of a change that is made only to what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written<T> {
    /// It was made, and this is what there is now.
    Yes(T),
    /// It was not made: somebody else came before, and what there is must be read again.
    Outpaced,
}

/// What the API server said, in its own words. (kube's `Display` prints the answer three times, as text and as structs.)
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!("the API server answered {} {}: {}", status.code, status.reason, status.message)
        }
        other => other.to_string(),
    }
}

/// A call within its time limit.
async fn within<T>(doing: impl Fn() -> String, call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(CALL, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(Error::Refused { doing: doing(), source: Box::new(source) }),
        Err(_) => Err(Error::TimedOut { doing: doing() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_answers_ends() {
        let error = within(|| "read something".into(), std::future::pending::<kube::Result<()>>()).await.unwrap_err();
        assert_eq!(error.to_string(), "could not read something: no answer from the API server within 10s");
    }
}
