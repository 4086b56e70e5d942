//! What the cluster itself forbids: quotas and policies that refuse our records, or what is published. It is told before
//! anything is minted; where it comes too late for that, nothing is lost.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    core::v1::{ResourceQuota, Secret},
};
use keywright_sandbox::Operator;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
    runtime::wait::await_condition,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::town::{Course, Firm, MINTING, PATIENCE, RESOURCE, Town, chain, insist, read, same};

/// What may be in a Secret of our type: an open record, but no value.
const NO_VALUES: &str = "object.type != 'keywright.dev/record' || !has(object.data) || !('value' in object.data)";
/// No Secret of our type at all.
const NO_RECORDS: &str = "object.type != 'keywright.dev/record'";

/// Allow so many Secrets, one of which is the operator's own.
pub async fn allow(firm: &Firm, town: &Town, secrets: usize) -> Result<Api<ResourceQuota>, Failed> {
    let quotas: Api<ResourceQuota> = Api::namespaced(town.admin(), &firm.name);
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"secrets": secrets.to_string()}}});
    quotas.create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    let counted = |quota: Option<&ResourceQuota>| {
        quota.and_then(|quota| quota.status.as_ref()).is_some_and(|status| status.used.is_some())
    };
    tokio::time::timeout(PATIENCE, await_condition(quotas.clone(), "few", counted)).await??;
    Ok(quotas)
}

/// A policy of a namespace.
struct Policy {
    name: String,
    policies: Api<ValidatingAdmissionPolicy>,
    bindings: Api<ValidatingAdmissionPolicyBinding>,
}

impl Policy {
    /// Refuse every Secret for which an expression does not hold, and wait until it is in force.
    async fn impose(town: &Town, course: &Course, expression: &str) -> Result<Self, Failed> {
        let name = course.name.clone();
        let policy = json!({"metadata": {"name": name}, "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["CREATE", "UPDATE"]},
                ],
            },
            "validations": [{"expression": expression, "message": "no such Secrets here"}],
        }});
        let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}});
        let (policies, bindings) = (Api::all(town.admin()), Api::all(town.admin()));
        policies.create(&PostParams::default(), &serde_json::from_value(policy)?).await?;
        bindings.create(&PostParams::default(), &serde_json::from_value(binding)?).await?;
        let imposed = Self { name, policies, bindings };
        tokio::time::timeout(PATIENCE, imposed.is_in_force(course)).await??;
        Ok(imposed)
    }

    /// No event tells when it is.
    async fn is_in_force(&self, course: &Course) -> Result<(), Failed> {
        let metadata = json!({"name": "tried-out"});
        let record = json!({"metadata": metadata, "type": "keywright.dev/record", "stringData": {"value": "none"}});
        let record: Secret = serde_json::from_value(record)?;
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        while course.secrets().create(&dry, &record).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn lift(&self) -> Result<(), Failed> {
        self.bindings.delete(&self.name, &DeleteParams::default()).await?;
        self.policies.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

/// Wait until a refusal of the API server is told with these words and this advice, with nothing minted but so much.
pub async fn refusal_is_told(firm: &Firm, words: &str, advice: &str, minted: usize) -> Result<(), Failed> {
    let told = firm.told(RESOURCE, "ClusterRefused").await?;
    same("Ready", told.status.as_str(), "False")?;
    insist(told.message.contains(words) && told.message.contains(advice), told.message)?;
    let failure: Value = read(&firm.read(RESOURCE).await?, "/status/lastFailure").unwrap_or_default();
    same("the last failure", failure["reason"].as_str(), Some("ClusterRefused"))?;
    firm.settled("marker").await?;
    same("minted", firm.minted().await?.len(), minted)
}

pub async fn a_quota_that_refuses_records_is_told_and_nothing_minted(town: Town) -> Result<(), Failed> {
    let course = town.course("quota").await?;
    let quotas = allow(&course, &town, 1).await?;
    let operator = course.operator().await?;
    refusal_is_told(&course, "exceeded quota: few", "Raise the ResourceQuota", 0).await?;
    insist(course.records().await?.is_empty(), "a record has come past the quota")?;
    quotas.delete("few", &DeleteParams::default()).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_quota_that_has_room_for_the_record_only_holds_back_the_secret_only(town: Town) -> Result<(), Failed> {
    let course = town.course("quota-of-one").await?;
    let quotas = allow(&course, &town, 2).await?;
    let operator = course.operator().await?;
    refusal_is_told(&course, "exceeded quota: few", "Raise the ResourceQuota", 1).await?;
    same("published in the vault all the same", course.ever_published().await?.len(), 1)?;
    quotas.delete("few", &DeleteParams::default()).await?;
    course.is_carried_by(RESOURCE).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_policy_that_refuses_records_is_told_and_nothing_minted(town: Town) -> Result<(), Failed> {
    let course = town.course("policy-of-records").await?;
    let policy = Policy::impose(&town, &course, NO_RECORDS).await?;
    let operator = course.operator().await?;
    refusal_is_told(&course, "no such Secrets here", "admission policy", 0).await?;
    policy.lift().await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_policy_that_refuses_values_is_told_in_the_rehearsal_and_nothing_minted(
    town: Town,
) -> Result<(), Failed> {
    let course = town.course("policy-of-values").await?;
    let policy = Policy::impose(&town, &course, NO_VALUES).await?;
    let operator = course.operator().await?;
    refusal_is_told(&course, "no such Secrets here", "admission policy", 0).await?;
    policy.lift().await?;
    course.ends_published(&operator, 1..=1).await
}

/// A policy that comes between the rehearsal and the keep.
async fn between(town: &Town, name: &str) -> Result<(Course, Operator, Policy), Failed> {
    let course = town.course(name).await?;
    course.hold(&MINTING, Duration::from_millis(5_500));
    let operator = course.operator().await?;
    course.is_held(&MINTING).await?;
    let policy = Policy::impose(town, &course, NO_VALUES).await?;
    insist(course.minted().await?.is_empty(), "the policy came too late for what it is to show")?;
    course.is_through(&MINTING).await?;
    refusal_is_told(&course, "no such Secrets here", "admission policy", 1).await?;
    Ok((course, operator, policy))
}

pub async fn a_value_that_a_policy_refuses_is_held_until_it_can_be_kept(town: Town) -> Result<(), Failed> {
    let (course, operator, policy) = between(&town, "policy-too-late").await?;
    policy.lift().await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_value_that_a_policy_refused_to_the_end_is_replaced_and_its_credential_removed(
    town: Town,
) -> Result<(), Failed> {
    let (course, operator, policy) = between(&town, "policy-to-the-end").await?;
    operator.kill().await.map_err(chain)?;
    let operator = course.operator().await?;
    // What nobody has the value of goes when something is published; until then nothing more is minted.
    course
        .until(|| async {
            let records = course.records().await?;
            let holders =
                records.first().map(|record| record.annotations()["keywright.dev/attempts"].matches("holder").count());
            Ok(if holders == Some(2) { Ok(()) } else { Err(format!("the attempts are {holders:?}")) })
        })
        .await?;
    refusal_is_told(&course, "no such Secrets here", "admission policy", 1).await?;
    policy.lift().await?;
    course.ends_published(&operator, 2..=2).await
}
