//! What the rules of the engine look at: the observation with its policy, and the few questions that all of them ask.

use std::time::Duration;

use jiff::Timestamp;

use super::{Timing, readable::Request, step::Step, timing::doubling};
use crate::{
    api::{Reason, status::EffectivePolicy},
    facts::{
        Application, Attempt, Consumers, Effect, Entry, Failing, Fate, Looked, Nonce, Observation, OwnAttempt, Record,
        SeenBy, Sequence, Stage, TargetId, TargetState, Work, record,
    },
};

/// Everything that a rule may look at.
pub(super) struct Scene<'a> {
    pub seen: &'a Observation,
    pub request: &'a Request<'a>,
    pub policy: &'a EffectivePolicy,
    pub timing: &'a Timing,
    /// The time, by the API server's clock.
    pub now: Timestamp,
    /// A nonce that nobody has used.
    pub chance: &'a Nonce,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Nothing; the next rule is asked.
    Pass,
    /// Do this now.
    Do(Step),
    /// Nothing can be done here yet; the next rule is asked all the same.
    Wait(Wait),
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// How far things are, or why they are stuck, in one word.
    pub reason: Reason,
    /// What is waited for, for people.
    pub waiting_for: String,
    /// When to look again at the latest; none if only a change outside can end it.
    pub until: Option<Timestamp>,
}

impl Ruling {
    pub(super) fn wait(reason: Reason, waiting_for: impl Into<String>, until: Option<Timestamp>) -> Self {
        Self::Wait(Wait { reason, waiting_for: waiting_for.into(), until })
    }
}

/// Return what a rule says, unless it passes.
macro_rules! unless_passed {
    ($ruling:expr) => {
        match $ruling {
            Ruling::Pass => {}
            ruling => return ruling,
        }
    };
}
pub(super) use unless_passed;

/// A time so much later.
pub(super) fn after(time: Timestamp, span: Duration) -> Timestamp {
    time.saturating_add(span).unwrap_or(Timestamp::MAX)
}

/// A time so much earlier.
pub(super) fn before(time: Timestamp, span: Duration) -> Timestamp {
    time.saturating_sub(span).unwrap_or(Timestamp::MIN)
}

/// The grain of the times that Kubernetes tells: a start is told as the whole second in which it was.
pub(super) const GRAIN: Duration = Duration::from_secs(1);

impl<'a> Scene<'a> {
    /// When no node serves any more what was somewhere before something was written.
    pub(super) fn forgotten(&self, written_at: Timestamp) -> Timestamp {
        after(written_at, self.timing.settle + self.timing.margin)
    }

