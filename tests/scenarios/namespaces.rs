//! A namespace is deleted, at any stage of a first issue and after it: it goes away, nothing is minted in it any more, what
//! was minted and never published is removed first, and what was published is found again when it comes back.

use std::time::Duration;

use keywright_sandbox::{journal::Entry, ledger::Offence};
use kube::{
    api::{DeleteParams, Patch, PatchParams},
    runtime::wait::await_condition,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    federation::{accepts, account, declared_without_pods, ends_in_use},
    manifests,
    town::{Course, FEDERATING, Firm, PATIENCE, RESOURCE, STAGES, Town, chain, in_lanes, insist, same},
};

/// As long as a request is held up while the namespace is deleted: Kubernetes waits for five seconds before it deletes what
/// is in it.
const NOT_EMPTY: Duration = Duration::from_secs(2);
/// The same, until all is gone but what has a finalizer.
const EMPTY: Duration = Duration::from_secs(7);

/// A firm in which a credential is declared, and whose operator lives elsewhere, with the rights for all namespaces: those
/// for a single one go with it.
pub async fn from_elsewhere(town: &Town, name: &str, patch: &Value) -> Result<Course, Failed> {
    let mut course = town.undeclared(name).await?;
    move_operator(town, &mut course, &json!({})).await?;
    course.declare(patch).await?;
    Ok(course)
}

/// Have the operator of a firm live elsewhere, installed with these values.
async fn move_operator(town: &Town, firm: &mut Firm, values: &Value) -> Result<(), Failed> {
    firm.home = manifests::namespace(&town.admin(), &format!("{}-home", firm.name)).await?;
    firm.release = town.chart().render(&firm.home, &firm.home, values).await.map_err(chain)?;
    firm.release.permit(&town.admin()).await.map_err(chain)?;
    firm.move_identity(&firm.home).await?;
    let only_here = ["--namespace".to_owned(), firm.name.clone()];
    firm.args.extend(only_here);
    Ok(())
}

pub async fn delete(firm: &Firm) -> Result<(), Failed> {
    firm.namespaces().delete(&firm.name, &DeleteParams::default()).await?;
    Ok(())
}

pub async fn is_gone(firm: &Firm) -> Result<(), Failed> {
    let gone = await_condition(firm.namespaces(), &firm.name, |namespace: Option<&_>| namespace.is_none());
    let Ok(gone) = tokio::time::timeout(PATIENCE, gone).await else {
        let left = firm.namespaces().get(&firm.name).await?.status.and_then(|status| status.conditions);
        let told: Vec<String> = left.into_iter().flatten().filter_map(|one| one.message).collect();
        return Err(format!("the namespace does not go away: {told:?}").into());
    };
    gone?;
    Ok(())
}

pub async fn a_namespace_that_is_deleted_at_any_stage_goes_away_and_leaves_no_orphan(town: Town) -> Result<(), Failed> {
    deleted_at_any_stage(&town, "razed", NOT_EMPTY).await
}

pub async fn a_namespace_that_is_emptied_at_any_stage_goes_away_and_leaves_no_orphan(town: Town) -> Result<(), Failed> {
    deleted_at_any_stage(&town, "empty", EMPTY).await
}

