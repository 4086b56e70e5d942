//! `keywright run`: the operator. Starts everything, waits until asked to end, and ends everything.

use std::{io, net::SocketAddr, path::PathBuf};

use prometheus_client::{metrics::info::Info, registry::Registry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    operator::{self, Operator},
    scope::Scope,
};
use crate::{
    api::ClientId,
    cluster::{self, connect::connect},
    plan::Timing,
    reconcile::{Metrics, connections::Connections, hands::Hands},
    runtime::{
        admin::{self, Admin},
        readiness::Readiness,
        shutdown,
        tasks::Tasks,
        telemetry::{self, LogFormat},
    },
    wire,
};

/// Why the operator ended on its own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter cannot be read.
    #[error(transparent)]
    Log(#[from] telemetry::BadFilter),
    /// Signals cannot be received.
    #[error("could not listen for SIGTERM")]
    Signals(#[source] io::Error),
    /// There is no cluster.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Nothing outside can be called.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// Probes and metrics cannot be served.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// Watching or looking has ended by itself.
    #[error(transparent)]
    Operator(#[from] operator::Error),
    /// Something that runs as long as the operator does has ended before it.
    #[error("a part of the operator ended by itself, so the whole does: {0}")]
    Ended(String),
}

/// What can be set about the operator.
#[derive(Debug)]
pub struct Settings {
    /// Which namespaces are worked on.
    pub scope: Scope,
    /// Where probes and metrics are served.
    pub admin_address: SocketAddr,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log: String,
    /// The name by which Events are signed.
    pub instance: String,
    /// What tells this cluster from others, if somebody has named it.
    pub cluster_id: Option<String>,
    /// Where the Secrets are that the operator itself signs in with, if that is not where it runs.
    pub operator_namespace: Option<String>,
    /// CAs to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether Rollouts of Argo Rollouts are looked at.
    pub argo_rollouts: bool,
    /// Whether whoever is signed in on this machine is asked where the surroundings would be.
    pub developer_identity: bool,
    /// How long everything takes that is built in.
    pub timing: Timing,
    /// The application that the operator's surroundings sign in as, if they say so.
    pub ambient_client_id: Option<ClientId>,
}

/// Run until asked to end.
pub async fn run(settings: Settings) -> Result<(), Error> {
    telemetry::start(settings.log_format, &settings.log)?;
    let stop = shutdown::on_signal().map_err(Error::Signals)?;
    let admin = Admin::listen(settings.admin_address).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %admin.address(), "serving probes and metrics");

    let (registry, metrics, calls) = figures();
    let readiness = Readiness::default();
    // From the first moment on: a probe that comes early must not find nothing to wait for.
    let copies = readiness.wait_for("the copies of tenants, namespaces and resources");

    let mut parts = JoinSet::new();
    let serving = admin.serve(readiness.clone(), registry, stop.clone());
    parts.spawn(async move { serving.await.map_err(Error::from) });
    let cluster = connect().await?;
    let outside = wire::Settings { ca_file: settings.ca_file, metrics: calls, ..wire::Settings::default() };
    let outside = wire::Client::new(outside)?;
    let home = settings.operator_namespace.unwrap_or_else(|| cluster.client.default_namespace().to_owned());
    let developer = settings.developer_identity;
    let connections = Connections::new(outside.clone(), cluster.client.clone(), home, developer);
    let operator = Operator {
        hands: Hands::new(&cluster, settings.argo_rollouts, outside, connections, metrics, settings.timing),
        cluster,
        scope: settings.scope,
        instance: settings.instance,
        cluster_id: settings.cluster_id,
        ambient_client_id: settings.ambient_client_id,
        readiness,
        copies,
        stop: stop.clone(),
    };
    parts.spawn(async move { Ok(operator.work().await?) });
    until_all_end(parts, &stop).await
}

/// Everything that is counted. `docs/metrics.md` has a row for each; a test holds the two together.
fn figures() -> (Registry, Metrics, wire::Metrics) {
    let mut registry = Registry::with_prefix("keywright");
    registry.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    let metrics = Metrics::register(&mut registry);
    let calls = wire::Metrics::register(&mut registry);
    registry.register_collector(Box::new(Tasks::here()));
    (registry, metrics, calls)
}

/// Wait for the parts. One that ends before `stop` takes the others with it: half an operator helps nobody.
async fn until_all_end(mut parts: JoinSet<Result<(), Error>>, stop: &CancellationToken) -> Result<(), Error> {
    let mut outcome = Ok(());
    while let Some(ended) = parts.join_next().await {
        let early = !stop.is_cancelled();
        stop.cancel();
        let result = ended.unwrap_or_else(|error| Err(Error::Ended(error.to_string())));
        let result = if early && result.is_ok() { Err(Error::Ended("without an error".to_owned())) } else { result };
        outcome = outcome.and(result);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn every_metric_has_a_row_and_no_row_is_left_over() {
        let page = include_str!("../../docs/metrics.md");
        let row = |line: &str| Some(line.strip_prefix("| `keywright_")?.split('`').next()?.to_owned());
        // A counter ends in `_total` where it is read, and an info in `_info`.
        let plain = |name: String| name.trim_end_matches("_total").trim_end_matches("_info").to_owned();
        let written: BTreeSet<String> = page.lines().filter_map(row).map(plain).collect();
        // What has no sample yet is not shown to whoever reads it, but it is registered.
        let registered = format!("{:?}", figures().0);
        let names = registered.split("Descriptor { name: \"").skip(1);
        let mut all: BTreeSet<String> = names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
        // Counted when somebody asks.
        all.extend(["tasks_alive", "queue_waiting", "queue_oldest_seconds"].map(str::to_owned));
        assert_eq!(written, all);
    }
}
