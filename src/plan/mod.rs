//! What is to be said and done about a resource, and why. Pure: facts in, decision out. Nothing here waits, reads a
//! clock, talks to a server or writes a log; time and chance are arguments.
//!
//! Reading order: this file, then [`readable`] (what can be spoken of at all), [`policy`] and [`timing`] (the values in
//! force), [`admit`] (what the tenant allows), [`templates`] (whether they can be read); [`step`] and [`outcome`] (what
//! can be done, and what it brings), `scene` (what every rule asks), `issue` and `attempts` (from nothing to a kept
//! credential), `proof` (whether it is any good), `publish` and `target` (where it goes), `due` (why another one is),
//! [`window`] and [`blast`] (what may hold it back), [`evidence`] (who has it), `holders`, `usage` and `rollout` (who
//! uses it), `gate` (the proofs before an old one goes), `adopt` (one that was there already), `removal` (the one gate
//! through which credentials leave), `forget` (their records), `certificate` (made first and added afterwards, to a
//! list that is written whole), `federated` (credentials without a value), `former_key` (that of a secret in a Secret
//! that stays without it), `ending` (what goes with a resource), [`fold`] (what a step has brought); [`report`] with
//! `standing` and `told` (what people see).

pub mod admit;
mod adopt;
mod attempts;
pub mod blast;
mod certificate;
mod due;
mod ending;
pub mod evidence;
mod federated;
pub mod fold;
mod forget;
mod former_key;
mod gate;
mod holders;
mod issue;
mod migrate;
pub mod outcome;
mod pattern;
pub mod policy;
mod proof;
mod publish;
pub mod readable;
pub mod removable;
mod removal;
pub mod report;
mod rollout;
pub mod scene;
mod standing;
pub mod step;
mod target;
pub mod templates;
pub mod tenant;
pub mod timing;
mod told;
mod usage;
pub mod window;

use jiff::Timestamp;

use self::{
    certificate::{list, source},
    scene::{Ruling, Scene},
};
pub use self::{outcome::Outcome, scene::Wait, step::Step, timing::Timing};
use crate::{
    api::{Reason, grant::CredentialKind, status::EffectivePolicy},
    facts::{Nonce, Observation},
};

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Why nothing further happens to this resource until a person does something.
    pub refusal: Option<Refusal>,
    /// The policy in force, where it could be found out.
    pub effective: Option<EffectivePolicy>,
    /// What is done now, or what is waited for.
    pub next: Next,
}

/// What is done now, or what is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This is done, its outcome is folded in, and then it is decided again.
    Do(Step),
    /// Nothing can be done now; each of these is waited for. None: there is nothing to do.
    Wait(Vec<Wait>),
}

/// A refusal: why in one word, and in a sentence what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The word.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// When it is, by the API server's clock, and a nonce that nobody has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// The nonce.
    pub chance: Nonce,
}

