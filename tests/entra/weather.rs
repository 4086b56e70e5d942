//! Whatever happens on the way, a secret is asked for exactly once, and nobody is told more than is known.

use std::time::Duration;

use keywright::{
    api::Reason,
    facts::{Effect, Trouble},
    wire::{InTime, Patience, Settings},
};
use keywright_sandbox::{
    Rule,
    azure::GRAPH,
    faults::{Action, Point},
};

use crate::place::{OWNED, Place, counters, refused};

fn mints() -> Point {
    Rule::at(GRAPH, "addPassword", "**")
}

/// Mints in this weather; how that ended, and how many secrets there are more.
async fn minted_in(weather: Rule) -> (Trouble, usize) {
    let place = Place::new(OWNED).await;
    let before = place.secrets();
    place.fault(weather);
    let impatient = Patience { effect: Duration::from_secs(2), ..Patience::default() };
    let directory = place.directory_with(Settings { patience: impatient, ..place.settings() });
    let trouble = refused(place.mint(&directory).await);
    assert_eq!(place.calls("addPassword"), 1, "sent exactly once: {trouble:?}");
    // Who has heard nothing for so long does not ask at once.
    let another = place.directory();
    assert_eq!(another.application(place.client_id()).await.unwrap().credentials.len(), place.secrets());
    (trouble, place.secrets() - before)
}

fn answers(status: u16, retry_after: Option<Duration>, body: &str) -> Rule {
    mints().then(Action::Answer { status, retry_after, body: Some(body.to_owned()) })
}

#[tokio::test]
async fn a_service_that_wants_to_be_left_alone_is_believed_within_reason() {
    let hour = Duration::from_hours(1);
    for (weather, wait) in [
        (mints().throttle(429, Duration::from_secs(7)), Some(Duration::from_secs(7))),
        (answers(429, Some(Duration::from_mins(1)), "Too Many Requests"), Some(Duration::from_mins(1))),
        (answers(429, None, "Too Many Requests"), None),
        (mints().throttle(429, hour * 24 * 3650), Some(hour)),
    ] {
        let (trouble, more) = minted_in(weather).await;
        assert_eq!((trouble.reason, trouble.effect, more), (Reason::Throttled, Effect::Refused, 0));
        assert_eq!(trouble.retry_after, wait);
    }
}

#[tokio::test]
async fn a_service_in_trouble_may_have_done_it() {
    for status in [500, 503, 504, 408] {
        let (trouble, _) = minted_in(mints().throttle(status, Duration::from_secs(3))).await;
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unreachable, Effect::Unknown), "{status}");
        assert_eq!(trouble.retry_after, Some(Duration::from_secs(3)));
        assert!(trouble.message.ends_with("; it may have happened all the same."), "{}", trouble.message);
    }
}

#[tokio::test]
async fn a_cut_connection_may_have_been_before_or_after() {
    for (weather, added) in [(mints().cut_before(), 0), (mints().cut_after(), 1), (mints().truncate(60), 1)] {
        let (trouble, more) = minted_in(weather).await;
        assert_eq!((trouble.reason, trouble.effect, more), (Reason::Unreachable, Effect::Unknown, added));
        assert!(trouble.message.contains("it may have happened all the same"), "{}", trouble.message);
    }
}

#[tokio::test]
async fn a_service_that_never_answers_is_not_waited_for_for_ever() {
    let (trouble, more) = minted_in(mints().hang()).await;
    assert_eq!((trouble.reason, trouble.effect, more), (Reason::Unreachable, Effect::Unknown, 0));
    assert!(trouble.message.contains("no answer within 2s"), "{}", trouble.message);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_not_asked_again_for_a_while() {
    let place = Place::new(OWNED).await;
    let patience = Patience { read: Duration::from_millis(2_100), ..Patience::default() };
    let directory = place.directory_with(Settings { patience, ..place.settings() });
    place.fault(Rule::at(GRAPH, "getApplication", "**").hang());
    let first = refused(directory.application(place.client_id()).await);
    let again = refused(directory.application(place.client_id()).await);
    assert_eq!((first.effect, again.effect), (Effect::Unknown, Effect::NotSent));
    assert_eq!((again.reason, again.retry_after), (Reason::Unreachable, Some(Duration::from_secs(5))));
    assert_eq!(place.calls("getApplication"), 1);
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_no_failure() {
    let value = "abc8Q~value-that-nobody-may-see";
    let without_value = r#"{"keyId": "00000000-0000-0000-0000-000000000007", "secretText": null}"#;
    let without_id = format!(r#"{{"secretText": "{value}"}}"#);
    let with_odd_id = format!(r#"{{"keyId": "{value}", "secretText": "{value}"}}"#);
    for body in ["", "<html>", "{}", without_value, &without_id, &with_odd_id] {
        let (trouble, _) = minted_in(answers(200, None, body)).await;
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unintelligible, Effect::Unknown), "{body}");
        assert!(!format!("{trouble:?}").contains(value), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_answers_instead_is_not_taken_for_graph() {
    let (trouble, _) = minted_in(answers(403, None, "<html>Your firewall</html>")).await;
    assert_eq!((trouble.reason, trouble.effect), (Reason::Unintelligible, Effect::Refused));
    let (trouble, _) = minted_in(answers(302, None, "")).await;
    assert_eq!((trouble.reason, trouble.effect), (Reason::Unintelligible, Effect::Unknown));
}

#[tokio::test]
async fn a_removal_whose_answer_is_lost_is_unknown_and_can_be_asked_for_again() {
    let place = Place::new(OWNED).await;
    let directory = place.directory();
    let minted = place.mint(&directory).await.unwrap();
    place.fault(Rule::at(GRAPH, "removePassword", "**").nth(1).cut_after());
    let lost = refused(directory.remove_password(place.object_id(), minted.key_id, InTime::always()).await);
    assert_eq!(lost.effect, Effect::Unknown);
    assert!(!place.has(minted.key_id));
    let again = directory.remove_password(place.object_id(), minted.key_id, InTime::always()).await.unwrap();
    assert_eq!(again, keywright::entra::Removal::WasNotThere);
    assert_eq!(place.calls("removePassword"), 2);
}

#[tokio::test]
async fn calls_are_counted_by_how_they_ended() {
    let place = Place::new(OWNED).await;
    let (metrics, shown) = counters();
    let directory = place.directory_with(Settings { metrics, ..place.settings() });
    place.fault(mints().nth(1).throttle(429, Duration::from_secs(1)));
    place.fault(mints().nth(2).cut_after());
    for _ in 0..3 {
        let _ = place.mint(&directory).await;
    }
    for line in [
        r#"keywright_calls_total{service="graph",operation="add_password",status="200"} 1"#,
        r#"keywright_calls_total{service="graph",operation="add_password",status="429"} 1"#,
        r#"keywright_calls_total{service="graph",operation="add_password",status="unanswered"} 1"#,
        r#"keywright_calls_total{service="token",operation="operator_sign_in",status="200"} 1"#,
        r#"keywright_throttled_total{service="graph",by="service"} 1"#,
    ] {
        assert!(shown().contains(line), "{line} is not in\n{}", shown());
    }
}
