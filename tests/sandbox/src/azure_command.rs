//! `keywright-sandbox azure`: Azure alone, with a tenant to try things in, until Ctrl-C.

use std::path::PathBuf;

use anyhow::Context;
use keywright_sandbox::Azure;
use keywright_sandbox::azure::{NewApplication, NewPassword, Options, Seeded};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::say;

/// Start Azure alone, print where it is and what is in it as JSON, and keep it until Ctrl-C
#[derive(clap::Args)]
pub struct AzureCommand {
    /// How slow replicas are, against the real ones: 0 knows everything at once
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Where chance begins
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder for the CA's file; by default the system's for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl AzureCommand {
    pub async fn run(self) -> anyhow::Result<()> {
        let Self { scale, seed, dir } = self;
        let mut interrupted = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
        let mut terminated = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
        let azure = Azure::start(Options { scale, seed, dir, ..Options::default() }).await?;
        let seeded = seed_some(&azure)?;
        say(&format!("{}\n", told(&azure, &seeded)))?;
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        Ok(())
    }
}

/// A tenant with an operator that may write what it owns, and an application that it owns.
fn seed_some(azure: &Azure) -> anyhow::Result<Value> {
    let tenant = azure.seed_tenant();
    azure.add_domain(tenant, "contoso.onmicrosoft.com")?;
    let new = |name: &str, owners: &[Uuid], roles: &[&str]| NewApplication {
        display_name: name.to_owned(),
        owners: owners.to_vec(),
        roles: roles.iter().map(ToString::to_string).collect(),
        ..NewApplication::default()
    };
    let operator = azure.seed_application(tenant, new("keywright", &[], &["Application.ReadWrite.OwnedBy"]))?;
    let payments = azure.seed_application(tenant, new("payments", &[operator.principal], &[]))?;
    let described = |application: &Seeded| {
        let password = azure.seed_password(application, NewPassword::default())?;
        let mut described = json!(application);
        described["clientSecret"] = password.value.into();
        described["keyId"] = json!(password.key_id);
        anyhow::Ok(described)
    };
    Ok(json!({"tenant": tenant, "operator": described(&operator)?, "payments": described(&payments)?}))
}

fn told(azure: &Azure, seeded: &Value) -> Value {
    let endpoints = azure.endpoints();
    json!({
        "proxy": endpoints.proxy,
        "caFile": azure.ca_file(),
        "authority": endpoints.authority,
        "graph": endpoints.graph,
        "vault": endpoints.vault,
        "vaultSuffix": endpoints.vault_suffix,
        "admin": endpoints.admin,
        "seeded": seeded,
    })
}