/// A rule of the engine.
type Rule = fn(&Scene<'_>) -> Ruling;

/// What is done first. A rule that has to wait holds back none of those after it.
const RULES: [Rule; 17] = [
    issue::keep_what_is_held,                    // it exists in memory only
    removal::remove_what_was_lost,               // and nobody else can know
    ending::detain,                              // before there is anything to clear up
    ending::keep_the_evidence,                   // of what is ours, if it is to be removed with the resource
    list::watch_what_was_written,                // certificates of others that our write has met
    issue::bring_on_its_way,                     // open, mint, prove
    publish::publish,                            // and keep it published
    rollout::bring_to_everybody,                 // who uses it
    proof::close_what_was_overtaken,             // records that will never be published
    removal::look_for_what_may_have_been_minted, // answers that were lost
    removal::remove_what_is_left_over,           // through the gate
    removal::remove_what_is_named,               // which others have made
    forget::forget_what_is_gone,                 // records of what is gone
    forget::let_finalizers_go,                   // a namespace must not wait for us for ever
    removal::look_now_and_then,                  // at what no round shows
    source::look_now_and_then,                   // at the Secret that a certificate is taken from
    due::wake_in_time,                           // for the next one
];

/// What is done for a resource that has been deleted: what was never published is taken back.
const LAST_RULES: [Rule; 9] = [
    issue::keep_what_is_held,
    list::watch_what_was_written,
    removal::remove_what_was_lost,
    proof::give_everything_up,
    proof::settle_what_was_being_published,
    removal::look_for_what_may_have_been_minted,
    removal::remove_what_is_left_over,
    forget::forget_what_is_gone,
    forget::let_finalizers_go,
];

/// What is done for a resource that is being deleted and says what is to go with it. The rest is done when it is gone.
const ENDING_RULES: [Rule; 5] = [
    issue::keep_what_is_held,
    list::watch_what_was_written,
    removal::remove_what_was_lost,
    ending::take_back,
    forget::let_finalizers_go,
];

/// What is done for a resource that is refused. No watch tells when what it collides with has made way.
const REFUSED_RULES: [Rule; 4] =
    [issue::keep_what_is_held, ending::leave, forget::let_finalizers_go, publish::wait_for_elders];

/// What is done even where nothing else may be: a value that is only in memory is kept, and a namespace does not wait for
/// us for ever.
const FROZEN_RULES: [Rule; 3] = [issue::keep_what_is_held, ending::leave, forget::let_finalizers_go];

/// The rules for a kind, as a resource stands.
type Rules = fn(CredentialKind) -> &'static [Rule];

/// What is done as a resource stands, and what about kinds that it has declared before. (Those of one that is going are
/// taken back before the resource is let go.)
fn rules(seen: &Observation) -> (Rules, Rules) {
    use CredentialKind::Federated;
    if seen.gone {
        let last: Rules = |kind| if kind == Federated { &federated::LAST_RULES } else { &LAST_RULES };
        (last, last)
    } else if ending::is_ending(seen) {
        (|kind| if kind == Federated { &federated::ENDING_RULES } else { &ENDING_RULES }, |_| &[])
    } else {
        (|kind| if kind == Federated { &federated::RULES } else { &RULES }, migrate::rules)
    }
}

/// Decide about a resource. The first check that speaks is the reason people read.
#[must_use]
pub fn plan(seen: &Observation, timing: &Timing, moment: &Moment) -> Decision {
    let refused = |refusal, effective, next| Decision { refusal: Some(refusal), effective, next };
    let request = match readable::request(seen) {
        Ok(request) => request,
        Err(refusal) => return refused(refusal, None, ending::without_a_tenant(seen, timing, moment.now)),
    };
    let policy = policy::resolve(&request);
    let refusal = || {
        admit::conflict(&request, &seen.elders)
            .or_else(|| policy::refusal(&request, &policy))
            .or_else(|| templates::refusal(&request))
    };
    let is_ending = ending::is_ending(seen);
    let refusal = match (seen.gone, is_ending) {
        (true, _) => None,
        (false, true) => admit::refusal(&request), // nothing is published any more
        (false, false) => admit::refusal(&request).or_else(refusal),
    };
    let effective = policy.effective(&request);
    let scene = Scene { seen, request: &request, policy: &effective, timing, now: moment.now, chance: &moment.chance };
    if let Some(refusal) = refusal {
        let next = first_step(&scene, |_| &REFUSED_RULES, |_| &FROZEN_RULES);
        return refused(refusal, Some(effective), next);
    }
    let (now, before) = rules(seen);
    let next = unless_suspended(&scene, first_step(&scene, now, before));
    Decision { refusal: None, effective: Some(effective), next }
}

/// Until when a step may still be begun: what it was decided on is then too old. What is compared and swapped needs no
/// such limit.
#[must_use]
pub fn valid_until(seen: &Observation, step: &Step, timing: &Timing) -> Option<Timestamp> {
    let listed = seen.records.listed_at;
    let since = match step {
        Step::Mint { record, .. } => {
            let last = record.entry.last_attempt()?;
            let own = seen.mine.attempts.iter().find(|own| own.nonce == last.nonce)?;
            return Some(scene::after(own.begun_at, timing.mint_within));
        }
        Step::Publish { target, .. } => [listed, seen.targets.get(target).map(|looked| looked.at)],
        Step::Unpublish { target, .. } => [listed, seen.targets.get(target).map(|looked| looked.at)],
        Step::Roll { .. } => [listed, None],
        Step::WriteList { .. } => [listed, seen.mine.list.as_ref().and_then(|list| list.row.last().copied())],
        Step::Remove { .. } => [listed, seen.application.as_ref().map(|looked| looked.at)],
        Step::Establish { .. } | Step::Withdraw { .. } => {
            [listed, seen.federation.credentials.as_ref().map(|looked| looked.at)]
        }
        Step::Annotate { account, .. } => [listed, seen.federation.accounts.get(account).map(|looked| looked.at)],
        _ => return None,
    };
    since.into_iter().flatten().min().map(|since| scene::after(since, timing.fresh))
}

/// What can be done first, for what is declared and for what was before.
fn first_step(scene: &Scene<'_>, now: Rules, before: Rules) -> Next {
    let mut waits = Vec::new();
    if let Some(step) = first_of(scene, now(scene.request.kind), &mut waits) {
        return Next::Do(step);
    }
    for request in migrate::former(scene) {
        if let Some(step) = first_of(&Scene { request: &request, ..*scene }, before(request.kind), &mut waits) {
            return Next::Do(step);
        }
    }
    Next::Wait(waits)
}

fn first_of(scene: &Scene<'_>, rules: &[Rule], waits: &mut Vec<Wait>) -> Option<Step> {
    for rule in rules {
        match rule(scene) {
            Ruling::Pass => {}
            Ruling::Do(step) => return Some(step),
            Ruling::Wait(wait) => waits.push(wait),
        }
    }
    None
}

/// What is suspended is looked at, and says what it would do.
fn unless_suspended(scene: &Scene<'_>, next: Next) -> Next {
    let by = match (scene.request.spec.suspend, scene.request.tenant.suspend) {
        (true, _) => "spec.suspend".to_owned(),
        (_, true) => format!("spec.suspend of EntraTenant {}", scene.request.tenant_name),
        _ => return next,
    };
    match next {
        Next::Do(step) if step.has_effect() => match first_step(scene, |_| &FROZEN_RULES, |_| &FROZEN_RULES) {
            Next::Do(still) => Next::Do(still),
            Next::Wait(mut waits) => {
                let waiting_for = format!("{by} to be false; the next step would be to {step}");
                waits.insert(0, Wait { reason: Reason::Suspended, waiting_for, until: None });
                Next::Wait(waits)
            }
        },
        next => next,
    }
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
