//! That firms are what scenarios take them for: pods wait for what is published and sign in with it, the ledger tells,
//! and what leaks is found. No feature of the product is needed for that: a script does what it will do.

use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    events::v1::Event,
};
use keywright_sandbox::{
    Rule,
    azure::{NewPassword, Password, TOKEN},
    points,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::town::{Firm, PATIENCE, Side, Town, chain, insist, only_talked_about, same};

/// What the product will publish, by a script.
async fn publish(firm: &Firm, town: &Town, password: &Password) -> Result<(), Failed> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "payments-api"},
        "stringData": {
            "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com",
            "AZURE_TENANT_ID": firm.payments.tenant, "AZURE_CLIENT_ID": firm.payments.client_id,
            "AZURE_CLIENT_SECRET": password.value,
        },
    });
    let secrets: Api<Secret> = Api::namespaced(town.admin(), &firm.name);
    secrets.patch("payments-api", &PatchParams::apply("script").force(), &Patch::Apply(secret)).await?;
    Ok(())
}

pub async fn pods_wait_for_what_is_published_and_sign_in_with_it(town: Town) -> Result<(), Failed> {
    let mut firm = town.firm("signing-in").await?;
    // So that a script can do its work.
    firm.asking = only_talked_about();
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    firm.resource("payments-api", &json!({})).await?;
    firm.deploy("web", 2, "payments-api").await?;
    firm.pods_wait(2).await?;

    let minted = firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?;
    publish(&firm, &town, &minted).await?;
    firm.pods_sign_in(2).await?;
    firm.pods_sign_in_again(20).await?;
    let verdict = firm.ledger().await?.verdict();
    insist(verdict.accepted >= 20 && verdict.refusals.is_empty(), verdict.to_string())?;
    firm.ends_clean(&operator).await
}

pub async fn a_secret_that_leaves_its_place_is_found(town: Town) -> Result<(), Failed> {
    let mut firm = town.firm("leaking").await?;
    firm.args.extend(["--log", "debug"].map(str::to_owned));
    let operator = firm.operator().await?;
    let minted = firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?;
    publish(&firm, &town, &minted).await?;
    firm.ends_clean(&operator).await?;

    let event = json!({
        "metadata": {"name": "leak"}, "eventTime": "2026-11-21T12:00:00.000000Z", "type": "Warning", "action": "Leak",
        "reportingController": "script", "reportingInstance": "script", "reason": "Leak",
        "note": format!("could not sign in with {}", minted.value),
        "regarding": {"apiVersion": "v1", "kind": "Secret", "namespace": firm.name, "name": "payments-api"},
    });
    let events: Api<Event> = Api::namespaced(town.admin(), &firm.name);
    events.create(&PostParams::default(), &serde_json::from_value(event)?).await?;
    let own = firm.azure.passwords(&firm.keywright).map_err(chain)?.remove(0).value;
    let map = json!({"metadata": {"name": "leak"}, "data": {"secret": own.replace('~', "%7E")}});
    let maps: Api<ConfigMap> = Api::namespaced(town.admin(), &firm.name);
    maps.create(&PostParams::default(), &serde_json::from_value(map)?).await?;
    let note: Value = json!({"metadata": {"annotations": {"note": minted.value}}});
    let secrets: Api<Secret> = Api::namespaced(town.admin(), &firm.name);
    secrets.patch("payments-api", &PatchParams::default(), &Patch::Merge(note)).await?;

    let mut found: Vec<String> = firm.leaks(&operator).await?.into_iter().map(|leak| leak.output).collect();
    found.sort_unstable();
    found.dedup();
    same("leaks", found, ["ConfigMap leak", "Event leak", "Secret payments-api"].map(str::to_owned).into())?;
    let ended = firm.ends_clean(&operator).await;
    insist(ended.is_err(), "a scenario with leaks ends clean")
}

pub async fn an_operator_dies_at_the_point_that_it_is_to_die_at(town: Town) -> Result<(), Failed> {
    let mut firm = town.firm("dying").await?;
    firm.asking = only_talked_about();
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    firm.resource("payments-api", &json!({})).await?;
    firm.told("payments-api", "InvalidTemplate").await?;
    firm.tenant_told("Reached").await?;
    operator.kill().await.map_err(chain)?;
    // The tenant has been told; from here on it is written about no more.
    let before = firm.proxy.journal().len();
    let operator = firm.operator().await?;
    firm.resource("again", &json!({})).await?;
    firm.told("again", "InvalidTemplate").await?;
    let entries = firm.proxy.journal().entries();
    let changes: Vec<_> = points::touched(&entries[before..]).into_iter().filter(points::changes_something).collect();
    same("an Event and a status", changes.len(), 2)?;
    operator.kill().await.map_err(chain)?;

    for (number, point) in changes.iter().enumerate() {
        for side in [Side::Before, Side::After] {
            firm.resource(&format!("again-{number}-{side:?}").to_lowercase(), &json!({})).await?;
            let (operator, added) = firm.operator_killed_at(point, side).await?;
            let ended = operator.exited(PATIENCE).await.map_err(|error| format!("{point}: {error:#}"))?;
            insist(!ended.success(), format!("{point}, {side:?}: killed, not ended"))?;
            same(&point.to_string(), added.applied(), 1)?;
            added.lift();
        }
    }
    let operator = firm.operator().await?;
    let sign_in = Rule::at(TOKEN, "signIn", "**").nth(3).kill_before(operator.kill_switch());
    firm.azure.faults().add(sign_in);
    let minted = firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?;
    publish(&firm, &town, &minted).await?;
    firm.deploy("web", 1, "payments-api").await?;
    operator.exited(PATIENCE).await.map_err(chain)?;
    let operator = firm.operator().await?;
    firm.told("payments-api", "InvalidTemplate").await?;
    firm.pods_sign_in(1).await?;
    firm.ends_clean(&operator).await
}
