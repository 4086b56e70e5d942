//! Secrets that are ours: created, repaired, taken over, and never written over what was not read.

use keywright::{
    api::{KeyId, Reason},
    facts::{Effect, Holder, Nonce, Sequence, TargetState},
};
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use crate::place::{Place, VALUE, outpaced, yes};

pub async fn a_secret_of_ours_is_created_and_carried_on(place: Place) {
    let (secrets, namespace) = (&place.secrets, place.namespace.as_str());
    let target = json!({"name": "payments-api", "template": {
        "metadata": {"labels": {"team": "pay"}}, "data": {"url": "id={{ clientId }}&s={{ clientSecret | urlencode }}"},
    }});
    let first = place.wanted(1, target.clone());
    assert_eq!(place.seen(&first).await.unwrap(), TargetState::Absent);
    let created = yes(secrets.write(namespace, &first, None).await);
    assert_eq!(created, place.carried(&first).await, "what comes back is what is there");
    assert!(created.agrees && created.obstacle.is_none(), "{created:?}");
    assert_eq!(created.holder, Holder::Owned(place.owner()));
    let credential = (created.key_id, created.sequence, created.nonce.clone());
    assert_eq!(credential, (Some(KeyId(Uuid::from_u128(1))), Some(Sequence(1)), Some(Nonce::of([0; 10]))));
    outpaced(&secrets.write(namespace, &first, None).await);

    let second = place.wanted(2, target);
    let seen = place.carried(&second).await;
    assert!(!seen.agrees, "{seen:?}");
    let carried = yes(secrets.write(namespace, &second, Some(&seen)).await);
    assert!(carried.agrees && carried.uid == created.uid && carried.sequence == Some(Sequence(2)), "{carried:?}");
    outpaced(&secrets.write(namespace, &first, Some(&seen)).await);

    let held = |key| secrets.held(namespace, "payments-api", key);
    let secret = format!("{VALUE}-2");
    assert_eq!(held("AZURE_CLIENT_SECRET").await.unwrap().unwrap().expose_secret(), secret);
    assert_eq!(held("url").await.unwrap().unwrap().expose_secret(), format!("id={}&s={secret}", Uuid::from_u128(2)));
    assert!(held("nothing").await.unwrap().is_none());
    let TargetState::Present(looked) = secrets.look(namespace, "payments-api", None).await.unwrap() else { panic!() };
    assert_eq!((looked.agrees, looked.key_id), (false, carried.key_id));
}

