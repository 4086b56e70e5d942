//! How long to wait after a look that failed: a second, doubling to five minutes, for each object on its own, so that a
//! broken one costs little and a passing trouble is soon over.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

/// How long each failing object waited last.
#[derive(Debug, Default)]
pub(super) struct Retries(Mutex<HashMap<String, Duration>>);

impl Retries {
    /// How long this object waits now.
    pub(super) fn next(&self, object: String) -> Duration {
        let mut waits = self.lock();
        let wait = waits.get(&object).map_or(FIRST, |last| (*last * 2).min(LONGEST));
        waits.insert(object, wait);
        wait
    }

    /// A look succeeded.
    pub(super) fn forget(&self, object: &str) {
        self.lock().remove(object);
    }

    /// A panic elsewhere cannot leave the map half-written.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let retries = Retries::default();
        let pauses: Vec<u64> = (0..11).map(|_| retries.next("a".into()).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(retries.next("b".into()), FIRST, "each object has its own");
        retries.forget("a");
        assert_eq!(retries.next("a".into()), FIRST);
    }
}
