//! How much goes on at once in a tenant, and what stops it.

use super::*;
use crate::plan::blast::{fared, note_a_stall};

/// A proven successor that is about to be published.
fn about_to_be_published(patch: &Value) -> Observation {
    let mut seen = alone(patch);
    let mut next = record(&seen, 3, ago("1h"));
    next.entry.stage = Stage::Unpublished;
    (next.entry.verified_at, next.entry.published_at, next.entry.proven_at) = (None, None, None);
    seen.records.list.push(next);
    seen.mine.slot = None;
    let marked = credential(&seen, 3);
    shown(&mut seen).push(marked);
    seen.mine.proof = Some(Proof {
        key_id: key(3),
        since: ago("10m"),
        successes: 8,
        first_success_at: Some(ago("9m")),
        last_at: NOW,
        misses: 0,
        last: Verdict::Accepted,
    });
    seen
}

fn begins_publishing(seen: &Observation) -> bool {
    matches!(next(seen), Next::Do(Step::Note { entry, .. }) if entry.stage == Stage::Publishing && entry.sequence == Sequence(3))
}

#[test]
fn a_rotation_needs_a_slot_of_its_tenant_and_tells_that_it_waits_for_one() {
    let mut seen = about_to_be_published(&json!({}));
    assert_eq!(next(&seen), Next::Do(Step::TakeSlot { most: 20 }));
    seen.mine.slot = Some(false);
    waits_for(&seen, Reason::Queued, "one of the 20 rotations");
    seen.mine.slot = Some(true);
    assert!(begins_publishing(&seen), "{:?}", next(&seen));
}

#[test]
fn what_has_waited_for_long_signs_in_once_more_before_it_is_published() {
    let mut seen = about_to_be_published(&json!({}));
    seen.mine.slot = Some(true);
    seen.mine.proof.as_mut().unwrap().last_at = ago("31s");
    let Next::Do(step @ Step::SignIn { .. }) = next(&seen) else { panic!("{:?}", next(&seen)) };
    let mut still_good = seen.clone();
    fold(&mut still_good, &step, Outcome::Verdict(Verdict::Accepted), NOW, NOW);
    assert!(begins_publishing(&still_good), "{:?}", next(&still_good));
    let gone = Trouble::unsent(Service::Token, Reason::CredentialUnknown, "refused".into(), "wait");
    fold(&mut seen, &step, Outcome::Verdict(Verdict::Refused(gone)), NOW, NOW);
    assert!(!begins_publishing(&seen), "{:?}", next(&seen));
}

#[test]
fn what_helps_somebody_who_cannot_sign_in_needs_no_slot_and_no_brake_stops_it() {
    let mut seen = about_to_be_published(&json!({}));
    seen.braked = Some(Braked { since: NOW, failures: 5 });
    waits_for(&seen, Reason::TenantPaused, "kubectl annotate --overwrite etenant");
    seen.records.list[0].entry.kept.as_mut().unwrap().expires_at = Some(NOW);
    assert!(begins_publishing(&seen), "{:?}", next(&seen));
}

#[test]
fn a_tenant_that_has_paused_itself_mints_nothing_and_restarts_nobody() {
    let braked = Some(Braked { since: NOW, failures: 5 });
    let mut due = alone(&json!({"rotation": {"issuedAfter": "2026-11-20T12:00:00Z"}}));
    due.braked = braked;
    assert_eq!(cause(&due), None);
    waits_for(&due, Reason::TenantPaused, "which has paused itself after failures in a row");
    let mut rolling = published(&json!({}));
    (rolling.braked, rolling.mine.slot) = (braked, Some(true));
    waits_for(&rolling, Reason::TenantPaused, "etenant");
}

#[test]
fn what_stalls_has_failed_when_that_was_first_seen_however_often_it_is_looked_at() {
    let mut seen = published(&json!({}));
    let succeeded = entry(&mut seen, 1).proven_at;
    let stalls = Wait { reason: Reason::RolloutStalled, waiting_for: "web".into(), until: None };
    note_a_stall(&mut seen.mine, std::slice::from_ref(&stalls), ago("1h"));
    note_a_stall(&mut seen.mine, &[stalls], NOW);
    assert_eq!(fared(&seen), (Some(ago("1h")), succeeded));
    note_a_stall(&mut seen.mine, &[], NOW);
    assert_eq!(fared(&seen), (None, succeeded), "published is not yet a success");
}

#[test]
fn whoever_waits_for_a_slot_asks_again_by_itself() {
    let mut seen = about_to_be_published(&json!({}));
    seen.mine.slot = Some(false);
    let queued = waits(&seen).into_iter().find(|wait| wait.reason == Reason::Queued).unwrap();
    assert_eq!(queued.until, Some(ahead("5m")));
}

#[test]
fn what_was_under_way_before_is_counted_unless_it_needs_no_leave() {
    let mut seen = published(&json!({}));
    seen.mine.slot = None;
    assert_eq!(next(&seen), Next::Do(Step::TakeSlot { most: usize::MAX }));
    entry(&mut seen, 2).cause = Some(Cause::Compromised);
    assert!(matches!(next(&seen), Next::Do(Step::Roll { .. })), "{:?}", next(&seen));
}
