//! The process: how it starts, waits and ends.

use std::time::Duration;

use keywright_sandbox::{KUBERNETES, Operator, Rule};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use crate::town::{BINARY, PATIENCE, Town, chain, insist, said, same};

/// The admin server of an operator.
pub struct Admin {
    address: String,
}

impl Admin {
    /// Where an operator says that it listens.
    pub async fn of(operator: &Operator) -> Result<Self, Failed> {
        let line =
            operator.wait_for_line(|line| said(line, "serving probes and metrics"), PATIENCE).await.map_err(chain)?;
        let line: Value = serde_json::from_str(&line)?;
        Ok(Self { address: line["address"].as_str().unwrap_or_default().to_owned() })
    }

    /// What it answers: status and body.
    pub async fn get(&self, path: &str) -> Result<(u16, String), Failed> {
        let mut connection = TcpStream::connect(&self.address).await?;
        connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
        let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
        Ok((status, body.to_owned()))
    }
}

pub async fn it_ends_in_good_order(town: Town) -> Result<(), Failed> {
    let (place, operator) = town.open_place("ending").await?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "TenantNotFound").await?;
    operator.terminate();
    let ended = operator.exited(Duration::from_secs(15)).await.map_err(chain)?;
    insist(ended.success(), format!("asked to end, it ended with {ended}"))
}

pub async fn it_ends_although_a_call_hangs(town: Town) -> Result<(), Failed> {
    let (place, operator) = town.open_place("ending-late").await?;
    place.proxy.faults().add(Rule::at(KUBERNETES, "update", "/**/status").hang());
    place.resource("payments-api", &json!({})).await?;
    let hanging = place.proxy.journal().wait_for(|entry| entry.path.ends_with("/status"), PATIENCE).await;
    hanging.map_err(chain)?;
    operator.terminate();
    let ended = operator.exited(Duration::from_secs(25)).await.map_err(chain)?;
    insist(ended.success(), format!("asked to end, it ended with {ended}"))
}

pub async fn it_waits_for_its_kinds_and_names_them(_: Town) -> Result<(), Failed> {
    let town = Town::without_our_kinds().await?;
    let place = town.place("early").await?;
    let operator = place.starting_operator().await?;
    let admin = Admin::of(&operator).await?;
    for kind in ["entraappcredentials.keywright.dev", "entratenants.keywright.dev"] {
        let waits = |line: &str| line.contains("waiting for a definition") && line.contains(kind);
        operator.wait_for_line(waits, PATIENCE).await.map_err(chain)?;
    }
    let (status, text) = admin.get("/readyz").await?;
    same("/readyz", status, 503)?;
    for kind in ["entraappcredentials.keywright.dev", "entratenants.keywright.dev"] {
        insist(text.contains(kind), format!("/readyz does not name {kind}: {text}"))?;
    }
    same("/livez", admin.get("/livez").await?.0, 200)?;

    town.define().await?;
    place.at_work(&operator).await?;
    same("/readyz", admin.get("/readyz").await?.0, 200)?;
    place.resource("payments-api", &json!({})).await?;
    place.told("payments-api", "TenantNotFound").await?;
    town.end().await.map_err(chain)
}

pub async fn it_outlives_a_restart_of_the_api_server(_: Town) -> Result<(), Failed> {
    let town = Town::build().await?;
    let (place, _operator) = town.open_place("restarts").await?;
    place.resource("before", &json!({})).await?;
    place.told("before", "TenantNotFound").await?;
    town.plane().kill_api().await.map_err(chain)?;
    town.plane().start_api().await.map_err(chain)?;
    place.resource("after", &json!({})).await?;
    place.told("after", "TenantNotFound").await?;
    place.tenant(&json!({})).await?;
    place.told("before", "InvalidTemplate").await?;
    town.end().await.map_err(chain)
}

pub async fn a_wrong_flag_or_address_is_named(_: Town) -> Result<(), Failed> {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?.to_string();
    for (args, words) in [
        (vec!["run", "--admin-address", &address], format!("could not listen on {address}")),
        (vec!["run", "--admin-address", "127.0.0.1:0"], "set KUBECONFIG".to_owned()),
        (vec!["run", "--log", "keywright=loud"], "could not read the log filter".to_owned()),
        (vec!["crds", "--check", "--dir", "/nowhere"], "run `make crds`".to_owned()),
    ] {
        let mut command = Command::new(BINARY);
        let output = command.args(&args).env("KUBECONFIG", "/nowhere").env("RUST_BACKTRACE", "0").output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        insist(!output.status.success(), format!("{args:?} succeeded"))?;
        insist(said.contains(&words), format!("{args:?} says: {said}"))?;
    }
    Ok(())
}
