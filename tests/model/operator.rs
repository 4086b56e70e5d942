//! One process: it wakes, plans, does, and folds what came of it. What it forgets when it rests is what the reconcile
//! loop would look at afresh.

use std::{collections::BTreeMap, rc::Rc};

use keywright::{
    api::Reason,
    facts::{Fate, Mark, Nonce, Observation, Record, Records},
    plan::{Next, Outcome, Step, fold::fold},
};

use super::{
    town::Town,
    world::{self, Key, World, key_of},
};

/// A process.
#[derive(Clone)]
pub struct Operator {
    pub who: usize,
    /// How many nonces it has used.
    pub nonces: u8,
    /// Whether something has changed since it last looked.
    pub told: bool,
    pub life: Life,
}

/// What a process is doing.
#[derive(Clone)]
pub enum Life {
    /// It does not run; what it knew is forgotten.
    Down,
    /// It waits until it is told something, or until a time.
    Asleep { seen: Observation, until: Option<i64>, reasons: Vec<Reason> },
    /// It is about to do something.
    Awake { seen: Observation, step: Step },
    /// It was about to do something when it was put to sleep.
    Paused { seen: Observation, step: Step, since: i64 },
}

impl Operator {
    pub fn down(who: usize) -> Self {
        Self { who, nonces: 0, told: false, life: Life::Down }
    }

    pub fn is_down(&self) -> bool {
        matches!(self.life, Life::Down)
    }

    /// What it knows.
    pub fn seen(&self) -> Option<&Observation> {
        match &self.life {
            Life::Down => None,
            Life::Asleep { seen, .. } | Life::Awake { seen, .. } | Life::Paused { seen, .. } => Some(seen),
        }
    }

    /// Whether it would do something if it were its turn.
    pub fn is_due(&self, now: i64) -> bool {
        match &self.life {
            Life::Asleep { until, .. } => self.told || until.is_some_and(|until| until <= now),
            Life::Awake { .. } => true,
            Life::Down | Life::Paused { .. } => false,
        }
    }

    /// The nonce of its next attempt.
    pub fn chance(&self) -> Nonce {
        let who = u8::try_from(self.who).unwrap();
        Nonce::of([0, 0, 0, 0, 0, 0, 0, 0, who, self.nonces])
    }

    /// Whether it knows by its own doing what became of a mint: it alone has the value, or nobody has.
    pub fn answers_for(&self, key: Key, mark: &Mark) -> bool {
        self.seen().is_some_and(|seen| {
            seen.mine.attempts.iter().any(|own| match &own.fate {
                Fate::Held { kept, .. } => key_of(kept.key_id) == key,
                Fate::Lost { key_id } => key_of(*key_id) == key,
                Fate::Unknown { .. } => own.nonce == mark.nonce,
                Fate::Announced | Fate::Rehearsed | Fate::Nothing | Fate::Kept => false,
            })
        })
    }

    /// Whether it has seen a record that knows a mark.
    pub fn has_read_of(&self, mark: &Mark) -> bool {
        self.records().iter().any(|record| record.entry.knows(&mark.nonce))
    }

    /// The records as it has last read them.
    pub fn records(&self) -> &[Record] {
        self.seen().map_or(&[], |seen| &seen.records.list)
    }

    /// Decide, with what it knows now.
    pub fn decide(&mut self, town: &Town, now: i64, seen: Observation) {
        let decision = town.decide(&seen, now, self.chance());
        assert!(decision.refusal.is_none(), "{decision:?}");
        self.life = match decision.next {
            Next::Do(step) => Life::Awake { seen, step },
            Next::Wait(waits) => {
                let until = waits.iter().filter_map(|wait| wait.until).map(world::second).min();
                let reasons = waits.iter().map(|wait| wait.reason).collect();
                let records = Records { list: vec![], forged: vec![], listed_at: None };
                let seen = Observation { records, targets: BTreeMap::new(), pods: None, ..seen };
                Life::Asleep { seen, until, reasons }
            }
        };
    }
}

impl World {
    /// An operator as it is to be changed.
    pub fn operator(&mut self, who: usize) -> &mut Operator {
        Rc::make_mut(&mut self.operators[who])
    }

    /// An operator begins: it knows nothing but what it watches.
    pub fn start(&mut self, town: &Town, who: usize) {
        self.look(town, who, town.first_sight(who));
    }

    /// An operator that was told something, or whose time has come, looks again: records as the watch shows them.
    pub fn wake(&mut self, town: &Town, who: usize) {
        if let Life::Asleep { seen, .. } = std::mem::replace(&mut self.operator(who).life, Life::Down) {
            self.look(town, who, seen);
        }
    }

    fn look(&mut self, town: &Town, who: usize, mut seen: Observation) {
        seen.records = Records { list: self.etcd.records.clone(), forged: vec![], listed_at: None };
        let now = self.now;
        let operator = self.operator(who);
        operator.told = false;
        operator.decide(town, now, seen);
    }

    /// An operator learns what came of its step, and decides again.
    pub fn learn(&mut self, town: &Town, who: usize, mut outcome: Outcome) {
        let now = self.now;
        let operator = self.operator(who);
        let (mut seen, step) = match std::mem::replace(&mut operator.life, Life::Down) {
            Life::Awake { seen, step } | Life::Paused { seen, step, .. } => (seen, step),
            Life::Down | Life::Asleep { .. } => return,
        };
        if matches!(step, Step::Open { .. } | Step::TakeOver { .. }) {
            operator.nonces += 1;
        }
        if let Some(mutant) = town.mutant {
            outcome = mutant.hears(&step, outcome, &mut seen);
        }
        fold(&mut seen, &step, outcome, world::time(now), world::time(now));
        operator.decide(town, now, seen);
    }
}
