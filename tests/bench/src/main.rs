//! How fast the shipped binary is and what it costs, under a thousand resources: figures for people, in one table. They
//! depend on the machine, which they share with the control plane and Azure, so nothing fails because of them. It looks
//! from outside: at journals, at what the process uses, at its metrics.

mod counts;
mod crowd;
mod issue;
mod process;
mod published;
mod rest;
mod rotate;
mod table;
mod town;

use std::path::PathBuf;

use clap::Parser;

use self::{issue::Weather, table::Table, town::Town};

/// Measure Keywright under many resources, on a control plane of its own
#[derive(Parser)]
struct Args {
    /// The operator's binary; by default the one beside this one
    #[arg(long)]
    operator: Option<PathBuf>,
    /// How many resources there are
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Only the scenes whose name has this in it
    #[arg(long, default_value = "")]
    only: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let binary = match args.operator {
        Some(binary) => binary,
        None => std::env::current_exe()?.with_file_name("keywright"),
    };
    let town = Town::build(binary, args.count).await?;
    let table = measured(&town, &args.only).await;
    town.end().await?;
    table?.print()
}

/// Every scene, each in a place of its own.
async fn measured(town: &Town, only: &str) -> anyhow::Result<Table> {
    let mut table = Table::new(town.count);
    for weather in Weather::ALL.iter().filter(|weather| weather.name.contains(only)) {
        let place = town.place(weather.name, weather, town.count).await?;
        let mut operator = issue::measure(&place, weather, &mut table).await?;
        if weather.then_rest {
            operator = rest::measure(&place, operator, &mut table).await?;
        }
        if let Some(wanted) = weather.rotated {
            rotate::measure(&place, &operator, wanted, &mut table).await?;
        }
        if weather.then_rest {
            rotate::measure_memory(&place, operator, &mut table).await?;
        }
    }
    for (many, wanted) in crowd::SIZES {
        let name = format!("crowd-{many}");
        if name.contains(only) {
            let place = town.place(&name, &Weather::FAST, 1).await?;
            crowd::measure(&place, many, wanted, &mut table).await?;
        }
    }
    Ok(table)
}
