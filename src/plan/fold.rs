//! What a step has brought becomes part of the observation, so that a rotation reads the world once and not once a step.

use jiff::Timestamp;

use super::step::{Outcome, Step};
use crate::{
    api::{KeyId, Reason},
    facts::{
        Effect, Failing, Fate, Kept, Looked, Nonce, Observation, OwnAttempt, Proof, Record, Sequence, Service, Stage,
        TargetState, Trouble, Verdict, Work,
    },
};

/// The observation after a step. `begun_at` is when the step was begun, `now` when it had ended.
pub fn fold(seen: &mut Observation, step: &Step, outcome: Outcome, begun_at: Timestamp, now: Timestamp) {
    let work = step.work();
    match &outcome {
        Outcome::Failed(trouble) => failed(seen, work, trouble.clone(), now),
        Outcome::Target(Looked { found: TargetState::Troubled(trouble), .. }) => {
            failed(seen, work, trouble.clone(), now);
        }
        Outcome::Target(Looked { found: TargetState::Present(carried), .. })
            if !carried.agrees && matches!(step, Step::Publish { .. }) =>
        {
            failed(seen, work, undone(step), now);
        }
        Outcome::Outpaced | Outcome::Overtaken | Outcome::Expired => {}
        _ => {
            seen.mine.failing.remove(&work);
        }
    }
    match outcome {
        Outcome::Records(records) => seen.records = records,
        Outcome::Application(looked) => seen.application = Some(looked),
        Outcome::Target(looked) => target(seen, step, looked),
        Outcome::Pods(looked) => seen.pods = Some(looked),
        Outcome::Written(record) => written(seen, step, *record, begun_at),
        Outcome::Rehearsed => set_fate(seen, step, Fate::Rehearsed),
        Outcome::Minted(kept) => set_fate(seen, step, Fate::Held { kept, unsettled: false, in_doubt: false }),
        Outcome::Outpaced => outpaced(seen, step),
        Outcome::Overtaken => overtaken(seen, step),
        Outcome::Lost => lost(seen, step),
        Outcome::Verdict(verdict) => tried(seen, step, verdict, now),
        Outcome::Removed => removed(seen, step, now),
        Outcome::Forgotten => forgotten(seen, step),
        Outcome::Expired => stale(seen),
        Outcome::Failed(trouble) => unsuccessful(seen, step, &trouble, begun_at),
    }
}

/// What was written is at once something else again.
fn undone(step: &Step) -> Trouble {
    let message = format!("could {step}, but what is there now is not what was written");
    let remedy = "Something changes it as it is written: look for an admission webhook or a policy that does.";
    Trouble { effect: Effect::Refused, ..Trouble::unsent(Service::Kubernetes, Reason::Refused, message, remedy) }
}

fn failed(seen: &mut Observation, work: Work, trouble: Trouble, now: Timestamp) {
    let times = seen.mine.failing.get(&work).map_or(1, |failing| failing.times.saturating_add(1));
    seen.mine.failing.insert(work, Failing { times, last_at: now, trouble });
}

/// Nothing that was observed may be acted on any more.
fn stale(seen: &mut Observation) {
    seen.records.listed_at = None;
    seen.application = None;
    seen.targets.clear();
    seen.pods = None;
}

fn target(seen: &mut Observation, step: &Step, looked: Looked<TargetState>) {
    if let Step::ReadTarget { target, .. } | Step::Publish { target, .. } = step {
        match looked.found {
            TargetState::Troubled(_) => seen.targets.remove(target),
            TargetState::Present(_) | TargetState::Absent => seen.targets.insert(target.clone(), looked),
        };
    }
}

fn overtaken(seen: &mut Observation, step: &Step) {
    if let Step::Publish { target, .. } = step {
        seen.targets.remove(target);
    }
}

/// A record as this process has just written or read it.
fn written(seen: &mut Observation, step: &Step, record: Record, begun_at: Timestamp) {
    let sequence = record.entry.sequence;
    match step {
        Step::Open { entry } | Step::TakeOver { entry, .. } => {
            if let Some(last) = entry.last_attempt() {
                let own = OwnAttempt { sequence, nonce: last.nonce.clone(), begun_at, fate: Fate::Announced };
                seen.mine.attempts.push(own);
            }
        }
        Step::Settle { nonce, .. } => {
            let own = attempt(seen, sequence, nonce);
            if let Some(OwnAttempt { fate, .. }) = own
                && let Fate::Held { kept, unsettled, .. } = fate
            {
                *unsettled = false;
                if record.entry.kept.as_ref().is_some_and(|in_record| in_record.key_id == kept.key_id) {
                    *fate = Fate::Kept;
                }
            }
        }
        Step::Keep { record: before, .. } => set_fate_of(seen, before, Fate::Kept),
        // Whatever was proven was another copy of the value; this one may have been scribbled on.
        Step::Rebuild { .. } | Step::KeepFromTarget { .. } => seen.mine.proof = None,
        _ => {}
    }
    if record.entry.stage == Stage::Abandoned {
        seen.mine.proof = None;
    }
    put(seen, record);
}

/// Put a record in the place of the one with its number.
fn put(seen: &mut Observation, record: Record) {
    let list = &mut seen.records.list;
    list.retain(|one| one.entry.name() != record.entry.name());
    list.push(record);
    list.sort_by_key(|one| one.entry.sequence);
}

