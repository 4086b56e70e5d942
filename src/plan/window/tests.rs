use jiff::civil::date;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    api::Reason,
    facts::Nonce,
    plan::{
        Moment, Timing,
        fixtures::{World, world},
        plan,
    },
};

/// A window, as people write it.
fn window(schedule: &str, duration: &str, zone: &str) -> Window {
    serde_json::from_value(json!({"schedule": schedule, "duration": duration, "timeZone": zone})).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// How windows stand, in a few words.
fn stands(windows: &[Window], now: &str) -> String {
    match state(windows, time(now)) {
        Standing::Open { until: Some(until) } => format!("open until {until}"),
        Standing::Open { until: None } => "always open".to_owned(),
        Standing::Closed { opens_at: Some(opens_at) } => format!("closed until {opens_at}"),
        Standing::Closed { opens_at: None } => "closed for good".to_owned(),
    }
}

#[test]
fn without_windows_it_is_always_open() {
    assert_eq!(stands(&[], "2026-11-21T12:00:00Z"), "always open");
}

#[test]
fn a_window_is_open_from_its_beginning_to_just_before_its_end() {
    let nights = [window("0 2 * * 1-5", "3h", "Europe/Berlin")];
    for (now, expected) in [
        ("2026-11-23T00:59:59Z", "closed until 2026-11-23T01:00:00Z"), // Monday
        ("2026-11-23T01:00:00Z", "open until 2026-11-23T04:00:00Z"),
        ("2026-11-23T03:59:59Z", "open until 2026-11-23T04:00:00Z"),
        ("2026-11-23T04:00:00Z", "closed until 2026-11-24T01:00:00Z"),
        ("2026-11-21T12:00:00Z", "closed until 2026-11-23T01:00:00Z"), // Saturday
        ("2026-07-01T00:00:00Z", "open until 2026-07-01T03:00:00Z"),   // summer
    ] {
        assert_eq!(stands(&nights, now), expected, "{now}");
    }
}

#[test]
fn a_window_that_opens_at_a_skipped_time_opens_when_the_clocks_are_put_forward() {
    // In Berlin, on 29 March 2026, 03:00 follows 01:59.
    let skipped = [window("30 2 * * *", "1h", "Europe/Berlin")];
    assert_eq!(stands(&skipped, "2026-03-29T00:59:59Z"), "closed until 2026-03-29T01:00:00Z");
    assert_eq!(stands(&skipped, "2026-03-29T01:00:00Z"), "open until 2026-03-29T02:00:00Z");
    assert_eq!(stands(&skipped, "2026-03-29T02:00:00Z"), "closed until 2026-03-30T00:30:00Z");
    let across = [window("0 1 * * *", "2h", "Europe/Berlin")];
    assert_eq!(stands(&across, "2026-03-29T00:00:00Z"), "open until 2026-03-29T02:00:00Z", "two hours pass");
}

#[test]
fn a_window_that_opens_at_a_time_that_comes_twice_opens_when_it_comes_first() {
    // In Berlin, on 25 October 2026, 02:00 comes at 00:00Z and at 01:00Z.
    let twice = [window("30 2 * * *", "15m", "Europe/Berlin")];
    assert_eq!(stands(&twice, "2026-10-25T00:00:00Z"), "closed until 2026-10-25T00:30:00Z");
    assert_eq!(stands(&twice, "2026-10-25T00:44:59Z"), "open until 2026-10-25T00:45:00Z");
    assert_eq!(stands(&twice, "2026-10-25T01:00:00Z"), "closed until 2026-10-26T01:30:00Z");
    assert_eq!(stands(&twice, "2026-10-25T01:40:00Z"), "closed until 2026-10-26T01:30:00Z");
}

#[test]
fn windows_that_overlap_or_touch_are_one() {
    let windows = [
        window("0 2 * * *", "2h", "UTC"),
        window("30 3 * * *", "1h", "UTC"),
        window("30 4 * * *", "10m", "UTC"),
        window("41 4 * * *", "10m", "UTC"), // a minute too late
    ];
    assert_eq!(stands(&windows, "2026-11-21T02:00:00Z"), "open until 2026-11-21T04:40:00Z");
    assert_eq!(stands(&windows, "2026-11-21T04:40:00Z"), "closed until 2026-11-21T04:41:00Z");
    assert_eq!(stands(&windows, "2026-11-21T12:00:00Z"), "closed until 2026-11-22T02:00:00Z");
}

#[test]
fn windows_without_a_pause_are_open_for_as_long_as_anybody_would_ask() {
    assert_eq!(stands(&[window("0 0 * * *", "1d", "UTC")], "2026-01-01T12:00:00Z"), "open until 2026-03-06T00:00:00Z");
    assert_eq!(stands(&[window("* * * * *", "90d", "UTC")], "2026-11-21T12:00:00Z"), "open until 2026-11-21T13:04:00Z");
    let for_ever = [window("0 0 1 1 *", "999999999999s", "UTC")];
    assert!(stands(&for_ever, "2026-11-21T12:00:00Z").starts_with("open until"));
}

#[test]
fn windows_that_make_no_sense_say_which_field_why_and_what_would() {
    let good = window("0 2 * * *", "3h", "UTC");
    for (bad, expected) in [
        (
            window("0 25 * * *", "3h", "UTC"),
            "spec.rotation.windows[1].schedule \"0 25 * * *\" cannot be read: in the field hour 25 is not between 0 and \
             23. Write five fields (minute, hour, day, month, weekday), for example 0 2 * * 1-5.",
        ),
        (
            window("0 2 30 2 *", "3h", "UTC"),
            "spec.rotation.windows[1].schedule \"0 2 30 2 *\" names a day that never comes, so the window would never \
             open. Write five fields (minute, hour, day, month, weekday), for example 0 2 * * 1-5.",
        ),
        (
            window("0 2 * * *", "0s", "UTC"),
            "spec.rotation.windows[1].duration is 0s, so the window would never be open. Say how long it stays open, for \
             example 3h.",
        ),
        (
            window("0 2 * * *", "3h", "Berlin"),
            "spec.rotation.windows[1].timeZone \"Berlin\" is no time zone. Write the name that IANA gives it, for example \
             Europe/Berlin.",
        ),
    ] {
        let windows = [good.clone(), bad.clone()];
        assert_eq!(refusal("spec.rotation.windows", &windows).as_deref(), Some(expected));
        assert_eq!(stands(&[bad], "2026-11-21T12:00:00Z"), "closed for good");
    }
    assert_eq!(refusal("spec.rotation.windows", &[good]), None);
}

#[test]
fn the_windows_in_force_are_refused_by_the_name_of_the_field_that_has_them() {
    let refused = |world: &World| {
        let moment = Moment { now: time("2026-11-21T12:00:00Z"), chance: Nonce::of([1; 10]) };
        let refusal = plan(&world.seen(), &Timing::REAL, &moment).refusal?;
        (refusal.reason == Reason::InvalidPolicy).then(|| refusal.message.split_once("].").unwrap().0.to_owned())
    };
    let bad = json!([{"schedule": "0 2 30 2 *", "duration": "3h"}]);
    let good = json!([{"schedule": "0 2 * * *", "duration": "3h"}]);
    let tenant = world().tenant(&json!({"defaults": {"windows": bad}}));
    assert_eq!(refused(&tenant).as_deref(), Some("EntraTenant's spec.defaults.windows[0"));
    let own = world().asking(&json!({"rotation": {"windows": bad}}));
    assert_eq!(refused(&own).as_deref(), Some("spec.rotation.windows[0"));
    let overruled = tenant.asking(&json!({"rotation": {"windows": good}}));
    assert_eq!(refused(&overruled), None, "they are not in force");
}

/// Schedules that open seldom enough to be counted minute by minute.
fn windows() -> impl Strategy<Value = Vec<Window>> {
    let schedule = (0..60_u8, 0..24_u8, prop::sample::select(vec!["*", "1-5", "0", "*/2"]))
        .prop_map(|(minute, hour, weekday)| format!("{minute} {hour} * * {weekday}"));
    let zone = prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]);
    let one =
        (schedule, 1..2_000_u16, zone).prop_map(|(cron, minutes, zone)| window(&cron, &format!("{minutes}m"), zone));
    prop::collection::vec(one, 1..4)
}

