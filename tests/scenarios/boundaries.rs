//! What the operator may do is taken from it, and given back: at every boundary it stops, says at which and what to do, and
//! goes on where it was, without being started again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::azure::{GRAPH, NewPassword, Weather};
use kube::api::DeleteParams;
use libtest_mimic::Failed;
use serde_json::json;

use crate::town::{Course, RESOURCE, STAGES, Town, chain, in_lanes, insist, same};

/// As long as a request is held up for a grant to be withdrawn.
const A_WHILE: Duration = Duration::from_secs(2);

/// How often anything was changed, in the cluster, at Entra and in the vault, but for what is only told.
fn changes(course: &Course) -> usize {
    let looks = ["get", "list", "watch", "signIn", "listApplications", "getApplication", "delta"];
    let in_cluster =
        course.proxy.journal().count(|entry| entry.path.contains("/secrets") && !looks.contains(&&*entry.verb));
    let changing = ["addPassword", "removePassword", "setSecret", "updateSecret"];
    in_cluster + course.azure.journal().count(|entry| changing.contains(&&*entry.verb))
}

/// Nothing changes any more, although everything is looked at again.
async fn is_frozen(course: &Course) -> Result<(), Failed> {
    let before = changes(course);
    crate::town::change(&course.resources(), RESOURCE, &json!({"metadata": {"annotations": {"touched": "yes"}}}))
        .await?;
    course.settled("frozen").await?;
    same("changes without a grant", changes(course), before)
}

