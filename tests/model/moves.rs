//! Everything that can happen next, and which of it would happen if nothing went wrong any more.

use std::rc::Rc;

use keywright::{
    api::Reason,
    facts::{Effect, Looked, Observation, TargetState},
    plan::{Outcome, Step, valid_until},
};

use super::{
    cluster::Copy,
    good_end, laws,
    look::trouble,
    mutants::Mutant,
    operator::Life,
    people, pods,
    town::{Fault, Town, whole},
    world::{Late, World, key_of, not_before, time},
};

/// Something that can happen next.
pub struct Move {
    /// The lower, the sooner it happens when nothing goes wrong; none if only a fault brings it.
    pub rank: Option<u8>,
    /// What happens, for whoever reads the story of a broken promise.
    pub label: String,
    pub world: World,
}

/// More looks in a row than any plan needs.
const MOST_LOOKS: usize = 40;

/// What happens next, for one state.
pub struct Moves<'a> {
    pub town: &'a Town,
    pub world: &'a World,
    pub list: Vec<Move>,
    /// Whether labels are wanted.
    pub wordy: bool,
}

/// Everything that can happen next.
pub fn moves(town: &Town, world: &World, wordy: bool) -> Vec<Move> {
    let mut moves = Moves { town, world, list: vec![], wordy };
    if moves.somebody_looks_up() {
        return moves.list;
    }
    moves.late_effects();
    people::moves(&mut moves);
    pods::moves(&mut moves);
    for who in 0..world.operators.len() {
        moves.of_an_operator(who);
    }
    // At a good end there is nothing that time could bring but another look at it.
    if good_end::lacks(town, world).is_some() {
        moves.time();
    }
    moves.list
}

