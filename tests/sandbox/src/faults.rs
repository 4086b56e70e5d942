//! Weather on purpose: rules that say to which requests something bad happens, and what. A rule names its point by
//! service, verb and path, and counts the requests that reach it. It knows no service, and does nothing itself: the
//! server asks what shall be done to a request and does that.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::hold::KillSwitch;
use crate::journal::Request;

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// It is answered with this status, and not carried out.
    Answer {
        /// The status.
        status: u16,
        /// A `Retry-After` header.
        retry_after: Option<Duration>,
        /// What the answer says; by default what the service says with this status.
        body: Option<String>,
    },
    /// It is carried out after a while.
    Delay(Duration),
    /// It is not carried out, and never answered.
    Hang,
    /// The connection is cut, and it is not carried out.
    CutBefore,
    /// It is carried out, and the connection is cut instead of an answer.
    CutAfter,
    /// It is carried out, and the connection is cut after so many bytes of the answer's body.
    Truncate(usize),
    /// A process is killed, and the request is not carried out.
    KillBefore(KillSwitch),
    /// It is carried out, and a process is killed before the answer.
    KillAfter(KillSwitch),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { status, .. } => write!(f, "answer {status}"),
            Self::Delay(time) => write!(f, "delay {time:?}"),
            Self::Hang => write!(f, "hang"),
            Self::CutBefore => write!(f, "cut before"),
            Self::CutAfter => write!(f, "cut after"),
            Self::Truncate(bytes) => write!(f, "truncate {bytes}"),
            Self::KillBefore(_) => write!(f, "kill before"),
            Self::KillAfter(_) => write!(f, "kill after"),
        }
    }
}

/// To which of the requests that reach a rule's point it applies; they are counted from 1 when the rule is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The k-th.
    Nth(usize),
    /// The k-th and all that follow.
    From(usize),
    /// The first so many.
    Times(usize),
    /// Each with this probability, in thousandths. The same ones in every run.
    Sometimes(u16),
    /// All.
    Every,
}

impl When {
    fn includes(self, k: usize) -> bool {
        match self {
            Self::Nth(nth) => k == nth,
            Self::From(first) => k >= first,
            Self::Times(times) => k <= times,
            Self::Sometimes(thousandths) => fastrand::Rng::with_seed(k as u64).u16(..1_000) < thousandths,
            Self::Every => true,
        }
    }
}

/// A point and what happens there: `Rule::at("kubernetes", "create", "/api/v1/**").nth(3).cut_after()`.
#[derive(Clone, Debug)]
pub struct Rule {
    service: String,
    verb: String,
    path: String,
    spared: Option<String>,
    when: When,
    action: Action,
}

/// A point in want of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    service: String,
    verb: String,
    path: String,
    spared: Option<String>,
    when: When,
}

impl Rule {
    /// The point where a service is asked to do something to a path. In each, `*` stands for any text without a
    /// slash, and `**` for any text.
    #[must_use]
    pub fn at(service: &str, verb: &str, path: &str) -> Point {
        Point { service: service.into(), verb: verb.into(), path: path.into(), spared: None, when: When::Every }
    }

    fn is_reached_by(&self, request: &Request) -> bool {
        matches(&self.service, &request.service)
            && matches(&self.verb, &request.verb)
            && matches(&self.path, &request.path)
            && self.spared.as_ref().is_none_or(|spared| *spared != request.user_agent)
    }
}

impl Point {
    /// Who is asked there.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What is asked there.
    #[must_use]
    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// To what it is asked.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which of the requests there are meant.
    #[must_use]
    pub const fn when(&self) -> When {
        self.when
    }

    /// Whoever asks under this name is spared, and not counted.
    #[must_use]
    pub fn sparing(self, user_agent: &str) -> Self {
        Self { spared: Some(user_agent.to_owned()), ..self }
    }

    /// Only at the k-th request, from 1.
    #[must_use]
    pub fn nth(self, k: usize) -> Self {
        Self { when: When::Nth(k), ..self }
    }