proptest! {
    /// What is said of a moment is so until it changes, and no longer.
    #[test]
    fn it_stays_as_it_stands_until_the_time_that_is_said(
        windows in windows(), day in 0..730_i64, minute in 0..1440_i64,
    ) {
        let begin = date(2026, 1, 1).at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let now = begin + SignedDuration::from_mins(day * 1440 + minute);
        let open = |at| matches!(state(&windows, at), Standing::Open { .. });
        let (change, last) = match state(&windows, now) {
            Standing::Open { until } => (until.unwrap(), true),
            Standing::Closed { opens_at } => (opens_at.unwrap(), false),
        };
        prop_assert!(change > now);
        let whole = change.duration_since(now);
        for part in 0..32 {
            let at = now + whole * part / 32;
            prop_assert_eq!(open(at), last, "{}", at);
        }
        prop_assert_eq!(open(change - SignedDuration::from_secs(1)), last);
        // Followed no further than so many, an open stretch may go on.
        prop_assert!(open(change) != last || last && change.duration_since(now) > SignedDuration::from_hours(24));
    }

    /// Nobody's schedule makes a panic, or a window that is refused and opens.
    #[test]
    fn no_text_is_a_surprise(schedule in "[-0-9*/,a-z ]{0,20}", seconds in any::<u64>(), zone in "[A-Z][a-z]{0,4}") {
        let window = window(&schedule, &format!("{seconds}s"), &zone);
        let refused = refusal("windows", std::slice::from_ref(&window)).is_some();
        let stands = state(&[window], time("2026-11-21T12:00:00Z"));
        prop_assert_eq!(refused, stands == Standing::Closed { opens_at: None });
    }
}
