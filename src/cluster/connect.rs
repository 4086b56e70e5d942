//! The way to the API server.

use kube::{Client, Config};

use super::Error;

/// A client for the cluster that `KUBECONFIG` names, else the one that this process runs in.
pub async fn connect() -> Result<Client, Error> {
    let config = Config::infer().await.map_err(|error| Error::NoCluster(error.to_string()))?;
    Client::try_from(config).map_err(|error| Error::NoCluster(error.to_string()))
}
