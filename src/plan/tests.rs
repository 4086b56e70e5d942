//! The rules of this room, each as a sentence.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Decision, Moment, Next, Step, Timing, fixtures::*, plan, report, tenant};
use crate::{
    api::{ClientId, EntraAppCredentialStatus, KeyId, Reason, TenantId, conditions::READY, grant::CredentialKind},
    facts::{
        Application, Attempt, Care, Credential, Entry, Fate, Kept, Looked, Mark, Nonce, ObjectId, Observation,
        OwnAttempt, Proof, Record, Records, Sequence, Service, Stage, TargetId, TargetState, TenantObservation,
        TenantSeen, Trouble, Verdict,
    },
};

mod certificates;
mod endings;
mod federated;
mod leftovers;
mod life;
mod tenants;

const MORNING: Timestamp = Timestamp::constant(1_795_248_000, 0);

fn moment(now: Timestamp) -> Moment {
    Moment { now, chance: Nonce::of([1; 10]) }
}

fn decided(seen: &Observation) -> Decision {
    plan(seen, &Timing::REAL, &moment(MORNING))
}

fn told(seen: &Observation, now: Timestamp) -> report::Report<EntraAppCredentialStatus> {
    report::report(seen, &plan(seen, &Timing::REAL, &moment(now)), &Timing::REAL, &moment(now))
}

fn reason(seen: &Observation) -> Option<Reason> {
    decided(seen).refusal.map(|refusal| refusal.reason)
}

#[track_caller]
fn refused(world: &World, expected: Reason, words: &[&str]) {
    let refusal = decided(&world.seen()).refusal.expect("a refusal");
    assert_eq!(refusal.reason, expected, "{}", refusal.message);
    for word in words {
        assert!(refusal.message.contains(word), "{word:?} is missing in: {}", refusal.message);
    }
}

/// Not refused: granted, and with a policy that makes sense.
#[track_caller]
fn admitted(world: &World) {
    let refusal = decided(&world.seen()).refusal;
    assert!(refusal.is_none(), "{refusal:?}");
}

#[test]
fn what_is_granted_and_makes_sense_begins_with_a_look_at_the_application() {
    assert_eq!(decided(&world().seen()).next, Next::Do(Step::ReadApplication));
}

#[test]
fn a_template_that_cannot_be_read_is_told_before_anything_is_minted() {
    let secret = json!({"template": {"data": {"app.json": "{{ clientSecrte }}"}}});
    refused(
        &world().asking(&json!({"publish": {"secret": secret}})),
        Reason::InvalidTemplate,
        &["data[app.json]", "clientSecret"],
    );
    let vault = json!({"vaultUrl": VAULT, "name": "payments-api", "template": "{{ clientSecret | rot13 }}"});
    let publish = json!({"publish": {"secret": {}, "keyVaults": [vault]}});
    refused(&world().asking(&publish), Reason::InvalidTemplate, &["keyVaults[payments-api]", "rot13"]);
}

#[test]
fn a_spec_from_another_version_is_not_guessed_at() {
    refused(&world().asking(&json!({"deletionPolicy": "Archive"})), Reason::SpecUndecodable, &["Archive", "Update"]);
    refused(&world().asking(&json!({"clientSecret": null})), Reason::SpecUndecodable, &["exactly one of"]);
    refused(&world().asking(&json!({"certificate": {}})), Reason::SpecUndecodable, &["exactly one of"]);
}

#[test]
fn a_missing_tenant_is_named() {
    let mut seen = world().seen();
    seen.tenant = TenantSeen::Missing;
    assert_eq!(reason(&seen), Some(Reason::TenantNotFound));
    assert!(decided(&seen).refusal.unwrap().message.starts_with("There is no EntraTenant default."));
}

#[test]
fn a_tenant_from_another_version_is_not_guessed_at() {
    let mut seen = world().seen();
    seen.tenant = TenantSeen::Undecodable("unknown variant `Moon`".into());
    assert_eq!(reason(&seen), Some(Reason::TenantUndecodable));
}

