//! Whether the process is ready, and if not, what it waits for.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is still waited for.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeSet<String>>>);

/// One thing that is waited for. Dropping it does not help: only [`Gate::pass`] does.
#[derive(Debug)]
#[must_use = "readiness waits until the gate is passed"]
pub struct Gate {
    readiness: Readiness,
    what: String,
}

impl Readiness {
    /// Not ready before this one is passed.
    pub fn wait_for(&self, what: impl Into<String>) -> Gate {
        let what = what.into();
        self.lock().insert(what.clone());
        Gate { readiness: self.clone(), what }
    }

    /// What is waited for; nothing if ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    /// A panic elsewhere cannot leave the set half-written.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// It has come.
    pub fn pass(self) {
        self.readiness.lock().remove(&self.what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_every_gate_is_passed_and_not_before() {
        let readiness = Readiness::default();
        let (kinds, caches) = (readiness.wait_for("kinds"), readiness.wait_for("caches"));
        assert_eq!(readiness.missing(), ["caches", "kinds"]);
        caches.pass();
        drop(kinds);
        assert_eq!(readiness.missing(), ["kinds"]);
    }
}
