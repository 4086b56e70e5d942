//! What a step has brought becomes part of the observation, so that a rotation reads the world once and not once a step.

use jiff::Timestamp;

use super::{certificate, ending, evidence, federated, outcome::Outcome, step::Step};
use crate::{
    api::{KeyId, Reason},
    facts::{
        Application, Consumers, CopySeen, Effect, Failing, Fate, Looked, Missing, Nonce, Observation, OwnAttempt,
        Proof, Record, Rolled, SeenBy, Sequence, Service, Stage, TargetState, Tried, Trouble, Verdict, Work,
        WorkloadSeen,
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
        Outcome::Application(looked) => application(seen, looked),
        Outcome::Target(looked) => target(seen, step, looked),
        Outcome::Consumers(found) => consumers(seen, found, now),
        Outcome::Written(record) => written(seen, step, *record, begun_at),
        Outcome::Rehearsed => set_fate(seen, step, Fate::Rehearsed),
        Outcome::Minted(kept) => set_fate(seen, step, Fate::Held { kept, unsettled: false, in_doubt: false }),
        Outcome::Source(looked) => seen.source = Some(looked),
        Outcome::List(looked, keys) => {
            certificate::fold::read(seen, looked.at, keys);
            application(seen, looked);
        }
        Outcome::Listed => {
            certificate::fold::written(seen, step, now);
            removed(seen, step, now);
        }
        Outcome::Outpaced => outpaced(seen, step),
        Outcome::Overtaken => overtaken(seen, step),
        Outcome::Lost => lost(seen, step),
        Outcome::Verdict(verdict) => tried(seen, step, verdict, now),
        Outcome::Rolled(workload) => rolled(seen, step, workload.map(|workload| *workload), now),
        Outcome::Watching => {
            seen.mine.watching = true;
            seen.mine.unread_since.get_or_insert(now);
        }
        Outcome::Copied(same) => copied(seen, step, same, now),
        Outcome::Usage(looked) => seen.mine.usage = Some(looked),
        Outcome::Slot(taken) => seen.mine.slot = Some(taken),
        Outcome::Disabled => disabled(seen, step),
        Outcome::Removed => removed(seen, step, now),
        Outcome::Issuer(looked) => seen.federation.issuer = Some(looked),
        Outcome::Federation(looked) => federated::fold::read(seen, looked),
        Outcome::Established(credential) => federated::fold::established(seen, credential, now),
        Outcome::Exchanged(exchange) => federated::fold::exchanged(seen, step, exchange, now),
        Outcome::Account(looked) => federated::fold::account(seen, step, looked),
        Outcome::Forgotten => forgotten(seen, step),
        Outcome::Detained { detained, deleted_at } => ending::fold(seen, detained, deleted_at),
        Outcome::Expired => stale(seen),
        Outcome::Failed(trouble) => unsuccessful(seen, step, &trouble, begun_at, now),
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
    seen.federation.credentials = None;
    seen.consumers = None;
}

fn target(seen: &mut Observation, step: &Step, looked: Looked<TargetState>) {
    if let Step::ReadTarget { target, .. } | Step::Publish { target, .. } | Step::Unpublish { target, .. } = step {
        if matches!(&looked.found, TargetState::Present(carried) if carried.agrees) {
            seen.mine.failing.remove(&Work::Publishing(target.clone())); // somebody has written it
        }
        match looked.found {
            TargetState::Troubled(_) => seen.targets.remove(target),
            TargetState::Present(_) | TargetState::Absent => seen.targets.insert(target.clone(), looked),
        };
    }
}

fn overtaken(seen: &mut Observation, step: &Step) {
    if let Step::Publish { target, .. } | Step::Unpublish { target, .. } = step {
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
        Step::Adopt { .. } | Step::Rebuild { .. } | Step::KeepFromTarget { .. } => seen.mine.proof = None,
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
    if let Step::Rehearse { record }
    | Step::Mint { record, .. }
    | Step::Make { record, .. }
    | Step::Keep { record, .. } = step
    {
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
    if let Fate::Held { kept, in_doubt, .. } = &own.fate {
        let (key_id, in_doubt): (KeyId, bool) = (kept.key_id, *in_doubt);
        if certificate::fold::is_of_no_consequence(kept) {
            own.fate = Fate::Nothing;
        } else if in_doubt {
            seen.mine.attempts.retain(|own| own.sequence != *sequence || own.nonce != *nonce);
        } else {
            own.fate = Fate::Lost { key_id };
        }
    }
}

fn tried(seen: &mut Observation, step: &Step, verdict: Verdict, now: Timestamp) {
    let (key_id, published) = match step {
        Step::SignIn { key_id, record } => (key_id, record.entry.stage == Stage::Publishing),
        Step::TryTarget { target, key_id, .. } => {
            seen.mine.tried.insert(target.clone(), Tried { key_id: *key_id, at: now, verdict });
            return;
        }
        _ => return,
    };
    // What was published is to be proven again if etcd went back to before that.
    if let Some(missing) = seen.mine.missing.as_mut().filter(|missing| published && missing.key_id == *key_id) {
        return signed_in_with_what_is_missing(missing, &verdict, now);
    }
    let before = seen.mine.proof.take().filter(|proof| proof.key_id == *key_id);
    seen.mine.proof = Some(one_more(before, *key_id, verdict, now));
}

/// A proof after one more try.
pub(super) fn one_more(before: Option<Proof>, key_id: KeyId, verdict: Verdict, now: Timestamp) -> Proof {
    let mut proof = before.unwrap_or(Proof {
        key_id,
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
    proof
}

/// A credential that reads do not show any more may still be there: whoever signs in with it proves it.
fn signed_in_with_what_is_missing(missing: &mut Missing, verdict: &Verdict, now: Timestamp) {
    match verdict {
        Verdict::Refused(_) => {
            missing.refusals = missing.refusals.saturating_add(1);
            missing.tried_at = Some(now);
        }
        Verdict::Accepted | Verdict::Blocked(_) => {
            *missing = Missing { since: now, reads: 0, refusals: 0, tried_at: Some(now), read_at: now, ..*missing };
        }
        Verdict::Misasked(_) | Verdict::Unheard(_) => missing.tried_at = Some(now),
    }
}

/// The application as it was just read. Whether it shows the published credential is counted.
fn application(seen: &mut Observation, looked: Looked<Application>) {
    let at = looked.at;
    let shows = |key_id: KeyId| looked.found.credentials.iter().any(|one| one.key_id == key_id);
    match published(seen) {
        Some(key_id) if !shows(key_id) => {
            let before = seen.mine.missing.take().filter(|missing| missing.key_id == key_id);
            let before =
                before.unwrap_or(Missing { key_id, since: at, reads: 0, read_at: at, refusals: 0, tried_at: None });
            seen.mine.missing = Some(Missing { reads: before.reads.saturating_add(1), read_at: at, ..before });
        }
        _ => seen.mine.missing = None,
    }
    seen.application = Some(looked);
}

/// The credential that counts as published.
fn published(seen: &Observation) -> Option<KeyId> {
    let publishing = seen.records.list.iter().filter(|record| record.entry.stage == Stage::Publishing);
    let last = publishing.max_by_key(|record| record.entry.sequence)?;
    last.entry.kept.as_ref().map(|kept| kept.key_id)
}

/// Since when a workload has had its annotation is remembered: by that a rollout is known to take too long.
fn consumers(seen: &mut Observation, found: Consumers, now: Timestamp) {
    let name = seen.resource.metadata.name.as_deref().unwrap_or_default();
    let annotation = evidence::annotation(name);
    for workload in &found.workloads {
        let known = seen.mine.rolled.get(&workload.id);
        let said = workload.annotations.get(&annotation);
        if let Some(mark) = said.filter(|said| known.is_none_or(|known| known.mark != **said)) {
            seen.mine.rolled.insert(workload.id.clone(), Rolled { mark: mark.clone(), since: now });
        }
    }
    seen.mine.rolled.retain(|id, _| found.workloads.iter().any(|workload| workload.id == *id));
    if found.seen == SeenBy::Watch {
        seen.mine.unread_since = None;
    }
    seen.consumers = Some(found);
}

fn rolled(seen: &mut Observation, step: &Step, after: Option<WorkloadSeen>, now: Timestamp) {
    let Step::Roll { workload, mark } = step else { return };
    let Some(consumers) = &mut seen.consumers else { return };
    consumers.workloads.retain(|one| one.id != *workload);
    if let Some(after) = after {
        consumers.workloads.push(after);
        consumers.workloads.sort_by(|a, b| a.id.cmp(&b.id));
        seen.mine.rolled.insert(workload.clone(), Rolled { mark: mark.clone(), since: now });
    }
}

fn copied(seen: &mut Observation, step: &Step, same: bool, now: Timestamp) {
    let Step::ReadCopy { copy, key_id, .. } = step else { return };
    let before = seen.mine.copies.get(copy).filter(|before| before.key_id == *key_id);
    let since = same.then(|| before.and_then(|before| before.since).unwrap_or(now));
    let lacked_at = if same { before.and_then(|before| before.lacked_at) } else { Some(now) };
    seen.mine.copies.insert(copy.clone(), CopySeen { key_id: *key_id, since, lacked_at, at: now });
}

fn disabled(seen: &mut Observation, step: &Step) {
    if let Step::DisableVersions { target, before } = step {
        seen.mine.disabled.insert(target.clone(), *before);
    }
}

fn removed(seen: &mut Observation, step: &Step, now: Timestamp) {
    let (Step::Remove { key_id, .. } | Step::Withdraw { key_id, .. } | Step::WriteList { drop: Some((key_id, _)), .. }) =
        step
    else {
        return;
    };
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
fn unsuccessful(seen: &mut Observation, step: &Step, trouble: &Trouble, begun_at: Timestamp, now: Timestamp) {
    match (step, trouble.effect) {
        (Step::Mint { .. }, Effect::Unknown) => set_fate(seen, step, Fate::Unknown { sent_at: begun_at }),
        (Step::Mint { .. }, Effect::Refused | Effect::NotSent) => set_fate(seen, step, Fate::Nothing),
        (Step::Keep { record, .. }, Effect::Unknown) => {
            held(seen, record, |unsettled, in_doubt| (*unsettled, *in_doubt) = (true, true));
        }
        // What was written, or not, shows itself when it is read again.
        (Step::Publish { target, .. } | Step::Unpublish { target, .. } | Step::ReadTarget { target, .. }, _) => {
            seen.targets.remove(target);
        }
        (
            Step::Open { .. }
            | Step::TakeOver { .. }
            | Step::Note { .. }
            | Step::KeepFromTarget { .. }
            | Step::Adopt { .. }
            | Step::Rebuild { .. },
            Effect::Unknown,
        ) => {
            seen.records.listed_at = None;
        }
        // Names are unique: whether it is there shows itself by its name.
        (Step::Establish { .. } | Step::Withdraw { .. }, Effect::Unknown | Effect::Refused) => {
            seen.federation.credentials = None;
        }
        // Its key ID says whether it came through.
        (Step::WriteList { .. }, Effect::Unknown) => certificate::fold::written(seen, step, now),
        (Step::WriteList { .. }, Effect::Refused) => certificate::fold::refused(seen),
        // It may say by now what it was to say.
        (Step::Annotate { account, .. }, Effect::Unknown) => drop(seen.federation.accounts.remove(account)),
        (Step::ReadApplication, _) if trouble.reason == Reason::ApplicationNotFound => seen.application = None,
        _ => {}
    }
}
