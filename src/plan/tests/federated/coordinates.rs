//! A federated resource that publishes a Secret which says where to sign in, and as what.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::{
    facts::{Claims, Reading},
    plan::tests::life::{credential, key, reading},
};

pub(super) fn id() -> TargetId {
    TargetId::Secret("payments-api".into())
}

fn publishing(patch: &Value) -> Value {
    json!({"publish": {"secret": patch}})
}

/// A place where one identity is accepted and told, and published.
fn published(patch: &Value) -> Place {
    let mut place = Place::of(&[api()]);
    place.declare(&[api()], &publishing(patch));
    place.live("5m");
    assert_eq!(place.published.get(&id()).map(|there| (there.key, there.ours)), Some((None, true)));
    assert_eq!(place.ready().0, "True", "{:?}", place.ready());
    place.done.clear();
    place
}

#[test]
fn it_says_where_to_sign_in_when_that_is_accepted_and_then_nothing_is_done_any_more() {
    let mut place = Place::of(&[api()]);
    place.declare(&[api()], &publishing(&json!({})));
    place.exchange = |place, claims| {
        assert!(place.published.is_empty(), "whoever waits for it would sign in too early");
        honest(place, claims)
    };
    place.live("5m");
    assert_eq!(place.count("publish"), 1);
    let (status, _, message) = place.ready();
    assert!(status == "True" && message.contains("secret/payments-api says where to sign in"), "{message}");
    let told = place.told().targets;
    assert_eq!((told.len(), told[0].problem.clone(), told[0].sequence), (1, None, None));
    place.done.clear();
    place.live("24h");
    assert_eq!(place.done, [""; 0], "nothing is written at rest");
}

#[test]
fn it_is_as_it_was_as_soon_as_somebody_has_edited_or_deleted_it() {
    let mut place = published(&json!({}));
    place.edit(&id(), |there| there.edited = true);
    place.live("1s");
    assert_eq!(place.done, ["publish"]);
    place.seen.targets.clear();
    place.published.clear();
    place.live("1s");
    assert_eq!((place.done.as_slice(), place.published.len()), (&["publish", "publish"].map(str::to_owned)[..], 1));
}

#[test]
fn one_of_somebody_else_s_is_not_written_over_and_holds_back_nobody() {
    let mut place = Place::of(&[api()]);
    let theirs = There { key: None, before: None, since: MORNING, ours: false, edited: false };
    place.published.insert(id(), theirs);
    deploy(&mut place, "web", true);
    place.declare(&[api()], &publishing(&json!({})));
    place.live("1h");
    assert_eq!((place.count("publish"), place.count("roll")), (0, 1));
    let (status, reason, message) = place.ready();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "SecretNotOurs"), "{message}");
    place.declare(&[api()], &publishing(&json!({"creationPolicy": "Adopt"})));
    place.live("1h");
    assert_eq!((place.count("publish"), place.ready().0.as_str()), (1, "True"));
}

#[test]
fn it_is_first_written_when_every_identity_is_accepted_but_repaired_whatever_comes_beside() {
    let late = json!({"name": "late", "serviceAccount": {"name": "late"}});
    let mut place = Place::of(&[api()]);
    place.declare(&[api(), late.clone()], &publishing(&json!({})));
    let knows_it_not: fn(&Place, &Claims) -> Exchange = |place, claims| {
        let late = Exchange::Judged(Verdict::Refused(trouble(Reason::CredentialUnknown)));
        if claims.subject.ends_with(":late") { late } else { honest(place, claims) }
    };
    place.exchange = knows_it_not;
    place.live("1h");
    assert!(place.published.is_empty(), "its pods would start and be refused");
    assert_eq!(place.accounts["api"].client_id.as_deref(), Some(CLIENT), "the others do not wait");
    place.exchange = honest;
    let told = AccountSeen { uid: "late".into(), client_id: None, tenant_id: None, managed_by_us: false };
    place.accounts.insert("late".into(), told);
    place.live("1h");
    assert_eq!(place.published.len(), 1);
    let mut place = published(&json!({}));
    place.declare(&[api(), late], &publishing(&json!({})));
    place.exchange = knows_it_not;
    place.live("1h");
    place.published.clear();
    place.seen.targets.clear();
    place.live("1s");
    assert_eq!(place.published.len(), 1);
}

