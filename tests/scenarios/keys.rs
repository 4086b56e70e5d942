//! People remove or name credentials at Entra while a rotation is on its way: the old one, the new one before and after it
//! is published; and those that somebody else may know.

use keywright_sandbox::{
    azure::NewPassword,
    ledger::{Blame, Offence},
};
use kube::api::DeleteParams;
use libtest_mimic::Failed;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    manifests::merged,
    rotation::{demand, ends, published},
    town::{Firm, PATIENCE, RESOURCE, Town, chain, change, insist, read, same},
    windows::closed,
};

/// The ID of the credential that is published.
async fn current(firm: &Firm) -> Result<Uuid, Failed> {
    read(&firm.read(RESOURCE).await?, "/status/current/keyId").ok_or_else(|| "no key ID".into())
}

/// The IDs of the credentials that are there.
fn there(firm: &Firm) -> Result<Vec<Uuid>, Failed> {
    Ok(firm.azure.passwords(&firm.payments).map_err(chain)?.iter().map(|one| one.key_id).collect())
}

/// An administrator removes a credential.
fn remove(firm: &Firm, key_id: Uuid) -> Result<(), Failed> {
    firm.azure.remove_password(&firm.payments, key_id).map_err(chain)
}

pub async fn an_old_one_that_an_administrator_removes_ends_the_overlap(town: Town) -> Result<(), Failed> {
    let firm = town.firm("old-removed").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    published(&firm, &json!({"spec": {"retirement": {"minOverlap": "1h"}}})).await?;
    firm.pods_sign_in(2).await?;
    let old = current(&firm).await?;
    demand(&firm).await?;
    firm.condition_told("Rotating", "Overlapping").await?;
    remove(&firm, old)?;
    ends(&firm, 2).await?;
    firm.pods_sign_in_again(20).await?;
    firm.ends_clean(&operator).await
}

pub async fn a_new_one_that_is_removed_while_it_waits_is_never_published(town: Town) -> Result<(), Failed> {
    let firm = town.firm("new-removed").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    published(&firm, &json!({"spec": {"verification": {"timeout": "5s"}}})).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    firm.pods_sign_in(2).await?;
    let old = current(&firm).await?;
    change(&firm.resources(), RESOURCE, &json!({"spec": {"rotation": {"windows": [closed()]}}})).await?;
    demand(&firm).await?;
    firm.condition_told("Rotating", "Queued").await?;
    let new: Vec<Uuid> = there(&firm)?.into_iter().filter(|one| *one != old).collect();
    for key_id in &new {
        remove(&firm, *key_id)?;
    }
    same("removed", new.len(), 1)?;
    // As long as what was proven a moment ago may be acted on.
    firm.rounds(2).await?;
    change(&firm.resources(), RESOURCE, &json!({"spec": {"rotation": {"windows": null}}})).await?;
    ends(&firm, 3).await?;
    let published = firm.ever_published().await?;
    insist(!published.contains(&new[0]), "what was removed was published")?;
    firm.pods_sign_in_again(20).await?;
    firm.ends_clean(&operator).await
}

pub async fn a_new_one_that_is_removed_before_all_have_it_is_replaced(town: Town) -> Result<(), Failed> {
    let firm = town.firm("both-removed").await?;
    let operator = firm.operator().await?;
    let outside = json!({"discovery": "None", "external": [{"name": "sso", "confirm": "Manual"}]});
    published(&firm, &json!({"spec": {"consumers": outside}})).await?;
    confirm(&firm).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    demand(&firm).await?;
    firm.condition_told("Rotating", "NotConfirmed").await?;
    let new = current(&firm).await?;
    remove(&firm, new)?;
    firm.until(|| async {
        let now = current(&firm).await?;
        Ok(if now == new { Err(format!("{now} is still published")) } else { Ok(()) })
    })
    .await?;
    confirm(&firm).await?;
    ends(&firm, 3).await?;
    firm.ends_clean(&operator).await
}

/// The holder outside has what is published now.
async fn confirm(firm: &Firm) -> Result<(), Failed> {
    let confirmed = json!({"keywright.dev/confirmed.sso": current(firm).await?});
    change(&firm.resources(), RESOURCE, &json!({"metadata": {"annotations": confirmed}})).await
}

/// A published credential in a tenant where compromised ones may be named.
async fn published_here(firm: &Firm, patch: &Value) -> Result<(), Failed> {
    published(firm, patch).await?;
    let grant = merged(firm.grant(), &json!({"allow": ["RevokeCompromised"]}));
    firm.tenant(&json!({"spec": {"grants": [grant]}})).await
}

/// Somebody else may know this credential.
async fn compromise(firm: &Firm, key_id: Uuid) -> Result<(), Failed> {
    let named = json!({"spec": {"retirement": {"compromisedKeyIds": [key_id]}}});
    change(&firm.resources(), RESOURCE, &named).await
}

pub async fn a_compromised_one_on_its_way_out_goes_at_once(town: Town) -> Result<(), Failed> {
    let firm = town.firm("compromised-old").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    published_here(&firm, &json!({"spec": {"retirement": {"minOverlap": "20d"}}})).await?;
    firm.pods_sign_in(2).await?;
    let old = current(&firm).await?;
    demand(&firm).await?;
    firm.condition_told("Rotating", "Overlapping").await?;
    compromise(&firm, old).await?;
    ends(&firm, 2).await?;
    firm.pods_sign_in_again(20).await?;
    firm.ends_clean(&operator).await
}

pub async fn a_compromised_one_goes_in_the_end_although_somebody_holds_it(town: Town) -> Result<(), Failed> {
    let firm = town.firm("compromised-held").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 1, RESOURCE).await?;
    firm.bare_pod("bare", RESOURCE).await?;
    published_here(&firm, &json!({"spec": {"consumers": {"rollout": {"timeout": "10s"}}}})).await?;
    firm.pods_sign_in(2).await?;
    compromise(&firm, current(&firm).await?).await?;
    firm.condition_says("Rotating", "StragglersRemain", "pod/bare").await?;
    firm.witnesses().wait_for(|seen| !seen.refusals.is_empty(), PATIENCE).await.map_err(chain)?;
    let refused = firm.witnesses().refusals();
    insist(refused.iter().all(|one| one.who.pod == "bare"), format!("others were refused, too: {refused:?}"))?;
    firm.pods().delete("bare", &DeleteParams::default()).await?;
    ends(&firm, 2).await?;
    firm.ends_with(&operator, &[Offence::RemovedWhileHeld, Offence::Refused(Blame::StaleContainer)]).await
}

pub async fn a_compromised_one_that_was_made_by_hand_goes_at_once(town: Town) -> Result<(), Failed> {
    let firm = town.firm("compromised-foreign").await?;
    let operator = firm.operator().await?;
    let by_hand = firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?.key_id;
    firm.deploy("web", 1, RESOURCE).await?;
    published_here(&firm, &json!({"spec": {"retirement": {"minOverlap": "20d"}}})).await?;
    firm.pods_sign_in(1).await?;
    compromise(&firm, by_hand).await?;
    ends(&firm, 1).await?;
    firm.pods_sign_in_again(20).await?;
    firm.ends_with(&operator, &[Offence::ForeignRemoved]).await
}
