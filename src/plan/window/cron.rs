//! Schedules in cron's five fields, as jobs in Kubernetes have them: numbers, names of months and weekdays, `*`, ranges,
//! lists and steps. They name local times; where those lie on the line of time is not asked here, and that is what the
//! crates for cron get wrong or bring a dozen others for.

use std::{ops::RangeInclusive, str::FromStr};

use jiff::civil::{Date, DateTime, date};

/// Within this time every day of a year has been every day of the week.
const YEARS: i16 = 40;

/// A schedule: which minutes, hours, days, months and weekdays, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day must suit both of its fields, because one of them begins with `*`; else one of them is enough.
    both: bool,
}

/// What a field may hold.
struct Field {
    name: &'static str,
    range: RangeInclusive<u8>,
    /// Words for its values, beginning with the first.
    words: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", range: 0..=59, words: &[] };
const HOUR: Field = Field { name: "hour", range: 0..=23, words: &[] };
const DAY: Field = Field { name: "day", range: 1..=31, words: &[] };
const MONTH: Field = Field {
    name: "month",
    range: 1..=12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Field =
    Field { name: "weekday", range: 0..=7, words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!("it has {} fields", fields.len()));
        };
        let sundays = WEEKDAY.bits(weekdays)?;
        Ok(Self {
            minutes: MINUTE.bits(minutes)?,
            hours: HOUR.bits(hours)?,
            days: DAY.bits(days)?,
            months: MONTH.bits(months)?,
            weekdays: sundays | (sundays >> 7), // 7 is Sunday too
            both: days.starts_with('*') || weekdays.starts_with('*'),
        })
    }
}

impl Field {
    /// The values that a list names.
    fn bits(&self, list: &str) -> Result<u64, String> {
        list.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part)?))
    }

    /// A value, `*` or a range, perhaps with a step.
    fn part(&self, part: &str) -> Result<u64, String> {
        let (values, step) = part.split_once('/').map_or((part, None), |(values, step)| (values, Some(step)));
        let (first, last) = match (values, values.split_once('-')) {
            ("*", _) => (*self.range.start(), *self.range.end()),
            (_, Some((first, last))) => (self.value(first)?, self.value(last)?),
            (one, None) => {
                let one = self.value(one)?;
                (one, if step.is_some() { *self.range.end() } else { one })
            }
        };
        if first > last {
            return Err(format!("in the field {} the range {values} ends before it begins", self.name));
        }
        let step = match step {
            Some(step) => digits(step).filter(|step| *step > 0).ok_or_else(|| self.strange(part))?,
            None => 1,
        };
        Ok((first..=last).step_by(step.into()).fold(0, |bits, value| bits | (1 << value)))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let word = self.words.iter().zip(*self.range.start()..).find(|(word, _)| word.eq_ignore_ascii_case(text));
        let value = word.map(|(_, value)| value).or_else(|| digits(text)).ok_or_else(|| self.strange(text))?;
        let (first, last) = (self.range.start(), self.range.end());
        if self.range.contains(&value) {
            Ok(value)
        } else {
            Err(format!("in the field {} {value} is not between {first} and {last}", self.name))
        }
    }

    fn strange(&self, text: &str) -> String {
        format!("in the field {} {text:?} is no number, range, list or step", self.name)
    }
}

/// A number; a sign, which Rust would read too, is none of cron's.
fn digits(text: &str) -> Option<u8> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn has<N: TryInto<u32>>(bits: u64, value: N) -> bool {
    value.try_into().is_ok_and(|value| bits.checked_shr(value).is_some_and(|bits| bits & 1 == 1))
}

impl Cron {
    /// The local times after this one, in their order.
    pub(super) fn after(self, local: DateTime) -> impl Iterator<Item = DateTime> {
        let first = local.date();
        let end = first.year().saturating_add(YEARS);
        let days =
            std::iter::successors(Some(first), move |day| self.next(*day)).take_while(move |day| day.year() < end);
        let now = (local.hour(), local.minute());
        days.filter(move |day| self.has_day(*day)).flat_map(move |day| {
            self.times()
                .filter(move |time| day > first || *time > now)
                .map(move |(hour, minute)| day.at(hour, minute, 0, 0))
        })
    }

    /// Whether it names a day that comes.
    pub(super) fn ever(self) -> bool {
        self.after(date(2000, 1, 1).at(0, 0, 0, 0)).next().is_some()
    }

    /// The next day on which it is worth looking.
    fn next(self, day: Date) -> Option<Date> {
        let next = day.tomorrow().ok()?;
        if next.day() > 1 && !has(self.months, next.month()) {
            next.last_of_month().tomorrow().ok()
        } else {
            Some(next)
        }
    }

