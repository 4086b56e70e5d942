//! The binary: choose the TLS library, read the command line, do what it says.

use anyhow::Context;
use clap::Parser;
use keywright::args::Args;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok()
        .context("another TLS library was chosen before ours")?;
    args.dispatch().await
}
