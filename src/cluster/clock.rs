//! What time it is for the API server. Whatever is compared with the times in Kubernetes objects is compared by this clock,
//! since the one of this machine may be wrong; for durations the machine's own is right.
//!
//! Every answer says in its `Date` header what time it was, cut off to the second. Cut off and late, it can only be behind,
//! so the answer that was least behind is nearest to the truth. An answer that contradicts the earlier ones (a suspended
//! machine, a clock that somebody set) makes them forgotten.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};

/// How many answers are remembered. With as many, one of them was nearly not cut off.
const REMEMBERED: usize = 32;

/// The grain of the `Date` header.
const GRAIN: SignedDuration = SignedDuration::from_secs(1);

/// How much two answers may contradict each other: API servers behind one address have clocks of their own.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

/// The API server's clock. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct ApiClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    began_by_the_wall: SystemTime,
    heard: Mutex<Heard>,
}

impl Default for ApiClock {
    fn default() -> Self {
        Self(Arc::new(Shared { began: Instant::now(), began_by_the_wall: SystemTime::now(), heard: Mutex::default() }))
    }
}

impl ApiClock {
    /// What time it is, at most a second too early, and not too late. Before the first answer it is what this machine says.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.time_at(self.local()).unwrap_or_else(Timestamp::now)
    }

    /// What time it is, not too early, and at most a second too late: for what must never look older than it is.
    #[must_use]
    pub fn at_the_latest(&self) -> Timestamp {
        self.now() + GRAIN
    }

    /// How long this clock has been running.
    ///
    /// `Instant` stands still while a machine is suspended, and the wall clock can be set back; the longer of both is right
    /// after either.
    pub(super) fn local(&self) -> Duration {
        let by_the_wall = SystemTime::now().duration_since(self.0.began_by_the_wall).unwrap_or_default();
        self.0.began.elapsed().max(by_the_wall)
    }

    /// An answer has come: what its `Date` says, and when its request was sent.
    pub(super) fn hear(&self, date: Option<&[u8]>, sent: Duration) {
        let received = self.local();
        if let Some(date) = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok()) {
            self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).hear(date, sent, received);
        }
    }
}

/// What the last answers have said: by how much the API server's clock is ahead of the local one, at least.
#[derive(Debug, Default)]
struct Heard(VecDeque<SignedDuration>);

impl Heard {
    fn hear(&mut self, date: Timestamp, sent: Duration, received: Duration) {
        let (Ok(sent), Ok(received)) = (SignedDuration::try_from(sent), SignedDuration::try_from(received)) else {
            return;
        };
        let at_least = date.as_duration() - received;
        let at_most = date.as_duration() + GRAIN - sent;
        if self.ahead().is_some_and(|ahead| ahead > at_most + SLACK) {
            self.0.clear();
        }
        self.0.push_back(at_least);
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
    }

    fn ahead(&self) -> Option<SignedDuration> {
        self.0.iter().max().copied()
    }