#[test]
fn the_first_thing_that_no_grant_allows_is_the_reason() {
    let other_namespace = json!({"namespaces": {"names": ["billing"]}});
    refused(&world().grant(&other_namespace), Reason::NamespaceNotGranted, &["namespaces.names: [payments]", CLIENT]);
    refused(
        &world().tenant(&json!({"grants": null})),
        Reason::NamespaceNotGranted,
        &["No grant of EntraTenant default"],
    );
    refused(&world().grant(&json!({"clientIds": [OTHER]})), Reason::ApplicationNotGranted, &["Grant payments", CLIENT]);
    refused(&world().grant(&json!({"kinds": ["Federated"]})), Reason::KindNotGranted, &["ClientSecret", "Federated"]);
    refused(
        &world().grant(&json!({"secretNames": ["other-*"]})),
        Reason::SecretNameNotGranted,
        &["payments-api", "other-*"],
    );
}

#[test]
fn one_grant_must_allow_everything() {
    let half = |name: &str, clients: &str, kind: &str| json!({"name": name, "namespaces": {"names": ["payments"]}, "clientIds": [clients], "kinds": [kind]});
    let halves = world().tenant(&json!({"grants": [half("a", CLIENT, "Federated"), half("b", OTHER, "ClientSecret")]}));
    refused(&halves, Reason::KindNotGranted, &["Grant a"]);
    let whole =
        world().tenant(&json!({"grants": [half("a", OTHER, "ClientSecret"), half("b", CLIENT, "ClientSecret")]}));
    admitted(&whole);
}

#[test]
fn a_selector_is_read_as_everywhere_in_kubernetes() {
    let selecting = |selector| world().grant(&json!({"namespaces": {"names": null, "selector": selector}}));
    let by_team = selecting(json!({"matchLabels": {"team": "pay"}}));
    admitted(&by_team.clone().labelled("team", "pay"));
    refused(&by_team.clone().labelled("team", "bill"), Reason::NamespaceNotGranted, &[]);
    refused(&by_team, Reason::NamespaceNotGranted, &[]);

    for (operator, values, with_pay, without) in [
        ("In", json!(["pay"]), true, false),
        ("NotIn", json!(["pay"]), false, true),
        ("Exists", json!([]), true, false),
        ("DoesNotExist", json!([]), false, true),
    ] {
        let tested = selecting(json!({"matchExpressions": [{"key": "team", "operator": operator, "values": values}]}));
        let passes = |world: &World| reason(&world.seen()).is_none();
        assert_eq!(passes(&tested.clone().labelled("team", "pay")), with_pay, "{operator}, labelled");
        assert_eq!(passes(&tested), without, "{operator}, unlabelled");
    }
}

#[test]
fn an_empty_selector_selects_nothing() {
    refused(&world().grant(&json!({"namespaces": {"names": null, "selector": {}}})), Reason::NamespaceNotGranted, &[]);
}

#[test]
fn every_vault_entry_must_be_granted_also_one_that_is_only_read() {
    let publishing =
        |url: &str, name: &str| world().asking(&json!({"publish": {"keyVaults": [{"vaultUrl": url, "name": name}]}}));
    admitted(&publishing(VAULT, "payments-api"));
    refused(&publishing(VAULT, "billing-api"), Reason::VaultNotGranted, &["billing-api", VAULT]);
    refused(&publishing("https://kv-other.vault.azure.net", "payments-api"), Reason::VaultNotGranted, &["kv-other"]);
    let whole_vault = json!({"keyVaults": [{"url": VAULT}]});
    admitted(&publishing(VAULT, "billing-api").grant(&whole_vault));
    let reading = json!({"adopt": {"keyId": OTHER, "valueFrom": {"keyVaultRef": {"vaultUrl": VAULT, "name": "old"}}}});
    refused(&world().asking(&reading), Reason::VaultNotGranted, &["entry old"]);
}

