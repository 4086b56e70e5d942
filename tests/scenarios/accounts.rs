//! The annotations of a ServiceAccount, which its pods sign in by, and whoever else writes them.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    federation::{account, declared_without_pods, ends_in_use, federated},
    manifests::CLIENT,
    town::{Firm, RESOURCE, Town, change, insist, same},
};

/// The annotation with the client ID.
const CLIENT_ID: &str = "azure.workload.identity/client-id";

/// Git has the account say this, and nothing else; without anything, it does not speak of annotations.
async fn git_says(firm: &Firm, annotations: &Value) -> Result<(), Failed> {
    let metadata = match annotations {
        Value::Null => json!({"name": "api"}),
        annotations => json!({"name": "api", "annotations": annotations}),
    };
    let says = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    let by = PatchParams::apply("argocd-controller").force();
    firm.service_accounts().patch("api", &by, &Patch::Apply(says)).await?;
    Ok(())
}

/// Who keeps the annotation with the client ID.
async fn kept_by(accounts: &Api<ServiceAccount>) -> Result<Vec<String>, Failed> {
    let account = accounts.get("api").await?;
    let keeps = |fields: &Value| !fields["f:metadata"]["f:annotations"][format!("f:{CLIENT_ID}")].is_null();
    let keeping = account.managed_fields().iter().filter(|one| one.fields_v1.as_ref().is_some_and(|one| keeps(&one.0)));
    Ok(keeping.filter_map(|one| one.manager.clone()).collect())
}

pub async fn one_that_somebody_else_says_something_else_of_is_told_with_his_name(town: Town) -> Result<(), Failed> {
    let firm = declared_without_pods(&town, "acc-contested").await?;
    git_says(&firm, &json!({CLIENT_ID: CLIENT})).await?;
    let operator = firm.operator().await?;
    let told = firm.told(RESOURCE, "AccountContested").await?;
    same("Ready", told.status.as_str(), "False")?;
    for words in ["argocd-controller", "ServiceAccount acc-contested/api", "annotations: Ignore"] {
        insist(told.message.contains(words), format!("{words} is not in: {}", told.message))?;
    }
    same("kept by", kept_by(&firm.service_accounts()).await?, vec!["argocd-controller".to_owned()])?;
    git_says(&firm, &Value::Null).await?;
    ends_in_use(&firm, &operator, 0).await
}

pub async fn one_that_is_rewritten_under_its_pods_is_told_and_never_fought_over(town: Town) -> Result<(), Failed> {
    let (firm, operator) = federated(&town, "acc-rewritten").await?;
    firm.told(RESOURCE, "Published").await?;
    firm.pods_federate("api", 2).await?;
    git_says(&firm, &json!({CLIENT_ID: CLIENT})).await?;
    let told = firm.told(RESOURCE, "AccountContested").await?;
    insist(told.message.contains("argocd-controller"), told.message)?;
    firm.pods_sign_in_again(20).await?;
    same("the account", firm.service_accounts().get("api").await?.annotations()[CLIENT_ID].as_str(), CLIENT)?;
    git_says(&firm, &Value::Null).await?;
    ends_in_use(&firm, &operator, 2).await
}

pub async fn one_that_git_keeps_is_left_to_it_with_the_command_that_is_missing(town: Town) -> Result<(), Failed> {
    let firm = town.federating("acc-git", true).await?;
    firm.service_account("api", None).await?;
    let left_to_git = json!({"name": "api", "serviceAccount": {"name": "api", "annotations": "Ignore"}});
    firm.federate(&[left_to_git], &json!({})).await?;
    let operator = firm.operator().await?;
    let told = firm.told(RESOURCE, "AccountNotAnnotated").await?.message;
    let (client, tenant) = (firm.payments.client_id, firm.payments.tenant);
    let command = format!(
        "kubectl -n acc-git annotate --overwrite serviceaccount api {CLIENT_ID}={client} \
         azure.workload.identity/tenant-id={tenant}"
    );
    insist(told.contains(&command), told)?;
    let both = json!({CLIENT_ID: client, "azure.workload.identity/tenant-id": tenant});
    git_says(&firm, &both).await?;
    firm.told(RESOURCE, "Published").await?;
    same("kept by", kept_by(&firm.service_accounts()).await?, vec!["argocd-controller".to_owned()])?;
    ends_in_use(&firm, &operator, 0).await
}

pub async fn one_that_says_the_same_by_somebody_else_is_not_contested(town: Town) -> Result<(), Failed> {
    let (firm, operator) = federated(&town, "acc-same").await?;
    git_says(&firm, &json!({CLIENT_ID: firm.payments.client_id})).await?;
    firm.told(RESOURCE, "Published").await?;
    change(&firm.resources(), RESOURCE, &json!({"spec": {"federated": {"identities": [account("api")]}}})).await?;
    firm.settled("marker").await?;
    ends_in_use(&firm, &operator, 2).await
}