    fn time_at(&self, local: Duration) -> Option<Timestamp> {
        let since_the_epoch = self.ahead()?.checked_add(SignedDuration::try_from(local).ok()?)?;
        Timestamp::from_duration(since_the_epoch).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// The true time at which the local clock began.
    const BEGAN: SignedDuration = SignedDuration::from_millis(1_795_000_000_250);

    fn at(local: Duration, began: SignedDuration) -> SignedDuration {
        began + SignedDuration::try_from(local).unwrap()
    }

    /// The answer to a request sent at `sent`, dated after `there` and received after `back`.
    fn ask(heard: &mut Heard, began: SignedDuration, sent: Duration, there: Duration, back: Duration) {
        let dated = Timestamp::from_second(at(sent + there, began).as_secs()).unwrap();
        heard.hear(dated, sent, sent + there + back);
    }

    fn error(heard: &Heard, began: SignedDuration, local: Duration) -> SignedDuration {
        at(local, began) - heard.time_at(local).unwrap().as_duration()
    }

    const NONE: Duration = Duration::ZERO;

    #[test]
    fn answers_at_all_times_of_a_second_make_the_clock_nearly_exact() {
        let mut heard = Heard::default();
        for i in 0..32 {
            ask(&mut heard, BEGAN, Duration::from_millis(i * 1_370), NONE, Duration::from_millis(5));
        }
        let error = error(&heard, BEGAN, Duration::from_mins(1));
        assert!(error >= SignedDuration::ZERO && error < SignedDuration::from_millis(60), "{error:?} behind");
    }

    #[test]
    fn an_answer_that_was_long_on_its_way_spoils_nothing() {
        let mut heard = Heard::default();
        ask(&mut heard, BEGAN, Duration::from_millis(800), NONE, NONE);
        let before = error(&heard, BEGAN, Duration::from_mins(1));
        ask(&mut heard, BEGAN, Duration::from_secs(10), NONE, Duration::from_secs(40));
        ask(&mut heard, BEGAN, Duration::from_mins(1), Duration::from_secs(40), NONE);
        assert_eq!(error(&heard, BEGAN, Duration::from_mins(1)), before);
    }

    #[test]
    fn a_machine_that_slept_without_noticing_learns_it_from_the_next_answer() {
        let mut heard = Heard::default();
        ask(&mut heard, BEGAN, Duration::from_secs(1), NONE, NONE);
        let woken = BEGAN + SignedDuration::from_hours(1); // the local clock has missed an hour
        ask(&mut heard, woken, Duration::from_secs(2), NONE, NONE);
        let error = error(&heard, woken, Duration::from_secs(3));
        assert!(error >= SignedDuration::ZERO && error < GRAIN, "{error:?} behind");
    }

    #[test]
    fn a_wall_clock_that_is_set_ahead_is_believed_until_the_next_answer_only() {
        let mut heard = Heard::default();
        for i in 0..32 {
            ask(&mut heard, BEGAN, Duration::from_secs(i), NONE, NONE);
        }
        let leapt = BEGAN - SignedDuration::from_hours(1); // the local clock says an hour more than has passed
        ask(&mut heard, leapt, Duration::from_hours(2), NONE, NONE);
        let error = error(&heard, leapt, Duration::from_hours(2));
        assert!(error >= SignedDuration::ZERO && error < GRAIN, "{error:?} behind");
    }

    #[test]
    fn a_date_as_go_writes_it_is_read_and_anything_else_ignored() {
        let clock = ApiClock::default();
        clock.hear(Some(b"not a date"), clock.local());
        clock.hear(None, clock.local());
        assert!(clock.0.heard.lock().unwrap().0.is_empty());
        clock.hear(Some(b"Sat, 21 Nov 2026 08:01:07 GMT"), clock.local());
        let late = clock.now().duration_since("2026-11-21T08:01:07Z".parse().unwrap());
        assert!(late >= SignedDuration::ZERO && late < SignedDuration::from_secs(5), "{late:?}");
        assert!(clock.at_the_latest() >= "2026-11-21T08:01:08Z".parse().unwrap(), "the second may have been over");
    }

    proptest! {
        #[test]
        fn it_is_never_ahead_and_at_most_a_second_and_the_quickest_answer_behind(
            answers in vec((0_u64..3_600_000, 0_u64..3_000, 0_u64..3_000), 1..80),
        ) {
            let mut heard = Heard::default();
            let milli = Duration::from_millis;
            for (sent, there, back) in &answers {
                ask(&mut heard, BEGAN, milli(*sent), milli(*there), milli(*back));
            }
            let last = answers.iter().rev().take(REMEMBERED);
            let quickest = last.map(|(_, _, back)| SignedDuration::try_from(milli(*back)).unwrap()).min().unwrap();
            let error = error(&heard, BEGAN, milli(3_600_000));
            prop_assert!(error >= SignedDuration::ZERO && error < GRAIN + quickest, "{error:?} behind");
        }
    }
}
