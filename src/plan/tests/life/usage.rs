//! What Microsoft's report of sign-ins proves about holders outside, and what it does not.

use super::*;

/// Somebody outside who confirms by the report.
fn by_report(more: &Value) -> Value {
    let mut holder = json!({"name": "sso", "confirm": "SignInReport"});
    holder.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"consumers": {"external": [holder]}})
}

/// The report was read then, and shows when these were last used.
fn reported(seen: &mut Observation, at: Timestamp, lines: &[(u32, Timestamp)]) {
    let found = Usage(lines.iter().map(|(number, at)| (key(*number), *at)).collect());
    let outcome = Outcome::Usage(Looked { at, found });
    fold(seen, &Step::ReadUsage, outcome, at, at);
}

/// The second was published two days ago, and this is what the report says now.
fn told(lines: &[(u32, Timestamp)]) -> Observation {
    let mut seen = proven(&by_report(&json!({})));
    reported(&mut seen, NOW, lines);
    seen
}

fn refused(seen: &mut Observation, at: Timestamp) {
    let trouble = Trouble {
        effect: Effect::Refused,
        ..Trouble::unsent(Service::Graph, Reason::Refused, "no report (403).".into(), "Grant AuditLog.Read.All.")
    };
    fold(seen, &Step::ReadUsage, Outcome::Failed(trouble), at, at);
}

fn annotated(mut seen: Observation) -> Observation {
    let said = BTreeMap::from([("keywright.dev/confirmed.sso".to_owned(), key(2).to_string())]);
    Arc::make_mut(&mut seen.resource).metadata.annotations = Some(said);
    seen
}

fn reads(seen: &Observation) -> bool {
    next(seen) == Next::Do(Step::ReadUsage)
}

#[test]
fn an_old_one_goes_when_nobody_has_used_it_for_the_overlap_and_the_report_knows_of_later() {
    let seen = told(&[(1, ago("49h")), (2, ago("23h"))]);
    assert_eq!(removes(&seen), Some((key(1), Removable::Replaced)));
    let seen = told(&[(1, ago("30h")), (2, ago("5h"))]);
    assert_eq!(removes(&seen), Some((key(1), Removable::Replaced)), "also if somebody had it after the publication");
}

#[test]
fn what_the_report_does_not_show_is_no_evidence() {
    let (one, two) = (key(1), key(2));
    let cases = [
        (vec![], format!("no sign-in with {two}")),
        (vec![(1, ago("49h"))], format!("no sign-in with {two}")),
        (vec![(2, NOW)], format!("no line about {one}, which proves nothing")),
        (vec![(1, ago("49h")), (2, ago("24h"))], format!("is to show a sign-in with {two} after")),
        (vec![(1, ago("24h")), (2, NOW)], format!("none with {one} until then")),
        (vec![(1, NOW), (2, ago("1m"))], format!("and one with {one} at")),
        (vec![(1, ago("900h")), (2, ago("49h"))], format!("is to show a sign-in with {two} after")),
    ];
    for (lines, words) in cases {
        let seen = told(&lines);
        assert_eq!(removes(&seen), None, "{lines:?}");
        waits_for(&seen, Reason::NotConfirmed, &words);
        waits_for(&seen, Reason::NotConfirmed, "keywright.dev/confirmed.sso=");
    }
}

#[test]
fn somebody_who_signs_in_seldom_has_the_time_that_was_asked_for() {
    let lines = [(1, ago("49h")), (2, NOW)];
    let mut seldom = proven(&by_report(&json!({"after": "35d"})));
    reported(&mut seldom, NOW, &lines);
    assert_eq!(removes(&seldom), None);
    let mut often = proven(&by_report(&json!({"after": "1s"})));
    reported(&mut often, NOW, &[(1, ago("59m")), (2, NOW)]);
    assert_eq!(removes(&often), None, "at least an hour: lines of the report may be behind each other");
    reported(&mut often, NOW, &[(1, ago("61m")), (2, NOW)]);
    assert_eq!(removes(&often), Some((key(1), Removable::Replaced)));
}

#[test]
fn the_report_is_read_once_an_hour_and_only_when_nobody_else_is_waited_for() {
    let mut seen = proven(&by_report(&json!({})));
    assert!(reads(&seen));
    consumers(&mut seen).pods.push(pod("bare", None, ago("480h")));
    assert!(!reads(&seen), "{:?}", next(&seen));
    waits_for(&seen, Reason::StragglersRemain, "pod/bare");
    consumers(&mut seen).pods.pop();
    reported(&mut seen, ago("59m"), &[(1, ago("2h")), (2, ago("1h"))]);
    let until = waits(&seen).into_iter().find(|wait| wait.reason == Reason::NotConfirmed).unwrap().until;
    assert_eq!(until, Some(ahead("1m")), "it is told when it is read again");
    reported(&mut seen, ago("60m"), &[(1, ago("2h")), (2, ago("1h"))]);
    assert!(reads(&seen));
}

