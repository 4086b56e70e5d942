//! A rotation from its cause to its end: every pod gets the new credential, and only then the old one goes, without one
//! sign-in that was refused.

use keywright_sandbox::{
    azure::{NewPassword, Seeded},
    ledger::Offence,
};
use kube::api::DeleteParams;
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::town::{Firm, RESOURCE, Town, chain, change, condition, insist, read, same};

/// Demand a rotation, as a pull request would.
pub async fn demand(firm: &Firm) -> Result<(), Failed> {
    demand_of(firm, RESOURCE).await
}

/// The same of a resource of this name.
pub async fn demand_of(firm: &Firm, resource: &str) -> Result<(), Failed> {
    let now = jiff::Timestamp::now().to_string();
    change(&firm.resources(), resource, &json!({"spec": {"rotation": {"issuedAfter": now}}})).await
}

/// Wait until the credential of this number is with everybody and is the only one of the application.
pub async fn ends(firm: &Firm, number: i64) -> Result<(), Failed> {
    firm.until(|| async {
        let ended = has_ended(firm, RESOURCE, &firm.payments, number).await?;
        let there = firm.azure.passwords(&firm.payments).map_err(chain)?.len();
        let alone = || if there == 1 { Ok(()) } else { Err(format!("{number} is one of {there}")) };
        Ok(ended.and_then(|()| alone()))
    })
    .await
}

/// Whether the credential of this number is with everybody and is the only one that the resource has at its application.
pub async fn has_ended(
    firm: &Firm,
    resource: &str,
    application: &Seeded,
    number: i64,
) -> Result<Result<(), String>, Failed> {
    let object = firm.read(resource).await?;
    let current: Option<i64> = read(&object, "/status/current/sequence");
    let retiring: Option<Value> = read(&object, "/status/retiring");
    let everybody = condition(Some(&object), "RolledOut").is_some_and(|one| one.status == "True");
    let idle = condition(Some(&object), "Rotating").is_some_and(|one| one.status == "False");
    let of_it = format!(" {}/{resource}", firm.name);
    let all = firm.azure.passwords(application).map_err(chain)?;
    // One that was adopted has no mark.
    let ours = all.iter().filter(|one| one.display_name.as_ref().is_some_and(|name| name.ends_with(&of_it))).count();
    let ended = current == Some(number) && retiring.is_none() && everybody && idle && ours <= 1;
    let told = || format!("{number} of {resource} is not alone yet: {ours} are there, {}", object.data);
    Ok(if ended { Ok(()) } else { Err(told()) })
}

/// A published credential with a short overlap.
pub async fn published(firm: &Firm, patch: &Value) -> Result<(), Failed> {
    firm.tenant(&json!({})).await?;
    let patient = json!({"spec": {"retirement": {"minOverlap": "1s"}}});
    firm.resource(RESOURCE, &crate::manifests::merged(patient, patch)).await?;
    firm.told(RESOURCE, "Published").await?;
    Ok(())
}

pub async fn every_pod_gets_the_new_one_before_the_old_one_goes(town: Town) -> Result<(), Failed> {
    let firm = town.firm("rotated").await?;
    let operator = firm.operator().await?;
    for (kind, name) in [("Deployment", "web"), ("StatefulSet", "queue"), ("DaemonSet", "agent")] {
        firm.run(kind, name, 2, RESOURCE).await?;
    }
    published(&firm, &json!({})).await?;
    firm.pods_sign_in(5).await?;
    for number in 2..=3 {
        demand(&firm).await?;
        ends(&firm, number).await?;
        firm.pods_sign_in_again(20).await?;
    }
    same("minted", firm.minted().await?.len(), 3)?;
    let history: Vec<Value> = read(&firm.read(RESOURCE).await?, "/status/history").unwrap_or_default();
    let told: Vec<_> = history.iter().map(|one| (one["sequence"].as_i64(), one["reason"].as_str())).collect();
    let expected = [(Some(3), Some("IssuedAfter")), (Some(2), Some("IssuedAfter")), (Some(1), Some("FirstIssue"))];
    insist(told == expected, format!("the history is {told:?}"))?;
    firm.ends_clean(&operator).await
}

pub async fn a_paused_workload_is_told_and_keeps_the_old_one_alive(town: Town) -> Result<(), Failed> {
    let firm = town.firm("paused").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    firm.deploy("worker", 1, RESOURCE).await?;
    published(&firm, &json!({})).await?;
    firm.pods_sign_in(3).await?;
    change(&firm.deployments(), "web", &json!({"spec": {"paused": true}})).await?;
    demand(&firm).await?;
    let told = firm.condition_told("Rotating", "WorkloadPaused").await?;
    insist(told.message.contains("deployment/web") && told.message.contains("it is paused"), told.message)?;
    firm.pods_sign_in_again(20).await?;
    same("valid", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 2)?;
    let ready = condition(Some(&firm.read(RESOURCE).await?), "Ready").ok_or("no Ready")?;
    same("Ready while it waits", ready.status.as_str(), "True")?;
    change(&firm.deployments(), "web", &json!({"spec": {"paused": false}})).await?;
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}