async fn deleted_at_any_stage(town: &Town, name: &str, held: Duration) -> Result<(), Failed> {
    let cases = STAGES.map(|stage| (format!("{name}-{}", stage.name), stage));
    in_lanes(cases, async |name, stage| {
        let course = from_elsewhere(town, &name, &json!({})).await?;
        course.hold(&stage, held);
        let operator = course.operator().await?;
        course.is_held(&stage).await?;
        delete(&course).await?;
        course.is_through(&stage).await?;
        is_gone(&course).await?;
        // The evidence outlived the namespace's end: whoever looks now finds nothing left to be done.
        let published = course.ever_published().await?.len();
        let left = course.azure.passwords(&course.payments).map_err(chain)?.len();
        insist(left == published + 1, format!("{published} were published, and {left} are left"))?;
        course.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn nothing_is_minted_in_a_namespace_that_is_being_deleted(town: Town) -> Result<(), Failed> {
    // Somebody else's finalizer keeps the resource, and so the namespace.
    let held = json!({"metadata": {"finalizers": ["example.org/held"]}});
    let course = from_elsewhere(&town, "razing", &held).await?;
    delete(&course).await?;
    let operator = course.operator().await?;
    let told = course.told(RESOURCE, "NamespaceTerminating").await?;
    insist(told.message.contains("the namespace is being deleted, so nothing is minted in it"), told.message)?;
    insist(
        course.minted().await?.is_empty() && course.records().await?.is_empty(),
        "something was begun all the same",
    )?;
    let let_go = json!({"metadata": {"finalizers": null}});
    course.resources().patch(RESOURCE, &PatchParams::default(), &Patch::Merge(let_go)).await?;
    is_gone(&course).await?;
    same("minted", course.minted().await?.len(), 0)?;
    course.ends_clean(&operator).await
}

pub async fn a_namespace_that_comes_back_after_its_publication_finds_its_credential(town: Town) -> Result<(), Failed> {
    let course = from_elsewhere(&town, "razed-later", &json!({})).await?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "Published").await?;
    delete(&course).await?;
    is_gone(&course).await?;
    let left = course.azure.passwords(&course.payments).map_err(chain)?.len();
    same("what was published stays, beside what was made by hand", left, 2)?;
    manifests::namespace(&town.admin(), &course.name).await?;
    course.declare(&json!({})).await?;
    course.ends_published(&operator, 1..=1).await
}

/// Before it begins to be used: what is proven is taken into use without a pause as long as the account is there, and then it
/// stays, as with every resource that is deleted.
pub async fn a_namespace_that_is_deleted_while_it_federates_goes_away_and_leaves_nothing(
    town: Town,
) -> Result<(), Failed> {
    let held = [("razed", NOT_EMPTY), ("empty", EMPTY)];
    let cases = FEDERATING.into_iter().take_while(|stage| stage.name != "telling");
    let cases = cases.flat_map(|stage| held.map(|(how, held)| (format!("fed-{how}-{}", stage.name), (stage, held))));
    in_lanes(cases, async |name, (stage, held)| {
        let mut firm = declared_without_pods(&town, &name).await?;
        move_operator(&town, &mut firm, &json!({"federation": {"allowTokenRequests": true}})).await?;
        firm.hold(&stage, held);
        let operator = firm.operator().await?;
        firm.is_held(&stage).await?;
        delete(&firm).await?;
        firm.is_through(&stage).await?;
        is_gone(&firm).await?;
        // Whoever was told may have begun to sign in by it.
        let told = |entry: &Entry| {
            entry.verb == "patch" && entry.path.contains("/serviceaccounts/") && entry.status == Some(200)
        };
        let left = accepts(&firm)?.len();
        insist(left == 0 || firm.proxy.journal().count(told) > 0, "what nobody was told is accepted")?;
        // Its account, which says so, is gone.
        firm.ends_with(&operator, if left == 0 { &[] } else { &[Offence::Orphan] }).await
    })
    .await?;
    Ok(())
}

pub async fn a_namespace_that_comes_back_after_it_federated_finds_its_federated_credential(
    town: Town,
) -> Result<(), Failed> {
    let mut firm = declared_without_pods(&town, "fed-razed").await?;
    move_operator(&town, &mut firm, &json!({"federation": {"allowTokenRequests": true}})).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    let first = accepts(&firm)?;
    delete(&firm).await?;
    is_gone(&firm).await?;
    same("what was in use stays", accepts(&firm)?, first.clone())?;
    manifests::namespace(&town.admin(), &firm.name).await?;
    firm.service_account("api", None).await?;
    firm.federate(&[account("api")], &json!({})).await?;
    firm.told(RESOURCE, "Published").await?;
    same("accepted", accepts(&firm)?, first)?;
    ends_in_use(&firm, &operator, 0).await
}
