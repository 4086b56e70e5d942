//! The way to the API server.

use std::time::Duration;

use kube::{Client, Config};

use super::Error;

/// How long a connection may be silent. Longer than the pause that a watch takes for granted (295 s in kube); what it ends
/// is a list, or the opening of a watch, that an address has accepted and never answers.
const SILENCE: Duration = Duration::from_mins(5);

/// A client for the cluster that `KUBECONFIG` names, else the one that this process runs in.
pub async fn connect() -> Result<Client, Error> {
    let mut config = Config::infer().await.map_err(|error| Error::NoCluster(error.to_string()))?;
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true; // a connection that was idle in the pool begins anew
    Client::try_from(config).map_err(|error| Error::NoCluster(error.to_string()))
}
