//! The binary: choose the TLS library, read the command line, do what it says, and say once why it could not.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use keywright::args::Args;

// Nearly all of the work is waiting: what is to be computed for a thousand first issues is some seconds of one processor. Each
// thread more has memory of its own, and a node may have a hundred processors.
#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok()
        .context("another TLS library was chosen before ours")?;
    args.dispatch().await
}

/// The error with all that caused it, as a log line where there is a log, and never with a backtrace: that is for whoever
/// wrote the program, and hides from everybody else what to do.
#[expect(clippy::print_stderr, reason = "before the log is there, or for a command without one, it has no other place")]
fn tell(error: &anyhow::Error) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{error:#}");
    } else {
        eprintln!("keywright: {error:#}");
    }
}
