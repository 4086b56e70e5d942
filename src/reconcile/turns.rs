//! One write at a time to one application: Entra answers two at once with a conflict, and one of them has then been in
//! vain. Nobody waits for a turn; whoever does not get one comes again.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    api::{ClientId, Reason},
    facts::{Service, Trouble},
};

/// Whose turn it is.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<HashSet<ClientId>>>);

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    application: ClientId,
}

impl Turns {
    /// Take a turn, unless somebody of this process has it.
    pub fn take(&self, application: ClientId) -> Result<Turn, Trouble> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(application);
        if taken { Ok(Turn { turns: self.clone(), application }) } else { Err(busy(application)) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.application);
    }
}

fn busy(application: ClientId) -> Trouble {
    let message = format!("did not write to application {application}, since another resource is writing to it");
    Trouble::unsent(Service::Graph, Reason::ConcurrentWrite, message, "Keywright tries again by itself in a moment.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Effect;

    #[test]
    fn an_application_has_one_writer_at_a_time() {
        let (turns, one, other) = (Turns::default(), ClientId(uuid::Uuid::nil()), ClientId(uuid::Uuid::max()));
        let turn = turns.take(one).unwrap();
        assert_eq!(turns.take(one).unwrap_err().effect, Effect::NotSent);
        drop(turns.take(other).unwrap());
        drop(turn);
        turns.take(one).unwrap();
    }
}