pub async fn a_grant_that_is_withdrawn_at_any_stage_freezes_everything_until_it_is_back(
    town: Town,
) -> Result<(), Failed> {
    let cases = STAGES.map(|stage| (format!("frozen-{}", stage.name), stage));
    in_lanes(cases, async |name, stage| {
        let course = town.course(&name).await?;
        course.hold(&stage, A_WHILE);
        let operator = course.operator().await?;
        course.is_held(&stage).await?;
        course.tenant(&json!({"spec": {"grants": []}})).await?;
        course.is_through(&stage).await?;
        let told = course.told(RESOURCE, "NamespaceNotGranted").await?;
        insist(told.message.contains("Ask the platform team"), told.message)?;
        course.rounds(2).await?;
        is_frozen(&course).await?;
        course.tenant(&json!({})).await?;
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}

/// What is taken back of what a tenant allows.
#[derive(Clone, Copy)]
enum Withdrawn {
    Grant,
    Vault,
    Tenant,
}

impl Withdrawn {
    async fn withdraw(self, course: &Course) -> Result<&'static str, Failed> {
        match self {
            Self::Grant => course.tenant(&json!({"spec": {"grants": []}})).await?,
            Self::Vault => {
                let other = json!([{"url": "https://kv-other.vault.azure.net"}]);
                let grant = crate::manifests::merged(course.grant(), &json!({"keyVaults": other}));
                course.tenant(&json!({"spec": {"grants": [grant]}})).await?;
            }
            Self::Tenant => {
                course.tenants().delete(&course.name, &DeleteParams::default()).await?;
            }
        }
        Ok(match self {
            Self::Grant => "NamespaceNotGranted",
            Self::Vault => "VaultNotGranted",
            Self::Tenant => "TenantNotFound",
        })
    }
}

pub async fn a_grant_that_is_withdrawn_after_the_publication_takes_nothing_from_anybody(
    town: Town,
) -> Result<(), Failed> {
    let cases = [("grant", Withdrawn::Grant), ("vault", Withdrawn::Vault), ("tenant", Withdrawn::Tenant)];
    in_lanes(cases.map(|(name, what)| (format!("withdrawn-{name}"), what)), async |name, what| {
        let course = town.course(&name).await?;
        let operator = course.operator().await?;
        course.deploy("web", 1, RESOURCE).await?;
        course.told(RESOURCE, "Published").await?;
        course.pods_sign_in(1).await?;
        let reason = what.withdraw(&course).await?;
        let told = course.told(RESOURCE, reason).await?;
        insist(told.message.contains("sk the platform team"), told.message)?;
        // Not even a repair.
        course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
        is_frozen(&course).await?;
        insist(course.secrets().get_opt(RESOURCE).await?.is_none(), "the Secret was repaired")?;
        course.pods_sign_in_again(20).await?;
        course.tenant(&json!({})).await?;
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}

pub async fn an_application_that_the_operator_does_not_own_is_told_and_goes_on_when_it_does(
    town: Town,
) -> Result<(), Failed> {
    let course = town.course("not-owner").await?;
    course.azure.edit_application(&course.payments, |application| application.owners.clear()).map_err(chain)?;
    let operator = course.operator().await?;
    let told = course.told(RESOURCE, "NotOwner").await?;
    for words in ["403", "Authorization_RequestDenied", &course.payments.client_id.to_string(), "owner"] {
        insist(told.message.contains(words), format!("{words} is not in: {}", told.message))?;
    }
    // However often it is tried.
    let denied = || course.azure.journal().count(|entry| entry.service == GRAPH && entry.verb == "addPassword");
    course
        .until(|| async { Ok(if denied() >= 3 { Ok(()) } else { Err("it was not tried again".to_owned()) }) })
        .await?;
    let owner = course.keywright.principal;
    course.azure.edit_application(&course.payments, |application| application.owners.push(owner)).map_err(chain)?;
    course.ends_published(&operator, 1..=1).await
}

/// A secret of the operator's that has expired, as everybody knows.
fn expired(course: &Course) -> Result<String, Failed> {
    let (azure, own) = (&course.azure, &course.keywright);
    let expired = azure.seed_password(own, NewPassword::default()).map_err(chain)?;
    let mut weather = Weather::NONE;
    azure.set_weather(own.tenant, |usual| std::mem::swap(usual, &mut weather)).map_err(chain)?;
    let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    azure.edit_password(own, expired.key_id, |password| password.end = hour_ago).map_err(chain)?;
    azure.set_weather(own.tenant, |none| *none = weather).map_err(chain)?;
    Ok(expired.value)
}

pub async fn an_operator_that_cannot_sign_in_is_told_and_goes_on_when_its_secret_is_right(
    town: Town,
) -> Result<(), Failed> {
    let cases = [("wrong", "AADSTS7000215"), ("expired", "AADSTS7000222")];
    in_lanes(cases.map(|(name, code)| (format!("own-{name}"), code)), async |name, code| {
        let course = town.course(&name).await?;
        let good = course.azure.passwords(&course.keywright).map_err(chain)?.remove(0).value;
        let bad = if code == "AADSTS7000222" { expired(&course)? } else { format!("{good}x") };
        course.operator_signs_in_with(&bad).await?;
        let operator = course.operator().await?;
        let of_tenant = course.tenant_told("OperatorCannotSignIn").await?;
        let of_resource = course.told(RESOURCE, "OperatorCannotSignIn").await?;
        let own = course.keywright.client_id.to_string();
        for (whose, told) in [("the tenant", of_tenant), ("the resource", of_resource)] {
            for words in [code, &own, "Check that the Secret in spec.identity.clientSecret"] {
                insist(told.message.contains(words), format!("{words} is not told of {whose}: {}", told.message))?;
            }
        }
        insist(course.records().await?.is_empty(), "something was begun all the same")?;
        course.operator_signs_in_with(&good).await?;
        course.ends_published(&operator, 1..=1).await?;
        course.tenant_told("Reached").await.map(drop)
    })
    .await?;
    Ok(())
}

pub async fn the_secret_of_the_operator_is_rotated_under_it(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("own-rotated").await?;
    let operator = course.operator().await?;
    // A resource for which nothing is done: with it the operator looks at the tenant, and signs in to Graph.
    course.declare(&json!({"spec": {"suspend": true, "publish": {"keyVaults": null}}})).await?;
    course.tenant_told("Reached").await?;
    let old = course.azure.passwords(&course.keywright).map_err(chain)?.remove(0);
    let new = course.azure.seed_password(&course.keywright, NewPassword::default()).map_err(chain)?;
    course.operator_signs_in_with(&new.value).await?;
    course.azure.remove_password(&course.keywright, old.key_id).map_err(chain)?;
    // Its token for Graph is still good. It has none for the vault yet.
    course.declare(&json!({})).await?;
    course.ends_published(&operator, 1..=1).await
}
