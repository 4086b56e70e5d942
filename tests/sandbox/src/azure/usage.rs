//! What the report of a tenant knows of the sign-ins with its secrets and certificates: the last one with each, and that
//! late (AZURE 1.7). Those by federated credentials are not in it. Pure: time is an argument.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// A sign-in that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignIn {
    pub(crate) at: Timestamp,
    pub(crate) trace: Uuid,
}

/// A credential of an application: its client ID and its own.
type Key = (Uuid, Uuid);

/// The sign-ins of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Usage(BTreeMap<Key, Line>);

#[derive(Debug, Default)]
struct Line {
    shown: Option<SignIn>,
    /// Those that the report has yet to hear of.
    to_come: VecDeque<SignIn>,
}

impl Usage {
    /// Somebody has signed in.
    pub(crate) fn note(&mut self, credential: Key, sign_in: SignIn, lag: SignedDuration) {
        let line = self.0.entry(credential).or_default();
        line.to_come.push_back(sign_in);
        line.hear(sign_in.at, lag);
    }

    /// The last sign-in with each credential, as far as the report knows.
    pub(crate) fn report(&mut self, now: Timestamp, lag: SignedDuration) -> Vec<(Key, SignIn)> {
        let last = |(key, line): (&Key, &mut Line)| {
            line.hear(now, lag);
            Some((*key, line.shown?))
        };
        self.0.iter_mut().filter_map(last).collect()
    }
}

impl Line {
    fn hear(&mut self, now: Timestamp, lag: SignedDuration) {
        while self.to_come.front().is_some_and(|one| one.at + lag <= now) {
            self.shown = self.to_come.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);
    const KEY: Key = (Uuid::from_u128(1), Uuid::from_u128(2));

    fn sign_in(minute: i64) -> SignIn {
        SignIn { at: Timestamp::from_second(1_000_000 + 60 * minute).unwrap(), trace: Uuid::nil() }
    }

    fn shown(usage: &mut Usage, minute: i64) -> Option<SignIn> {
        let report = usage.report(sign_in(minute).at, HOUR);
        report.into_iter().find(|(key, _)| *key == KEY).map(|(_, sign_in)| sign_in)
    }

    /// AZURE 1.7: how late it is, is not known; a credential has no line before its first sign-in is known.
    #[test]
    fn the_report_has_the_last_sign_in_and_is_late() {
        let mut usage = Usage::default();
        for minute in [0, 30, 45] {
            usage.note(KEY, sign_in(minute), HOUR);
        }
        let told = [59, 60, 89, 90, 600].map(|minute| shown(&mut usage, minute));
        let expected = [None, Some(0), Some(0), Some(30), Some(45)].map(|minute| minute.map(sign_in));
        assert_eq!(told, expected);
    }
}
