//! One process: it wakes, plans, does, and folds what came of it. What it forgets when it rests is what the reconcile
//! loop would look at afresh.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use keywright::{
    api::{GROUP, Reason},
    facts::{Fate, Looked, Mark, Mine, Nonce, Observation, Record, Records},
    plan::{Next, Outcome, Step, blast::needs_its_slot, fold::fold},
};

use super::{
    town::{Town, whole},
    world::{Key, World, key_id, key_of, not_before, time},
};

/// A process.
#[derive(Clone)]
pub struct Operator {
    pub who: usize,
    /// The cluster that it runs in.
    pub at: usize,
    /// How many nonces it has used.
    pub nonces: u8,
    /// Whether something has changed since it last looked.
    pub told: bool,
    /// Whether it hears of every change of workloads and pods.
    pub watching: bool,
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
    Paused { seen: Observation, step: Step },
}

impl Operator {
    pub fn down(who: usize, at: usize) -> Self {
        Self { who, at, nonces: 0, told: false, watching: false, life: Life::Down }
    }

    pub fn is_down(&self) -> bool {
        matches!(self.life, Life::Down)
    }

    /// It is killed.
    pub fn end(&mut self) {
        (self.life, self.told, self.watching) = (Life::Down, false, false);
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

    /// Whether it rests, and says this when it is asked why.
    pub fn tells(&self, reason: Reason) -> bool {
        matches!(&self.life, Life::Asleep { reasons, .. } if reasons.contains(&reason))
    }

    /// Whether a round through the tenant is about to show it the application, which it has not read.
    pub fn awaits_a_round(&self, now: i64) -> bool {
        match &self.life {
            Life::Asleep { seen, until, .. } => seen.application.is_none() && until.is_some_and(|until| until <= now),
            _ => false,
        }
    }

    /// The nonce of its next attempt.
    pub fn chance(&self) -> Nonce {
        self.nonce(self.nonces)
    }

    /// One of its nonces.
    pub fn nonce(&self, number: u8) -> Nonce {
        let who = u8::try_from(self.who).unwrap();
        Nonce::of([0, 0, 0, 0, 0, 0, 0, 0, who, number])
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
                let until = waits.iter().filter_map(|wait| wait.until).map(not_before).min();
                let round = seen.application.is_none().then(|| now + whole(town.timing.drift));
                let until = [until, round].into_iter().flatten().min();
                let reasons = waits.iter().map(|wait| wait.reason).collect();
                let records = Records { list: vec![], forged: vec![], listed_at: None };
                let slot = seen.mine.slot.filter(|taken| *taken && needs_its_slot(&seen));
                let mine = Mine { slot, ..seen.mine };
                let seen = Observation { records, targets: BTreeMap::new(), consumers: None, mine, ..seen };
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

    /// An operator that was told something, or whose time has come, looks again: records as the watch shows them, the
    /// application as a replica has shown it to a round.
    pub fn wake(&mut self, town: &Town, who: usize, replica: usize) {
        let round = self.operators[who].awaits_a_round(self.now);
        let shown = round.then(|| Looked { at: time(self.now), found: self.application(replica) });
        if let Life::Asleep { mut seen, .. } = std::mem::replace(&mut self.operator(who).life, Life::Down) {
            seen.application = seen.application.or(shown);
            self.look(town, who, seen);
        }
    }

    fn look(&mut self, town: &Town, who: usize, mut seen: Observation) {
        seen.records = Records { list: self.etcd(who).records.clone(), forged: vec![], listed_at: None };
        if let Some(confirmed) = self.outside.as_ref().and_then(|outside| outside.confirmed) {
            let said = (format!("{GROUP}/confirmed.sso"), key_id(confirmed).to_string());
            Arc::make_mut(&mut seen.resource).metadata.annotations = Some(BTreeMap::from([said]));
        }
        let now = self.now;
        let operator = self.operator(who);
        (operator.told, operator.watching) = (false, false);
        operator.decide(town, now, seen);
    }

    /// An operator learns what came of its step, and decides again.
    pub fn learn(&mut self, town: &Town, who: usize, mut outcome: Outcome) {
        let now = self.now;
        let operator = self.operator(who);
        let (mut seen, step) = match std::mem::replace(&mut operator.life, Life::Down) {
            Life::Awake { seen, step } | Life::Paused { seen, step } => (seen, step),
            Life::Down | Life::Asleep { .. } => return,
        };
        match step {
            Step::Open { .. } | Step::TakeOver { .. } => operator.nonces += 1,
            Step::WatchConsumers { .. } => operator.watching = true,
            _ => {}
        }
        if let Some(mutant) = town.mutant {
            outcome = mutant.hears(&step, outcome, &mut seen);
        }
        fold(&mut seen, &step, outcome, time(now), time(now));
        operator.decide(town, now, seen);
    }
}
