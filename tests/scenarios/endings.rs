//! A resource is deleted, and something is to go with it: its credentials when nobody uses them any more, its Secret. What
//! is somebody else's stays, whatever happens on the way.

use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::{
    Rule,
    azure::{GRAPH, NewPassword},
    faults::Point,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
    runtime::wait::await_condition,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    manifests::merged,
    namespaces::{delete, from_elsewhere, is_gone},
    rotation::demand,
    town::{Course, PATIENCE, RESOURCE, Side, Town, chain, change, condition, in_lanes, insist, same},
};

fn revoked() -> Value {
    json!({"spec": {"deletionPolicy": "Revoke", "retirement": {"minOverlap": "1s"}}})
}

fn with_its_secret() -> Value {
    json!({"spec": {"publish": {"secret": {"deletionPolicy": "Delete"}}}})
}

impl Course {
    async fn is_deleted(&self) -> Result<(), Failed> {
        self.resources().delete(RESOURCE, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Wait until the resource is no more.
    async fn is_no_more(&self) -> Result<(), Failed> {
        let gone = await_condition(self.resources(), RESOURCE, |object: Option<&_>| object.is_none());
        let Ok(gone) = tokio::time::timeout(PATIENCE, gone).await else {
            let object = self.read(RESOURCE).await?;
            return Err(format!("it stays: {:?} {}", object.metadata.finalizers, object.data["status"]).into());
        };
        gone?;
        Ok(())
    }

    /// The credentials on the application.
    fn left(&self) -> Result<Vec<Uuid>, Failed> {
        Ok(self.azure.passwords(&self.payments).map_err(chain)?.iter().map(|one| one.key_id).collect())
    }

    /// Nothing of ours is left, at Entra or in the cluster, but what was made by hand.
    async fn leaves_nothing(&self) -> Result<(), Failed> {
        self.is_no_more().await?;
        same("what is left at Entra", self.left()?, vec![self.by_hand])?;
        let records: Vec<String> = self.records().await?.iter().map(ResourceExt::name_any).collect();
        insist(records.is_empty(), format!("records are left: {records:?}"))
    }

    /// How often a credential was removed.
    fn removals(&self) -> usize {
        self.azure.journal().count(|entry| entry.verb == "removePassword")
    }
}

pub async fn what_is_revoked_goes_when_its_last_pod_has_ended_and_the_resource_after_it(
    town: Town,
) -> Result<(), Failed> {
    let course = town.undeclared("revoked").await?;
    let operator = course.operator().await?;
    course.deploy("web", 2, RESOURCE).await?;
    course.bare_pod("batch", RESOURCE).await?;
    course.declare(&revoked()).await?;
    course.told(RESOURCE, "Published").await?;
    course.pods_sign_in(3).await?;
    // Two of ours are there: the pod that nothing restarts keeps the first.
    demand(&course).await?;
    course.condition_told("Rotating", "StragglersRemain").await?;
    same("valid", course.left()?.len(), 3)?;

    course.is_deleted().await?;
    let told = course.told(RESOURCE, "StillInUse").await?;
    insist(told.message.contains("deployment/web"), told.message)?;
    course.pods_sign_in_again(20).await?;
    course.deployments().delete("web", &DeleteParams::default()).await?;
    course.condition_says("Ready", "StillInUse", "pod/batch").await?;
    course.pods_sign_in_again(20).await?;
    same("removals while a pod held it", course.removals(), 0)?;
    course.pods().delete("batch", &DeleteParams::default()).await?;
    course.leaves_nothing().await?;
    insist(course.secrets().get_opt(RESOURCE).await?.is_some(), "its Secret has gone with it")?;
    course.ends_clean(&operator).await
}

pub async fn a_deletion_may_be_turned_to_retain_as_long_as_somebody_is_in_the_way(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("turned").await?;
    let operator = course.operator().await?;
    course.deploy("web", 1, RESOURCE).await?;
    course.declare(&merged(revoked(), &with_its_secret())).await?;
    course.told(RESOURCE, "Published").await?;
    course.pods_sign_in(1).await?;
    course.is_deleted().await?;
    let told = course.told(RESOURCE, "StillInUse").await?;
    insist(told.message.contains("deletionPolicy"), told.message)?;
    let both = json!({"deletionPolicy": "Retain", "publish": {"secret": {"deletionPolicy": "Retain"}}});
    change(&course.resources(), RESOURCE, &json!({"spec": both})).await?;
    course.is_no_more().await?;
    course.pods_sign_in_again(20).await?;
    same("left", course.left()?.len(), 2)?;
    insist(course.secrets().get_opt(RESOURCE).await?.is_some(), "its Secret has gone with it")?;
    // Whoever declares it again goes on with it.
    course.declare(&json!({})).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_holder_outside_is_in_the_way_until_it_is_taken_out_of_the_spec(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("ending-outside").await?;
    let operator = course.operator().await?;
    let outside = json!({"spec": {"consumers": {"external": [{"name": "sso", "confirm": "Manual"}]}}});
    course.declare(&merged(revoked(), &outside)).await?;
    course.told(RESOURCE, "Published").await?;
    course.is_deleted().await?;
    let told = course.told(RESOURCE, "StillInUse").await?;
    insist(told.message.contains("external/sso"), told.message)?;
    change(&course.resources(), RESOURCE, &json!({"spec": {"consumers": {"external": []}}})).await?;
    course.leaves_nothing().await?;
    course.ends_clean(&operator).await
}

pub async fn a_grant_that_is_withdrawn_freezes_a_deletion_until_it_is_back(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("ending-frozen").await?;
    let operator = course.operator().await?;
    course.declare(&merged(revoked(), &with_its_secret())).await?;
    course.told(RESOURCE, "Published").await?;
    course.tenant(&json!({"spec": {"grants": []}})).await?;
    course.told(RESOURCE, "NamespaceNotGranted").await?;
    course.is_deleted().await?;
    course.rounds(2).await?;
    course.settled("frozen").await?;
    same("removals without a grant", course.removals(), 0)?;
    insist(course.secrets().get_opt(RESOURCE).await?.is_some(), "its Secret has gone without a grant")?;
    same(
        "told",
        condition(Some(&course.read(RESOURCE).await?), "Ready").map(|one| one.reason).as_deref(),
        Some("NamespaceNotGranted"),
    )?;
    course.tenant(&json!({})).await?;
    course.leaves_nothing().await?;
    insist(course.secrets().get_opt(RESOURCE).await?.is_none(), "its Secret stays")?;
    course.ends_clean(&operator).await
}

pub async fn only_what_our_records_know_is_revoked(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("ending-others").await?;
    let operator = course.operator().await?;
    course.declare(&revoked()).await?;
    course.told(RESOURCE, "Published").await?;
    // A second operator with the same cluster ID has minted, and another resource has.
    let ours = course.ours()?.remove(0).display_name.unwrap_or_default();
    let seed = |name: String| {
        let new = NewPassword { display_name: Some(name), ..NewPassword::default() };
        Ok::<_, Failed>(course.azure.seed_password(&course.payments, new).map_err(chain)?.key_id)
    };
    let (mark, whose) = ours.split_once(' ').ok_or("there is no mark")?;
    let twin = seed(format!("{}.{} {whose}", mark.rsplit_once('.').ok_or("no nonce")?.0, "a".repeat(16)))?;
    let owner = mark.split_once(':').and_then(|(_, rest)| rest.split_once('.')).ok_or("no owner")?.0;
    let others = seed(ours.replace(owner, &"b".repeat(16)))?;
    course.is_deleted().await?;
    course.rounds(1).await?;
    let told = course.told(RESOURCE, "UnknownCredential").await?;
    insist(told.message.contains(&twin.to_string()), told.message)?;
    same("removals while one is unknown", course.removals(), 0)?;
    let said = json!({"metadata": {"annotations": {"keywright.dev/forget": twin.to_string()}}});
    change(&course.resources(), RESOURCE, &said).await?;
    course.is_no_more().await?;
    same("left", course.left()?, vec![course.by_hand, twin, others])?;
    same("removals", course.removals(), 1)?;
    course.ends_clean(&operator).await
}

pub async fn a_namespace_that_is_deleted_takes_what_is_to_be_revoked_with_it(town: Town) -> Result<(), Failed> {
    let course = from_elsewhere(&town, "ending-razed", &merged(revoked(), &with_its_secret())).await?;
    let operator = course.operator().await?;
    course.deploy("web", 1, RESOURCE).await?;
    course.told(RESOURCE, "Published").await?;
    course.pods_sign_in(1).await?;
    delete(&course).await?;
    is_gone(&course).await?;
    same("what is left at Entra", course.left()?, vec![course.by_hand])?;
    course.ends_clean(&operator).await
}

pub async fn a_secret_goes_with_its_resource_if_it_is_ours_and_the_credential_stays(town: Town) -> Result<(), Failed> {
    let cases = [("Owner", false), ("Adopt", true), ("Merge", true)];
    let cases = cases.map(|case| (format!("ending-{}", case.0.to_lowercase()), case));
    in_lanes(cases, async |name, (policy, stays)| {
        let course = town.undeclared(&name).await?;
        let operator = course.operator().await?;
        if stays {
            let theirs = json!({"metadata": {"name": RESOURCE}, "stringData": {"theirs": "their own"}});
            let theirs: Secret = serde_json::from_value(theirs)?;
            course.secrets().create(&PostParams::default(), &theirs).await?;
        }
        let claim = json!({"spec": {"publish": {"secret": {"creationPolicy": policy}}}});
        course.declare(&merged(with_its_secret(), &claim)).await?;
        course.told(RESOURCE, "Published").await?;
        let finalizers = course.read(RESOURCE).await?.metadata.finalizers.unwrap_or_default();
        same("a finalizer", finalizers.iter().any(|one| one == "keywright.dev/deletion"), !stays)?;
        course.is_deleted().await?;
        course.is_no_more().await?;
        same(&format!("a Secret under {policy} stays"), course.secrets().get_opt(RESOURCE).await?.is_some(), stays)?;
        same("left", course.left()?.len(), 2)?;
        course.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn a_secret_that_somebody_else_has_put_in_the_place_of_ours_stays(town: Town) -> Result<(), Failed> {
    let course = town.undeclared("ending-replaced").await?;
    let operator = course.operator().await?;
    course.declare(&with_its_secret()).await?;
    course.told(RESOURCE, "Published").await?;
    operator.kill().await.map_err(chain)?;
    course.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    let theirs = json!({"metadata": {"name": RESOURCE}, "stringData": {"theirs": "their own"}});
    course.secrets().create(&PostParams::default(), &serde_json::from_value(theirs)?).await?;
    course.is_deleted().await?;
    let operator = course.operator().await?;
    course.is_no_more().await?;
    let left = course.secrets().get(RESOURCE).await?.data.unwrap_or_default();
    insist(left.contains_key("theirs"), format!("it has {:?}", left.keys()))?;
    course.ends_clean(&operator).await
}

pub async fn an_operator_that_dies_at_any_step_of_a_deletion_costs_nothing(town: Town) -> Result<(), Failed> {
    let secret = "/api/v1/namespaces/*/secrets/*";
    let resource = "/apis/keywright.dev/v1alpha1/namespaces/*/entraappcredentials/*";
    let kubernetes = keywright_sandbox::KUBERNETES;
    let points: [(&str, Point); 5] = [
        ("secret", Rule::at(kubernetes, "delete", secret).nth(1)),
        ("remove", Rule::at(GRAPH, "removePassword", "/v1.0/applications/*/removePassword").nth(1)),
        ("note", Rule::at(kubernetes, "patch", secret).nth(1)),
        ("forget", Rule::at(kubernetes, "delete", secret).nth(2)),
        ("let-go", Rule::at(kubernetes, "patch", resource).nth(1)),
    ];
    let cases = points.into_iter().flat_map(|(name, point)| {
        [Side::Before, Side::After].map(|side| (format!("dying-{name}-{side:?}").to_lowercase(), (point.clone(), side)))
    });
    in_lanes(cases, async |name, (point, side)| {
        let course = town.undeclared(&name).await?;
        let first = course.operator().await?;
        course.declare(&merged(revoked(), &with_its_secret())).await?;
        course.told(RESOURCE, "Published").await?;
        first.kill().await.map_err(chain)?;
        course.is_deleted().await?;
        let (dying, added) = course.operator_killed_at(&point, side).await?;
        dying.exited(PATIENCE).await.map_err(chain)?;
        added.lift();
        let operator = course.operator().await?;
        course.leaves_nothing().await?;
        insist(course.secrets().get_opt(RESOURCE).await?.is_none(), "its Secret stays")?;
        course.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}