#[test]
fn outside_issuers_need_a_grant_and_service_accounts_do_not() {
    let federated = |identity| world().asking(&json!({"clientSecret": null, "federated": {"identities": [identity]}}));
    admitted(&federated(json!({"name": "api", "serviceAccount": {"name": "payments-api"}})));
    let issuer = "https://token.actions.githubusercontent.com";
    let github = federated(json!({"name": "github", "external": {"issuer": issuer, "subject": "repo:contoso/pay:x"}}));
    refused(&github, Reason::IssuerNotGranted, &[issuer, "repo:contoso/pay:x"]);
    let granting = |subject| json!({"federation": {"externalIssuers": [issuer], "externalSubjects": [subject]}});
    admitted(&github.clone().grant(&granting("repo:contoso/*")));
    refused(&github.clone().grant(&granting("repo:fabrikam/*")), Reason::IssuerNotGranted, &[]);
    let slash =
        json!({"federation": {"externalIssuers": [format!("{issuer}/")], "externalSubjects": ["repo:contoso/*"]}});
    refused(&github.grant(&slash), Reason::IssuerNotGranted, &[]);
}

#[test]
fn removing_what_others_made_needs_its_own_allowance() {
    for (field, allowance) in [("foreignKeyIds", "RetireForeign"), ("compromisedKeyIds", "RevokeCompromised")] {
        let asking = world().asking(&json!({"retirement": {field: [OTHER]}}));
        refused(&asking, Reason::RetirementNotGranted, &[field, allowance]);
        admitted(&asking.grant(&json!({"allow": [allowance]})));
    }
}

#[test]
fn the_operators_own_application_is_never_a_target() {
    let secret = json!({"identity": {"clientSecret": {"clientId": CLIENT, "secretRef": {"name": "own"}}}});
    refused(&world().tenant(&secret), Reason::OwnApplication, &[CLIENT]);
    let named = json!({"identity": {"workloadIdentity": {"clientId": CLIENT}}});
    refused(&world().tenant(&named), Reason::OwnApplication, &[]);
    let ambient = World { ambient: Some(CLIENT), ..world() };
    refused(&ambient, Reason::OwnApplication, &[]);
    let both = ambient.tenant(&json!({"identity": {"workloadIdentity": {"clientId": OTHER}}}));
    refused(&both, Reason::OwnApplication, &[]); // another tenant may be served by the surroundings
    admitted(&world().tenant(&json!({"identity": {"workloadIdentity": {"clientId": OTHER}}})));
}

#[test]
fn a_federated_resource_without_publish_needs_no_secret_name() {
    let federated =
        json!({"clientSecret": null, "federated": {"identities": [{"name": "a", "serviceAccount": {"name": "a"}}]}});
    admitted(&world().asking(&federated).grant(&json!({"secretNames": ["other"]})));
}

#[test]
fn values_come_from_the_resource_then_the_tenant_then_are_built_in() {
    let effective = |world: World| decided(&world.seen()).effective.unwrap();
    let built_in = effective(world());
    assert_eq!(
        serde_json::to_value(&built_in).unwrap(),
        json!({
            "validity": "90d", "renewBefore": "30d", "minOverlap": "1d", "secretName": "payments-api",
            "verification": {
                "consecutiveSuccesses": 8, "interval": "5s", "timeout": "15m", "minAge": "5m",
                "scope": "https://graph.microsoft.com/.default",
            },
            "rollout": {"strategy": "Rolling", "maxConcurrent": 5, "timeout": "30m"},
        })
    );
    let defaults = json!({"defaults": {
        "validity": "60d", "renewBefore": "10d", "minOverlap": "12h", "rollout": {"maxConcurrent": 2},
        "windows": [{"schedule": "0 2 * * *", "duration": "3h"}],
    }});
    let tenant = effective(world().tenant(&defaults));
    assert_eq!((tenant.validity, tenant.renew_before), ("60d".parse().ok(), "10d".parse().ok()));
    assert_eq!((tenant.rollout.max_concurrent, tenant.windows.len()), (2, 1));
    let own = json!({
        "clientSecret": {"validity": "40d"}, "rotation": {"renewBefore": "20d"}, "retirement": {"minOverlap": "1h"},
        "consumers": {"rollout": {"maxConcurrent": 9}}, "publish": {"secret": {"name": "payments-2"}},
    });
    let resource = effective(world().tenant(&defaults).asking(&own));
    assert_eq!((resource.validity, resource.renew_before), ("40d".parse().ok(), "20d".parse().ok()));
    assert_eq!((resource.min_overlap, resource.rollout.max_concurrent), ("1h".parse().unwrap(), 9));
    assert_eq!(resource.secret_name.as_deref(), Some("payments-2"));
}

