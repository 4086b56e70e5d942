//! The sandbox as a command: a control plane to try things on, until Ctrl-C. It reads the command line, speaks to
//! people, and leaves everything else to the library.

mod azure_command;
mod demo;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use keywright_sandbox::{Chart, Options, Plane, Programs, controllers, newest_alive};
use tokio::signal::unix::{SignalKind, signal};

/// A Kubernetes control plane of your own, to try Keywright on
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a control plane, and keep it until Ctrl-C
    Up(Up),
    /// Show what Keywright does, on a control plane of its own
    Demo(demo::Demo),
    /// Start Azure alone, print where it is and what is in it as JSON, and keep it until Ctrl-C
    Azure(azure_command::AzureCommand),
    /// Build the control plane's programs, Helm and what else tests run, if they have not been built before
    Build,
    /// Run the Helm that renders the chart here: `helm lint charts/keywright`, …
    Helm {
        /// What Helm is told
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<String>,
    },
    /// Run kubectl against the sandbox that is up
    Kubectl {
        /// The run's directory; by default the newest that is up
        #[arg(long)]
        dir: Option<PathBuf>,
        /// What kubectl is told
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Short for `kubectl get`, against the newest sandbox that is up
    Get {
        /// What is to be shown: pods -A, secrets, …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<String>,
    },
}

#[derive(clap::Args)]
struct Up {
    /// The run's directory, which is wiped before and removed after; by default a new one below target/
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Stop again as soon as it is up
    #[arg(long)]
    once: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With everything that caused it, and without a backtrace, which hides what to do.
            let _ = writeln!(std::io::stderr(), "keywright-sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(up) => up.run().await,
        Command::Demo(demo) => demo.run().await,
        Command::Azure(azure) => azure.run().await,
        Command::Build => {
            Programs::find().await?;
            Chart::find().await?;
            for controller in controllers::ALL {
                controller.build().await?;
            }
            Ok(())
        }
        Command::Helm { args } => helm(args).await,
        Command::Kubectl { dir, args } => kubectl(dir, args).await,
        Command::Get { args } => kubectl(None, [vec!["get".to_owned()], args].concat()).await,
    }
}

impl Up {
    async fn run(self) -> anyhow::Result<()> {
        let Self { dir, once } = self;
        let mut interrupted = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
        let mut terminated = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
        let asked_to_end = async {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        };
        tokio::pin!(asked_to_end);
        let begun = std::time::Instant::now();
        let plane = tokio::select! {
            // Whatever has been started already ends with this process.
            () = &mut asked_to_end => return Ok(()),
            plane = Plane::start(Options { dir, ..Options::default() }) => plane?,
        };
        say(&format!("The control plane is up, after {:.1} s.\n", begun.elapsed().as_secs_f64()))?;
        if !once {
            say(&advice(&plane).await?)?;
            asked_to_end.await;
        }
        plane.stop().await?;
        say("The control plane is stopped, and nothing of it is left.\n")
    }
}

async fn advice(plane: &Plane) -> anyhow::Result<String> {
    let kubeconfig = plane.kubeconfig();
    let kubectl = Programs::find().await?.kubectl();
    let kubectl = kubectl.as_deref().unwrap_or_else(|_| Path::new("kubectl"));
    Ok(format!(
        "\n  export KUBECONFIG={}\n  {} get namespaces\n\nor `keywright-sandbox get namespaces`. Logs are in {}. Ctrl-C ends it.\n",
        kubeconfig.display(),
        kubectl.display(),
        plane.dir().join("logs").display(),
    ))
}

/// Becomes kubectl, so that the terminal, signals and the exit code are its own.
async fn kubectl(dir: Option<PathBuf>, args: Vec<String>) -> anyhow::Result<()> {
    let dir = dir.or_else(newest_alive).context("no sandbox is up: start one with `keywright-sandbox up`")?;
    let kubectl = Programs::find().await?.kubectl()?;
    let failed = std::process::Command::new(&kubectl).args(args).env("KUBECONFIG", dir.join("kubeconfig")).exec();
    Err(failed).with_context(|| format!("could not run {}", kubectl.display()))
}

/// Becomes Helm, likewise.
async fn helm(args: Vec<String>) -> anyhow::Result<()> {
    let helm = Chart::find().await?.helm();
    let failed = std::process::Command::new(&helm).args(args).exec();
    Err(failed).with_context(|| format!("could not run {}", helm.display()))
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("could not write to standard output")
}
