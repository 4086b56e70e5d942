//! What people and their tools do to certificates beside us (AZURE 1.4): by hand one by one, by a tool the whole list.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::azure::{Lag, Policies, SelfSigned};
use serde_json::Value;

use crate::certificates::{made, new};
use crate::places::{Place, at_once};

/// The names of the certificates that `payments` truly has.
fn names(place: &Place) -> Vec<String> {
    let all = place.azure.certificates(&place.payments).unwrap();
    all.into_iter().filter_map(|one| one.display_name).collect()
}

/// What is seeded is known everywhere, and may have expired; what is added or removed lags, and minds the policies.
#[tokio::test]
async fn what_is_seeded_is_there_of_old() {
    let place = at_once().await;
    let lag = Lag { least: SignedDuration::from_mins(1), most: SignedDuration::from_mins(2) };
    place.azure.set_weather(place.tenant, |weather| weather.reads = lag).unwrap();
    let begin = Timestamp::now() - SignedDuration::from_hours(48);
    let expired = SelfSigned::new("payments", begin, begin + SignedDuration::from_hours(24)).unwrap();
    let seeded = place.azure.seed_certificate(&place.payments, expired.entry("seeded")).unwrap();
    assert!(!seeded.is_valid(Timestamp::now()));
    assert_eq!(place.certificates().await[0]["keyId"], seeded.key_id.to_string());

    assert!(place.azure.add_certificate(&place.payments, expired.entry("added")).is_err());
    place.azure.add_certificate(&place.payments, made().entry("added")).unwrap();
    assert_eq!(names(&place), ["seeded", "added"]);
    assert_eq!(place.certificates().await.len(), 1, "nobody knows of it yet");
    place.azure.remove_certificate(&place.payments, seeded.key_id).unwrap();
    assert_eq!((names(&place), place.certificates().await.len()), (vec!["added".to_owned()], 1));
    assert!(place.azure.remove_certificate(&place.payments, seeded.key_id).is_err(), "it is gone");
    let short = Some(SignedDuration::from_hours(24));
    let policies = Policies { longest_certificate_life: short, ..Policies::default() };
    place.azure.set_policies(place.tenant, policies).unwrap();
    assert!(place.azure.add_certificate(&place.payments, made().entry("long")).is_err());
    place.azure.seed_certificate(&place.payments, made().entry("long")).unwrap();
}

/// A tool that has read before we wrote takes away what we have written; and we what it has, if we do as it does.
#[tokio::test]
async fn a_tool_that_read_before_takes_away_what_was_written_since() {
    let place = at_once().await;
    let there = place.azure.seed_certificate(&place.payments, made().entry("there")).unwrap();
    let draft = place.azure.draft_certificates(&place.payments).unwrap().with(made().entry("theirs"));
    let read = place.certificates().await;
    let ours: Vec<Value> = read.iter().cloned().chain([new(&made(), "ours")]).collect();
    assert_eq!(place.certify(&ours).await.status, 204);
    assert_eq!(names(&place), ["there", "ours"]);
    draft.clone().write().await.unwrap();
    assert_eq!(names(&place), ["there", "theirs"]);
    assert_eq!(place.certify(&ours).await.status, 204);
    assert_eq!(names(&place), ["there", "ours"]);

    let one_less = place.azure.draft_certificates(&place.payments).unwrap().without(there.key_id);
    place.azure.remove_certificate(&place.payments, there.key_id).unwrap();
    let refused = draft.write().await.unwrap_err().to_string();
    assert!(refused.ends_with("Unsound(NoKey)"), "{refused}");
    one_less.write().await.unwrap();
    assert_eq!(names(&place), ["ours"]);
}

/// A pause is between its read and its write; a write that meets another is done again, with the list as it was read.
#[tokio::test]
async fn a_tool_may_think_between_reading_and_writing() {
    let place = at_once().await;
    let window = SignedDuration::from_millis(300);
    place.azure.set_weather(place.tenant, |weather| weather.write_window = window).unwrap();
    let draft = place.azure.draft_certificates(&place.payments).unwrap().with(made().entry("theirs"));
    assert_eq!(place.certify(&[new(&made(), "ours")]).await.status, 204);
    let (began, pause) = (Instant::now(), Duration::from_millis(100));
    draft.write_after(pause).await.unwrap();
    assert!(began.elapsed() >= pause);
    assert_eq!(names(&place), ["theirs"]);
}

/// A tool that runs again and again takes away what came between its read and its write, each time, and keeps one of its
/// own; who writes as it does meanwhile is its victim.
#[tokio::test]
async fn a_rival_keeps_its_own_and_takes_away_ours() {
    let place = at_once().await;
    place.azure.seed_certificate(&place.payments, made().entry("there")).unwrap();
    let (own, mine) = ([made().entry("theirs"), made().entry("theirs")], new(&made(), "ours"));
    let (few, soon) = (Duration::from_millis(50), Duration::from_secs(20));
    let rival = place.azure.rival(&place.payments, own, few);
    rival.runs_again(2, soon).await.unwrap();
    assert_eq!(names(&place), ["there", "theirs"], "one of its own, whenever one looks");
    let mut lost = false;
    for _ in 0..20 {
        let read = place.certificates().await;
        let ours: Vec<Value> = read.iter().cloned().chain([mine.clone()]).collect();
        let written = place.certify(&ours).await.status == 204;
        rival.runs_again(2, soon).await.unwrap();
        lost |= written && !names(&place).contains(&"ours".to_owned());
        if lost {
            break;
        }
    }
    assert!(lost, "it never wrote over what came after its read");
    assert!(names(&place).contains(&"there".to_owned()) && rival.kept().is_some());
}
