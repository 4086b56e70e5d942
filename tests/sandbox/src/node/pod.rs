//! The life of a pod on a node, without I/O: what is to be done next with its volumes and containers, and when to look
//! again. Outcomes are told to it, and time is an argument. It never decides what a container holds.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{self as api, Pod};

use super::wishes::{Habits, Wishes};

/// A container that ends again and again is restarted at most this much later than the first time.
const LONGEST_BACKOFF: u32 = 32;

/// One thing to be done. [`Deed::Mount`] and [`Deed::Start`] want to be told what came of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Make the volumes, and tell [`Life::mounted`].
    Mount,
    /// Start the container with this number, and tell [`Life::started`].
    Start(usize),
    /// The container with this number has ended: it holds nothing any more.
    Stop(usize),
    /// Delete the pod's object for good, and tell [`Life::deleted`].
    Delete,
}

/// The phases of a pod, by the names that the API has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

/// The part that a container has in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It runs to its end before the next one starts.
    Init,
    /// An init container that is always restarted: once it has started it runs beside the others, and ends after them.
    Sidecar,
    Main,
}

/// A container, as far as the pod's life knows it.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) part: Part,
    pub(crate) state: State,
    pub(crate) restarts: i32,
    /// How the run before this one ended.
    pub(crate) last: Option<Ended>,
    /// It is to crash.
    shot: bool,
}

/// Where a container stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is started as soon as it is its turn and the time has come.
    Waiting { due: Timestamp, problem: Option<Problem> },
    /// It runs.
    Running { since: Timestamp },
    /// It has ended and stays so.
    Ended(Ended),
}

/// What keeps a container from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// A run that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) started: Timestamp,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restarts {
    Always,
    OnFailure,
    Never,
}

/// The end of a pod that was deleted.
#[derive(Clone, Copy, Debug)]
struct Ending {
    /// When what still runs ends, and with which code.
    at: Timestamp,
    code: i32,
    /// When the object may be deleted: later, if the API server did not answer.
    delete_at: Timestamp,
}

/// The life of one pod.
#[derive(Debug)]
pub(crate) struct Life {
    retry: Duration,
    restarts: Restarts,
    pub(crate) wishes: Wishes,
    pub(crate) began: Timestamp,
    /// When to make the volumes; none once they are there.
    mount_at: Option<Timestamp>,
    /// Init containers first.
    containers: Vec<Container>,
    inits: usize,
    ending: Option<Ending>,
    /// It had ended before this node knew of it.
    is_old: bool,
    is_gone: bool,
}

impl Life {
    /// A pod that is seen for the first time. `retry` is the time after which what failed is tried again.
    pub(crate) fn new(pod: &Pod, habits: Habits, retry: Duration, now: Timestamp) -> Self {
        let spec = pod.spec.clone().unwrap_or_default();
        let is_sidecar = |init: &api::Container| init.restart_policy.as_deref() == Some("Always");
        let part = |init: &api::Container| if is_sidecar(init) { Part::Sidecar } else { Part::Init };
        let inits: Vec<Part> = spec.init_containers.iter().flatten().map(part).collect();
        let state = State::Waiting { due: now, problem: None };
        let container = |part| Container { part, state: state.clone(), restarts: 0, last: None, shot: false };
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let mut life = Self {
            retry,
            restarts: match spec.restart_policy.as_deref() {
                Some("Never") => Restarts::Never,
                Some("OnFailure") => Restarts::OnFailure,
                _ => Restarts::Always,
            },
            wishes: Wishes::of(pod, habits),
            began: now,
            mount_at: Some(now),
            inits: inits.len(),
            containers: inits.into_iter().chain(spec.containers.iter().map(|_| Part::Main)).map(container).collect(),
            ending: None,
            is_old: matches!(phase, Some("Succeeded" | "Failed")),
            is_gone: false,
        };
        life.heed_deletion(pod, now);
        life
    }

    /// The pod's object has changed.
    pub(crate) fn seen(&mut self, pod: &Pod, habits: Habits, now: Timestamp) {
        let wishes = Wishes::of(pod, habits);
        if wishes.restart != self.wishes.restart {
            for container in &mut self.containers {
                container.shot = container.part != Part::Init && matches!(container.state, State::Running { .. });
            }
        }
        self.wishes = wishes;
        self.heed_deletion(pod, now);
    }

