//! What is due, and when.

use super::*;

#[test]
fn nothing_is_due_before_its_time() {
    let mut seen = alone(&json!({}));
    assert_eq!(cause(&seen), None);
    expires(&mut seen, ahead("744h")); // 31 days
    assert_eq!(cause(&seen), None);
    let due = |wait: &Wait| wait.until.filter(|_| wait.waiting_for == "the next rotation to be due");
    let until = waits(&seen).iter().find_map(due).unwrap();
    assert!(
        until >= ahead("24h") && until <= ahead("96h"),
        "30 days before the end, or up to a tenth of it later: {until}"
    );
}

#[test]
fn each_cause_is_found_and_the_first_is_told() {
    let mut seen = alone(&json!({}));
    expires(&mut seen, ahead("640h"));
    assert_eq!(cause(&seen), Some(Cause::Renewal));
    expires(&mut seen, ahead("20h"));
    assert_eq!(cause(&seen), Some(Cause::ShortLife));
    expires(&mut seen, NOW);
    assert_eq!(cause(&seen), Some(Cause::Expired));
    let demanded = json!({"rotation": {"issuedAfter": "2026-11-20T12:00:00Z"}});
    let mut seen = alone(&demanded);
    assert_eq!(cause(&seen), Some(Cause::IssuedAfter));
    expires(&mut seen, NOW);
    assert_eq!(cause(&seen), Some(Cause::IssuedAfter));
    let named = json!({"retirement": {"compromisedKeyIds": [key(2).to_string()]}});
    assert_eq!(cause(&alone(&named)), Some(Cause::Compromised));
    let mut nothing = alone(&json!({}));
    nothing.records.list.clear();
    shown(&mut nothing).clear();
    nothing.targets.insert(secret(), Looked { at: NOW, found: TargetState::Absent });
    assert_eq!(cause(&nothing), Some(Cause::FirstIssue));
}

#[test]
fn what_is_published_is_not_written_again_because_another_is_due() {
    let mut seen = alone(&json!({"rotation": {"issuedAfter": "2026-11-20T12:00:00Z"}}));
    seen.targets.clear();
    assert_eq!(next(&seen), Next::Do(Step::ReadTarget { target: secret(), wanted: Some(Sequence(2)) }));
}

#[test]
fn a_time_to_come_is_not_a_reason_today() {
    let seen = alone(&json!({"rotation": {"issuedAfter": "2027-01-01T00:00:00Z"}}));
    assert_eq!(cause(&seen), None);
}

#[test]
fn what_is_missing_in_one_read_is_asked_for_and_signed_in_with_before_it_is_replaced() {
    let mut seen = alone(&json!({}));
    shown(&mut seen).clear();
    assert_eq!(next(&seen), Next::Do(Step::ReadApplication));
    let missing =
        Missing { key_id: key(2), since: ago("2m"), reads: 2, read_at: ago("1m"), refusals: 0, tried_at: None };
    seen.mine.missing = Some(missing.clone());
    assert!(matches!(next(&seen), Next::Do(Step::SignIn { .. })));
    seen.mine.missing = Some(Missing { refusals: 8, tried_at: Some(NOW), ..missing.clone() });
    assert_eq!(next(&seen), Next::Do(Step::ReadApplication), "three reads must agree");
    seen.mine.missing = Some(Missing { reads: 3, read_at: NOW, refusals: 8, tried_at: Some(NOW), ..missing });
    assert_eq!(cause(&seen), Some(Cause::KeyAbsent));
}

#[test]
fn what_is_missing_but_still_signs_in_is_asked_for_again_after_a_pause_only() {
    let mut seen = alone(&json!({}));
    shown(&mut seen).clear();
    let missing =
        Missing { key_id: key(2), since: ago("2m"), reads: 2, read_at: NOW, refusals: 0, tried_at: Some(ago("1m")) };
    seen.mine.missing = Some(missing);
    let Next::Do(step @ Step::SignIn { .. }) = next(&seen) else { panic!("{:?}", next(&seen)) };
    fold(&mut seen, &step, Outcome::Verdict(Verdict::Accepted), NOW, NOW);
    waits_for(&seen, Reason::CredentialUnknown, "certainty");
}

#[test]
fn what_was_found_missing_is_proven_like_any_other_when_its_record_goes_back() {
    let mut seen = alone(&json!({}));
    let stage = Stage::Unpublished;
    let record = &mut seen.records.list[0].entry;
    *record = Entry { stage, verified_at: None, published_at: None, proven_at: None, ..record.clone() };
    let read_at = ago("1m");
    seen.mine.missing =
        Some(Missing { key_id: key(2), since: read_at, reads: 1, read_at, refusals: 0, tried_at: None });
    let Next::Do(step @ Step::SignIn { .. }) = next(&seen) else { panic!("{:?}", next(&seen)) };
    let refused = Trouble::unsent(Service::Token, Reason::CredentialUnknown, "refused".into(), "wait");
    fold(&mut seen, &step, Outcome::Verdict(Verdict::Refused(refused)), NOW, NOW);
    waits_for(&seen, Reason::Proving, "8 sign-ins in a row");
}

#[test]
fn a_closed_window_is_waited_for_unless_little_life_is_left() {
    let closed = json!({"rotation": {"windows": [{"schedule": "0 2 1 1 *", "duration": "1h"}]}});
    let mut seen = published(&closed);
    waits_for(&seen, Reason::Queued, "a maintenance window");
    seen.records.list[0].entry.kept.as_mut().unwrap().expires_at = Some(ahead("20h"));
    assert!(matches!(next(&seen), Next::Do(Step::Roll { .. })), "{:?}", next(&seen));
}

#[test]
fn an_application_is_read_by_itself_only_when_rounds_have_not_shown_it_for_long() {
    let mut seen = alone(&json!({}));
    for (looked_at, is_read) in [("10m", false), ("10m 29s", false), ("10m 30s", true), ("1h", true)] {
        seen.application.as_mut().unwrap().at = ago(looked_at);
        assert_eq!(matches!(next(&seen), Next::Do(Step::ReadApplication)), is_read, "{looked_at}");
    }
}
