//! Bugs that are planted around the planner: in what it sees, or in what it hears of its steps. A law that finds none of
//! them, or bounds too narrow for them, would be worth nothing.

use keywright::{
    facts::{Attempt, Credential, Fate, Kept, Mark, Observation},
    plan::{Decision, Moment, Outcome, Step, Timing, plan},
};

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Whatever bears our mark counts as known, whatever its nonce.
    ForgetsTheNonce,
    /// What one read does not show was never minted.
    TrustsOneRead,
    /// A keep that was answered by a conflict is lost, without a look.
    RemovesOnConflict,
    /// A keep that was not answered is lost, without a look.
    SkipsTheLook,
    /// An open record is taken over, however young its last attempt is.
    TakesOverAtOnce,
    /// What was decided to be published is published, without compare-and-swap, whenever the process gets to it.
    PublishesBlindly,
    /// Pods are not asked.
    IgnoresPods,
}

impl Mutant {
    /// Whether what is published is compared with nothing.
    pub fn publishes_blindly(self) -> bool {
        self == Self::PublishesBlindly
    }

    /// What a planner with this bug says.
    pub fn plan(self, seen: &Observation, timing: &Timing, moment: &Moment) -> Decision {
        match self {
            Self::ForgetsTheNonce => plan(&knowing_every_nonce(seen), timing, moment),
            Self::TakesOverAtOnce => {
                let mut seen = seen.clone();
                let attempts = seen.records.list.iter_mut().flat_map(|record| &mut record.entry.attempts);
                for attempt in attempts {
                    attempt.at = moment.now.saturating_sub(timing.takeover + timing.margin).unwrap();
                }
                plan(&seen, timing, moment)
            }
            _ => plan(seen, timing, moment),
        }
    }

    /// What an operator with this bug hears.
    pub fn hears(self, step: &Step, outcome: Outcome, seen: &mut Observation) -> Outcome {
        match (self, step, outcome) {
            (Self::RemovesOnConflict, Step::Keep { .. }, Outcome::Outpaced) => {
                give_up(seen);
                Outcome::Outpaced
            }
            (Self::SkipsTheLook, Step::Keep { .. }, Outcome::Failed(trouble)) => {
                give_up(seen);
                Outcome::Failed(trouble)
            }
            (Self::TrustsOneRead, _, Outcome::Application(looked)) => {
                let shown: Vec<Mark> = looked.found.credentials.iter().filter_map(Credential::mark).collect();
                for own in &mut seen.mine.attempts {
                    if matches!(own.fate, Fate::Unknown { .. }) && !shown.iter().any(|mark| mark.nonce == own.nonce) {
                        own.fate = Fate::Nothing;
                    }
                }
                Outcome::Application(looked)
            }
            (Self::IgnoresPods, _, Outcome::Pods(mut looked)) => {
                looked.found.clear();
                Outcome::Pods(looked)
            }
            (_, _, outcome) => outcome,
        }
    }
}

fn give_up(seen: &mut Observation) {
    for own in &mut seen.mine.attempts {
        if let Fate::Held { kept: Kept { key_id, .. }, .. } = own.fate {
            own.fate = Fate::Lost { key_id };
        }
    }
}

fn knowing_every_nonce(seen: &Observation) -> Observation {
    let mut seen = seen.clone();
    let credentials = seen.application.iter().flat_map(|looked| &looked.found.credentials);
    for mark in credentials.filter_map(Credential::mark).filter(|mark| mark.owner == seen.owner) {
        let with_its_number = seen.records.list.iter_mut().map(|record| &mut record.entry);
        for entry in with_its_number.filter(|entry| entry.sequence == mark.sequence && !entry.knows(&mark.nonce)) {
            let at = entry.attempts[0].at;
            entry.attempts.insert(0, Attempt { nonce: mark.nonce.clone(), holder: "somebody".into(), at });
        }
    }
    seen
}