    /// The grace period begins when the node hears of it, and a later deletion can only shorten it.
    fn heed_deletion(&mut self, pod: &Pod, now: Timestamp) {
        if pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
        let grace = Duration::from_secs(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX).into());
        if let Some(ending) = &mut self.ending {
            ending.at = ending.at.min(now + grace);
            return;
        }
        let by_itself = self.wishes.ends_after.filter(|after| *after <= grace);
        let (after, code) = by_itself.map_or((grace, 137), |after| (after, 0));
        self.ending = Some(Ending { at: now + after, code, delete_at: now });
    }

    /// What is to be done now, if anything; to be asked until there is nothing.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Deed> {
        if self.is_gone {
            return None;
        }
        if let Some(ending) = self.ending {
            return self.end(ending, now);
        }
        if self.is_over() {
            return self.end_sidecars(now);
        }
        if let Some((number, code)) = self.ends(now) {
            self.stop(number, code, now);
            return Some(Deed::Stop(number));
        }
        match self.mount_at {
            Some(due) => (due <= now).then_some(Deed::Mount),
            None => self.starts(now).map(Deed::Start),
        }
    }

    fn end_sidecars(&mut self, now: Timestamp) -> Option<Deed> {
        let number = self.last_running()?;
        self.stop(number, 0, now);
        Some(Deed::Stop(number))
    }

    /// Sidecars come before the others, so that they end after them.
    fn last_running(&self) -> Option<usize> {
        self.containers.iter().rposition(|container| matches!(container.state, State::Running { .. }))
    }

    fn end(&mut self, Ending { at, code, delete_at }: Ending, now: Timestamp) -> Option<Deed> {
        match self.last_running() {
            Some(number) if at <= now => {
                self.stop(number, code, now);
                Some(Deed::Stop(number))
            }
            Some(_) => None,
            None => (delete_at <= now).then_some(Deed::Delete),
        }
    }

    /// A container that ends now, and with which code.
    fn ends(&self, now: Timestamp) -> Option<(usize, i32)> {
        let is_over = |number: usize, container: &Container| match container.state {
            State::Running { .. } if container.shot => Some((number, 1)),
            State::Running { since } => {
                self.runs_for(number).filter(|run_for| since + *run_for <= now).map(|_| (number, 0))
            }
            _ => None,
        };
        self.containers.iter().enumerate().find_map(|(number, container)| is_over(number, container))
    }

    fn runs_for(&self, number: usize) -> Option<Duration> {
        match self.containers[number].part {
            Part::Init => Some(self.wishes.init_for),
            Part::Sidecar => None,
            Part::Main => self.wishes.run_for,
        }
    }

    fn stop(&mut self, number: usize, code: i32, now: Timestamp) {
        let is_final = self.ending.is_some() || self.is_over();
        let container = &mut self.containers[number];
        let State::Running { since } = container.state else { return };
        let ended = Ended { code, started: since, at: now };
        let comes_back = match (container.part, self.restarts) {
            _ if is_final => false,
            (Part::Init, _) | (Part::Main, Restarts::Never) => false,
            (Part::Sidecar, _) | (Part::Main, Restarts::Always) => true,
            (Part::Main, Restarts::OnFailure) => code != 0,
        };
        let shot = std::mem::take(&mut container.shot);
        if !comes_back {
            container.state = State::Ended(ended);
            return;
        }
        let exponent = u32::try_from(container.restarts).unwrap_or_default();
        container.restarts += 1;
        container.last = Some(ended);
        // The first time at once, as always when it was shot: somebody waits for it.
        let wait = if shot || exponent == 0 { 0 } else { 2_u32.saturating_pow(exponent - 1).min(LONGEST_BACKOFF) };
        let problem = (wait > 0).then(|| Problem {
            reason: "CrashLoopBackOff",
            message: format!("back-off {:?} restarting failed container", self.retry * wait),
        });
        container.state = State::Waiting { due: now + self.retry * wait, problem };
    }

    /// The next container that is to be started: init containers one after the other, the rest together.
    fn starts(&self, now: Timestamp) -> Option<usize> {
        let is_due = |container: &Container| matches!(container.state, State::Waiting { due, .. } if due <= now);
        match self.next_init() {
            Some(number) => is_due(&self.containers[number]).then_some(number),
            None => self.containers.iter().position(is_due),
        }
    }

    /// The init container that all wait for.
    fn next_init(&self) -> Option<usize> {
        let is_done = |container: &Container| match (&container.state, container.part) {
            (State::Ended(_), _) | (State::Running { .. }, Part::Sidecar) => true,
            _ => container.part == Part::Sidecar && container.last.is_some(),
        };
        self.containers[..self.inits].iter().position(|container| !is_done(container))
    }

    /// The volumes are there, or not yet.
    pub(crate) fn mounted(&mut self, are_there: bool, now: Timestamp) {
        self.mount_at = (!are_there).then(|| now + self.retry);
    }

    /// A container runs, or why it cannot be created yet.
    pub(crate) fn started(&mut self, number: usize, outcome: Result<(), String>, now: Timestamp) {
        self.containers[number].state = match outcome {
            Ok(()) => State::Running { since: now },
            Err(message) => {
                let problem = Problem { reason: "CreateContainerConfigError", message };
                State::Waiting { due: now + self.retry, problem: Some(problem) }
            }
        };
    }

    /// The object is deleted, or is to be deleted later.
    pub(crate) fn deleted(&mut self, is_gone: bool, now: Timestamp) {
        self.is_gone = is_gone;
        let later = now + self.retry;
        self.ending.iter_mut().for_each(|ending| ending.delete_at = later);
    }

    /// When to look again, if nothing happens before.
    pub(crate) fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_gone {
            return None;
        }
        if let Some(ending) = self.ending {
            return [ending.at, ending.delete_at].into_iter().filter(|time| *time > now).min();
        }
        let containers = self.containers.iter().enumerate().flat_map(|(number, container)| match container.state {
            State::Waiting { due, .. } => [Some(due), None],
            State::Running { since } => {
                let ready = self.wishes.ready_after.filter(|_| container.part != Part::Init);
                [self.runs_for(number), ready].map(|after| after.map(|after| since + after))
            }
            State::Ended(_) => [None, None],
        });
        containers.flatten().chain(self.mount_at).filter(|time| *time > now).min()
    }

    /// The phase, by the rules that kubelets have for it.
    pub(crate) fn phase(&self) -> Phase {
        let main = || self.containers[self.inits..].iter();
        let ended = |container: &Container| match container.state {
            State::Ended(ended) => Some(ended),
            _ => container.last.filter(|_| self.ending.is_some()),
        };
        let runs = self.containers.iter().any(|container| matches!(container.state, State::Running { .. }));
        let all_ended = main().all(|container| ended(container).is_some());
        let all_well = all_ended && main().all(|container| ended(container).is_some_and(|ended| ended.code == 0));
        if all_well {
            return Phase::Succeeded;
        }
        if all_ended || (self.ending.is_some() && !runs) {
            return Phase::Failed;
        }
        let unborn =
            |container: &Container| matches!(container.state, State::Waiting { .. }) && container.last.is_none();
        if self.next_init().is_some() || main().any(unborn) { Phase::Pending } else { Phase::Running }
    }

    /// Whether all has ended, and nothing will be restarted.
    pub(crate) fn is_over(&self) -> bool {
        self.is_old || matches!(self.phase(), Phase::Succeeded | Phase::Failed)
    }

    /// Whether its status is this node's to tell.
    pub(crate) const fn is_told(&self) -> bool {
        !self.is_old && !self.is_gone
    }

    /// Whether all init containers have done their part.
    pub(crate) fn is_initialized(&self) -> bool {
        self.next_init().is_none()
    }

    /// Whether the volumes are there.
    pub(crate) const fn is_mounted(&self) -> bool {
        self.mount_at.is_none()
    }

    /// Whether anything runs.
    pub(crate) fn runs(&self) -> bool {
        self.containers.iter().any(|container| matches!(container.state, State::Running { .. }))
    }

    /// Whether a container is ready; an init container is when it has done its part.
    pub(crate) fn is_ready(&self, number: usize, now: Timestamp) -> bool {
        let Container { state, part, .. } = &self.containers[number];
        match (state, self.wishes.ready_after) {
            (State::Running { since }, Some(after)) => *part != Part::Init && *since + after <= now,
            (State::Ended(ended), _) => *part == Part::Init && ended.code == 0,
            _ => false,
        }
    }

    /// The init containers, and the others.
    pub(crate) fn containers(&self) -> (&[Container], &[Container]) {
        self.containers.split_at(self.inits)
    }
}

#[cfg(test)]
#[path = "pod_tests.rs"]
mod tests;