#[test]
fn whoever_reads_it_is_restarted_for_its_token_as_anybody_else() {
    let mut place = Place::of(&[api()]);
    place.declare(&[api()], &publishing(&json!({})));
    deploy(&mut place, "web", true);
    place.workloads[0].reads = vec![reading()];
    place.pods[0].reads = vec![reading()];
    place.live("1h");
    assert_eq!(place.count("roll"), 1);
    assert_eq!(place.told().consumers.map(|told| (told.total, told.updated)), Some((1, 1)));
}

#[test]
fn a_key_of_ours_that_no_record_knows_is_not_written_over_while_it_may_be_in_use() {
    for is_there in [true, false] {
        let mut place = Place::of(&[api()]);
        place.declare(&[api()], &publishing(&json!({})));
        let credentials = is_there.then(|| credential(&place.seen, 9)).into_iter().collect();
        place.application =
            Some(Application { object_id: ObjectId(uuid::Uuid::nil()), most_secrets: None, credentials });
        let carried = There { key: Some(key(9)), before: None, since: MORNING, ours: true, edited: false };
        place.published.insert(id(), carried);
        place.live("1h");
        assert_eq!(place.published[&id()].key.is_some(), is_there);
        let (status, reason, _) = place.ready();
        assert_eq!(status == "True", !is_there, "{reason}");
        if is_there {
            place.waits(Reason::SplitBrain);
        }
    }
}

#[test]
fn a_template_that_needs_the_secret_is_refused_and_says_why() {
    let asking = |patch: &Value| {
        let identities = json!({"clientSecret": null, "federated": {"identities": [api()]}});
        world().asking(&identities).asking(patch)
    };
    let template = |text: &str| publishing(&json!({"template": {"data": {"app.json": text}}}));
    let words = ["data[app.json]", "clientId, tenantId, authorityHost", "A federated resource has no secret"];
    refused(&asking(&template("{{ clientSecret }}")), Reason::InvalidTemplate, &words);
    refused(&asking(&template("{{ keyId }}")), Reason::InvalidTemplate, &words);
    admitted(&asking(&template("{{ clientId }} {{ tenantId }} {{ authorityHost | json }}")));
    let vault = json!({"publish": {"secret": {}, "keyVaults": [{"vaultUrl": VAULT, "name": "payments-api"}]}});
    refused(&asking(&vault), Reason::InvalidPolicy, &["spec.publish.keyVaults", "has none"]);
}

#[test]
fn its_name_has_to_be_granted_like_any_other() {
    let asking =
        json!({"clientSecret": null, "federated": {"identities": [api()]}, "publish": {"secret": {"name": "x"}}});
    refused(&world().asking(&asking), Reason::SecretNameNotGranted, &["payments-*"]);
}

#[test]
fn it_goes_with_the_resource_if_that_says_so_whatever_becomes_of_what_is_accepted() {
    for (patch, left) in [(json!({}), 1), (json!({"deletionPolicy": "Revoke"}), 0)] {
        let mut place = Place::of(&[api()]);
        place.declare(&[api()], &publishing(&json!({"deletionPolicy": "Delete"})));
        let asked = merged(&publishing(&json!({"deletionPolicy": "Delete"})), &patch);
        place.declare(&[api()], &asked);
        place.live("5m");
        assert!(place.is_detained());
        Arc::make_mut(&mut place.seen.resource).metadata.deletion_timestamp = Some(Time(place.now));
        place.live("1h");
        assert_eq!((place.published.len(), place.accepts.len(), place.is_detained()), (0, left, false), "{patch}");
    }
}

#[test]
fn with_its_credentials_it_goes_when_nobody_reads_it_any_more() {
    let mut place = Place::of(&[api()]);
    let asked = json!({"deletionPolicy": "Revoke", "publish": {"secret": {"deletionPolicy": "Delete"}}});
    place.declare(&[api()], &asked);
    deploy(&mut place, "web", true);
    let public = Reading { key: Some("AZURE_CLIENT_ID".into()), needs_it: true, ..reading() };
    place.workloads[0].reads = vec![public];
    place.live("1h");
    Arc::make_mut(&mut place.seen.resource).metadata.deletion_timestamp = Some(Time(place.now));
    place.live("1h");
    assert_eq!((place.published.len(), place.accepts.len()), (1, 1));
    assert!(place.waits(Reason::StillInUse).contains("deployment/web"));
    place.workloads.clear();
    place.pods.clear();
    place.live("1h");
    assert_eq!((place.published.len(), place.accepts.len(), place.is_detained()), (0, 0, false));
}
