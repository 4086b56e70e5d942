//! From a secret to what is federated under the Secret's name: the key stays until its readers have tokens, is taken out,
//! they are restarted once more, and then the secret goes.

use super::{coordinates::id, *};
use crate::{
    facts::{Identity, Maker, Means, PodSeen, Progress, Reading, ScheduleSeen, WorkloadId},
    plan::tests::life::{credential, key, reading, record},
};

/// Somebody comes to a place.
type Comes = fn(&mut Place);

fn publishing() -> Value {
    json!({"publish": {"secret": {}}})
}

/// A place where a secret was published long ago, which a workload reads that asks for a token; what is declared now is
/// federated, and says only where to sign in.
fn place() -> Place {
    let mut place = Place::of(&[api()]);
    place.declare(&[api()], &publishing());
    let published_at = MORNING - SignedDuration::from_hours(48);
    let secret = record(&place.seen, 1, published_at);
    place.seen.records.list.push(secret);
    let credentials = vec![credential(&place.seen, 1)];
    place.application = Some(Application { object_id: ObjectId(uuid::Uuid::nil()), most_secrets: None, credentials });
    place.seen.application = Some(Looked { at: MORNING, found: place.application.clone().unwrap() });
    let there = There { key: Some(key(1)), before: None, since: published_at, ours: true, edited: false };
    place.published.insert(id(), there);
    deploy(&mut place, "web", true);
    reads(&mut place, &[reading()]);
    let pod = place.pods[0].clone();
    place.starts(&pod);
    assert_eq!(place.holding.len(), 1);
    place
}

fn reads(place: &mut Place, reads: &[Reading]) {
    place.workloads[0].reads = reads.to_vec();
    place.pods[0].reads = reads.to_vec();
}

fn has_key(place: &Place) -> bool {
    place.published[&id()].key == Some(key(1))
}

fn secrets(place: &Place) -> usize {
    place.application.as_ref().unwrap().credentials.len()
}

#[test]
fn it_stays_until_its_readers_have_tokens_is_taken_out_and_they_are_restarted_once_more_before_the_secret_goes() {
    let mut place = place();
    place.live("1h");
    assert!(!has_key(&place));
    assert_eq!((place.count("roll"), secrets(&place)), (2, 1), "{:?}", place.done);
    let at = |step: &str| place.done.iter().position(|one| one == step).unwrap();
    assert!(at("annotate") < at("roll") && at("roll") < at("publish"), "{:?}", place.done);
    let last = place.done.iter().rposition(|one| one == "roll").unwrap();
    assert!(at("publish") < last);
    let pod = &place.pods[0];
    assert_eq!(pod.annotations["keywright.dev/payments-api"], format!("without.{}", key(1)));
    assert_eq!((place.ready().0.as_str(), place.holding.get(&pod.name)), ("True", None));
    assert!(place.waits(Reason::Overlapping).contains("the former secret"));
    place.live("48h");
    assert_eq!((secrets(&place), place.count("remove"), place.count("roll"), place.count("publish")), (0, 1, 2, 1));
    assert!(place.seen.records.list.iter().all(|record| record.entry.claims.is_some()), "its record is forgotten");
    place.done.clear();
    place.live("48h");
    assert_eq!(place.done, [""; 0]);
}

#[test]
fn it_stays_while_entra_takes_no_tokens() {
    let mut place = place();
    place.exchange = |_, _| Exchange::Judged(Verdict::Refused(trouble(Reason::CredentialUnknown)));
    place.live("48h");
    assert_eq!((has_key(&place), place.count("roll"), secrets(&place)), (true, 0, 1));
}