    /// From the k-th request on, from 1.
    #[must_use]
    pub fn from(self, k: usize) -> Self {
        Self { when: When::From(k), ..self }
    }

    /// Only at the first so many requests.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { when: When::Times(times), ..self }
    }

    /// At each request with this probability, in thousandths.
    #[must_use]
    pub fn sometimes(self, thousandths: u16) -> Self {
        Self { when: When::Sometimes(thousandths), ..self }
    }

    /// Answers with a status.
    #[must_use]
    pub fn answer(self, status: u16) -> Rule {
        self.then(Action::Answer { status, retry_after: None, body: None })
    }

    /// Answers with a status and a `Retry-After` of whole seconds.
    #[must_use]
    pub fn throttle(self, status: u16, retry_after: Duration) -> Rule {
        self.then(Action::Answer { status, retry_after: Some(retry_after), body: None })
    }

    /// Carries it out after a while.
    #[must_use]
    pub fn delay(self, time: Duration) -> Rule {
        self.then(Action::Delay(time))
    }

    /// Never answers.
    #[must_use]
    pub fn hang(self) -> Rule {
        self.then(Action::Hang)
    }

    /// Cuts the connection before the effect.
    #[must_use]
    pub fn cut_before(self) -> Rule {
        self.then(Action::CutBefore)
    }

    /// Cuts the connection after the effect.
    #[must_use]
    pub fn cut_after(self) -> Rule {
        self.then(Action::CutAfter)
    }

    /// Cuts the connection in the middle of the answer.
    #[must_use]
    pub fn truncate(self, bytes: usize) -> Rule {
        self.then(Action::Truncate(bytes))
    }

    /// Kills a process before the effect.
    #[must_use]
    pub fn kill_before(self, switch: KillSwitch) -> Rule {
        self.then(Action::KillBefore(switch))
    }

    /// Kills a process after the effect.
    #[must_use]
    pub fn kill_after(self, switch: KillSwitch) -> Rule {
        self.then(Action::KillAfter(switch))
    }

    /// Does this.
    #[must_use]
    pub fn then(self, action: Action) -> Rule {
        let Self { service, verb, path, spared, when } = self;
        Rule { service, verb, path, spared, when, action }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, verb, path, when, .. } = self;
        write!(f, "{service} {verb} {path}, {when:?}")
    }
}

/// The rules in force at a server; clones are the same rules.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Rules>>);

#[derive(Debug, Default)]
struct Rules {
    next: usize,
    in_force: Vec<InForce>,
}

#[derive(Debug)]
struct InForce {
    id: usize,
    rule: Rule,
    reached: usize,
    applied: Arc<Mutex<usize>>,
}

/// A rule that was added.
#[derive(Clone, Debug)]
pub struct Added {
    faults: Faults,
    id: usize,
    applied: Arc<Mutex<usize>>,
}

impl Added {
    /// How often it has been applied.
    #[must_use]
    pub fn applied(&self) -> usize {
        *locked(&self.applied)
    }

    /// Takes the rule out of force. What hangs keeps hanging.
    pub fn lift(&self) {
        locked(&self.faults.0).in_force.retain(|rule| rule.id != self.id);
    }
}

impl Faults {
    /// Puts a rule into force. Where several apply to a request, the first that was added does.
    #[expect(clippy::must_use_candidate, reason = "most rules are never looked at again")]
    pub fn add(&self, rule: Rule) -> Added {
        let applied = Arc::default();
        let mut rules = locked(&self.0);
        let id = rules.next;
        rules.next += 1;
        rules.in_force.push(InForce { id, rule, reached: 0, applied: Arc::clone(&applied) });
        Added { faults: self.clone(), id, applied }
    }

    /// Takes all rules out of force.
    pub fn clear(&self) {
        locked(&self.0).in_force.clear();
    }

