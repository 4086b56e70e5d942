//! What any answer says besides its subject: when it was given, and for how long the service wants to be left alone.
//! Services and what stands before them write odd things there, so nothing is believed beyond reason. Pure.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};

/// No service is left alone for longer than that, whatever it says: a proxy that says ten years must not end a rotation.
pub const LONGEST: Duration = Duration::from_hours(1);

/// What an answer says besides its subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// When it was given, by the clock of the service.
    pub at: Option<Timestamp>,
    /// For how long the service wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Told {
    /// Reads it from an answer's headers. `now` stands in for the clock of a service that does not tell the time.
    pub fn of<'a>(header: impl Fn(&'static str) -> Option<&'a str>, now: Timestamp) -> Self {
        let at = header("date").and_then(http_date);
        let retry_after = header("retry-after").and_then(|text| retry_after(text, at.unwrap_or(now)));
        Self { at, retry_after }
    }
}

/// Reads a `Retry-After`: seconds, or a date. What is neither is as good as nothing.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let asked = if is_number {
        // More digits than fit are more seconds than anybody waits.
        text.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        // A date that has passed asks for nothing.
        Duration::try_from(http_date(text)?.duration_since(now)).unwrap_or(Duration::ZERO)
    };
    Some(asked.min(LONGEST))
}

fn http_date(text: &str) -> Option<Timestamp> {
    // A wrong weekday is still a date.
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T08:00:00Z".parse().unwrap()
    }

    fn after(text: &str) -> Option<u64> {
        retry_after(text, now()).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(after("7"), Some(7));
        assert_eq!(after(" 0 "), Some(0));
        assert_eq!(after("Sat, 21 Nov 2026 08:01:07 GMT"), Some(67));
        assert_eq!(after("Sat, 21 Nov 2026 07:59:00 GMT"), Some(0), "it has passed");
    }

    #[test]
    fn nobody_is_left_alone_for_years() {
        for text in ["315360000", "99999999999999999999999999", "Sat, 21 Nov 2036 08:00:00 GMT"] {
            assert_eq!(after(text), Some(3600), "{text}");
        }
    }

    #[test]
    fn nonsense_is_as_good_as_nothing() {
        for text in ["", "-5", "soon", "1.5", "1 minute", "0x10"] {
            assert_eq!(after(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_read_by_the_clock_of_the_service() {
        let answer = |name: &'static str| match name {
            "date" => Some("Sat, 21 Nov 2026 09:00:00 GMT"),
            "retry-after" => Some("Sat, 21 Nov 2026 09:00:30 GMT"),
            _ => None,
        };
        let told = Told::of(answer, now());
        assert_eq!(told.retry_after, Some(Duration::from_secs(30)));
        assert_eq!(told.at, Some("2026-11-21T09:00:00Z".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn whatever_is_written_there_is_bounded(text in ".{0,40}") {
            prop_assert!(retry_after(&text, now()).is_none_or(|wait| wait <= LONGEST));
        }
    }
}
