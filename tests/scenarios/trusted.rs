//! People come between what is declared of federated identities and what Entra accepts: at Entra, in the cluster, with two
//! resources that want the same.

use std::time::Duration;

use keywright_sandbox::{Operator, azure::Federated, ledger::Offence};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    core::DynamicObject,
    runtime::wait::await_condition,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    admission::{allow, refusal_is_told},
    federation::{
        accepts, accepts_so_many, account, by_hand, declared, declared_without_pods, ends_in_use, federated,
        with_waiting_pods,
    },
    town::{
        ESTABLISHING, FEDERATING, Firm, PATIENCE, RESOURCE, Stage, Town, chain, change, in_lanes, insist, read, same,
    },
};

/// The other resource.
const OTHER: &str = "payments-other";

/// As long as a request is held up for somebody to come between.
const A_WHILE: Duration = Duration::from_secs(2);

/// The only one that is accepted.
fn only(firm: &Firm) -> Result<Federated, Failed> {
    let mut there = accepts(firm)?;
    same("accepted", there.len(), 1)?;
    Ok(there.remove(0))
}

async fn is_gone(firm: &Firm, name: &str) -> Result<(), Failed> {
    let gone = await_condition(firm.resources(), name, |one: Option<&DynamicObject>| one.is_none());
    let waited = tokio::time::timeout(PATIENCE, gone).await;
    let status: Value = match firm.resources().get_opt(name).await? {
        Some(left) => read(&left, "/status").unwrap_or_default(),
        None => Value::Null,
    };
    waited.map_err(|_| format!("{name} does not go: {status:#}"))??;
    Ok(())
}

/// An administrator has the only one accept somebody else.
fn rewrite(firm: &Firm) -> Result<Uuid, Failed> {
    let id = only(firm)?.id;
    let other = format!("system:serviceaccount:{}:other", firm.name);
    firm.azure.edit_federated(&firm.payments, id, |one| one.subject = Some(other)).map_err(chain)?;
    Ok(id)
}

/// What is said of one that is to go, or that nobody knows.
async fn said_of(firm: &Firm, id: Uuid) -> Result<Option<String>, Failed> {
    let told: Vec<Value> = read(&firm.read(RESOURCE).await?, "/status/retiring").unwrap_or_default();
    let of_it = told.into_iter().find(|one| one["keyId"] == id.to_string());
    Ok(of_it.and_then(|one| one["waitingFor"][0].as_str().map(str::to_owned)))
}

pub async fn one_that_an_administrator_rewrites_is_left_to_them_and_another_set_up(town: Town) -> Result<(), Failed> {
    let firm = declared_without_pods(&town, "fed-rewritten").await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    let theirs = rewrite(&firm)?;
    accepts_so_many(&firm, 2).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.until(|| async {
        let said = said_of(&firm, theirs).await?;
        let advised = said.as_ref().is_some_and(|said| said.contains("Remove it in Entra"));
        Ok(if advised { Ok(()) } else { Err(format!("of {theirs} it says {said:?}")) })
    })
    .await?;
    firm.azure.remove_federated(&firm.payments, theirs).map_err(chain)?;
    firm.until(|| async {
        let (said, records) = (said_of(&firm, theirs).await?, firm.records().await?.len());
        let over = said.is_none() && records == 1;
        Ok(if over { Ok(()) } else { Err(format!("of {theirs} it says {said:?}, with {records} records")) })
    })
    .await?;
    firm.comes_to_rest().await?;
    only(&firm)?;
    // Between the two there was none, which is what the administrator wanted.
    firm.ends_with(&operator, &[Offence::NoneValid]).await
}

