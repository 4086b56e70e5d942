//! Federated identities: workloads that sign in with no secret at all, and what may happen on the way there and back.

use k8s_openapi::api::apps::v1::StatefulSet;
use keywright_sandbox::{
    Operator, Rule,
    azure::{Federated, GRAPH, NewFederated},
    ledger::Offence,
};
use kube::{Api, ResourceExt, api::DeleteParams};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::town::{AUDIENCE, Firm, RESOURCE, Town, chain, change, insist, read, same};

/// The identity of a ServiceAccount.
pub fn account(name: &str) -> Value {
    json!({"name": name, "serviceAccount": {"name": name}})
}

/// What the application of a firm accepts.
pub fn accepts(firm: &Firm) -> Result<Vec<Federated>, Failed> {
    firm.azure.federated(&firm.payments).map_err(chain)
}

/// Wait until the application of a firm accepts so many.
pub async fn accepts_so_many(firm: &Firm, count: usize) -> Result<(), Failed> {
    firm.until(|| async {
        let there = accepts(firm)?;
        Ok(if there.len() == count { Ok(()) } else { Err(format!("{count} should be accepted, but {there:?} are")) })
    })
    .await
}

/// A federated credential that somebody makes.
pub fn by_hand(name: &str, issuer: &str, subject: &str) -> NewFederated {
    NewFederated {
        name: name.into(),
        issuer: issuer.into(),
        subject: Some(subject.into()),
        audience: AUDIENCE.into(),
        description: None,
    }
}

/// A firm with an account whose two pods wait to be told as whom they sign in, before there is any operator.
pub async fn declared(town: &Town, name: &str) -> Result<Firm, Failed> {
    with_waiting_pods(town.federating(name, true).await?).await
}

/// The same of a firm that there is.
pub async fn with_waiting_pods(firm: Firm) -> Result<Firm, Failed> {
    firm.service_account("api", None).await?;
    firm.run_federated("Deployment", "web", 2, "api").await?;
    firm.pods_have_token(2).await?;
    firm.federate(&[account("api")], &json!({})).await?;
    Ok(firm)
}

/// The same with an operator.
pub async fn federated(town: &Town, name: &str) -> Result<(Firm, Operator), Failed> {
    let firm = declared(town, name).await?;
    let operator = firm.operator().await?;
    Ok((firm, operator))
}

/// Wait until it is in use by so many pods, and nothing is left to be done; one was added for it, and this is the only one
/// that is accepted.
pub async fn ends_in_use(firm: &Firm, operator: &Operator, pods: usize) -> Result<(), Failed> {
    firm.told(RESOURCE, "Published").await?;
    firm.pods_federate("api", pods).await?;
    firm.comes_to_rest().await?;
    same("accepted", accepts(firm)?.len(), 1)?;
    same("added", firm.minted().await?.len(), 1)?;
    firm.ends_clean(operator).await
}

/// A firm with an account, whose federation is declared, before there is any operator.
pub async fn declared_without_pods(town: &Town, name: &str) -> Result<Firm, Failed> {
    let firm = town.federating(name, true).await?;
    firm.service_account("api", None).await?;
    firm.federate(&[account("api")], &json!({})).await?;
    Ok(firm)
}

pub async fn an_account_is_accepted_and_its_pods_sign_in_with_no_secret_at_all(town: Town) -> Result<(), Failed> {
    let (firm, operator) = federated(&town, "fed-first").await?;
    firm.told(RESOURCE, "Published").await?;
    firm.pods_federate("api", 2).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    let there = accepts(&firm)?;
    let subject = format!("system:serviceaccount:{}:api", firm.name);
    same("who is accepted", there.iter().map(|one| one.subject.clone()).collect::<Vec<_>>(), vec![Some(subject)])?;
    same("the proof", read(&firm.read(RESOURCE).await?, "/status/identities/0/proof"), Some("Proven".to_owned()))?;
    same("secrets", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 0)?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}

pub async fn without_leave_to_ask_for_tokens_it_is_unproven_and_says_what_would_allow_it(
    town: Town,
) -> Result<(), Failed> {
    let firm = town.federating("fed-blind", false).await?;
    firm.service_account("api", None).await?;
    firm.federate(&[account("api")], &json!({})).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    let proof: String = read(&firm.read(RESOURCE).await?, "/status/identities/0/proof").unwrap_or_default();
    insist(proof.starts_with("IssuerOnly") && proof.contains("federation.allowTokenRequests"), proof)?;
    firm.ends_clean(&operator).await
}

pub async fn what_somebody_else_has_set_up_is_used_and_never_touched(town: Town) -> Result<(), Failed> {
    let firm = town.federating("fed-theirs", true).await?;
    firm.service_account("api", None).await?;
    let subject = format!("system:serviceaccount:{}:api", firm.name);
    let wanted = by_hand("theirs", &town.plane().url(), &subject);
    let theirs = firm.azure.seed_federated(&firm.payments, wanted).map_err(chain)?;
    firm.federate(&[account("api")], &json!({})).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    same("who is accepted", accepts(&firm)?, vec![theirs])?;
    firm.ends_clean(&operator).await
}