    /// The records that speak of what is declared; one of another application or kind is never projected.
    pub(super) fn records(&self) -> impl Iterator<Item = &'a Record> {
        let (spec, tenant, kind) = (self.request.spec, self.request.tenant, self.request.kind);
        self.seen.records.list.iter().filter(move |record| {
            let entry = &record.entry;
            entry.client_id == spec.client_id && entry.tenant == tenant.tenant_id && entry.kind == kind
        })
    }

    /// The records of an application that this resource was about before somebody deleted and re-created it.
    pub(super) fn former(&self) -> impl Iterator<Item = &'a Record> {
        let (client_id, tenant) = (self.request.spec.client_id, self.request.tenant.tenant_id);
        let is_another = move |entry: &Entry| (entry.client_id, entry.tenant) != (client_id, tenant);
        self.seen.records.list.iter().filter(move |record| is_another(&record.entry))
    }

    pub(super) fn record(&self, sequence: Sequence) -> Option<&'a Record> {
        self.records().find(|record| record.entry.sequence == sequence)
    }

    /// The record of the credential that counts as published.
    pub(super) fn published(&self) -> Option<&'a Record> {
        self.records()
            .filter(|record| record.entry.stage == Stage::Publishing && record.entry.retired_at.is_none())
            .max_by_key(|record| record.entry.sequence)
    }

    /// The record of the credential that is on its way.
    pub(super) fn candidate(&self) -> Option<&'a Record> {
        let published = self.published().map(|record| record.entry.sequence);
        self.records()
            .filter(|record| record.entry.stage == Stage::Unpublished && Some(record.entry.sequence) > published)
            .max_by_key(|record| record.entry.sequence)
    }

    /// Records that were given up since something was last published: as many attempts have come to nothing.
    pub(super) fn given_up(&self) -> impl Iterator<Item = &'a Record> {
        let published = self.published().map(|record| record.entry.sequence);
        self.records().filter(move |one| one.entry.stage == Stage::Abandoned && Some(one.entry.sequence) > published)
    }

    /// Where the spec wants the credential published.
    pub(super) fn declared(&self) -> Vec<TargetId> {
        declared(self.request)
    }

    /// Everything that was ever published to, and everything that will be.
    pub(super) fn every_target(&self) -> Vec<TargetId> {
        let mut every = self.declared();
        // Where something federated was published, nobody could take a credential from.
        let records = self.seen.records.list.iter().filter(|record| record.entry.claims.is_none());
        every.extend(records.flat_map(|record| record.entry.published_to.iter().cloned()));
        every.sort_unstable();
        every.dedup();
        every
    }

    pub(super) fn own_attempt(&self, sequence: Sequence, nonce: &Nonce) -> Option<&'a OwnAttempt> {
        self.seen.mine.attempts.iter().find(|own| own.sequence == sequence && own.nonce == *nonce)
    }

    /// One more than anything that was ever numbered: by records, whatever has the name of one, and these.
    pub(super) fn next_sequence(&self, elsewhere: impl Iterator<Item = Sequence>) -> Sequence {
        let records = self.seen.records.list.iter().map(|record| record.entry.sequence);
        let prefix = record::name_of(&self.seen.owner, Sequence(0));
        let prefix = prefix.trim_end_matches('0');
        let forged = self.seen.records.forged.iter().filter_map(|(name, _)| name.strip_prefix(prefix)?.parse().ok());
        let highest = records.chain(forged.map(Sequence)).chain(elsewhere).max();
        highest.map_or(Sequence(1), Sequence::next)
    }

    /// An attempt that begins now.
    pub(super) fn new_attempt(&self) -> Attempt {
        Attempt { nonce: self.chance.clone(), holder: self.seen.process.clone(), at: self.now }
    }

    /// Note of a record that its credential is not to be used any more.
    pub(super) fn retire(&self, record: &Record) -> Ruling {
        let entry = Self::rewritten(record, |entry| entry.retired_at = Some(self.now));
        // Its finalizer goes with it at the end: until then it is evidence of what is ours.
        self.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
    }

    /// Workloads and pods as the API server listed them a moment ago.
    pub(super) fn listed(&self) -> Result<&'a Consumers, Ruling> {
        match &self.seen.consumers {
            Some(consumers) if matches!(consumers.seen, SeenBy::List(at) if self.is_fresh(at)) => Ok(consumers),
            _ => Err(self.attempt(Step::ReadConsumers)),
        }
    }

    /// Whether something that was seen then may still be acted on.
    pub(super) fn is_fresh(&self, at: Timestamp) -> bool {
        self.now <= after(at, self.timing.fresh)
    }

    pub(super) fn has_passed(&self, since: Timestamp, span: Duration) -> bool {
        self.now >= after(since, span)
    }

    /// Do a step, unless the same piece of work has failed a moment ago.
    pub(super) fn attempt(&self, step: Step) -> Ruling {
        attempt(self.seen, self.timing, self.now, step)
    }

    /// The same for what changes something: only on records that the API server itself has listed a moment ago.
    pub(super) fn effect(&self, step: Step) -> Ruling {
        match self.seen.records.listed_at {
            Some(at) if self.is_fresh(at) => self.attempt(step),
            _ => self.attempt(Step::ReadRecords),
        }
    }

    /// How long a piece of work that has failed is left alone.
    pub(super) fn held_off(&self, work: &Work) -> Option<Wait> {
        held_off(self.seen, self.timing, self.now, work)
    }

    /// The application, if it was read a moment ago, and since this process last minted; else what to do first.
    pub(super) fn application(&self) -> Result<&'a Application, Ruling> {
        let has_minted = |own: &&OwnAttempt| !matches!(own.fate, Fate::Announced | Fate::Rehearsed | Fate::Nothing);
        let minted = self.seen.mine.attempts.iter().filter(has_minted).map(|own| own.begun_at).max();
        match &self.seen.application {
            Some(looked) if self.is_fresh(looked.at) && Some(looked.at) >= minted => Ok(&looked.found),
            _ => Err(self.attempt(Step::ReadApplication)),
        }
    }

    /// A target, if it was looked at a moment ago; else what to do first.
    pub(super) fn target(&self, id: &TargetId, wanted: Option<Sequence>) -> Result<&'a TargetState, Ruling> {
        match self.seen.targets.get(id) {
            Some(Looked { at, found }) if self.is_fresh(*at) => Ok(found),
            _ => Err(self.attempt(Step::ReadTarget { target: id.clone(), wanted })),
        }
    }

    /// What a record would say next.
    pub(super) fn rewritten(record: &Record, change: impl FnOnce(&mut Entry)) -> Box<Entry> {
        let mut entry = record.entry.clone();
        change(&mut entry);
        Box::new(entry)
    }
}