pub async fn what_somebody_scribbled_is_seen_and_taken_back(place: Place) {
    let (secrets, namespace) = (&place.secrets, place.namespace.as_str());
    let wanted = place.wanted(1, json!({"name": "api", "template": {"metadata": {"labels": {"team": "pay"}}}}));
    let mut seen = yes(secrets.write(namespace, &wanted, None).await);
    for scribble in [
        json!({"data": {"AZURE_CLIENT_SECRET": "eA=="}}),
        json!({"data": {"AZURE_TENANT_ID": null}}),
        json!({"data": {"extra": "eA=="}}),
        json!({"metadata": {"labels": {"team": "other"}}}),
        json!({"metadata": {"labels": {"keywright.dev/owner": null}}}),
        json!({"metadata": {"annotations": {"keywright.dev/key-id": "nonsense"}}}),
    ] {
        place.somebody_changes("api", scribble.clone()).await;
        outpaced(&secrets.write(namespace, &wanted, Some(&seen)).await);
        seen = place.carried(&wanted).await;
        assert!(!seen.agrees, "{scribble}");
        seen = yes(secrets.write(namespace, &wanted, Some(&seen)).await);
        assert!(seen.agrees, "{scribble}");
    }
    let keys: Vec<String> = place.others().get("api").await.unwrap().data.unwrap().into_keys().collect();
    assert_eq!(keys, ["AZURE_AUTHORITY_HOST", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"]);
}

pub async fn an_adopted_secret_is_ours_alone(place: Place) {
    let (secrets, namespace) = (&place.secrets, place.namespace.as_str());
    let labels = json!({"argocd.argoproj.io/instance": "payments"});
    place
        .somebody_creates(json!({"metadata": {"name": "old", "labels": labels}, "stringData": {"password": "x"}}))
        .await;
    let wanted = place.wanted(1, json!({"name": "old", "creationPolicy": "Adopt"}));
    let seen = place.carried(&wanted).await;
    assert_eq!((&seen.holder, seen.agrees, &seen.obstacle), (&Holder::Unowned, false, &None));
    let taken = yes(secrets.write(namespace, &wanted, Some(&seen)).await);
    assert!(taken.agrees && taken.holder == Holder::Owned(place.owner()), "{taken:?}");
    let secret = place.others().get("old").await.unwrap();
    assert!(!secret.data.unwrap().contains_key("password"));
    assert!(!secret.metadata.labels.unwrap().contains_key("argocd.argoproj.io/instance"), "or Git would prune it");
    let managers: Vec<_> = secret.metadata.managed_fields.unwrap().into_iter().filter_map(|one| one.manager).collect();
    assert!(managers.contains(&format!("keywright/{}", place.owner())), "{managers:?}");
}

pub async fn what_cannot_be_written_says_so(place: Place) {
    let data = json!({"username": "eA==", "password": "eA=="});
    place
        .somebody_creates(json!({"metadata": {"name": "basic"}, "type": "kubernetes.io/basic-auth", "data": data}))
        .await;
    place.somebody_creates(json!({"metadata": {"name": "stone"}, "immutable": true})).await;
    for (name, policy, reason) in [
        ("basic", "Owner", Some(Reason::SecretTypeDiffers)),
        ("basic", "Adopt", Some(Reason::SecretTypeDiffers)),
        ("basic", "Merge", None),
        ("stone", "Adopt", Some(Reason::SecretImmutable)),
        ("stone", "Merge", Some(Reason::SecretImmutable)),
    ] {
        let wanted = place.wanted(1, json!({"name": name, "creationPolicy": policy}));
        let seen = place.carried(&wanted).await;
        assert_eq!(seen.obstacle.as_ref().map(|trouble| trouble.reason), reason, "{name} {policy}");
        if let Some(obstacle) = &seen.obstacle {
            assert!(obstacle.message.contains(&format!("Secret {}/{name}", place.namespace)), "{obstacle:?}");
            let trouble = place.secrets.write(&place.namespace, &wanted, Some(&seen)).await.unwrap_err();
            assert_eq!((trouble.reason, trouble.effect), (Reason::ClusterRefused, Effect::Refused), "{trouble:?}");
            assert!(!format!("{trouble:?}").contains(VALUE), "{trouble:?}");
        }
    }
}

pub async fn a_secret_that_is_not_the_one_that_was_read_is_not_written(place: Place) {
    let (secrets, namespace) = (&place.secrets, place.namespace.as_str());
    let wanted = place.wanted(1, json!({"name": "api"}));
    let old = yes(secrets.write(namespace, &wanted, None).await);
    place.somebody_deletes("api").await;
    outpaced(&secrets.write(namespace, &wanted, Some(&old)).await);
    assert_eq!(place.seen(&wanted).await.unwrap(), TargetState::Absent, "nothing has brought it back");

    place.somebody_creates(json!({"metadata": {"name": "api"}, "stringData": {"theirs": "x"}})).await;
    outpaced(&secrets.write(namespace, &wanted, Some(&old)).await);
    let seen = place.carried(&wanted).await;
    let restored = keywright::facts::Carried { version: seen.version.clone(), ..old };
    outpaced(&secrets.write(namespace, &wanted, Some(&restored)).await);
    assert_eq!(place.carried(&wanted).await, seen, "nothing was written");
}

pub async fn a_lost_answer_of_a_publication_is_unknown(place: Place) {
    let (secrets, namespace) = (&place.secrets, place.namespace.as_str());
    let wanted = place.wanted(1, json!({"name": "api"}));
    for (verb, rule, effect) in [
        ("create", place.at("create").times(1).answer(503), false),
        ("create", place.at("create").times(1).cut_after(), true),
        ("update", place.at("update").times(1).cut_before(), false),
        ("update", place.at("update").times(1).truncate(10), true),
    ] {
        let wanted = if verb == "create" { &wanted } else { &place.wanted(2, json!({"name": "api"})) };
        let over = if verb == "create" { None } else { Some(place.carried(wanted).await) };
        let (before, _) = (place.sent(verb), place.proxy.faults().add(rule));
        let trouble = secrets.write(namespace, wanted, over.as_ref()).await.unwrap_err();
        assert_eq!((trouble.effect, place.sent(verb) - before), (Effect::Unknown, 1), "{trouble:?}");
        let seen = place.seen(wanted).await.unwrap();
        assert_eq!(matches!(seen, TargetState::Present(carried) if carried.agrees), effect, "{verb}");
    }
    place.proxy.faults().add(place.at("get").times(1).answer(503));
    let trouble = place.seen(&wanted).await.unwrap_err();
    assert_eq!(trouble.reason, Reason::Unreachable);
}