    fn has_day(self, day: Date) -> bool {
        let (in_month, in_week) =
            (has(self.days, day.day()), has(self.weekdays, day.weekday().to_sunday_zero_offset()));
        has(self.months, day.month()) && if self.both { in_month && in_week } else { in_month || in_week }
    }

    /// The times of a day.
    fn times(self) -> impl Iterator<Item = (i8, i8)> {
        let minutes =
            move |hour| (0..60).filter(move |minute| has(self.minutes, *minute)).map(move |minute| (hour, minute));
        (0..24).filter(move |hour| has(self.hours, *hour)).flat_map(minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str, count: usize) -> Vec<String> {
        let schedule: Cron = schedule.parse().unwrap();
        schedule
            .after(after.parse().unwrap())
            .take(count)
            .map(|time| time.strftime("%a %F %H:%M").to_string())
            .collect()
    }

    #[test]
    fn schedules_mean_what_they_mean_for_cron() {
        let saturday = "2026-11-21T12:30:40";
        for (schedule, times) in [
            ("* * * * *", ["Sat 2026-11-21 12:31", "Sat 2026-11-21 12:32"]),
            ("30 12 * * *", ["Sun 2026-11-22 12:30", "Mon 2026-11-23 12:30"]),
            ("0 2 * * 1-5", ["Mon 2026-11-23 02:00", "Tue 2026-11-24 02:00"]),
            ("0 2 * * MON,fri", ["Mon 2026-11-23 02:00", "Fri 2026-11-27 02:00"]),
            ("0 2 * * 0", ["Sun 2026-11-22 02:00", "Sun 2026-11-29 02:00"]),
            ("0 2 * * 6-7", ["Sun 2026-11-22 02:00", "Sat 2026-11-28 02:00"]),
            ("*/20 22-23 * * *", ["Sat 2026-11-21 22:00", "Sat 2026-11-21 22:20"]),
            ("50/5 13 * * *", ["Sat 2026-11-21 13:50", "Sat 2026-11-21 13:55"]),
            ("0 0 31 * *", ["Thu 2026-12-31 00:00", "Sun 2027-01-31 00:00"]),
            ("0 0 1 jan-mar/2 *", ["Fri 2027-01-01 00:00", "Mon 2027-03-01 00:00"]),
            ("0 0 29 2 *", ["Tue 2028-02-29 00:00", "Sun 2032-02-29 00:00"]),
            ("0 0 1 * 1", ["Mon 2026-11-23 00:00", "Mon 2026-11-30 00:00"]),
            ("0 0 8-14 * */6", ["Sat 2026-12-12 00:00", "Sun 2026-12-13 00:00"]),
        ] {
            assert_eq!(next(schedule, saturday, 2), times, "{schedule}");
        }
    }

    #[test]
    fn the_first_day_or_a_weekday_is_enough_where_both_are_named() {
        let times = ["Fri 2027-01-01 00:00", "Mon 2027-01-04 00:00"];
        assert_eq!(next("0 0 1 * 1", "2026-12-29T00:00:00", 2), times);
    }

    #[test]
    fn what_cannot_be_read_says_which_field_and_why() {
        for (schedule, why) in [
            ("0 2 * *", "it has 4 fields"),
            ("0 2 * * * *", "it has 6 fields"),
            ("60 2 * * *", "in the field minute 60 is not between 0 and 59"),
            ("0 24 * * *", "in the field hour 24 is not between 0 and 23"),
            ("0 2 0 * *", "in the field day 0 is not between 1 and 31"),
            ("0 2 * 13 *", "in the field month 13 is not between 1 and 12"),
            ("0 2 * * 8", "in the field weekday 8 is not between 0 and 7"),
            ("0 22-2 * * *", "in the field hour the range 22-2 ends before it begins"),
            ("*/0 2 * * *", "in the field minute \"*/0\" is no number, range, list or step"),
            ("+5 2 * * *", "in the field minute \"+5\" is no number, range, list or step"),
            ("1,,2 2 * * *", "in the field minute \"\" is no number, range, list or step"),
            ("0 2 ? * *", "in the field day \"?\" is no number, range, list or step"),
            ("0 2 L * *", "in the field day \"L\" is no number, range, list or step"),
            ("0 2 * * jan", "in the field weekday \"jan\" is no number, range, list or step"),
            ("0 2 * * 1-5-6", "in the field weekday \"5-6\" is no number, range, list or step"),
        ] {
            assert_eq!(schedule.parse::<Cron>(), Err(why.to_owned()), "{schedule}");
        }
    }

    #[test]
    fn a_day_that_never_comes_is_known() {
        let ever = |schedule: &str| schedule.parse::<Cron>().unwrap().ever();
        assert!(!ever("0 0 30 2 *") && !ever("0 0 31 4,6,9,11 *"));
        assert!(ever("0 0 29 2 *") && ever("0 0 29 2 */7") && ever("0 0 30 2 1"));
    }
}