impl Moves<'_> {
    /// Something happens.
    pub fn add(&mut self, rank: impl Into<Option<u8>>, label: impl FnOnce() -> String, mut world: World) {
        world.note_service(self.town);
        let label = if self.wordy { label() } else { String::new() };
        self.list.push(Move { rank: rank.into(), label, world });
    }

    /// The same world with one more fault, if there may be one more.
    pub fn after(&self, fault: Fault, world: &World) -> Option<World> {
        let allowed = self.town.allows(fault) && world.faults < self.town.most_faults;
        allowed.then(|| World { faults: world.faults + 1, ..world.clone() })
    }

    /// An operator that wakes only to go on sleeping changes nothing for anybody else: it does so first, so that not every
    /// order of such wakings is gone through.
    fn somebody_looks_up(&mut self) -> bool {
        for (who, operator) in self.world.operators.iter().enumerate() {
            if !operator.told || !matches!(operator.life, Life::Asleep { .. }) {
                continue;
            }
            let mut world = self.world.clone();
            world.wake(self.town, who, 0);
            if matches!(world.operators[who].life, Life::Asleep { .. }) {
                self.add(0, || format!("operator {who} looks up"), world);
                return true;
            }
        }
        false
    }

    fn late_effects(&mut self) {
        for at in 0..self.world.late.len() {
            let mut world = self.world.clone();
            let Late { who, step, .. } = world.late.remove(at);
            let lost = world.clone();
            world.carry_out(self.town, who, &step, true);
            self.add(0, || format!("it lands late: {step}"), world);
            if self.world.late[at].by <= self.world.now {
                self.add(None, || format!("it never lands: {step}"), lost);
            }
        }
    }

    fn of_an_operator(&mut self, who: usize) {
        let operator = &self.world.operators[who];
        let rank = 4 + u8::try_from(who).unwrap();
        if !operator.is_down()
            && let Some(mut world) = self.after(Fault::Crash, self.world)
        {
            world.operator(who).end();
            self.add(None, || format!("operator {who} is killed"), world);
        }
        match &operator.life {
            Life::Down => {
                let mut world = self.world.clone();
                world.start(self.town, who);
                self.add(1, || format!("operator {who} starts"), world);
            }
            Life::Asleep { .. } if operator.is_due(self.world.now) => {
                let rounds = if operator.awaits_a_round(self.world.now) { self.world.replicas(None) } else { 1 };
                for replica in 0..rounds {
                    let mut world = self.world.clone();
                    world.wake(self.town, who, replica);
                    self.run(who, world, rank, format!("operator {who} wakes"), 0);
                }
            }
            Life::Asleep { .. } => {}
            Life::Awake { .. } => self.run(who, self.world.clone(), rank, format!("operator {who}"), 0),
            Life::Paused { seen, step } => {
                let mut world = self.world.clone();
                let outcome = if is_too_late(self.town, self.world.now, seen, step) {
                    Outcome::Expired
                } else {
                    world.carry_out(self.town, who, step, false)
                };
                world.learn(self.town, who, outcome);
                self.add(3, || format!("operator {who} goes on: {step}"), world);
            }
        }
    }

    /// An operator looks as often as it wants to, and then does one thing, or rests.
    fn run(&mut self, who: usize, mut world: World, rank: u8, label: String, looks: usize) {
        let Life::Awake { step, .. } = &world.operators[who].life else {
            return self.add(rank, || label, world);
        };
        let step = step.clone();
        let said = if self.wordy { format!("{label}; {step}") } else { String::new() };
        if looks == MOST_LOOKS {
            world.breaks(format!("an operator looks for ever: {step}"));
            return self.add(rank, || said, world);
        }
        for replica in 0..Self::answers(who, &world, &step) {
            let Some(outcome) = world.look_at(self.town, who, &step, replica) else {
                return self.effect(who, &world, rank, &step, &said);
            };
            let mut after = world.clone();
            after.learn(self.town, who, outcome);
            let said = if replica == 0 { said.clone() } else { format!("{said} (not heard of)") };
            self.run(who, after, rank, said, looks + 1);
        }
        if let Some((outcome, how)) = self.poor_sight(who, &world, &step)
            && let Some(mut after) = self.after(how, &world)
        {
            after.learn(self.town, who, outcome);
            if how == Fault::OldNews {
                after.operator(who).told = true; // the news is on its way
            }
            self.run(who, after, rank, format!("{said}, with {how:?}"), looks + 1);
        }
    }

    /// How many replicas may answer a look differently.
    fn answers(who: usize, world: &World, step: &Step) -> usize {
        match step {
            Step::ReadApplication => world.replicas(None),
            Step::SignIn { key_id, .. } => world.replicas(Some(key_of(*key_id))),
            Step::TryTarget { target, .. } => {
                world.copy_at(who, target).and_then(Copy::value).map_or(1, |key| world.replicas(Some(key)))
            }
            _ => 1,
        }
    }

    /// A look that shows nothing, or what was so a moment ago.
    fn poor_sight(&self, who: usize, world: &World, step: &Step) -> Option<(Outcome, Fault)> {
        let trouble = || trouble(Reason::Unreachable, Effect::Unknown);
        match step {
            Step::ReadTarget { .. } => {
                let found = TargetState::Troubled(trouble());
                Some((Outcome::Target(Looked { at: time(world.now), found }), Fault::Blindness))
            }
            Step::ReadConsumers => Some((Outcome::Failed(trouble()), Fault::Blindness)),
            Step::WatchConsumers { .. } => Some((world.old_news(self.town, who)?, Fault::OldNews)),
            _ => None,
        }
    }

    fn effect(&mut self, who: usize, world: &World, rank: u8, step: &Step, said: &str) {
        let town = self.town;
        let mut done = world.clone();
        let outcome = done.carry_out(town, who, step, false);
        let succeeded = !matches!(outcome, Outcome::Outpaced);
        if let Step::Remove { key_id, .. } = step
            && !world.shows(1, key_of(*key_id))
        {
            let mut after = world.clone();
            after.learn(town, who, Outcome::Removed);
            self.add(rank, || format!("{said}: a replica that never heard of it says that it is gone"), after);
        }
        if let Some(mut after) = self.after(Fault::Crash, &done) {
            let operator = after.operator(who);
            operator.end();
            operator.nonces += 1;
            self.add(None, || format!("{said}, and is killed"), after);
        }
        if is_compared(step)
            && succeeded
            && let Some(mut after) = self.after(Fault::Repeat, &done)
        {
            after.learn(town, who, Outcome::Outpaced);
            self.add(None, || format!("{said}, twice, and hears of the second"), after);
        }
        if let Some(mut after) = self.after(Fault::Refusal, world) {
            after.learn(town, who, Outcome::Failed(trouble(Reason::Throttled, Effect::Refused)));
            self.add(None, || format!("{said}, which is refused"), after);
        }
        if let Some(mut after) = self.after(Fault::Silence, world) {
            if let Step::Mint { .. } = step {
                laws::of_a_mint(&mut after, town);
            }
            let by = world.now + whole(town.timing.late_mint);
            after.late.push(Late { who, step: Rc::new(step.clone()), by });
            after.learn(town, who, Outcome::Failed(trouble(Reason::Unreachable, Effect::Unknown)));
            self.add(None, || format!("{said}, which is not answered"), after);
        }
        let publishes = matches!(step, Step::Publish { .. }) && town.allows(Fault::PauseInPublishing);
        let pause = if publishes { Fault::PauseInPublishing } else { Fault::Pause };
        if let Some(mut after) = self.after(pause, world) {
            let operator = after.operator(who);
            if let Life::Awake { seen, step } = std::mem::replace(&mut operator.life, Life::Down) {
                operator.life = Life::Paused { seen, step };
            }
            self.add(None, || format!("{said}: it is put to sleep before"), after);
        }
        done.learn(town, who, outcome);
        self.add(rank, || said.to_owned(), done);
    }

    /// Time passes when nobody has anything to do, up to the next instant that matters to anybody.
    fn time(&mut self) {
        let world = self.world;
        if world.operators.iter().any(|operator| operator.is_due(world.now)) {
            return;
        }
        let asleep = world.operators.iter().filter_map(|operator| match &operator.life {
            Life::Asleep { until, .. } => *until,
            Life::Paused { seen, step } => valid_until(seen, step, &self.town.timing)
                .map(|until| not_before(until) + 1)
                .filter(|at| *at > world.now),
            Life::Down | Life::Awake { .. } => None,
        });
        let ends = world.late.iter().map(|late| late.by).chain(world.blocked);
        let Some(next) = asleep.chain(ends).min() else { return };
        if next > world.now {
            let then = World { now: next, ..world.clone() };
            self.add(7, || format!("{} s pass", next - world.now), then);
        }
    }
}

/// Whether what is written is compared with what it was.
fn is_compared(step: &Step) -> bool {
    match step {
        Step::Publish { target, .. } => matches!(target, keywright::facts::TargetId::Secret(_)),
        Step::Mint { .. } | Step::Remove { .. } | Step::Forget { .. } => false,
        _ => true,
    }
}

/// An effect is valid for a while only, and a mint only for a short one.
fn is_too_late(town: &Town, now: i64, seen: &Observation, step: &Step) -> bool {
    if town.mutant.is_some_and(Mutant::publishes_blindly) && matches!(step, Step::Publish { .. }) {
        return false;
    }
    valid_until(seen, step, &town.timing).is_some_and(|until| time(now) > until)
}