/// Do a step, also for a resource whose tenant is not there, unless the same piece of work has failed a moment ago.
pub(super) fn attempt(seen: &Observation, timing: &Timing, now: Timestamp, step: Step) -> Ruling {
    match held_off(seen, timing, now, &step.work()) {
        Some(wait) => Ruling::Wait(wait),
        None => Ruling::Do(step),
    }
}

/// Whether what has failed is so with any spec: what may have had an effect, or is to be asked for less. What was refused to
/// one may be granted to another.
#[must_use]
pub fn outlives_its_spec(failing: &Failing) -> bool {
    let trouble = &failing.trouble;
    trouble.effect != Effect::Refused || trouble.reason == Reason::Throttled
}

fn held_off(seen: &Observation, timing: &Timing, now: Timestamp, work: &Work) -> Option<Wait> {
    let failing = seen.mine.failing.get(work)?;
    let until = again_at(work, failing, timing);
    (now < until).then(|| Wait {
        reason: failing.trouble.reason,
        waiting_for: format!("the next try: {}: {}", failing.trouble.message, failing.trouble.remedy),
        until: Some(until),
    })
}

/// When a piece of work may be tried again. What a service asked for is kept, and whatever minted may have had an
/// effect is left alone for longer.
fn again_at(work: &Work, failing: &Failing, timing: &Timing) -> Timestamp {
    let trouble = &failing.trouble;
    let passing =
        trouble.effect == Effect::NotSent || matches!(trouble.reason, Reason::Throttled | Reason::ConcurrentWrite);
    let pauses = match work {
        Work::Minting if !passing => timing.mint_again,
        // Whether it may be read changes by hand, and seldom; how much may be asked, by itself.
        Work::Reporting if trouble.effect == Effect::Refused && !passing => (timing.usage.1, timing.usage.1),
        Work::Reporting => timing.usage,
        _ => timing.again,
    };
    let pause = doubling(pauses, failing.times).max(trouble.retry_after.unwrap_or_default());
    after(failing.last_at, pause)
}

/// Where a request wants its credential published.
#[must_use]
pub fn declared(request: &Request<'_>) -> Vec<TargetId> {
    let secret = request.secret_name().map(|name| TargetId::Secret(name.into()));
    let vaults = request.spec.publish.iter().flat_map(|publish| &publish.key_vaults);
    let vaults = vaults.map(|target| TargetId::Vault(target.into()));
    secret.into_iter().chain(vaults).collect()
}