    /// What shall be done to a request. Every rule whose point it reaches counts it.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Option<Action> {
        let mut decided = None;
        for rule in locked(&self.0).in_force.iter_mut().filter(|rule| rule.rule.is_reached_by(request)) {
            rule.reached += 1;
            if decided.is_none() && rule.rule.when.includes(rule.reached) {
                *locked(&rule.applied) += 1;
                decided = Some(rule.rule.action.clone());
            }
        }
        decided
    }
}

/// Counters are whole at any moment, so a panic elsewhere does not spoil them.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a text is what a pattern describes.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((literal, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(literal) else { return false };
    let (rest, stops_at_slash) = rest.strip_prefix('*').map_or((rest, true), |rest| (rest, false));
    let reach = if stops_at_slash { text.find('/').unwrap_or(text.len()) } else { text.len() };
    let mut ends = text.char_indices().map(|(end, _)| end).chain([text.len()]).take_while(|end| *end <= reach);
    ends.any(|end| matches(rest, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &str) -> Request {
        Request { service: "kubernetes".into(), verb: "create".into(), path: path.into(), ..Request::default() }
    }

    #[test]
    fn a_star_stays_within_a_segment_and_two_do_not() {
        assert!(matches("/api/v1/namespaces/*/secrets", "/api/v1/namespaces/a/secrets"));
        assert!(!matches("/api/v1/namespaces/*/secrets", "/api/v1/namespaces/a/secrets/b"));
        assert!(!matches("/api/*/secrets", "/api/v1/namespaces/a/secrets"));
        assert!(matches("/api/**/secrets", "/api/v1/namespaces/a/secrets"));
        assert!(matches("/api/**", "/api/v1"));
        assert!(matches("**/secrets/web-*", "/api/v1/namespaces/a/secrets/web-0"));
        assert!(matches("*", "create"));
        assert!(!matches("create", "createx"));
    }

    #[test]
    fn requests_are_counted_from_when_the_rule_was_added() {
        let faults = Faults::default();
        let _ = faults.decide(&create("/a"));
        let second = faults.add(Rule::at("*", "create", "/a").nth(2).hang());
        let hit: Vec<bool> = (0..3).map(|_| faults.decide(&create("/a")).is_some()).collect();
        assert_eq!((hit, second.applied()), (vec![false, true, false], 1));
    }

    #[test]
    fn whoever_is_spared_is_not_counted() {
        let faults = Faults::default();
        let added = faults.add(Rule::at("*", "create", "/a").sparing("a pod").nth(2).hang());
        let by = |agent: &str| faults.decide(&Request { user_agent: agent.into(), ..create("/a") }).is_some();
        assert_eq!([by("a pod"), by("us"), by("a pod"), by("us")], [false, false, false, true]);
        assert_eq!(added.applied(), 1);
    }

    #[test]
    fn probabilities_are_kept_and_repeat() {
        let hits = |thousandths| {
            let faults = Faults::default();
            faults.add(Rule::at("*", "create", "/a").sometimes(thousandths).hang());
            (0..1_000).map(|_| faults.decide(&create("/a")).is_some()).collect::<Vec<bool>>()
        };
        let count = hits(100).into_iter().filter(|hit| *hit).count();
        assert!((70..130).contains(&count), "{count}");
        assert_eq!(hits(100), hits(100));
        assert!(hits(1_000).into_iter().all(|hit| hit) && !hits(0).contains(&true));
    }

    #[test]
    fn the_first_rule_decides_and_all_count() {
        let faults = Faults::default();
        let first = faults.add(Rule::at("kubernetes", "*", "**").times(1).answer(503));
        let later = faults.add(Rule::at("kubernetes", "create", "/a").from(2).cut_before());
        let done: Vec<String> =
            (0..3).filter_map(|_| faults.decide(&create("/a"))).map(|done| done.to_string()).collect();
        assert_eq!(done, ["answer 503", "cut before", "cut before"]);
        assert_eq!((first.applied(), later.applied()), (1, 2));
        later.lift();
        assert!(faults.decide(&create("/a")).is_none());
    }
}
