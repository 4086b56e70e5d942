//! Something that several replicas know, each in its own time: a change reaches each of them after a delay of its own, so
//! that for a while it is seen by some and not by others. What a replica knows only grows: whoever has learned of a
//! change knows all earlier ones. Pure: time and chance are arguments, and nobody waits here.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::dice::Dice;

/// How long changes take to reach a replica. AZURE 3: 4 to 18 seconds were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// No replica learns sooner.
    pub least: SignedDuration,
    /// Every replica has learned by then.
    pub most: SignedDuration,
}

impl Default for Lag {
    fn default() -> Self {
        Self { least: SignedDuration::from_secs(4), most: SignedDuration::from_secs(18) }
    }
}

impl Lag {
    /// Everything is known everywhere at once.
    pub const NONE: Self = Self { least: SignedDuration::ZERO, most: SignedDuration::ZERO };

    /// The same, so many times as long.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        Self { least: self.least.mul_f64(scale), most: self.most.mul_f64(scale) }
    }
}

/// The states of one thing, as the replicas know it.
#[derive(Clone, Debug)]
pub(crate) struct Replicated<T> {
    replicas: usize,
    changes: VecDeque<Change<T>>,
}

#[derive(Clone, Debug)]
struct Change<T> {
    state: T,
    /// When each replica learns of it.
    known: Vec<Timestamp>,
}

impl<T> Replicated<T> {
    /// Of something that no replica has heard of yet.
    pub(crate) fn unheard_of(replicas: usize) -> Self {
        Self { replicas: replicas.max(1), changes: VecDeque::new() }
    }

    /// A new state, and when each replica learns of it; the answer is when all of them know.
    pub(crate) fn change(&mut self, state: T, now: Timestamp, lag: Lag, dice: &mut Dice) -> Timestamp {
        let known: Vec<Timestamp> = (0..self.replicas).map(|_| now + dice.between(lag.least, lag.most)).collect();
        let settled = known.iter().copied().max().unwrap_or(now);
        self.changes.push_back(Change { state, known });
        self.forget(now);
        settled
    }

    /// What a replica knows; nothing if it has never heard of the thing.
    pub(crate) fn at(&self, replica: usize, now: Timestamp) -> Option<&T> {
        self.learned(replica, now).map(|(_, state)| state)
    }

    /// What a replica knows, and since when.
    pub(crate) fn learned(&self, replica: usize, now: Timestamp) -> Option<(Timestamp, &T)> {
        let known = |change: &Change<T>| change.known.get(replica).copied().filter(|since| *since <= now);
        self.changes.iter().rev().find_map(|change| Some((known(change)?, &change.state)))
    }

    /// What any replica answers: one that chance chooses.
    pub(crate) fn any(&self, now: Timestamp, dice: &mut Dice) -> Option<&T> {
        self.at(dice.below(self.replicas), now)
    }

    /// Everything older than what all replicas know is of no use to anybody.
    fn forget(&mut self, now: Timestamp) {
        let settled = |change: &Change<T>| change.known.iter().all(|known| *known <= now);
        if let Some(last) = self.changes.iter().rposition(settled) {
            self.changes.drain(..last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    /// What each replica knows.
    fn all(replicated: &Replicated<&'static str>, now: Timestamp) -> [Option<&'static str>; 3] {
        std::array::from_fn(|replica| replicated.at(replica, now).copied())
    }

    fn changed(times: &[(i64, &'static str)]) -> Replicated<&'static str> {
        let mut replicated = Replicated::unheard_of(3);
        let mut dice = Dice::new(1);
        for &(second, state) in times {
            replicated.change(state, at(second), Lag::default(), &mut dice);
        }
        replicated
    }

    /// AZURE 3: refused for 4 to 18 seconds after it was added.
    #[test]
    fn nobody_knows_before_the_least_lag_and_all_after_the_most() {
        let replicated = changed(&[(0, "new")]);
        assert_eq!(all(&replicated, at(3)), [None; 3]);
        assert_eq!(all(&replicated, at(19)), [Some("new"); 3]);
    }

    /// AZURE 3: flapping.
    #[test]
    fn in_between_it_depends_on_who_is_asked() {
        let replicated = changed(&[(0, "old"), (100, "new")]);
        let mut seen: Vec<&str> = vec![];
        let mut dice = Dice::new(2);
        for tenth in 1_040..1_180 {
            let now = at(0) + SignedDuration::from_millis(tenth * 100);
            seen.extend(replicated.any(now, &mut dice));
        }
        let turns = seen.windows(2).filter(|pair| *pair == ["new", "old"]).count();
        assert!(turns > 3, "accepted and refused by turns, not once: {turns}");
    }

    #[test]
    fn a_replica_never_goes_back() {
        for seed in 0..200 {
            let (mut replicated, mut dice) = (Replicated::unheard_of(3), Dice::new(seed));
            for change in 0..5_i64 {
                replicated.change(change, at(change * 3), Lag::default(), &mut dice);
            }
            for replica in 0..3 {
                let seen: Vec<i64> = (0..40).filter_map(|second| replicated.at(replica, at(second)).copied()).collect();
                assert!(seen.is_sorted(), "seed {seed}, replica {replica}: {seen:?}");
                assert_eq!(seen.last(), Some(&4));
            }
        }
    }

    #[test]
    fn what_everybody_has_superseded_is_forgotten() {
        let mut replicated = changed(&[(0, "a"), (100, "b"), (200, "c")]);
        assert_eq!(replicated.changes.len(), 2, "at 200 everybody knows b, so a is needed no more");
        replicated.change("d", at(300), Lag::default(), &mut Dice::new(3));
        assert_eq!(replicated.changes.len(), 2);
        assert_eq!(all(&replicated, at(301)), [Some("c"); 3]);
    }
}