pub async fn with_twenty_there_no_room_is_made(town: Town) -> Result<(), Failed> {
    let firm = town.federating("fed-full", true).await?;
    firm.service_account("api", None).await?;
    let issuer = "https://issuer.example";
    for number in 0..20 {
        let wanted = by_hand(&format!("other-{number}"), issuer, &format!("other-{number}"));
        firm.azure.seed_federated(&firm.payments, wanted).map_err(chain)?;
    }
    firm.federate(&[account("api")], &json!({})).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "TooManyCredentials").await?;
    let one = accepts(&firm)?.remove(0).id;
    firm.azure.remove_federated(&firm.payments, one).map_err(chain)?;
    firm.told(RESOURCE, "Published").await?;
    same("how many are accepted", accepts(&firm)?.len(), 20)?;
    firm.ends_clean(&operator).await
}

pub async fn a_lost_answer_leaves_nothing_behind(town: Town) -> Result<(), Failed> {
    let firm = town.federating("fed-lost", true).await?;
    firm.service_account("api", None).await?;
    let cut = firm.azure.faults().add(Rule::at(GRAPH, "createFederated", "**").times(2).cut_after());
    firm.federate(&[account("api")], &json!({})).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    insist(cut.applied() > 0, "no answer was lost")?;
    same("how many are accepted", accepts(&firm)?.len(), 1)?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}

pub async fn one_that_an_administrator_deletes_is_set_up_again(town: Town) -> Result<(), Failed> {
    let firm = town.federating("fed-deleted", true).await?;
    firm.service_account("api", None).await?;
    firm.federate(&[account("api")], &json!({})).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    let first = accepts(&firm)?.remove(0);
    firm.azure.remove_federated(&firm.payments, first.id).map_err(chain)?;
    firm.until(|| async {
        let there = accepts(&firm)?;
        Ok(if there.len() == 1 && there[0].id != first.id { Ok(()) } else { Err(format!("{there:?}")) })
    })
    .await?;
    firm.told(RESOURCE, "Published").await?;
    firm.comes_to_rest().await?;
    // Between the two there was none, which is what the administrator wanted.
    firm.ends_with(&operator, &[Offence::NoneValid]).await
}

pub async fn what_is_declared_no_more_goes_when_its_pods_have_gone(town: Town) -> Result<(), Failed> {
    let (firm, operator) = federated(&town, "fed-less").await?;
    firm.service_account("batch", None).await?;
    firm.federate(&[account("api"), account("batch")], &json!({})).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.run_federated("StatefulSet", "night", 1, "batch").await?;
    firm.pods_federate("batch", 1).await?;
    change(&firm.resources(), RESOURCE, &json!({"spec": {"federated": {"identities": [account("api")]}}})).await?;
    firm.condition_says("Rotating", "StragglersRemain", "pod/night-0").await?;
    same("how many are accepted", accepts(&firm)?.len(), 2)?;
    let sets: Api<StatefulSet> = Api::namespaced(town.admin(), &firm.name);
    sets.delete("night", &DeleteParams::default()).await?;
    accepts_so_many(&firm, 1).await?;
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await
}

pub async fn an_account_that_is_deleted_is_told_and_used_again_when_it_is_back(town: Town) -> Result<(), Failed> {
    let firm = town.federating("fed-account", true).await?;
    firm.federate(&[account("api")], &json!({})).await?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "AccountMissing").await?;
    firm.service_account("api", None).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.service_accounts().delete("api", &DeleteParams::default()).await?;
    firm.told(RESOURCE, "AccountMissing").await?;
    firm.service_account("api", None).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.ends_clean(&operator).await
}

pub async fn with_its_resource_it_stays_or_goes_as_that_says(town: Town) -> Result<(), Failed> {
    for (name, policy, left) in [("fed-retain", "Retain", 1), ("fed-revoke", "Revoke", 0)] {
        let firm = town.federating(name, true).await?;
        firm.service_account("api", None).await?;
        firm.federate(&[account("api")], &json!({"spec": {"deletionPolicy": policy}})).await?;
        let operator = firm.operator().await?;
        firm.told(RESOURCE, "Published").await?;
        firm.resources().delete(RESOURCE, &DeleteParams::default()).await?;
        firm.until(|| async {
            let gone = firm.resources().get_opt(RESOURCE).await?.is_none();
            Ok(if gone { Ok(()) } else { Err(format!("{name} is still there")) })
        })
        .await?;
        same(name, accepts(&firm)?.len(), left)?;
        let account = firm.service_accounts().get("api").await?;
        same("annotations", account.annotations().len(), 2 * left)?;
        firm.ends_clean(&operator).await?;
    }
    Ok(())
}