pub async fn after_one_that_stalls_none_is_restarted_and_nothing_is_lost(town: Town) -> Result<(), Failed> {
    let firm = town.firm("stalled").await?;
    let operator = firm.operator().await?;
    for name in ["a-broken", "b-web", "c-web"] {
        firm.deploy(name, 1, RESOURCE).await?;
    }
    published(&firm, &json!({"spec": {"consumers": {"rollout": {"timeout": "3s"}}}})).await?;
    firm.pods_sign_in(3).await?;
    // From now on no new pod of the first can be placed.
    let nowhere = json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}}}});
    change(&firm.deployments(), "a-broken", &json!({"spec": {"paused": true}})).await?;
    change(&firm.deployments(), "a-broken", &nowhere).await?;
    demand(&firm).await?;
    firm.condition_told("Rotating", "WorkloadPaused").await?;
    change(&firm.deployments(), "a-broken", &json!({"spec": {"paused": false}})).await?;
    let told = firm.condition_told("Rotating", "RolloutStalled").await?;
    insist(told.message.contains("deployment/a-broken"), told.message)?;
    firm.pods_sign_in_again(20).await?;
    same("valid", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 2)?;
    let here = json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": firm.name}}}}});
    change(&firm.deployments(), "a-broken", &here).await?;
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}

pub async fn a_pod_that_nothing_restarts_keeps_the_old_one_alive(town: Town) -> Result<(), Failed> {
    let firm = town.firm("straggler").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 1, RESOURCE).await?;
    firm.bare_pod("bare", RESOURCE).await?;
    published(&firm, &json!({})).await?;
    firm.pods_sign_in(2).await?;
    demand(&firm).await?;
    let told = firm.condition_told("Rotating", "StragglersRemain").await?;
    insist(told.message.contains("pod/bare"), told.message)?;
    firm.pods_sign_in_again(20).await?;
    same("valid", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 2)?;
    firm.pods().delete("bare", &DeleteParams::default()).await?;
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}

pub async fn a_credential_that_somebody_removed_is_replaced_at_once(town: Town) -> Result<(), Failed> {
    let firm = town.firm("absent").await?;
    let operator = firm.operator().await?;
    // Two, so that the application is never without one that works.
    firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?;
    published(&firm, &json!({"spec": {"consumers": {"discovery": "None"}}})).await?;
    let key_id: String = read(&firm.read(RESOURCE).await?, "/status/current/keyId").ok_or("no key ID")?;
    firm.azure.remove_password(&firm.payments, key_id.parse()?).map_err(chain)?;
    firm.until(|| async {
        let current: Option<i64> = read(&firm.read(RESOURCE).await?, "/status/current/sequence");
        Ok(if current == Some(2) { Ok(()) } else { Err(format!("{current:?} is published")) })
    })
    .await?;
    firm.told(RESOURCE, "Published").await?;
    same("minted", firm.minted().await?.len(), 2)?;
    firm.ends_clean(&operator).await
}

pub async fn a_holder_outside_is_waited_for(town: Town) -> Result<(), Failed> {
    let firm = town.firm("outside").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 1, RESOURCE).await?;
    let outside = json!({"spec": {"consumers": {"external": [{"name": "sso", "confirm": "Manual"}]}}});
    published(&firm, &outside).await?;
    let confirm = async |number: i64| -> Result<(), Failed> {
        let told = firm.condition_told("RolledOut", "NotConfirmed").await?;
        let object = firm.read(RESOURCE).await?;
        same("current", read(&object, "/status/current/sequence"), Some(number))?;
        let key_id: String = read(&object, "/status/current/keyId").ok_or("no key ID")?;
        insist(told.message.contains(&format!("keywright.dev/confirmed.sso={key_id}")), told.message)?;
        let confirmed = json!({"metadata": {"annotations": {"keywright.dev/confirmed.sso": key_id}}});
        change(&firm.resources(), RESOURCE, &confirmed).await
    };
    confirm(1).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    demand(&firm).await?;
    confirm(2).await?;
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}

pub async fn what_was_made_by_hand_goes_last_and_only_if_it_is_granted(town: Town) -> Result<(), Failed> {
    let firm = town.firm("by-hand").await?;
    let operator = firm.operator().await?;
    let by_hand = firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?.key_id;
    let kept = firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?.key_id;
    firm.deploy("web", 1, RESOURCE).await?;
    published(&firm, &json!({"spec": {"retirement": {"foreignKeyIds": [by_hand]}}})).await.err();
    firm.told(RESOURCE, "RetirementNotGranted").await?;
    firm.tenant(
        &json!({"spec": {"grants": [crate::manifests::merged(firm.grant(), &json!({"allow": ["RetireForeign"]}))]}}),
    )
    .await?;
    firm.told(RESOURCE, "Published").await?;
    firm.until(|| async {
        let left: Vec<_> = firm.azure.passwords(&firm.payments).map_err(chain)?.iter().map(|one| one.key_id).collect();
        let gone = !left.contains(&by_hand) && left.contains(&kept) && left.len() == 2;
        Ok(if gone { Ok(()) } else { Err(format!("there are {left:?}")) })
    })
    .await?;
    firm.ends_with(&operator, &[Offence::ForeignRemoved]).await
}

pub async fn a_compromised_one_is_replaced_and_goes_without_overlap(town: Town) -> Result<(), Failed> {
    let firm = town.firm("compromised").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    let patient = json!({"spec": {"retirement": {"minOverlap": "20d"}}});
    published(&firm, &patient).await?;
    firm.tenant(
        &json!({"spec": {"grants": [crate::manifests::merged(firm.grant(), &json!({"allow": ["RevokeCompromised"]}))]}}),
    )
    .await?;
    firm.pods_sign_in(2).await?;
    let key_id: String = read(&firm.read(RESOURCE).await?, "/status/current/keyId").ok_or("no key ID")?;
    change(&firm.resources(), RESOURCE, &json!({"spec": {"retirement": {"compromisedKeyIds": [key_id]}}})).await?;
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}
