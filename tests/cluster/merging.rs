//! Somebody else's Secret: our keys go in beside theirs, and what they claim stays theirs.

use keywright::{
    api::Reason,
    facts::{Effect, Holder, TargetState},
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::place::{Place, outpaced, yes};

/// Somebody's Secret, as a GitOps tool applies it.
async fn somebody_applies(place: &Place, data: Value) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "app"}, "data": data});
    place.others().patch("app", &PatchParams::apply("gitops").force(), &Patch::Apply(&secret)).await.unwrap();
}

async fn keys(place: &Place) -> Vec<String> {
    place.others().get("app").await.unwrap().data.unwrap().into_keys().collect()
}

fn merge() -> Value {
    json!({"name": "app", "creationPolicy": "Merge"})
}

pub async fn our_keys_join_somebody_else_s(place: Place) {
    let (secrets, namespace) = (&place.secrets, place.namespace.as_str());
    somebody_applies(&place, json!({"theirs": "eA=="})).await;
    let mut target = merge();
    target["template"] = json!({"data": {"more": "{{ clientId }}"}});
    let wanted = place.wanted(1, target);
    let seen = place.carried(&wanted).await;
    assert_eq!((&seen.holder, seen.agrees), (&Holder::Unowned, false));
    let merged = yes(secrets.write(namespace, &wanted, Some(&seen)).await);
    assert!(merged.agrees && merged.holder == Holder::Owned(place.owner()), "{merged:?}");
    let coherent = ["AZURE_AUTHORITY_HOST", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"];
    assert_eq!(keys(&place).await, [&coherent[..], &["more", "theirs"]].concat());

    somebody_applies(&place, json!({"theirs": "eQ==", "new": "eA=="})).await;
    let seen = place.carried(&wanted).await;
    assert!(seen.agrees, "what they change of theirs is no concern of ours: {seen:?}");
    let next = place.wanted(2, merge());
    let merged = yes(secrets.write(namespace, &next, Some(&seen)).await);
    assert!(merged.agrees, "{merged:?}");
    assert_eq!(
        keys(&place).await,
        [&coherent[..], &["new", "theirs"]].concat(),
        "a template that is gone takes its key along"
    );
}

pub async fn a_secret_to_merge_into_is_never_brought_back(place: Place) {
    let (secrets, namespace) = (&place.secrets, place.namespace.as_str());
    let wanted = place.wanted(1, merge());
    let trouble = secrets.write(namespace, &wanted, None).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::SecretMissing, Effect::NotSent), "{trouble:?}");

    somebody_applies(&place, json!({"theirs": "eA=="})).await;
    let old = place.carried(&wanted).await;
    somebody_applies(&place, json!({"theirs": "eQ=="})).await;
    outpaced(&secrets.write(namespace, &wanted, Some(&old)).await);
    place.somebody_deletes("app").await;
    outpaced(&secrets.write(namespace, &wanted, Some(&old)).await);
    assert_eq!(place.seen(&wanted).await.unwrap(), TargetState::Absent);

    somebody_applies(&place, json!({"theirs": "eA=="})).await;
    outpaced(&secrets.write(namespace, &wanted, Some(&old)).await);
    let seen = place.carried(&wanted).await;
    let restored = keywright::facts::Carried { version: seen.version.clone(), ..old };
    outpaced(&secrets.write(namespace, &wanted, Some(&restored)).await);
    assert_eq!(keys(&place).await, ["theirs"]);
}

pub async fn what_somebody_else_claims_is_theirs(place: Place) {
    let (secrets, namespace) = (&place.secrets, place.namespace.as_str());
    somebody_applies(&place, json!({"AZURE_CLIENT_SECRET": "eA=="})).await;
    let wanted = place.wanted(1, merge());
    let seen = place.carried(&wanted).await;
    let trouble = secrets.write(namespace, &wanted, Some(&seen)).await.unwrap_err();
    assert_eq!((trouble.reason, trouble.effect), (Reason::SecretNotOurs, Effect::Refused), "{trouble:?}");
    for word in ["gitops", "AZURE_CLIENT_SECRET"] {
        assert!(trouble.message.contains(word), "{}", trouble.message);
    }
    assert_eq!(place.carried(&wanted).await, seen, "nothing was written");

    somebody_applies(&place, json!({"theirs": "eA=="})).await;
    let seen = place.carried(&wanted).await;
    assert!(yes(secrets.write(namespace, &wanted, Some(&seen)).await).agrees, "as soon as they let go of it");
}
