//! Who waits to be looked at, and since when: every object has a time at which its next look is due, and from then on it
//! waits until somebody looks. It decides nothing and wakes nobody; that is the scheduler's, which does not tell how long
//! its queue is.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::blast::Key;

/// The objects of one queue whose next look has a time, be it past or to come. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<HashMap<Key, Instant>>>);

impl Waiting {
    /// An object is to be looked at from this time on, if not from an earlier one.
    pub(super) fn due(&self, key: Key, time: Instant) {
        let mut times = self.lock();
        let due = times.entry(key).or_insert(time);
        *due = time.min(*due);
    }

    /// Somebody looks at an object, or it is gone. Returns since when it was due.
    pub(super) fn no_more(&self, key: &Key) -> Option<Instant> {
        self.lock().remove(key)
    }

    /// How many wait, and how long the one that has waited longest.
    fn now(&self, now: Instant) -> (u32, Duration) {
        let times = self.lock();
        let waited = times.values().filter_map(|due| now.checked_duration_since(*due)).filter(|time| !time.is_zero());
        waited.fold((0, Duration::ZERO), |(count, longest), time| (count + 1, longest.max(time)))
    }

    /// A panic elsewhere cannot leave the map half-written.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All queues, by the kinds of their objects; counted when somebody asks. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Queues(Arc<Mutex<Vec<(String, Waiting)>>>);

impl Queues {
    /// One more queue of objects of a kind.
    pub(super) fn add(&self, kind: &str) -> Waiting {
        let waiting = Waiting::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((kind.to_owned(), waiting.clone()));
        waiting
    }

    /// Of each kind: how many wait, and how long the one that has waited longest.
    fn now(&self, now: Instant) -> Vec<(String, u32, Duration)> {
        let mut kinds: Vec<(String, u32, Duration)> = Vec::new();
        for (kind, waiting) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let (more, longest) = waiting.now(now);
            match kinds.iter_mut().find(|(known, ..)| known == kind) {
                Some((_, count, time)) => (*count, *time) = (*count + more, longest.max(*time)),
                None => kinds.push((kind.clone(), more, longest)),
            }
        }
        kinds
    }
}

impl Collector for Queues {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let kinds = self.now(Instant::now());
        let help = "Objects whose next look is due and has not begun";
        let mut waiting = encoder.encode_descriptor("queue_waiting", help, None, MetricType::Gauge)?;
        for (kind, count, _) in &kinds {
            ConstGauge::new(i64::from(*count)).encode(waiting.encode_family(&[("kind", kind.as_str())])?)?;
        }
        let help = "Seconds for which the object that waits longest has waited; 0 if none waits";
        let mut oldest = encoder.encode_descriptor("queue_oldest_seconds", help, None, MetricType::Gauge)?;
        for (kind, _, longest) in &kinds {
            ConstGauge::new(longest.as_secs_f64()).encode(oldest.encode_family(&[("kind", kind.as_str())])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(name: &str) -> Key {
        ("payments".to_owned(), name.to_owned())
    }

    #[test]
    fn who_is_due_waits_until_somebody_looks() {
        let (waiting, noon) = (Waiting::default(), Instant::now());
        waiting.due(key("a"), noon);
        waiting.due(key("b"), noon + 2 * SECOND);
        waiting.due(key("later"), noon + 60 * SECOND);
        assert_eq!(waiting.now(noon), (0, Duration::ZERO), "whose time has come this instant does not wait yet");
        assert_eq!(waiting.now(noon + 5 * SECOND), (2, 5 * SECOND));
        assert_eq!(waiting.no_more(&key("a")), Some(noon));
        assert_eq!(waiting.now(noon + 5 * SECOND), (1, 3 * SECOND));
        assert_eq!(waiting.no_more(&key("a")), None);
    }

    #[test]
    fn the_earliest_of_several_times_counts() {
        let (waiting, noon) = (Waiting::default(), Instant::now());
        for seconds in [60, 1, 2] {
            waiting.due(key("a"), noon + seconds * SECOND);
        }
        assert_eq!(waiting.now(noon + 3 * SECOND), (1, 2 * SECOND));
    }

    #[test]
    fn queues_of_one_kind_are_told_as_one() {
        let (queues, noon) = (Queues::default(), Instant::now());
        let [one, other, of_tenants] = ["Credential", "Credential", "Tenant"].map(|kind| queues.add(kind));
        one.due(key("a"), noon);
        other.due(key("a"), noon + SECOND);
        of_tenants.due(key("t"), noon + 60 * SECOND);
        let told = queues.now(noon + 3 * SECOND);
        assert_eq!(told, [("Credential".to_owned(), 2, 3 * SECOND), ("Tenant".to_owned(), 0, Duration::ZERO)]);
    }

    #[test]
    fn they_are_told_by_kind() {
        let (queues, mut registry, mut text) = (Queues::default(), Registry::with_prefix("keywright"), String::new());
        let waiting = queues.add("Credential");
        let long_ago = Instant::now().checked_sub(90 * SECOND).unwrap();
        waiting.due(key("a"), long_ago);
        registry.register_collector(Box::new(queues));
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("keywright_queue_waiting{kind=\"Credential\"} 1\n"), "{text}");
        assert!(text.contains("keywright_queue_oldest_seconds{kind=\"Credential\"} 90."), "{text}");
    }
}