#[test]
fn it_stays_while_somebody_reads_it_who_has_no_token() {
    let people: [(&str, Comes); 5] = [
        ("pod/batch-x7 to end", |place| {
            let bare = pod("batch-x7", "default", None);
            place.pods.push(PodSeen { reads: vec![reading()], maker: None, identity: Identity::default(), ..bare });
        }),
        ("deployment/old to ask for a token", |place| {
            deploy(place, "old", false);
            place.workloads[1].reads = vec![reading()];
        }),
        ("deployment/other to ask for a token", |place| {
            deploy(place, "other", true);
            place.workloads[1].reads = vec![reading()];
            place.workloads[1].identity.account = "batch".into();
            place.pods[1].identity.account = "batch".into();
        }),
        ("cronjob/night to ask for a token", |place| {
            let (name, identity) = ("cronjob/night".to_owned(), Identity::default());
            place.schedules.push(ScheduleSeen { name, reads: vec![reading()], identity });
        }),
        ("deployment/copying to be rid of secret/copied", |place| {
            deploy(place, "copying", false);
            place.workloads[1].reads = vec![Reading { secret: "copied".into(), ..reading() }];
        }),
    ];
    for (who, comes) in people {
        let mut place = place();
        let copies = json!({"consumers": {"syncedSecrets": [{"name": "copied", "key": "client-secret"}]}});
        place.declare(&[api()], &merged(&publishing(), &copies));
        comes(&mut place);
        place.live("48h");
        assert_eq!((has_key(&place), secrets(&place)), (true, 1), "{who}");
        let told = place.waits(Reason::StillInUse);
        assert!(
            told.contains(who) && told.contains("before the former key is taken out of secret/payments-api"),
            "{told}"
        );
        assert_eq!(place.ready().0, "True", "{who}");
        place.workloads.truncate(1);
        place.pods.retain(|pod| matches!(&pod.maker, Some(Maker::Workload(id)) if id.name == "web"));
        place.schedules.clear();
        place.live("72h");
        assert_eq!((has_key(&place), secrets(&place)), (false, 0), "{who}");
    }
}

#[test]
fn nobody_is_restarted_who_could_not_start_without_it() {
    for by in [Means::Start, Means::File] {
        let mut place = place();
        let needy = Reading { key: Some("AZURE_CLIENT_SECRET".into()), needs_it: true, by, ..reading() };
        let public = Reading { key: Some("AZURE_CLIENT_ID".into()), needs_it: true, ..reading() };
        reads(&mut place, &[public.clone(), needy.clone()]);
        place.live("48h");
        assert_eq!((has_key(&place), place.count("roll"), secrets(&place)), (true, 1, 1));
        let told = place.waits(Reason::StillInUse);
        assert!(told.contains("deployment/web to be rid of key AZURE_CLIENT_SECRET"), "{told}");
        // Git says that it is optional.
        reads(&mut place, &[public.clone(), Reading { needs_it: false, ..needy.clone() }]);
        place.live("1h");
        assert_eq!((has_key(&place), place.count("roll")), (false, 2));
        // And that it is not.
        reads(&mut place, &[public, needy]);
        place.seen.records.list[0].entry.proven_at = None;
        place.workloads[0].annotations.clear();
        place.pods[0].started_at = Some(MORNING);
        place.pods[0].annotations.clear();
        place.live("1h");
        assert_eq!(place.count("roll"), 2, "it would not start");
        place.waits(Reason::StillInUse);
    }
}

#[test]
fn a_key_that_a_template_makes_stays_and_may_be_needed() {
    let mut place = place();
    let template = json!({"data": {"appsettings.json": "{{ clientId }}"}});
    place.declare(&[api()], &json!({"publish": {"secret": {"template": template}}}));
    reads(&mut place, &[Reading { key: Some("appsettings.json".into()), needs_it: true, ..reading() }]);
    place.live("48h");
    assert!(!has_key(&place));
}

#[test]
fn a_secret_that_somebody_deletes_or_edits_meanwhile_is_written_again_with_the_key() {
    let mut place = place();
    // Its federated credential is used unproven.
    place.exchange = |_, _| Exchange::NotAllowed(trouble(Reason::TokenNotAllowed));
    place.live("1h");
    assert!(has_key(&place), "what takes its place is not known to work");
    place.published.clear();
    place.seen.targets.clear();
    place.live("1m");
    assert!(has_key(&place));
    place.edit(&id(), |there| there.edited = true);
    place.live("1m");
    assert!(has_key(&place) && !place.published[&id()].edited);
    assert_eq!(place.count("publish"), 2);
}