fn attempt<'a>(seen: &'a mut Observation, sequence: Sequence, nonce: &Nonce) -> Option<&'a mut OwnAttempt> {
    seen.mine.attempts.iter_mut().find(|own| own.sequence == sequence && own.nonce == *nonce)
}

fn set_fate(seen: &mut Observation, step: &Step, fate: Fate) {
    if let Step::Rehearse { record } | Step::Mint { record, .. } | Step::Keep { record, .. } = step {
        set_fate_of(seen, record, fate);
    }
}

fn set_fate_of(seen: &mut Observation, record: &Record, fate: Fate) {
    let Some(last) = record.entry.last_attempt() else { return };
    if let Some(own) = attempt(seen, record.entry.sequence, &last.nonce) {
        own.fate = fate;
    }
}

/// Somebody else has written, or this process has and was answered for a second try of it.
fn outpaced(seen: &mut Observation, step: &Step) {
    seen.records.listed_at = None;
    match step {
        Step::Keep { record, .. } => held(seen, record, |unsettled, _| *unsettled = true),
        Step::Publish { target, .. } | Step::KeepFromTarget { target, .. } | Step::Rebuild { target, .. } => {
            seen.targets.remove(target);
        }
        _ => {}
    }
}

/// Change what is known about the writes of a value that is in memory.
fn held(seen: &mut Observation, record: &Record, change: impl FnOnce(&mut bool, &mut bool)) {
    let Some(last) = record.entry.last_attempt() else { return };
    if let Some(own) = attempt(seen, record.entry.sequence, &last.nonce)
        && let Fate::Held { unsettled, in_doubt, .. } = &mut own.fate
    {
        change(unsettled, in_doubt);
    }
}

/// The value is in no record. If a write of it has an unknown end it may have been there, or may yet come, and somebody
/// may have read it: then this process knows no better than any other, and the gate decides.
fn lost(seen: &mut Observation, step: &Step) {
    let Step::Settle { sequence, nonce } = step else { return };
    seen.records.listed_at = None;
    let Some(own) = attempt(seen, *sequence, nonce) else { return };
    if let Fate::Held { kept: Kept { key_id, .. }, in_doubt, .. } = &own.fate {
        let (key_id, in_doubt): (KeyId, bool) = (*key_id, *in_doubt);
        if in_doubt {
            seen.mine.attempts.retain(|own| own.sequence != *sequence || own.nonce != *nonce);
        } else {
            own.fate = Fate::Lost { key_id };
        }
    }
}

fn tried(seen: &mut Observation, step: &Step, verdict: Verdict, now: Timestamp) {
    let Step::SignIn { key_id, .. } = step else { return };
    let before = seen.mine.proof.take().filter(|proof| proof.key_id == *key_id);
    let mut proof = before.unwrap_or(Proof {
        key_id: *key_id,
        since: now,
        successes: 0,
        first_success_at: None,
        last_at: now,
        misses: 0,
        last: Verdict::Accepted,
    });
    proof.last_at = now;
    match &verdict {
        Verdict::Accepted => {
            proof.successes = proof.successes.saturating_add(1);
            proof.first_success_at = proof.first_success_at.or(Some(now));
            proof.misses = 0;
        }
        // No verdict neither adds to the row nor breaks it.
        Verdict::Unheard(_) => proof.misses = proof.misses.saturating_add(1),
        Verdict::Blocked(_) | Verdict::Refused(_) | Verdict::Misasked(_) => {
            proof.successes = 0;
            proof.first_success_at = None;
            proof.misses = proof.misses.saturating_add(1);
        }
    }
    proof.last = verdict;
    seen.mine.proof = Some(proof);
}

fn removed(seen: &mut Observation, step: &Step, now: Timestamp) {
    let Step::Remove { key_id, .. } = step else { return };
    seen.mine.removed.insert(*key_id, now);
    let gone = |own: &OwnAttempt| matches!(&own.fate, Fate::Lost { key_id: lost } if lost == key_id);
    seen.mine.attempts.retain(|own| !gone(own));
}

fn forgotten(seen: &mut Observation, step: &Step) {
    let Step::Forget { record } = step else { return };
    seen.records.list.retain(|one| one.entry.name() != record.entry.name());
    seen.mine.attempts.retain(|own| own.sequence != record.entry.sequence);
}

/// What a failure leaves behind depends on whether its effect is excluded.
fn unsuccessful(seen: &mut Observation, step: &Step, trouble: &Trouble, begun_at: Timestamp) {
    match (step, trouble.effect) {
        (Step::Mint { .. }, Effect::Unknown) => set_fate(seen, step, Fate::Unknown { sent_at: begun_at }),
        (Step::Mint { .. }, Effect::Refused | Effect::NotSent) => set_fate(seen, step, Fate::Nothing),
        (Step::Keep { record, .. }, Effect::Unknown) => {
            held(seen, record, |unsettled, in_doubt| (*unsettled, *in_doubt) = (true, true));
        }
        // What was written, or not, shows itself when it is read again.
        (Step::Publish { target, .. } | Step::ReadTarget { target, .. }, _) => {
            seen.targets.remove(target);
        }
        (
            Step::Open { .. }
            | Step::TakeOver { .. }
            | Step::Note { .. }
            | Step::KeepFromTarget { .. }
            | Step::Rebuild { .. },
            Effect::Unknown,
        ) => {
            seen.records.listed_at = None;
        }
        (Step::ReadApplication, _) if trouble.reason == Reason::ApplicationNotFound => seen.application = None,
        _ => {}
    }
}
