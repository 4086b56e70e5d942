//! For which resources each namespace is attended to. A resource lets go of its namespace with the first look that does not ask
//! for it any more.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::blast::Key;
use crate::cluster::attend::{Attended, Attending, Interest};

/// The resources for which a namespace is attended to.
#[derive(Default)]
pub struct Attendance(Mutex<HashMap<Key, (Interest, Attending)>>);

impl Attendance {
    /// Attend to the namespace of a resource, if that is not done already.
    pub fn attend(&self, attended: &Attended, key: Key, interest: Interest) {
        let mut all = self.lock();
        if all.get(&key).is_some_and(|(before, _)| *before == interest) {
            return;
        }
        let attending = attended.attend(&key.0, &key.1, interest.clone());
        all.insert(key, (interest, attending));
    }

    /// Let go of it.
    pub fn let_go(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// A panic elsewhere cannot leave a map half-written.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (Interest, Attending)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