#[test]
fn what_was_shown_long_ago_is_read_again_before_anything_goes() {
    let mut seen = proven(&by_report(&json!({})));
    reported(&mut seen, ago("2h"), &[(1, ago("49h")), (2, ago("3h"))]);
    assert!(reads(&seen), "{:?}", next(&seen));
    reported(&mut seen, NOW, &[(1, ago("90m")), (2, ago("1m"))]);
    assert_eq!(removes(&seen), None, "somebody has used the old one in the overlap");
}

#[test]
fn not_everybody_has_the_new_one_before_the_report_shows_it() {
    let mut seen = published(&by_report(&json!({})));
    consumers(&mut seen).workloads = vec![workload("web", Some(2))];
    consumers(&mut seen).pods = vec![pod("web-1", Some("web"), ago("46h"))];
    assert!(reads(&seen), "{:?}", next(&seen));
    reported(&mut seen, NOW, &[(1, ago("10h")), (2, NOW)]);
    waits_for(&seen, Reason::NotConfirmed, "external/sso");
    reported(&mut seen, NOW, &[(1, ago("25h")), (2, NOW)]);
    let Next::Do(Step::Note { entry, .. }) = next(&seen) else { panic!("{:?}", next(&seen)) };
    assert_eq!(entry.proven_at, Some(NOW));
}

#[test]
fn the_annotation_is_a_way_out_and_then_nothing_is_read() {
    assert_eq!(removes(&annotated(proven(&by_report(&json!({}))))), Some((key(1), Removable::Replaced)));
    assert_eq!(removes(&annotated(told(&[(1, NOW), (2, NOW)]))), Some((key(1), Removable::Replaced)));
}

#[test]
fn a_right_that_is_missing_is_told_with_the_way_out_and_tried_again_after_an_hour() {
    let mut seen = proven(&by_report(&json!({})));
    refused(&mut seen, ago("1h") + SignedDuration::from_secs(1));
    assert_eq!(removes(&seen), None);
    for words in ["no report (403). Grant AuditLog.Read.All.", "keywright.dev/confirmed.sso="] {
        waits_for(&seen, Reason::NotConfirmed, words);
    }
    let mut again = seen.clone();
    refused(&mut again, ago("1h"));
    assert!(reads(&again));
    assert_eq!(removes(&annotated(seen)), Some((key(1), Removable::Replaced)));
}

#[test]
fn one_read_that_fails_makes_what_was_shown_before_void() {
    let mut seen = told(&[(1, ago("49h")), (2, ago("1h"))]);
    refused(&mut seen, NOW);
    assert_eq!(removes(&seen), None);
    waits_for(&seen, Reason::NotConfirmed, "no report (403)");
}

#[test]
fn where_microsoft_has_no_such_report_it_is_not_asked_for() {
    for cloud in ["USGovernment", "USGovernmentDoD", "China"] {
        let seen = life(&world().tenant(&json!({"cloud": cloud})).asking(&by_report(&json!({}))));
        waits_for(&seen, Reason::NotConfirmed, "in its public cloud only");
        assert_eq!(removes(&annotated(seen)), Some((key(1), Removable::Replaced)));
    }
}

#[test]
fn foreign_ones_that_are_to_go_are_not_to_be_used_either() {
    let mut patch = by_report(&json!({}));
    patch["retirement"] = json!({"foreignKeyIds": [key(5).to_string()]});
    let mut seen = proven(&patch);
    seen.records.list.remove(0);
    *shown(&mut seen) = vec![credential(&world().seen(), 2), foreign(5, "by hand")];
    reported(&mut seen, NOW, &[(5, ago("1h")), (2, NOW)]);
    waits_for(&seen, Reason::NotConfirmed, &format!("none with {}", key(5)));
    reported(&mut seen, NOW, &[(5, ago("49h")), (2, NOW)]);
    assert_eq!(removes(&seen), Some((key(5), Removable::Foreign)));
}

#[test]
fn where_there_is_no_old_one_there_is_nothing_to_show() {
    let mut seen = alone(&by_report(&json!({})));
    seen.records.list[0].entry.proven_at = None;
    consumers(&mut seen).seen = SeenBy::Watch;
    assert!(matches!(next(&seen), Next::Do(Step::Note { .. })), "{:?}", next(&seen));
}
