//! What the API server refuses before anything is minted, and in which words.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    core::v1::{Namespace, ResourceQuota, Secret},
    rbac::v1::RoleBinding,
};
use keywright::{
    api::Reason,
    cluster::records::{Keep, Records},
    facts::{Effect, Owner, Trouble},
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
    runtime::wait::await_condition,
};
use serde_json::json;

use crate::place::{PATIENCE, Place, VALUE, made, yes};

fn says(trouble: &Trouble, reason: Reason, words: &str, remedy: &str) {
    assert_eq!((trouble.reason, trouble.effect), (reason, Effect::Refused), "{trouble:?}");
    assert!(trouble.message.contains(words) && trouble.remedy.contains(remedy), "{trouble:?}");
}

pub async fn a_quota_refuses_the_opening(place: Place) {
    let quotas: Api<ResourceQuota> = Api::namespaced(place.admin.clone(), &place.namespace);
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"secrets": "1"}}});
    quotas.create(&PostParams::default(), &made(quota)).await.unwrap();
    let counted = |quota: Option<&ResourceQuota>| {
        quota.and_then(|quota| quota.status.as_ref()).is_some_and(|status| status.used.is_some())
    };
    tokio::time::timeout(PATIENCE, await_condition(quotas, "few", counted)).await.unwrap().unwrap();
    let record = place.opened(1).await;
    let trouble = place.records.open(&place.namespace, &place.entry(2)).await.unwrap_err();
    says(&trouble, Reason::ClusterRefused, "exceeded quota: few", "ResourceQuota");
    assert!(trouble.message.contains(&place.entry(2).name()), "{trouble:?}");

    let keep = place.records.keep(&place.namespace, &record, &place.kept(1), &VALUE.into()).await;
    assert!(matches!(keep, Keep::Kept(_)), "what is open can be kept: {keep:?}");
}

pub async fn a_policy_that_refuses_values_is_heard_of_in_the_rehearsal(place: Place) {
    let (record, name) = (place.opened(1).await, "no-values");
    let policy = json!({"metadata": {"name": name}, "spec": {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
            "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["UPDATE"]}],
        },
        "validations": [{
            "expression": "!has(object.data) || !('value' in object.data)",
            "messageExpression": "'not this: ' + string(object.data['value'])",
        }],
    }});
    let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}});
    let post = PostParams::default();
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(place.admin.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(place.admin.clone());
    policies.create(&post, &made(policy)).await.unwrap();
    bindings.create(&post, &made(binding)).await.unwrap();

    // No event tells when a policy is in force.
    let rehearse = || place.records.rehearse(&place.namespace, &record, &record.entry);
    let refused = async {
        loop {
            match rehearse().await {
                Err(trouble) => break trouble,
                Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let trouble = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    says(&trouble, Reason::ClusterRefused, "not this: eHh4", "admission policy");

    let keep = place.records.keep(&place.namespace, &record, &place.kept(1), &VALUE.into()).await;
    let Keep::DefinitelyRefused(trouble) = keep else { panic!("{keep:?}") };
    says(&trouble, Reason::ClusterRefused, "not this: [hidden]", "admission policy");
    let coded = data_encoding::BASE64_NOPAD.encode(VALUE.as_bytes());
    assert!(!trouble.message.contains(VALUE) && !trouble.message.contains(&coded), "{trouble:?}");
}

pub async fn a_terminating_namespace_opens_nothing_and_lets_its_records_go(place: Place) {
    let records = Records::new(&place.all_rights);
    let name = place.opened(1).await.entry.name();
    let namespaces: Api<Namespace> = Api::all(place.admin.clone());
    namespaces.delete(&place.namespace, &DeleteParams::default()).await.unwrap();
    let trouble = records.open(&place.namespace, &place.entry(2)).await.unwrap_err();
    says(&trouble, Reason::NamespaceTerminating, "being terminated", "namespace that stays");

    let going = |secret: Option<&Secret>| secret.is_some_and(|secret| secret.metadata.deletion_timestamp.is_some());
    tokio::time::timeout(PATIENCE, await_condition(place.others(), &name, going)).await.unwrap().unwrap();
    let record = records.get(&place.namespace, &name).await.unwrap().unwrap();
    assert!(record.deleting && record.finalized, "{record:?}");
    let record = yes(records.write(&place.namespace, &record, &place.entry(1), true).await);
    yes(records.write(&place.namespace, &record, &place.entry(1), false).await);
    assert_eq!(records.get(&place.namespace, &name).await, Ok(None));
    let gone = await_condition(namespaces, &place.namespace, |namespace: Option<&Namespace>| namespace.is_none());
    tokio::time::timeout(PATIENCE, gone).await.unwrap().unwrap();
    let trouble = records.open(&place.namespace, &place.entry(1)).await.unwrap_err();
    says(&trouble, Reason::NamespaceTerminating, "not found", "namespace that stays");
}

pub async fn a_missing_permission_is_told(place: Place) {
    let bindings: Api<RoleBinding> = Api::namespaced(place.admin.clone(), &place.namespace);
    let name = format!("keywright-{}", place.namespace);
    bindings.delete(&name, &DeleteParams::default()).await.unwrap();
    let refused = async {
        loop {
            // The API server hears of it a little later itself.
            let owner = Owner::of("cluster", "namespace", "name");
            match place.records.list(&place.namespace, &owner).await {
                Err(trouble) => break trouble,
                Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    let trouble = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    says(&trouble, Reason::ClusterRefused, "cannot list resource \"secrets\"", "permission");
    assert_eq!(trouble.code.as_deref(), Some("Forbidden"));
}
