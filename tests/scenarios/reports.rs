//! Holders outside that confirm by Microsoft's report of sign-ins: what it shows is believed, what it does not show is not,
//! and where it is not to be had, somebody says it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keywright_sandbox::{
    azure::{GRAPH, Options},
    journal::Entry,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    rotation::{demand, ends, published},
    town::{Firm, PATIENCE, RESOURCE, Town, chain, change, insist, read, same},
};

/// How often the report is read here, and how long nobody may have used what is to go.
const INTERVAL: Duration = Duration::from_millis(7_200);

/// Somebody outside who confirms by the report.
fn by_report() -> Value {
    json!({"spec": {"consumers": {"external": [{"name": "sso", "confirm": "SignInReport"}]}}})
}

/// What is published, for whoever is to be given it.
async fn value(firm: &Firm) -> Result<String, Failed> {
    let secret = firm.secrets().get(RESOURCE).await?;
    let value = secret.data.as_ref().and_then(|data| data.get("AZURE_CLIENT_SECRET")).ok_or("no secret")?;
    Ok(String::from_utf8(value.0.clone())?)
}

fn valid(firm: &Firm) -> Result<usize, Failed> {
    Ok(firm.azure.passwords(&firm.payments).map_err(chain)?.len())
}

fn is_read(entry: &Entry) -> bool {
    entry.service == GRAPH && entry.verb == "listCredentialSignIns"
}

/// Sign in with what somebody outside has, again and again, for as long as this is polled.
async fn goes_on_signing_in(firm: &Firm, has: &Mutex<String>) -> Result<(), Failed> {
    loop {
        let value = has.lock().unwrap_or_else(PoisonError::into_inner).clone();
        same("a sign-in from outside", firm.signs_in_with(&value).await?, 200)?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub async fn the_old_one_stays_until_the_report_shows_that_a_holder_outside_has_switched(
    town: Town,
) -> Result<(), Failed> {
    let mut firm = town.firm_with("reported", Options { scale: 0.002, ..Options::default() }).await?;
    firm.args = ["--time-scale", "0.002"].map(str::to_owned).into();
    let may =
        |principal: &mut keywright_sandbox::azure::Principal| principal.roles.push("AuditLog.Read.All".to_owned());
    firm.azure.set_principal(&firm.keywright, may).map_err(chain)?;
    let operator = firm.operator().await?;
    firm.deploy("web", 1, RESOURCE).await?;
    published(&firm, &by_report()).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    same("reads of the report without anything old", firm.azure.journal().count(is_read), 0)?;

    let has = Arc::new(Mutex::new(value(&firm).await?));
    let story = async {
        demand(&firm).await?;
        firm.condition_says("RolledOut", "NotConfirmed", "external/sso: the sign-in report is to show").await?;
        for _ in 0..2 {
            let begun = firm.azure.journal().len();
            let next = |entry: &Entry| entry.number >= begun && is_read(entry);
            firm.azure.journal().wait_for(next, PATIENCE).await.map_err(chain)?;
        }
        same("valid while the old one is used", valid(&firm)?, 2)?;
        *has.lock().unwrap_or_else(PoisonError::into_inner) = value(&firm).await?;
        ends(&firm, 2).await
    };
    tokio::select! {
        ended = story => ended?,
        refused = goes_on_signing_in(&firm, &has) => refused?,
    }
    let reads: Vec<_> = firm.azure.journal().entries().into_iter().filter(is_read).map(|entry| entry.time).collect();
    let gaps: Vec<Duration> =
        reads.windows(2).filter_map(|two| two[1].duration_since(two[0]).try_into().ok()).collect();
    insist(gaps.len() >= 2 && gaps.iter().all(|gap| *gap >= INTERVAL), format!("the report was read after {gaps:?}"))?;
    firm.ends_clean(&operator).await
}

pub async fn where_the_report_may_not_be_read_a_holder_outside_is_confirmed_by_hand(town: Town) -> Result<(), Failed> {
    let firm = town.firm("unreported").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 1, RESOURCE).await?;
    published(&firm, &by_report()).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    demand(&firm).await?;
    firm.condition_says("RolledOut", "NotConfirmed", "AuditLog.Read.All").await?;
    let object = firm.read(RESOURCE).await?;
    let key_id: String = read(&object, "/status/current/keyId").ok_or("no key ID")?;
    firm.condition_says("RolledOut", "NotConfirmed", &format!("keywright.dev/confirmed.sso={key_id}")).await?;
    let failure: Value = read(&object, "/status/lastFailure").ok_or("no failure")?;
    same("the code", failure["code"].as_str(), Some("Authorization_RequestDenied"))?;
    firm.pods_sign_in_again(20).await?;
    same("valid", valid(&firm)?, 2)?;
    same("reads of the report", firm.azure.journal().count(is_read), 1)?;
    let confirmed = json!({"metadata": {"annotations": {"keywright.dev/confirmed.sso": key_id}}});
    change(&firm.resources(), RESOURCE, &confirmed).await?;
    ends(&firm, 2).await?;
    same("reads of the report", firm.azure.journal().count(is_read), 1)?;
    firm.ends_clean(&operator).await
}
