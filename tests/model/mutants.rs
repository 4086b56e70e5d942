//! Bugs that are planted around the planner: in what it sees, or in what it hears of its steps. A law that finds none of
//! them, or bounds too narrow for them, would be worth nothing.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use keywright::{
    api::{EntraAppCredentialSpec, KeyId, Period, consumers::Discovery},
    facts::{Attempt, Credential, Fate, Kept, Mark, Observation, Stage},
    plan::{Decision, Moment, Next, Outcome, Step, Timing, plan, removable::Removable},
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
    /// What was published is believed to be with everybody.
    RevokesBeforeProof,
    /// What was proven is not waited for any longer.
    SkipsTheOverlap,
    /// A pod that is to end is believed to have ended.
    ForgetsTerminatingPods,
    /// Where nobody is known who uses the credential, nobody uses it.
    CountsNobodyAsProven,
    /// What a record says of a credential is believed, whatever the credential itself bears.
    BelievesRecords,
    /// Workloads are restarted as soon as a credential is published.
    RollsBeforeSettle,
    /// A window is waited for, whatever ends before.
    LetsAWindowOutlast,
    /// Nobody signs in with an old credential, whatever the report says of it.
    BelievesInSilence,
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
            Self::RevokesBeforeProof => revoking(seen, plan(seen, timing, moment)),
            Self::SkipsTheOverlap => {
                let at_once = |spec: &mut EntraAppCredentialSpec| {
                    spec.retirement.as_mut().unwrap().min_overlap = Some(Period::seconds(0));
                };
                plan(&asking(seen, at_once), timing, moment)
            }
            Self::CountsNobodyAsProven => {
                let nobody = |spec: &mut EntraAppCredentialSpec| {
                    spec.consumers.as_mut().unwrap().discovery = Some(Discovery::None);
                };
                plan(&asking(seen, nobody), timing, moment)
            }
            Self::BelievesRecords => plan(&believing_records(seen), timing, moment),
            Self::RollsBeforeSettle => plan(seen, &Timing { settle: Duration::ZERO, ..*timing }, moment),
            Self::LetsAWindowOutlast => plan(&patient(seen), timing, moment),
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
            (Self::IgnoresPods, _, Outcome::Consumers(mut consumers)) => {
                consumers.pods.clear();
                Outcome::Consumers(consumers)
            }
            (Self::ForgetsTerminatingPods, _, Outcome::Consumers(mut consumers)) => {
                consumers.pods.retain(|pod| pod.terminating_since.is_none());
                Outcome::Consumers(consumers)
            }
            (Self::BelievesInSilence, _, Outcome::Usage(mut looked)) => {
                let published = seen.records.list.iter().filter(|one| one.entry.stage == Stage::Publishing);
                let keys = published.filter_map(|one| one.entry.kept.as_ref()).map(|kept| kept.key_id);
                let keys: Vec<KeyId> = keys.collect();
                let old = keys.split_last().map_or(&[][..], |(_, old)| old);
                looked.found.0.extend(old.iter().map(|key_id| (*key_id, Timestamp::UNIX_EPOCH)));
                Outcome::Usage(looked)
            }
            (_, _, outcome) => outcome,
        }
    }
}

/// The same, with a spec that asks for something else.
fn asking(seen: &Observation, change: impl FnOnce(&mut EntraAppCredentialSpec)) -> Observation {
    let mut seen = seen.clone();
    let spec = Arc::make_mut(&mut seen.resource).spec.as_mut().unwrap();
    change(Arc::make_mut(spec));
    seen
}

/// What is published is seen, and what was published before is removed.
fn revoking(seen: &Observation, decision: Decision) -> Decision {
    let publishing = || seen.records.list.iter().filter(|record| record.entry.stage == Stage::Publishing);
    let everywhere = publishing().next_back().is_some_and(|record| record.entry.published_at.is_some());
    let before = publishing().rev().nth(1).filter(|record| record.entry.retired_at.is_none() && everywhere);
    let old = before.and_then(|record| record.entry.kept.as_ref()).map(|kept| kept.key_id);
    match old.filter(|old| !seen.mine.removed.contains_key(old) && matches!(decision.next, Next::Wait(_))) {
        Some(key_id) => Decision { next: Next::Do(Step::Remove { key_id, because: Removable::Replaced }), ..decision },
        None => decision,
    }
}

/// Every credential bears the mark that some record of it would have.
fn believing_records(seen: &Observation) -> Observation {
    let mut seen = seen.clone();
    for record in &seen.records.list {
        let (Some(kept), Some(last)) = (&record.entry.kept, record.entry.last_attempt()) else { continue };
        let mark = Mark { owner: seen.owner.clone(), sequence: record.entry.sequence, nonce: last.nonce.clone() };
        let credentials = seen.application.iter_mut().flat_map(|looked| &mut looked.found.credentials);
        for credential in credentials.filter(|one| one.key_id == kept.key_id) {
            credential.display_name = Some(mark.to_string());
        }
    }
    seen
}

/// As if what is published never ended, once its successor is there.
fn patient(seen: &Observation) -> Observation {
    let mut seen = seen.clone();
    if seen.records.list.iter().any(|record| record.entry.stage == Stage::Unpublished && record.entry.kept.is_some()) {
        for kept in seen.records.list.iter_mut().filter_map(|record| record.entry.kept.as_mut()) {
            kept.expires_at = None;
        }
    }
    seen
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
