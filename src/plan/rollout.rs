//! Restarting those who use what was published: the first alone, then a few at a time, none any more after one that
//! stalls. When everybody has it, that is noted.

use jiff::Timestamp;

use super::{
    Wait, blast, due,
    evidence::{self, Issue},
    holders::{self, Holder, Pending},
    scene::{self, Ruling, Scene, unless_passed},
    step::Step,
    usage,
    window::{self, Standing},
};
use crate::{
    api::{Reason, consumers::RolloutStrategy},
    facts::{Consumers, CopyId, Hindrance, Record, SeenBy, WorkloadSeen},
};

/// Bring what is published to everybody who uses it.
pub(super) fn bring_to_everybody(scene: &Scene<'_>) -> Ruling {
    let Some(issue) = evidence::issue(scene) else { return Ruling::Pass };
    if issue.record.entry.proven_at.is_some() {
        return Ruling::Pass;
    }
    let entry = &issue.record.entry;
    if entry.adopted.is_some() && entry.claims.is_none() && entry.taken_out_at.is_none() {
        return note_that_everybody_has_it(scene, issue.record); // what they have is what was adopted
    }
    if issue.record.entry.replaces.is_some() {
        unless_passed!(blast::count_it(scene));
    }
    if scene.now <= issue.certain_from {
        let what = "nodes to have forgotten what was published before, so that whatever starts reads what is there now";
        return Ruling::wait(Reason::Settling, what, Some(issue.certain_from + scene.timing.margin));
    }
    let consumers = match watched(scene, Reason::RollingOut) {
        Ok(consumers) => consumers,
        Err(ruling) => return ruling,
    };
    unless_passed!(look_at_copies(scene, issue));
    let holders = holders::holders(scene, issue, consumers);
    let held = match roll(scene, issue, &holders) {
        Ruling::Do(step) => return Ruling::Do(step),
        Ruling::Wait(wait) => Some(wait),
        Ruling::Pass => None,
    };
    unless_passed!(usage::look(scene, issue, &holders));
    let Some(late) = first_pending(&holders) else {
        // What started, and when, no watch takes back; what pods are made of, one that is behind may show as it was.
        let listed = matches!(consumers.seen, SeenBy::List(_));
        if issue.record.entry.claims.is_some() && !listed {
            return scene.attempt(Step::ReadConsumers);
        }
        return note_that_everybody_has_it(scene, issue.record);
    };
    let until = [late.until, held.as_ref().and_then(|wait| wait.until), look_again_at(scene, consumers.seen)];
    let until = until.into_iter().flatten().min();
    let told = held.filter(|wait| wait.reason.needs_a_person() || !late.reason.needs_a_person()).unwrap_or(late);
    Ruling::Wait(Wait { until, ..told })
}

/// Who uses the credential, as a watch shows it for as long as this is asked for.
pub(super) fn watched<'a>(scene: &Scene<'a>, stage: Reason) -> Result<&'a Consumers, Ruling> {
    match &scene.seen.consumers {
        Some(consumers) if is_current(scene, consumers.seen) => Ok(consumers),
        _ if !scene.seen.mine.watching => Err(scene.attempt(holders::watch(scene))),
        _ => {
            let since = scene.seen.mine.unread_since.unwrap_or(scene.now);
            let until = scene::after(since, scene.timing.fresh);
            if scene.now >= until {
                return Err(scene.attempt(Step::ReadConsumers)); // a list says why a watch shows nothing
            }
            let what = "the workloads and pods of the namespace to be read";
            Err(Ruling::wait(stage, what, Some(until)))
        }
    }
}

/// Somebody who is in the way of a removal, and when to look again, if nothing wakes. That there is nobody is only believed
/// of a list of a moment ago.
pub(super) fn in_the_way<'a>(
    scene: &Scene<'a>,
    stage: Reason,
    find: impl FnOnce(&'a Consumers) -> Option<String>,
) -> Result<Option<(String, Option<Timestamp>)>, Ruling> {
    let consumers = watched(scene, stage)?;
    match find(consumers) {
        Some(who) => {
            let silent = consumers.seen != SeenBy::Watch;
            Ok(Some((who, silent.then(|| scene::after(scene.now, scene.timing.drift)))))
        }
        None => scene.listed().map(|_| None),
    }
}

fn is_current(scene: &Scene<'_>, seen: SeenBy) -> bool {
    match seen {
        SeenBy::Watch => true,
        SeenBy::List(at) => scene.is_fresh(at),
    }
}

/// No watch shows what another tool copies, so a copy is looked at now and then.
pub(super) fn look_at_copies(scene: &Scene<'_>, issue: Issue<'_>) -> Ruling {
    if issue.record.entry.taken_out_at.is_some() {
        return Ruling::Pass;
    }
    let key_id = issue.kept.key_id;
    let is_recent = |copy: &CopyId| {
        let seen = scene.seen.mine.copies.get(copy).filter(|seen| seen.key_id == key_id);
        seen.is_some_and(|seen| scene.is_fresh(seen.at))
    };
    match evidence::copies(scene).find(|copy| !is_recent(copy)) {
        Some(copy) => scene.attempt(Step::ReadCopy { copy, record: Box::new(issue.record.clone()), key_id }),
        None => Ruling::Pass,
    }
}

