//! Maintenance windows: whether one is open, and until when. Schedules are read in local time and only then laid on the
//! line of time, so that the two nights in a year on which the clocks are changed have windows too:
//!
//! - A window that would open at a time that the clocks skip opens at the moment they are put forward.
//! - A window that would open at a time that comes twice opens when it comes first.
//! - However long a window is to stay open, that is time that passes, not what the clocks on the wall show.
//!
//! The time zones are those that are built in: what a machine happens to have installed decides nothing.

mod cron;

use std::sync::LazyLock;

use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};

use self::cron::Cron;
use crate::api::rotation::Window;

/// Where time zones are looked up.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// How many windows are followed that open before the last one has closed.
const FOLLOWED: usize = 64;

/// Whether a new credential may be published and workloads be restarted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Now, and without a pause until this time at least; then it is to be asked again. None: always.
    Open {
        /// Until when.
        until: Option<Timestamp>,
    },
    /// Not now, but from this time on. None: at no time that could be found.
    Closed {
        /// From when.
        opens_at: Option<Timestamp>,
    },
}

/// How windows stand at a time. Without any, it is always open. One that [`refusal`] speaks of never opens.
#[must_use]
pub fn state(windows: &[Window], now: Timestamp) -> Standing {
    if windows.is_empty() {
        return Standing::Open { until: None };
    }
    let windows: Vec<Opening> = windows.iter().filter_map(|window| Opening::read(window).ok()).collect();
    // What is open at the end of what is known to be open goes on from there.
    let closes = |at: Timestamp| windows.iter().filter_map(|window| window.closes_after(at)).max();
    let ends = std::iter::successors(closes(now), |end| closes(*end));
    match ends.take(FOLLOWED).last() {
        Some(until) => Standing::Open { until: Some(until) },
        None => Standing::Closed { opens_at: windows.iter().filter_map(|window| window.opens_after(now)).min() },
    }
}

/// Why windows make no sense; `field` says where they were declared.
#[must_use]
pub fn refusal(field: &str, windows: &[Window]) -> Option<String> {
    let refusal = |(index, window)| Some(format!("{field}[{index}].{}", Opening::read(window).err()?));
    windows.iter().enumerate().find_map(refusal)
}

/// A window that was read.
struct Opening {
    schedule: Cron,
    duration: SignedDuration,
    zone: TimeZone,
}

impl Opening {
    fn read(window: &Window) -> Result<Self, String> {
        let (schedule, zone) = (&window.schedule.0, window.time_zone.as_ref().map(|zone| zone.0.as_str()));
        let zone = match zone {
            Some(name) => ZONES.get(name).map_err(|_| {
                format!(
                    "timeZone {name:?} is no time zone. Write the name that IANA gives it, for example Europe/Berlin."
                )
            })?,
            None => TimeZone::UTC,
        };
        let duration = SignedDuration::try_from(window.duration.0).unwrap_or(SignedDuration::MAX);
        if duration.is_zero() {
            return Err(
                "duration is 0s, so the window would never be open. Say how long it stays open, for example 3h."
                    .to_owned(),
            );
        }
        let example = "five fields (minute, hour, day, month, weekday), for example 0 2 * * 1-5";
        let schedule: Cron =
            schedule.parse().map_err(|why| format!("schedule {schedule:?} cannot be read: {why}. Write {example}."))?;
        if !schedule.ever() {
            return Err(format!(
                "schedule {:?} names a day that never comes, so the window would never open. Write {example}.",
                window.schedule.0
            ));
        }
        Ok(Self { schedule, duration, zone })
    }

    /// When it next opens.
    fn opens_after(&self, time: Timestamp) -> Option<Timestamp> {
        let local = self.zone.to_datetime(time);
        // The local times of an hour that comes twice lie behind when it has come for the second time.
        self.schedule.after(local).map(|local| self.instant(local)).find(|opens| *opens > time)
    }

    /// When it closes, if it is open at this time, and still is after it.
    fn closes_after(&self, time: Timestamp) -> Option<Timestamp> {
        let before = time.checked_sub(self.duration).unwrap_or(Timestamp::MIN);
        let opened = self.opens_after(before).filter(|opened| *opened <= time)?;
        Some(opened.checked_add(self.duration).unwrap_or(Timestamp::MAX))
    }

    /// When it is this time in the zone. Later times are never earlier, or an opening could be missed.
    fn instant(&self, local: DateTime) -> Timestamp {
        let time = self.zone.to_ambiguous_timestamp(local);
        let gap = matches!(time.offset(), AmbiguousOffset::Gap { .. });
        let Ok(instant) = time.compatible() else { return Timestamp::MAX };
        // The instant is as much after the change of the clocks as the local time is after the beginning of the gap.
        let change = || self.zone.preceding(instant.checked_add(SignedDuration::from_nanos(1)).ok()?).next();
        gap.then(change).flatten().map_or(instant, |change| change.timestamp())
    }
}

#[cfg(test)]
mod tests;
