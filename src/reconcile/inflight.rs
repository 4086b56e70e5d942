//! The memories of all resources, each taken out while its resource is looked at.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

use kube::ResourceExt;

use super::memory::Memory;
use crate::api::{ClientId, Declared, EntraAppCredential};

/// The memories of all resources.
#[derive(Debug, Default)]
pub struct Inflight(Mutex<HashMap<Whose, Place>>);

/// Whose a memory is: what somebody deletes and creates again for another application has nothing to do with what it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Whose {
    /// The namespace of the resource.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The application that it is about; none if that cannot be read.
    pub client_id: Option<ClientId>,
}

impl Whose {
    /// That of a resource.
    #[must_use]
    pub fn of(resource: &Declared<EntraAppCredential>) -> Self {
        Self {
            namespace: resource.namespace().unwrap_or_default(),
            name: resource.name_any(),
            client_id: resource.spec.as_ref().ok().map(|spec| spec.client_id),
        }
    }
}

/// Where a memory is.
#[derive(Debug)]
enum Place {
    /// Here.
    Here(Box<Memory>),
    /// With somebody who looks at the resource at this moment.
    Out {
        /// Whether the resource has gone since then.
        gone: bool,
    },
}

impl Inflight {
    /// Take the memory of a resource out, unless somebody looks at it at this moment.
    pub fn take(&self, whose: Whose) -> Option<Taken<'_>> {
        let mut memories = self.lock();
        let place = memories.entry(whose.clone()).or_insert_with(|| Place::Here(Box::default()));
        match std::mem::replace(place, Place::Out { gone: false }) {
            Place::Here(memory) => Some(Taken { from: self, whose, memory, gone: false }),
            out @ Place::Out { .. } => {
                *place = out;
                None
            }
        }
    }

    /// Forget a resource that is no more, as soon as nobody looks at it; but not what nobody else knows.
    pub fn forget(&self, whose: &Whose) {
        let mut memories = self.lock();
        match memories.get_mut(whose) {
            Some(Place::Here(memory)) if !memory.is_needed() => drop(memories.remove(whose)),
            Some(Place::Out { gone }) => *gone = true,
            Some(Place::Here(_)) | None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory of a resource that is being looked at. It goes back by itself, also when the look ends in a panic.
#[derive(Debug)]
pub struct Taken<'a> {
    from: &'a Inflight,
    whose: Whose,
    memory: Box<Memory>,
    gone: bool,
}

impl Taken<'_> {
    /// Nothing will be looked at here any more: forget it, but not what nobody else knows.
    pub fn leave(mut self) {
        self.gone = true;
    }
}

impl Deref for Taken<'_> {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.memory
    }
}

impl DerefMut for Taken<'_> {
    fn deref_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let mut memories = self.from.lock();
        let gone = self.gone || matches!(memories.get(&self.whose), Some(Place::Out { gone: true }));
        if gone && !memory.is_needed() {
            memories.remove(&self.whose);
        } else {
            memories.insert(self.whose.clone(), Place::Here(memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::api::KeyId;
    use crate::facts::{Fate, Kept, Nonce, OwnAttempt, Sequence};

    fn whose() -> Whose {
        Whose { namespace: "n".into(), name: "x".into(), client_id: Some(ClientId(Uuid::nil())) }
    }

    #[test]
    fn what_is_created_again_for_another_application_remembers_nothing() {
        let inflight = Inflight::default();
        let looking = inflight.take(whose()).unwrap();
        let other = Whose { client_id: Some(ClientId(Uuid::max())), ..whose() };
        assert!(inflight.take(other.clone()).is_some(), "nobody looks at this one");
        drop(looking);
        inflight.forget(&whose());
        assert!(inflight.lock().contains_key(&other));
    }

    #[test]
    fn a_memory_goes_back_also_when_a_look_panics() {
        let inflight = Inflight::default();
        let taken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _taken = inflight.take(whose()).unwrap();
            assert!(inflight.take(whose()).is_none(), "somebody is looking");
            panic!("a mistake");
        }));
        assert!(taken.is_err());
        assert!(inflight.take(whose()).is_some());
    }

    /// Whether anything is remembered.
    fn remembers(inflight: &Inflight) -> bool {
        !inflight.lock().is_empty()
    }

    #[test]
    fn what_goes_during_a_look_is_forgotten_after_it() {
        let inflight = Inflight::default();
        let looking = inflight.take(whose()).unwrap();
        inflight.forget(&whose());
        assert!(inflight.take(whose()).is_none(), "somebody is looking");
        drop(looking);
        assert!(!remembers(&inflight));
        drop(inflight.take(whose()).unwrap());
        assert!(remembers(&inflight), "it has come back");
    }

    #[test]
    fn what_the_last_look_has_seen_is_forgotten_but_for_a_value_that_is_nowhere_else() {
        let inflight = Inflight::default();
        inflight.take(whose()).unwrap().leave();
        assert!(!remembers(&inflight));
        let mut looking = inflight.take(whose()).unwrap();
        let kept =
            Kept { key_id: KeyId(Uuid::nil()), issued_at: Timestamp::UNIX_EPOCH, expires_at: None, thumbprint: None };
        looking.mine.attempts.push(OwnAttempt {
            sequence: Sequence(1),
            nonce: Nonce::of([0; 10]),
            begun_at: Timestamp::UNIX_EPOCH,
            fate: Fate::Held { kept, unsettled: false, in_doubt: false },
        });
        looking.leave();
        inflight.forget(&whose());
        assert!(remembers(&inflight));
        inflight.take(whose()).unwrap().mine.attempts.clear();
        inflight.forget(&whose());
        assert!(!remembers(&inflight));
    }
}