/// What is waited for first, with the names of all.
pub(super) fn first_pending(holders: &[Holder<'_>]) -> Option<Wait> {
    let pending = || holders.iter().filter_map(|holder| Some((holder, holder.pending.as_ref()?)));
    // Whatever a person has to do is told before what goes on by itself.
    let stuck = pending().find(|(_, pending)| pending.reason.needs_a_person());
    let (holder, first) = stuck.or_else(|| pending().next())?;
    let others = pending().count() - 1;
    let others = if others == 0 { String::new() } else { format!(" (and {others} more)") };
    Some(Wait {
        reason: first.reason,
        waiting_for: format!("{}{others}: {}", holder.name, first.because),
        until: pending().filter_map(|(_, pending)| pending.until).min(),
    })
}

/// When to look again at what tells nobody that it has changed: copies, and whatever no watch shows.
fn look_again_at(scene: &Scene<'_>, seen: SeenBy) -> Option<Timestamp> {
    let silent = seen != SeenBy::Watch || evidence::copies(scene).next().is_some();
    silent.then(|| scene::after(scene.now, scene.timing.fresh + scene.timing.margin))
}

/// Restart one more, if one more may be.
fn roll(scene: &Scene<'_>, issue: Issue<'_>, holders: &[Holder<'_>]) -> Ruling {
    if scene.policy.rollout.strategy == RolloutStrategy::None {
        return Ruling::Pass;
    }
    let workloads = || holders.iter().filter_map(|holder| Some((holder.workload?, holder.pending.as_ref())));
    let is_rolling = |workload: &WorkloadSeen| issue.is_on(&workload.annotations);
    // One that is paused amid its restart has not shown yet that others can be restarted.
    let goes_on = |pending: &Pending| matches!(pending.reason, Reason::RollingOut | Reason::WorkloadPaused);
    let under_way =
        |(workload, pending): &(&WorkloadSeen, Option<&Pending>)| is_rolling(workload) && pending.is_some_and(goes_on);
    if workloads().any(|(_, pending)| pending.is_some_and(|pending| pending.reason == Reason::RolloutStalled)) {
        return Ruling::Pass; // none is started any more; the wait names the one that stalls
    }
    let is_well = |pending: Option<&Pending>| pending.is_none_or(|pending| pending.reason == Reason::PodsEnding);
    let done = workloads().any(|(workload, pending)| is_rolling(workload) && is_well(pending));
    let most = if done { scene.policy.rollout.max_concurrent } else { 1 };
    if workloads().filter(under_way).count() >= usize::try_from(most).unwrap_or(usize::MAX) {
        return Ruling::Pass;
    }
    let is_to_be = |(workload, pending): &(&WorkloadSeen, Option<&Pending>)| {
        let hindered = matches!(workload.hindrance, Some(Hindrance::Deleting | Hindrance::Paused));
        !hindered && !is_rolling(workload) && pending.is_some_and(|pending| pending.reason == Reason::RollingOut)
    };
    let mut next = workloads().filter(is_to_be).map(|(workload, _)| workload).peekable();
    if next.peek().is_none() {
        return Ruling::Pass;
    }
    unless_passed!(blast::brake_is_off(scene));
    unless_passed!(window(scene, "workloads to be restarted"));
    first_that_can_be(next.map(|workload| restart(scene, issue, workload)))
}

/// What can be done now, although something before it has to wait.
fn first_that_can_be(rulings: impl Iterator<Item = Ruling>) -> Ruling {
    let mut held = Ruling::Pass;
    for ruling in rulings {
        match ruling {
            Ruling::Do(step) => return Ruling::Do(step),
            wait if held == Ruling::Pass => held = wait,
            _ => {}
        }
    }
    held
}

fn restart(scene: &Scene<'_>, issue: Issue<'_>, workload: &WorkloadSeen) -> Ruling {
    unless_passed!(nobody_else_changes(scene, issue, workload));
    let Some(mark) = issue.record.entry.rollout_mark() else { return Ruling::Pass };
    scene.effect(Step::Roll { workload: workload.id.clone(), mark })
}

/// A workload whose pods are just being replaced is changed afterwards, so that two changes do not become one that nobody
/// can tell apart. One that does not come to an end is not waited for: ours may be what it needs.
fn nobody_else_changes(scene: &Scene<'_>, issue: Issue<'_>, workload: &WorkloadSeen) -> Ruling {
    let progress = workload.progress;
    let moving = progress.updated < progress.desired || progress.unfinished;
    if (!moving && progress.observed) || progress.stuck || workload.hindrance.is_some() {
        return Ruling::Pass;
    }
    // Controllers see a change within moments, if anything is to see at all: some tools write all the time.
    let patience = if moving { scene.policy.rollout.timeout.0 } else { scene.timing.fresh };
    let patience = scene::after(issue.certain_from, patience);
    if scene.now >= patience {
        return Ruling::Pass;
    }
    let what = format!("{}: somebody else is changing it", workload.id);
    Ruling::wait(Reason::RollingOut, what, Some(patience))
}

/// Whether workloads may be touched now.
pub(super) fn window(scene: &Scene<'_>, what: &str) -> Ruling {
    match window::state(&scene.policy.windows, scene.now) {
        Standing::Closed { opens_at } if !due::yields(scene) => {
            let opens = opens_at.map(|at| format!(" It opens at {at:.0}.")).unwrap_or_default();
            Ruling::wait(Reason::Queued, format!("a maintenance window, for {what}.{opens}"), opens_at)
        }
        Standing::Open { .. } | Standing::Closed { .. } => Ruling::Pass,
    }
}

fn note_that_everybody_has_it(scene: &Scene<'_>, record: &Record) -> Ruling {
    let entry = Scene::rewritten(record, |entry| entry.proven_at = Some(scene.now));
    scene.effect(Step::Note { record: Box::new(record.clone()), entry, finalized: record.finalized })
}