#[test]
fn what_somebody_else_renews_has_no_validity_of_ours() {
    let given = json!({"clientSecret": null, "certificate": {"secretRef": {"name": "payments-tls"}}});
    let effective = decided(&world().asking(&given).seen()).effective.unwrap();
    assert_eq!((effective.validity, effective.renew_before), (None, None));
}

#[test]
fn values_that_make_no_sense_together_name_where_each_came_from() {
    let asking = |patch| world().asking(&patch);
    refused(
        &asking(json!({"clientSecret": {"validity": "365d"}})),
        Reason::InvalidPolicy,
        &["spec.clientSecret.validity (365d)", "spec.limits.maxValidity, 180d"],
    );
    refused(
        &asking(json!({"clientSecret": {"validity": "36h"}})),
        Reason::InvalidPolicy,
        &["minOverlap (1d, which is built in)", "a third of the validity (12h"],
    );
    refused(
        &asking(json!({"clientSecret": {"validity": "20d"}})).tenant(&json!({"defaults": {"renewBefore": "30d"}})),
        Reason::InvalidPolicy,
        &["EntraTenant's spec.defaults.renewBefore (30d)", "spec.clientSecret.validity (20d)"],
    );
    refused(
        &asking(json!({"verification": {"consecutiveSuccesses": 50, "interval": "1m"}})),
        Reason::InvalidPolicy,
        &["50 sign-ins, one every 1m", "15m"],
    );
    refused(&asking(json!({"consumers": {"rollout": {"timeout": "0s"}}})), Reason::InvalidPolicy, &["30m"]);
}

#[test]
fn a_refusal_is_a_condition_that_waits_for_a_person_and_one_event() {
    let lonely = world().tenant(&json!({"grants": null}));
    let seen = lonely.seen();
    let first = told(&seen, MORNING);
    let said: Vec<_> = first
        .status
        .conditions
        .iter()
        .map(|one| (one.type_.as_str(), one.status.as_str(), one.reason.as_str()))
        .collect();
    assert_eq!(said, [("Ready", "False", "NamespaceNotGranted"), ("Stalled", "True", "NamespaceNotGranted")]);
    assert_eq!(first.status.observed_generation, Some(7));
    assert_eq!(first.events[0].reason, Reason::NamespaceNotGranted);

    let again = World { status: serde_json::to_value(&first.status).unwrap(), ..lonely }.seen();
    let second = told(&again, "2026-11-21T12:00:00Z".parse().unwrap());
    assert_eq!(second.status, first.status, "the same is not written again");
    assert_eq!(second.events, [], "nor announced again");
}

#[test]
fn a_wiped_status_is_written_again_as_it_was() {
    let seen = world().seen();
    assert_eq!(told(&seen, MORNING), told(&seen, MORNING));
}

