//! The scenarios, in the words of the promises: the shipped binary against a real API server. Each has a namespace, a
//! tenant, a proxy and an operator of its own, so that many run at once on one control plane; those that change the
//! plane itself have one of their own.

#![allow(clippy::needless_pass_by_value, reason = "json!({…}) reads better at a call than &json!({…})")]

mod accounts;
mod admission;
mod adoption;
mod apply;
mod argo;
mod blast;
mod boundaries;
mod certificates;
mod certified;
mod claims;
mod coordinates;
mod crowds;
mod dead;
mod drift;
mod endings;
mod examples;
mod faults;
mod federation;
mod firms;
mod first_issue;
mod former;
mod imports;
mod keys;
mod lifecycle;
mod listed;
mod manifests;
mod meddling;
mod migration;
mod namespaces;
mod newer;
mod outsiders;
mod policy;
mod rbac;
mod readers;
mod records;
mod reports;
mod restored;
mod restores;
mod rivals;
mod rollouts;
mod rooms;
mod rotation;
mod rules;
mod shared;
mod sharing;
mod soak;
mod sweep;
mod targets;
mod telling;
mod tokens;
mod town;
mod trusted;
mod vaults;
mod waking;
mod weather;
mod windows;

use std::{io::Write, process::ExitCode, sync::Arc};

use anyhow::Context;
use libtest_mimic::Arguments;
use listed::scenarios;
use shared::Shared;
use tokio::{runtime::Runtime, sync::OnceCell};

/// How many scenarios run at once. They mostly wait; the plane is shared.
const AT_ONCE: usize = 3;

fn main() -> anyhow::Result<ExitCode> {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(AT_ONCE);
    let chosen = rustls::crypto::aws_lc_rs::default_provider().install_default();
    anyhow::ensure!(chosen.is_ok(), "another TLS library was chosen before ours");
    let shared = Arc::new(Shared { runtime: Runtime::new()?, town: OnceCell::new() });
    let conclusion = libtest_mimic::run(&args, scenarios(&shared));
    if let Some(town) = shared.town.get() {
        shared.runtime.block_on(town.end()).context("the control plane did not end well")?;
    }
    // Which rights are used can only be told from all scenarios, to their ends.
    if conclusion.num_filtered_out == 0 && conclusion.num_passed > 0 && !conclusion.has_failed() {
        let wrong = rbac::imbalance();
        writeln!(std::io::stderr(), "{}", wrong.join("\n"))?;
        return Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    Ok(conclusion.exit_code())
}
