//! Durations as people write them. Parsed once, here; what cannot be parsed never travels further.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::values::checked_text;

/// A duration as people write it: `90d`, `36h`, `1d12h`, and Go's `2160h0m0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub Duration);

/// Units from the largest to the smallest: they are written in this order, each at most once.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Period {
    /// So many whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many whole minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes * 60)
    }

    /// So many whole hours.
    #[must_use]
    pub const fn hours(hours: u64) -> Self {
        Self::minutes(hours * 60)
    }

    /// So many days of 24 hours.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self::hours(days * 24)
    }
}

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write days, hours, minutes and seconds in this order, for example 90d, 36h or 1d12h")]
pub struct NotAPeriod(String);

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        parse(text).map(Self::seconds).ok_or_else(|| NotAPeriod(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total: u64 = 0;
    for (unit, seconds) in UNITS {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if let Some(after) = after.strip_prefix(unit) {
            total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(seconds)?)?;
            rest = after;
        }
    }
    rest.is_empty().then_some(total)
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_secs();
        if rest == 0 {
            return out.write_str("0s");
        }
        for (unit, seconds) in UNITS {
            if rest >= seconds {
                write!(out, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        checked_text(
            24,
            period_pattern!(),
            "must be a duration of days, hours, minutes and seconds in this order, for example 90d, 36h or 1d12h",
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90d", 7_776_000),
            ("36h", 129_600),
            ("1d12h", 129_600),
            ("2160h", 7_776_000),
            ("2160h0m0s", 7_776_000),
            ("90s", 90),
            ("0s", 0),
        ] {
            assert_eq!(text.parse(), Ok(Period::seconds(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "90", "d", "12h1d", "1d1d", "-1d", "1.5h", "1w", "1d ", "99999999999999999999d", "999999999999999999d"]
        {
            assert_eq!(text.parse::<Period>(), Err(NotAPeriod(text.into())), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(seconds in 0_u64..10_000_000_000) {
            let period = Period::seconds(seconds);
            prop_assert_eq!(period.to_string().parse(), Ok(period));
        }

        #[test]
        fn no_text_is_a_surprise(text in ".{0,32}") {
            drop(text.parse::<Period>());
        }
    }
}