/// A record that says it is published, and a proof that its value signs in; nothing is at its target.
fn published(display_name: &str) -> Observation {
    let mut seen = world().seen();
    let key_id = KeyId(uuid::Uuid::from_u128(7));
    let first = Attempt { nonce: Nonce::of([2; 10]), holder: "another".into(), at: MORNING };
    let long_ago = MORNING - Timing::REAL.late_mint;
    let entry = Entry {
        kept: Some(Kept { key_id, issued_at: long_ago, expires_at: None, thumbprint: None }),
        stage: Stage::Publishing,
        published_to: vec![TargetId::Secret("payments-api".into())],
        verified_at: Some(MORNING),
        ..Entry::opened(
            seen.owner.clone(),
            "payments-api",
            (TenantId(OTHER.parse().unwrap()), ClientId(CLIENT.parse().unwrap()), CredentialKind::ClientSecret),
            Sequence(1),
            first,
        )
    };
    let record =
        Record { uid: "u".into(), version: "1".into(), created_at: long_ago, finalized: false, deleting: false, entry };
    seen.records = Records { list: vec![record], forged: vec![], listed_at: Some(MORNING) };
    let absent = Looked { at: MORNING, found: TargetState::Absent };
    seen.targets.insert(TargetId::Secret("payments-api".into()), absent);
    let credential = Credential {
        key_id,
        kind: CredentialKind::ClientSecret,
        display_name: Some(display_name.to_owned()),
        hint: None,
        start: None,
        end: None,
    };
    let object_id = ObjectId(uuid::Uuid::nil());
    let found = Application { object_id, most_secrets: None, credentials: vec![credential] };
    seen.application = Some(Looked { at: MORNING, found });
    seen.mine.proof = Some(Proof {
        key_id,
        since: long_ago,
        successes: 8,
        first_success_at: Some(long_ago),
        last_at: MORNING,
        misses: 0,
        last: Verdict::Accepted,
    });
    seen
}

#[test]
fn a_record_is_believed_with_our_mark_in_entra() {
    let mark = Mark { owner: world().seen().owner, sequence: Sequence(1), nonce: Nonce::of([2; 10]) };
    let next = decided(&published(&mark.display_name("payments", "payments-api"))).next;
    assert!(matches!(next, Next::Do(Step::Publish { .. })), "{next:?}");
}

#[test]
fn a_record_with_a_value_that_signs_in_but_without_our_mark_is_published_nowhere() {
    let seen = published("made by hand");
    let Next::Wait(waits) = decided(&seen).next else { panic!("something is done: {:?}", decided(&seen).next) };
    assert_eq!(waits[0].reason, Reason::RecordForged, "{waits:?}");
    let fenced = Mark { owner: seen.owner.clone(), sequence: Sequence(1), nonce: Nonce::of([3; 10]) };
    let next = decided(&published(&fenced.to_string())).next;
    assert!(!matches!(next, Next::Do(Step::Publish { .. })), "an attempt that the record does not know: {next:?}");
}

#[test]
fn a_credential_whose_record_somebody_deletes_is_given_up_before_it_is_published() {
    let mark = Mark { owner: world().seen().owner, sequence: Sequence(1), nonce: Nonce::of([2; 10]) };
    let mut seen = published(&mark.to_string());
    let record = &mut seen.records.list[0];
    (record.deleting, record.finalized, record.entry.stage) = (true, true, Stage::Unpublished);
    let next = decided(&seen).next;
    let Next::Do(Step::Note { entry, finalized, .. }) = next else { panic!("{next:?}") };
    assert_eq!((entry.stage, finalized), (Stage::Abandoned, true), "the evidence stays");
}

#[test]
fn an_application_that_was_read_before_a_mint_says_nothing_of_it() {
    let mut seen = published("made by hand");
    seen.records.list.clear();
    let own = OwnAttempt { sequence: Sequence(1), nonce: Nonce::of([2; 10]), begun_at: MORNING, fate: Fate::Kept };
    seen.mine.attempts.push(own);
    assert!(matches!(decided(&seen).next, Next::Do(Step::Open { .. })));
    seen.mine.attempts[0].begun_at = MORNING + SignedDuration::from_secs(1);
    assert_eq!(decided(&seen).next, Next::Do(Step::ReadApplication));
}