#[test]
fn one_that_is_forged_is_not_written_for_it() {
    let mut place = place();
    place.application.as_mut().unwrap().credentials.clear();
    place.seen.application = None;
    place.published.clear();
    place.exchange = |_, _| Exchange::NotAllowed(trouble(Reason::TokenNotAllowed));
    place.seen.records.list[0].created_at = place.now;
    place.live("1m");
    assert!(place.published.is_empty());
}

#[test]
fn one_that_is_declared_again_after_it_was_taken_out_is_there_again_and_its_readers_are_restarted() {
    let mut place = place();
    place.live("1h");
    assert_eq!((has_key(&place), place.count("roll"), secrets(&place)), (false, 2, 1));
    let retired = place.seen.records.list[0].entry.retired_at;
    assert!(retired.is_some());
    // Before anything is retired.
    place.seen.records.list[0].entry.retired_at = None;
    place.seen.resource = world().seen().resource;
    place.live("1h");
    assert!(has_key(&place));
    assert_eq!(place.seen.records.list[0].entry.taken_out_at, None);
    assert_eq!((place.count("roll"), place.ready().0.as_str()), (3, "True"));
    assert_eq!(place.holding.get(&place.pods[0].name), Some(&key(1)));
    assert_eq!(place.count("mint"), 0);
}

#[test]
fn one_that_somebody_puts_back_is_taken_out_again_and_its_readers_are_restarted_before_the_secret_goes() {
    let mut place = place();
    place.live("1h");
    assert_eq!((place.count("roll"), place.count("publish")), (2, 1));
    place.edit(&id(), |there| there.key = Some(key(1)));
    let late = PodSeen {
        reads: vec![reading()],
        created_at: place.now,
        started_at: Some(place.now),
        maker: place.pods[0].maker.clone(),
        ..pod("late", "api", Some(CLIENT))
    };
    place.starts(&late);
    place.pods.push(late);
    place.live("1h");
    assert_eq!((has_key(&place), place.count("roll"), secrets(&place)), (false, 3, 1));
    place.live("48h");
    assert_eq!(secrets(&place), 0);
}

#[test]
fn under_another_name_the_former_secret_stays_as_it_is_and_its_readers_are_left_alone() {
    let mut place = place();
    place.declare(&[api()], &json!({"publish": {"secret": {"name": "payments-where"}}}));
    place.live("48h");
    let where_to = TargetId::Secret("payments-where".into());
    assert_eq!((has_key(&place), place.published[&where_to].key, place.count("roll")), (true, None, 0));
    assert!(place.waits(Reason::StillInUse).contains("rid of secret/payments-api"));
}

#[test]
fn one_that_is_compromised_is_taken_out_first_if_there_is_time_for_it() {
    let mut place = place();
    let named = json!({"retirement": {"compromisedKeyIds": [key(1)]}});
    place.declare(&[api()], &merged(&publishing(), &named));
    let TenantSeen::Present(tenant) = &mut place.seen.tenant else { panic!("there is a tenant") };
    Arc::make_mut(tenant).grants[0].allow = serde_json::from_value(json!(["RevokeCompromised"])).unwrap();
    place.live("1h");
    assert_eq!((has_key(&place), place.count("roll"), secrets(&place)), (false, 2, 0));
}

#[test]
fn whoever_is_told_by_the_secret_itself_as_what_to_sign_in_has_what_it_needs() {
    let mut place = place();
    // Nobody writes over a variable that its author has set.
    place.gives_tokens = false;
    place.pods[0].identity.signs_in_as = Some("secret/payments-api".into());
    place.live("20m");
    assert_eq!((has_key(&place), place.count("roll")), (false, 1));
}

#[test]
fn a_workload_that_sleeps_and_asks_for_a_token_is_in_nobody_s_way() {
    let mut place = place();
    deploy(&mut place, "asleep", true);
    place.workloads[1].reads = vec![reading()];
    place.workloads[1].progress = Progress { observed: true, ..Progress::default() };
    place.pods.retain(|pod| pod.name != "asleep-1");
    place.live("72h");
    assert_eq!((has_key(&place), secrets(&place)), (false, 0));
    assert_eq!(place.workloads[1].id, WorkloadId { name: "asleep".into(), ..place.workloads[0].id.clone() });
}