pub async fn one_that_was_rewritten_keeps_a_resource_that_revokes_until_it_is_acknowledged_or_gone(
    town: Town,
) -> Result<(), Failed> {
    let cases = [("fed-known-end", true), ("fed-gone-end", false)].map(|(name, known)| (name.to_owned(), known));
    in_lanes(cases, async |name, known| {
        let firm = town.federating(&name, true).await?;
        firm.service_account("api", None).await?;
        firm.federate(&[account("api")], &json!({"spec": {"deletionPolicy": "Revoke"}})).await?;
        let operator = firm.operator().await?;
        firm.told(RESOURCE, "Published").await?;
        let theirs = rewrite(&firm)?;
        accepts_so_many(&firm, 2).await?;
        firm.told(RESOURCE, "Published").await?;
        firm.resources().delete(RESOURCE, &DeleteParams::default()).await?;
        let told = firm.told(RESOURCE, "UnknownCredential").await?.message;
        insist(told.contains(&theirs.to_string()) && told.contains("Remove it in Entra"), told)?;
        if known {
            let forget = json!({"metadata": {"annotations": {"keywright.dev/forget": theirs}}});
            change(&firm.resources(), RESOURCE, &forget).await?;
        } else {
            firm.azure.remove_federated(&firm.payments, theirs).map_err(chain)?;
        }
        is_gone(&firm, RESOURCE).await?;
        let left: Vec<Uuid> = accepts(&firm)?.iter().map(|one| one.id).collect();
        same("accepted", left, if known { vec![theirs] } else { vec![] })?;
        firm.ends_with(&operator, &[Offence::NoneValid]).await
    })
    .await?;
    Ok(())
}

pub async fn pods_that_were_there_before_what_somebody_else_has_set_up_was_used_are_restarted(
    town: Town,
) -> Result<(), Failed> {
    let firm = with_waiting_pods(town.federating("fed-theirs-pods", true).await?).await?;
    let subject = format!("system:serviceaccount:{}:api", firm.name);
    let wanted = by_hand("theirs", &town.plane().url(), &subject);
    let theirs = firm.azure.seed_federated(&firm.payments, wanted).map_err(chain)?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    firm.pods_federate("api", 2).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    same("accepted", accepts(&firm)?, vec![theirs])?;
    firm.ends_clean(&operator).await
}

/// One run for each stage: the request that ends it is held up, something happens, and it is as it has to be in the end.
async fn at_every_stage(
    town: &Town,
    name: &str,
    happens: impl AsyncFn(&Firm, &Stage) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let cases = FEDERATING.map(|stage| (format!("{name}-{}", stage.name), stage));
    in_lanes(cases, async |name, stage| {
        let firm = declared_without_pods(town, &name).await?;
        firm.hold(&stage, A_WHILE);
        let operator = firm.operator().await?;
        firm.is_held(&stage).await?;
        happens(&firm, &stage).await?;
        firm.is_through(&stage).await?;
        ends_in_use(&firm, &operator, 0).await
    })
    .await?;
    Ok(())
}

pub async fn a_status_that_is_wiped_at_any_stage_changes_nothing_of_whom_entra_accepts(
    town: Town,
) -> Result<(), Failed> {
    let wiped = async |firm: &Firm, _: &Stage| {
        let nothing = Patch::Merge(json!({"status": null}));
        firm.resources().patch_status(RESOURCE, &PatchParams::default(), &nothing).await?;
        Ok(())
    };
    at_every_stage(&town, "fed-wiped", wiped).await
}

pub async fn a_record_that_is_deleted_at_any_stage_is_written_again_and_nothing_added(
    town: Town,
) -> Result<(), Failed> {
    let deleted = async |firm: &Firm, _: &Stage| {
        for record in firm.records().await? {
            firm.secrets().delete(&record.name_any(), &DeleteParams::default()).await?;
        }
        Ok(())
    };
    at_every_stage(&town, "fed-lost", deleted).await
}

pub async fn a_resource_that_says_suspend_at_any_stage_of_federation_names_its_next_step(
    town: Town,
) -> Result<(), Failed> {
    let suspended = async |firm: &Firm, stage: &Stage| {
        change(&firm.resources(), RESOURCE, &json!({"spec": {"suspend": true}})).await?;
        // From the moment at which it is proven, it is taken into use without a pause.
        if !["beginning", "telling", "used"].contains(&stage.name) {
            let told = firm.told(RESOURCE, "Suspended").await?;
            insist(told.message.contains("the next step would be to "), told.message)?;
        }
        change(&firm.resources(), RESOURCE, &json!({"spec": {"suspend": false}})).await
    };
    at_every_stage(&town, "fed-suspend", suspended).await
}

