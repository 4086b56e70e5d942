//! The command line: parse and dispatch, nothing else.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::{
    api::ClientId,
    cli::{self, scope::Scope},
    plan::Timing,
    runtime::telemetry::LogFormat,
};

/// Keeps the credentials of Microsoft Entra applications fresh.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator, in a cluster or with KUBECONFIG
    Run(Run),
    /// Print the definitions (CRDs) of both kinds, or keep files of them
    Crds(Crds),
}

#[derive(Debug, ClapArgs)]
struct Run {
    /// Limit the operator to a namespace; can be repeated. Default: all namespaces
    #[arg(long = "namespace", env = "KEYWRIGHT_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,

    /// Where to serve /livez, /readyz and /metrics
    #[arg(long, env = "KEYWRIGHT_ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    admin_address: SocketAddr,

    /// The form of log lines
    #[arg(long, env = "KEYWRIGHT_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,

    /// Which log lines are written, for example info,keywright=debug
    #[arg(long, env = "KEYWRIGHT_LOG", default_value = "info")]
    log: String,

    /// The name by which this process signs Events; in a cluster, the pod's
    #[arg(long, env = "HOSTNAME", default_value = "keywright")]
    instance: String,

    /// What tells this cluster from others in the name of everything that is minted; never the same for two clusters, and
    /// never another for one. Default: the UID of its namespace kube-system
    #[arg(long, env = "KEYWRIGHT_CLUSTER_ID")]
    cluster_id: Option<String>,

    /// Where the Secrets are that the operator itself signs in with. Default: the namespace that it runs in
    #[arg(long, env = "KEYWRIGHT_OPERATOR_NAMESPACE")]
    operator_namespace: Option<String>,

    /// A PEM file of CAs to trust besides those of the system, for a proxy that looks into TLS
    #[arg(long, env = "KEYWRIGHT_CA_FILE")]
    ca_file: Option<PathBuf>,

    /// Look at Rollouts of Argo Rollouts too, where they are installed; its rights have to be there
    #[arg(long, env = "KEYWRIGHT_ARGO_ROLLOUTS")]
    argo_rollouts: bool,

    /// Sign in as whoever is signed in with `az` or `azd` on this machine, where a tenant would use workload identity
    #[arg(long)]
    developer_identity: bool,

    /// How long everything built in takes, against what it should: for sandboxes only
    #[arg(long, env = "KEYWRIGHT_TIME_SCALE", default_value_t = 1.0)]
    time_scale: f64,

    /// The application that the surroundings sign in as, as the workload identity webhook sets it
    #[arg(long, env = "AZURE_CLIENT_ID", hide = true, default_value = "", value_parser = client_id)]
    ambient_client_id: Ambient,
}

#[derive(Debug, ClapArgs)]
struct Crds {
    /// Write one file a kind into this folder, instead of printing both
    #[arg(long)]
    dir: Option<PathBuf>,

    /// Write nothing; fail if the files in --dir are not current
    #[arg(long, requires = "dir")]
    check: bool,
}

/// A client ID, if the surroundings say one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ambient(Option<ClientId>);

/// A variable that is set to nothing says nothing.
fn client_id(text: &str) -> Result<Ambient, uuid::Error> {
    if text.is_empty() { Ok(Ambient(None)) } else { Ok(Ambient(Some(ClientId(text.parse()?)))) }
}

impl Args {
    /// Do what was asked for.
    pub async fn dispatch(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(run) => run.dispatch().await,
            Command::Crds(crds) => crds.dispatch(),
        }
    }
}

impl Run {
    async fn dispatch(self) -> anyhow::Result<()> {
        // Taken apart completely, so that a flag which nobody reads does not compile.
        let Self {
            namespaces,
            admin_address,
            log_format,
            log,
            instance,
            cluster_id,
            operator_namespace,
            ca_file,
            argo_rollouts,
            developer_identity,
            time_scale,
            ambient_client_id,
        } = self;
        let settings = cli::run::Settings {
            scope: Scope::of(&namespaces),
            admin_address,
            log_format,
            log,
            instance,
            cluster_id: cluster_id.filter(|id| !id.is_empty()),
            operator_namespace: operator_namespace.filter(|name| !name.is_empty()),
            ca_file: ca_file.filter(|path| !path.as_os_str().is_empty()),
            argo_rollouts,
            developer_identity,
            timing: Timing::scaled(time_scale),
            ambient_client_id: ambient_client_id.0,
        };
        cli::run::run(settings).await?;
        Ok(())
    }
}

impl Crds {
    #[expect(clippy::print_stdout, reason = "printing is what this command is for")]
    fn dispatch(self) -> anyhow::Result<()> {
        match self {
            Self { dir: Some(dir), check: true } => cli::crds::check(&dir)?,
            Self { dir: Some(dir), check: false } => cli::crds::write(&dir)?,
            Self { dir: None, .. } => print!("{}", cli::crds::stream()?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_that_is_empty_is_none() {
        assert_eq!(client_id(""), Ok(Ambient(None)));
        assert!(client_id("8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f").is_ok_and(|ambient| ambient.0.is_some()));
        assert!(client_id("payments-api").is_err());
    }

    #[test]
    fn a_namespace_that_is_empty_is_none() {
        let scope = |names: &[&str]| Scope::of(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(scope(&[""]), Scope::All);
        assert_eq!(scope(&["b", " a", "b"]), Scope::Namespaces(vec!["a".into(), "b".into()]));
    }
}
