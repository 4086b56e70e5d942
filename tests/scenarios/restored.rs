//! What the cluster forgets in the middle of a rotation: a status, a resource, everything since a backup; and a cluster
//! that there is twice. Nothing in use is removed.

use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::{ledger::Offence, node::READY_AFTER};
use kube::{
    ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use libtest_mimic::Failed;
use serde_json::json;
use uuid::Uuid;

use crate::{
    rotation::{demand, ends, published},
    town::{Firm, PATIENCE, RESOURCE, Town, chain, change, condition, in_lanes, insist, read, same},
};

/// What is forgotten.
#[derive(Clone, Copy, Debug)]
enum Forgotten {
    Status,
    Resource,
}

pub async fn a_rotation_goes_on_when_its_status_or_its_resource_was_lost(town: Town) -> Result<(), Failed> {
    let stages = ["Settling", "RollingOut", "Overlapping"];
    let cases = stages.into_iter().flat_map(|stage| {
        [Forgotten::Status, Forgotten::Resource].map(|what| (format!("{what:?}-{stage}").to_lowercase(), (stage, what)))
    });
    in_lanes(cases, async |name, (stage, what)| {
        let firm = town.firm(&name).await?;
        let operator = firm.operator().await?;
        let slow = json!({"metadata": {"annotations": {READY_AFTER: "1s"}}, "spec": firm.reader(RESOURCE)});
        firm.run_with("Deployment", "web", 2, &json!({"spec": {"template": slow}})).await?;
        published(&firm, &json!({"spec": {"retirement": {"minOverlap": "3s"}}})).await?;
        firm.pods_sign_in(2).await?;
        demand(&firm).await?;
        firm.condition_told("Rotating", stage).await?;
        forget(&firm, what).await?;
        ends(&firm, 2).await?;
        same("minted", firm.minted().await?.len(), 2)?;
        firm.pods_sign_in_again(20).await?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

async fn forget(firm: &Firm, what: Forgotten) -> Result<(), Failed> {
    let resources = firm.resources();
    match what {
        Forgotten::Status => {
            let nothing = Patch::Merge(json!({"status": null}));
            resources.patch_status(RESOURCE, &PatchParams::default(), &nothing).await?;
        }
        Forgotten::Resource => {
            let spec = firm.read(RESOURCE).await?.data["spec"].clone();
            resources.delete(RESOURCE, &DeleteParams::default()).await?;
            let gone = await_condition(resources, RESOURCE, |one: Option<&_>| one.is_none());
            tokio::time::timeout(PATIENCE, gone).await??;
            firm.resource(RESOURCE, &json!({"spec": spec})).await?;
        }
    }
    Ok(())
}

/// The IDs of the credentials that are there.
fn there(firm: &Firm) -> Result<Vec<Uuid>, Failed> {
    Ok(firm.azure.passwords(&firm.payments).map_err(chain)?.iter().map(|one| one.key_id).collect())
}

pub async fn a_cluster_from_before_the_rotation_removes_nothing_that_it_does_not_know(_: Town) -> Result<(), Failed> {
    let town = Town::build().await?;
    let firm = town.firm("restored").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    published(&firm, &json!({"spec": {"retirement": {"minOverlap": "5s"}}})).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    firm.pods_sign_in(2).await?;
    town.plane().snapshot("before").await.map_err(chain)?;
    demand(&firm).await?;
    firm.condition_told("Rotating", "Overlapping").await?;
    let [_, unknown] = there(&firm)?[..] else { return Err("there are not two".into()) };
    operator.kill().await.map_err(chain)?;
    town.plane().restore("before").await.map_err(chain)?;

    // Whoever is restored with the cluster knows the first one only.
    let operator = firm.operator().await?;
    firm.pods_sign_in_again(20).await?;
    tells_of(&firm, unknown).await?;
    demand(&firm).await?;
    firm.condition_told("RolledOut", "RollingOut").await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    firm.rounds(3).await?;
    same("valid", there(&firm)?.len(), 3)?;
    let acknowledged = json!({"metadata": {"annotations": {"keywright.dev/forget": unknown}}});
    change(&firm.resources(), RESOURCE, &acknowledged).await?;
    firm.until(|| async {
        let left = there(&firm)?;
        Ok(if left.len() == 2 && left.contains(&unknown) { Ok(()) } else { Err(format!("there are {left:?}")) })
    })
    .await?;
    firm.pods_sign_in_again(20).await?;
    firm.ends_clean(&operator).await?;
    town.end().await.map_err(chain)
}

/// Wait until an Event tells of a credential that no record knows.
async fn tells_of(firm: &Firm, unknown: Uuid) -> Result<(), Failed> {
    firm.until(|| async {
        let events = firm.events(RESOURCE).await?;
        let of_it =
            |(reason, note): &(String, String)| reason == "UnknownCredential" && note.contains(&unknown.to_string());
        Ok(if events.iter().any(of_it) { Ok(()) } else { Err(format!("the Events are {events:?}")) })
    })
    .await
}

pub async fn a_cluster_that_there_is_twice_stops_removing(_: Town) -> Result<(), Failed> {
    let (one, other) = tokio::try_join!(Town::build(), Town::build())?;
    let firm = one.firm("twice").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    published(&firm, &json!({"spec": {"retirement": {"minOverlap": "5s"}}})).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    firm.pods_sign_in(2).await?;

    let clone = other.clone_of(&firm).await?;
    copy_secrets(&firm, &clone).await?;
    clone.deploy("web", 2, RESOURCE).await?;
    let of_clone = clone.operator().await?;
    clone.tenant(&json!({})).await?;
    clone.resource(RESOURCE, &json!({"spec": firm.read(RESOURCE).await?.data["spec"]})).await?;
    clone.told(RESOURCE, "Published").await?;
    clone.pods_sign_in(2).await?;
    same("minted before both rotate", firm.minted().await?.len(), 1)?;

    tokio::try_join!(demand(&firm), demand(&clone))?;
    for firm in [&firm, &clone] {
        firm.until(|| async {
            let object = firm.read(RESOURCE).await?;
            let number: i64 = read(&object, "/status/current/sequence").unwrap_or_default();
            let rolled = condition(Some(&object), "RolledOut").is_some_and(|one| one.status == "True");
            Ok(if number > 1 && rolled { Ok(()) } else { Err(format!("{}", object.data)) })
        })
        .await?;
    }
    tokio::try_join!(firm.rounds(3), clone.rounds(3))?;
    for firm in [&firm, &clone] {
        let told: Vec<String> = firm.events(RESOURCE).await?.into_iter().map(|(reason, _)| reason).collect();
        insist(told.iter().any(|one| one == "UnknownCredential"), format!("nothing was told: {told:?}"))?;
        firm.pods_sign_in_again(20).await?;
    }
    same("valid", there(&firm)?.len(), 3)?;
    // What the other has published looks to each ledger as if it were nowhere.
    let published = &firm.ever_published().await? | &clone.ever_published().await?;
    let minted = firm.minted().await?.iter().map(|one| one.key_id).collect();
    same("published in either cluster", published, minted)?;
    firm.ends_with(&operator, &[Offence::Orphan]).await?;
    clone.ends_with(&of_clone, &[Offence::Orphan]).await?;
    tokio::try_join!(one.end(), other.end()).map_err(chain)?;
    Ok(())
}

/// What a backup of a cluster has of what is ours.
async fn copy_secrets(from: &Firm, to: &Firm) -> Result<(), Failed> {
    let published = from.secrets().get(RESOURCE).await?;
    for secret in from.records().await?.into_iter().chain([published]) {
        let (labels, annotations) = (secret.labels().clone(), secret.annotations().clone());
        let name = Some(secret.name_any());
        let metadata =
            ObjectMeta { name, labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() };
        let copied = Secret { metadata, ..secret };
        to.secrets().create(&PostParams::default(), &copied).await?;
    }
    Ok(())
}
