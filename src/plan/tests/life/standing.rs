//! What people are told about a rotation.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::*;
use crate::{
    api::conditions::{READY, ROLLED_OUT, ROTATING, find},
    plan::tests::told,
};

fn condition(seen: &Observation, type_: &str) -> Condition {
    find(&told(seen, NOW).status.conditions, type_).cloned().unwrap()
}

#[track_caller]
fn says(seen: &Observation, type_: &str, status: &str, reason: Reason) {
    let said = condition(seen, type_);
    assert_eq!((said.status.as_str(), said.reason.as_str()), (status, reason.as_str()), "{}", said.message);
}

#[test]
fn a_rotation_that_is_due_and_may_not_begin_is_told_with_what_keeps_it() {
    let mut due = alone(&json!({"rotation": {"issuedAfter": "2026-11-20T12:00:00Z"}}));
    due.braked = Some(Braked { since: NOW, failures: 5 });
    says(&due, ROTATING, "True", Reason::TenantPaused);
    says(&due, READY, "True", Reason::Published);
    let mut rolling = published(&json!({}));
    (rolling.braked, rolling.mine.slot) = (due.braked, Some(true));
    says(&rolling, ROLLED_OUT, "False", Reason::TenantPaused);
    says(&alone(&json!({})), ROTATING, "False", Reason::Idle);
}

#[test]
fn whoever_has_one_that_is_about_to_end_is_told_before_it_breaks_whatever_others_live_on() {
    let mut seen = published(&json!({}));
    consumers(&mut seen).workloads.clear();
    consumers(&mut seen).pods = vec![pod("batch-x7", None, ago("480h"))];
    says(&seen, READY, "True", Reason::Published);
    let older = Record {
        entry: Entry { sequence: Sequence(0), ..record(&seen, 1, ago("2159h")).entry },
        ..record(&seen, 1, NOW)
    };
    seen.records.list.insert(0, older);
    says(&seen, READY, "False", Reason::StragglersRemain);
    assert!(
        condition(&seen, READY).message.contains("(what it has ends at 2026-11-21T09:00:00Z"),
        "{:?}",
        condition(&seen, READY)
    );
    seen.records.list[0].entry.kept.as_mut().unwrap().expires_at = Some(NOW);
    says(&seen, READY, "True", Reason::Published);
}

#[test]
fn a_credential_that_is_replaced_is_not_announced_as_one_that_nobody_knows() {
    let announced = |seen: &Observation| {
        let events = told(seen, NOW).events;
        events
            .iter()
            .filter(|one| one.reason == Reason::UnknownCredential)
            .map(|one| one.note.clone())
            .collect::<Vec<_>>()
    };
    let mut seen = published(&json!({}));
    assert_eq!(told(&seen, NOW).status.retiring.len(), 1);
    assert_eq!(announced(&seen), Vec::<String>::new());
    let mark = Mark { owner: seen.owner.clone(), sequence: Sequence(2), nonce: nonce(8) };
    shown(&mut seen).push(foreign(8, &mark.to_string()));
    assert!(announced(&seen)[0].contains(&key(8).to_string()), "{:?}", announced(&seen));
    Arc::make_mut(&mut seen.resource).status = Some(told(&seen, NOW).status);
    assert_eq!(announced(&seen), Vec::<String>::new(), "announced once");
}

#[test]
fn what_is_due_and_has_not_begun_is_told_with_its_own_cause_and_no_credential() {
    let mut due = alone(&json!({"rotation": {"issuedAfter": "2026-11-20T12:00:00Z"}}));
    due.braked = Some(Braked { since: NOW, failures: 5 });
    let next = told(&due, NOW).status.next.unwrap();
    assert_eq!((next.reason.as_str(), next.credential), (Cause::IssuedAfter.as_str(), None));
}

#[test]
fn a_rotation_is_announced_days_before_to_whoever_is_outside_and_to_nobody_else() {
    let outside = json!({"consumers": {"external": [{"name": "sso", "confirm": "Manual"}]}});
    let announced =
        |seen: &Observation| told(seen, NOW).events.into_iter().find(|one| one.reason == Reason::RotationAhead);
    for (spec, days, expected) in [(&outside, 8, false), (&outside, 6, true), (&json!({}), 6, false)] {
        let mut seen = alone(spec);
        let confirmed = BTreeMap::from([("keywright.dev/confirmed.sso".to_owned(), key(2).to_string())]);
        Arc::make_mut(&mut seen.resource).metadata.annotations = Some(confirmed);
        expires(&mut seen, ahead("720h") + SignedDuration::from_hours(24 * days));
        let due = told(&seen, NOW).status.next_rotation_at.unwrap().0;
        expires(
            &mut seen,
            ahead("720h") + SignedDuration::from_hours(24 * days)
                - due.duration_since(ahead(&format!("{}h", 24 * days))),
        );
        assert_eq!(announced(&seen).is_some(), expected, "{days} days before, {spec}");
        let wakes = waits(&seen).iter().filter_map(|wait| wait.until).min().unwrap();
        assert!(!expected || announced(&seen).unwrap().note.contains("sso"));
        assert!(days < 8 || wakes <= ahead("24h"), "looked at when it is time: {wakes}");
        Arc::make_mut(&mut seen.resource).status = Some(told(&seen, NOW).status);
        assert_eq!(announced(&seen), None, "once");
    }
}