pub async fn a_federation_that_is_suspended_before_it_begins_is_a_dry_run(town: Town) -> Result<(), Failed> {
    let firm = town.federating("fed-dry", true).await?;
    firm.service_account("api", None).await?;
    firm.federate(&[account("api")], &json!({"spec": {"suspend": true}})).await?;
    let operator = firm.operator().await?;
    let told = firm.told(RESOURCE, "Suspended").await?.message;
    insist(told.contains("the next step would be to open record kw-"), told)?;
    same("accepted", accepts(&firm)?, vec![])?;
    same("records", firm.records().await?.len(), 0)?;
    change(&firm.resources(), RESOURCE, &json!({"spec": {"suspend": false}})).await?;
    ends_in_use(&firm, &operator, 0).await
}

pub async fn a_resource_that_is_deleted_at_any_stage_of_federation_leaves_what_is_in_use_and_nothing_else(
    town: Town,
) -> Result<(), Failed> {
    let cases = FEDERATING.map(|stage| (format!("fed-gone-{}", stage.name), stage));
    in_lanes(cases, async |name, stage| {
        let firm = declared_without_pods(&town, &name).await?;
        firm.hold(&stage, A_WHILE);
        let operator = firm.operator().await?;
        firm.is_held(&stage).await?;
        firm.resources().delete(RESOURCE, &DeleteParams::default()).await?;
        is_gone(&firm, RESOURCE).await?;
        firm.is_through(&stage).await?;
        firm.comes_to_rest().await?;
        let told = firm.service_accounts().get("api").await?.annotations().len() / 2;
        same("accepted", accepts(&firm)?.len(), told)?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn a_resource_that_comes_back_finds_its_federated_credential(town: Town) -> Result<(), Failed> {
    let (firm, operator) = federated(&town, "fed-back").await?;
    firm.told(RESOURCE, "Published").await?;
    firm.pods_federate("api", 2).await?;
    let first = only(&firm)?;
    firm.resources().delete(RESOURCE, &DeleteParams::default()).await?;
    is_gone(&firm, RESOURCE).await?;
    firm.pods_sign_in_again(20).await?;
    firm.federate(&[account("api")], &json!({})).await?;
    firm.told(RESOURCE, "Published").await?;
    same("accepted", only(&firm)?, first)?;
    ends_in_use(&firm, &operator, 2).await
}

pub async fn a_quota_that_refuses_the_record_is_told_and_nothing_added(town: Town) -> Result<(), Failed> {
    let firm = declared(&town, "fed-quota").await?;
    let quotas = allow(&firm, &town, 1).await?;
    let operator = firm.operator().await?;
    refusal_is_told(&firm, "exceeded quota: few", "Raise the ResourceQuota", 0).await?;
    same("accepted", accepts(&firm)?, vec![])?;
    quotas.delete("few", &DeleteParams::default()).await?;
    ends_in_use(&firm, &operator, 2).await
}

/// A firm in which two resources declare the same account, and use what the first of them has set up.
async fn of_one_subject(town: &Town, name: &str, pods: usize) -> Result<(Firm, Operator), Failed> {
    let firm = match pods {
        0 => declared_without_pods(town, name).await?,
        _ => declared(town, name).await?,
    };
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    let first = only(&firm)?.id.to_string();
    firm.resource(OTHER, &same_subject()).await?;
    firm.told(OTHER, "Published").await?;
    let used: Option<String> = read(&firm.read(OTHER).await?, "/status/identities/0/id");
    same("what the other uses", used, Some(first))?;
    firm.pods_federate("api", pods).await?;
    firm.comes_to_rest().await?;
    Ok((firm, operator))
}

fn same_subject() -> Value {
    json!({"spec": {"clientSecret": null, "federated": {"identities": [account("api")]}}})
}

pub async fn of_two_resources_of_one_subject_either_may_go_and_nobody_is_refused(town: Town) -> Result<(), Failed> {
    let cases = [(RESOURCE, OTHER, "Retain"), (OTHER, RESOURCE, "Retain"), (OTHER, RESOURCE, "Revoke")];
    let cases = cases.into_iter().enumerate();
    let cases = cases.flat_map(|(number, case)| [0, 2].map(|pods| (format!("fed-two-{number}-{pods}"), (case, pods))));
    in_lanes(cases, async |name, ((goes, stays, policy), pods)| {
        let (firm, operator) = of_one_subject(&town, &name, pods).await?;
        let first = only(&firm)?;
        change(&firm.resources(), goes, &json!({"spec": {"deletionPolicy": policy}})).await?;
        firm.settled("before").await?;
        firm.resources().delete(goes, &DeleteParams::default()).await?;
        is_gone(&firm, goes).await?;
        firm.rounds(2).await?;
        firm.settled("after").await?;
        firm.told(stays, "Published").await?;
        same("accepted", only(&firm)?, first)?;
        if pods > 0 {
            firm.pods_sign_in_again(20).await?;
        }
        firm.comes_to_rest().await?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}

pub async fn what_another_resource_uses_is_not_revoked_until_that_one_goes(town: Town) -> Result<(), Failed> {
    let (firm, operator) = of_one_subject(&town, "fed-shared-end", 0).await?;
    let first = only(&firm)?;
    change(&firm.resources(), RESOURCE, &json!({"spec": {"deletionPolicy": "Revoke"}})).await?;
    firm.settled("before").await?;
    firm.resources().delete(RESOURCE, &DeleteParams::default()).await?;
    let told = firm.told(RESOURCE, "StillInUse").await?.message;
    insist(told.contains(&format!("eac/{OTHER}")) && told.contains("Retain"), told)?;
    firm.settled("meanwhile").await?;
    same("accepted", only(&firm)?, first)?;
    firm.resources().delete(OTHER, &DeleteParams::default()).await?;
    is_gone(&firm, RESOURCE).await?;
    same("accepted", accepts(&firm)?, vec![])?;
    firm.ends_clean(&operator).await
}

pub async fn what_another_resource_uses_stays_when_it_is_declared_no_more(town: Town) -> Result<(), Failed> {
    let (firm, operator) = of_one_subject(&town, "fed-shared-less", 0).await?;
    let first = only(&firm)?;
    firm.service_account("batch", None).await?;
    let identities = json!({"spec": {"federated": {"identities": [account("batch")]}}});
    change(&firm.resources(), RESOURCE, &identities).await?;
    firm.condition_says("Rotating", "StillInUse", &format!("eac/{OTHER}")).await?;
    firm.told(RESOURCE, "Published").await?;
    insist(accepts(&firm)?.contains(&first), "what the other uses is gone")?;
    firm.resources().delete(OTHER, &DeleteParams::default()).await?;
    accepts_so_many(&firm, 1).await?;
    insist(only(&firm)?.id != first.id, "what nobody declares any more is still there")?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}

pub async fn two_resources_of_one_subject_that_begin_at_once_use_one(town: Town) -> Result<(), Failed> {
    let cases = (0..4).map(|number| (format!("fed-twins-{number}"), ()));
    in_lanes(cases, async |name, ()| {
        let firm = declared(&town, &name).await?;
        firm.resource(OTHER, &same_subject()).await?;
        let operator = firm.operator().await?;
        firm.told(OTHER, "Published").await?;
        ends_in_use(&firm, &operator, 2).await
    })
    .await?;
    Ok(())
}

pub async fn one_that_is_renamed_while_it_is_added_is_taken_back(town: Town) -> Result<(), Failed> {
    let firm = declared_without_pods(&town, "fed-renamed").await?;
    firm.service_account("batch", None).await?;
    firm.hold(&ESTABLISHING, A_WHILE);
    let operator = firm.operator().await?;
    firm.is_held(&ESTABLISHING).await?;
    firm.federate(&[account("batch")], &json!({})).await?;
    firm.is_through(&ESTABLISHING).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.comes_to_rest().await?;
    let subject = format!("system:serviceaccount:{}:batch", firm.name);
    same("accepted", only(&firm)?.subject, Some(subject))?;
    firm.ends_clean(&operator).await
}
