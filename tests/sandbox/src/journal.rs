//! What was asked, by whom, and what came of it: one entry per request that reached a service of the sandbox, in the
//! order of arrival. Whoever waits for an entry is woken by it. Bodies are left out unless asked for, since scenarios
//! search everything that was written for secrets. It knows no service: verbs and paths are words to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::watch;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the journal, from 0.
    pub number: usize,
    /// When it arrived.
    pub time: Timestamp,
    /// The service that was asked: `kubernetes`, …
    pub service: String,
    /// What it was asked to do, in the words of the service: `list`, `create`, …
    pub verb: String,
    /// To what.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// Who says to have asked.
    pub user_agent: String,
    /// What was sent along, if bodies are kept.
    pub body: Option<String>,
    /// The status of the answer, whether or not a fault let it arrive; none while there is no answer.
    pub status: Option<u16>,
    /// What was done to the request by a fault.
    pub fault: Option<String>,
    /// From the arrival to the answer's status line.
    pub took: Option<Duration>,
}

/// A request as it arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The service that is asked.
    pub service: String,
    /// What it is asked to do.
    pub verb: String,
    /// To what.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// Who says to ask.
    pub user_agent: String,
}

/// The journal; clones are the same journal.
#[derive(Clone, Debug)]
pub struct Journal {
    entries: Arc<watch::Sender<Vec<Entry>>>,
    bodies: Arc<AtomicBool>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { entries: Arc::new(watch::Sender::new(vec![])), bodies: Arc::default() }
    }
}

impl Journal {
    /// All entries so far, in the order of arrival.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.borrow().clone()
    }

    /// How many entries there are: the number of the next one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether nothing was asked yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries are so.
    pub fn count(&self, is_so: impl Fn(&Entry) -> bool) -> usize {
        self.entries.borrow().iter().filter(|entry| is_so(entry)).count()
    }

    /// Returns the first entry that is so, as soon as there is one; it may be there already, and one without a status
    /// has not been answered yet.
    pub async fn wait_for(&self, is_so: impl Fn(&Entry) -> bool, timeout: Duration) -> anyhow::Result<Entry> {
        let mut seen = self.entries.subscribe();
        let first = |entries: &[Entry]| entries.iter().find(|entry| is_so(entry)).cloned();
        let waited = tokio::time::timeout(timeout, seen.wait_for(|entries| first(entries).is_some())).await;
        let found = waited.ok().and_then(Result::ok).and_then(|entries| first(&entries));
        found.with_context(|| {
            let entries = self.entries();
            let last: Vec<String> = entries.iter().rev().take(5).rev().map(Entry::to_string).collect();
            format!("no such request within {timeout:?}; of {} the last were:\n{}", entries.len(), last.join("\n"))
        })
    }

    /// Whether the bodies of requests are kept from now on.
    pub fn keep_bodies(&self, keep: bool) {
        self.bodies.store(keep, Ordering::Relaxed);
    }

    /// Whether the bodies of requests are kept.
    #[must_use]
    pub fn keeps_bodies(&self) -> bool {
        self.bodies.load(Ordering::Relaxed)
    }

    /// Opens an entry. What comes of it is added to the returned one.
    #[must_use]
    pub fn open(&self, request: &Request, body: Option<String>) -> Open {
        let mut number = 0;
        self.entries.send_modify(|entries| {
            number = entries.len();
            entries.push(Entry {
                number,
                time: Timestamp::now(),
                service: request.service.clone(),
                verb: request.verb.clone(),
                path: request.path.clone(),
                query: request.query.clone(),
                user_agent: request.user_agent.clone(),
                body,
                status: None,
                fault: None,
                took: None,
            });
        });
        Open { journal: self.clone(), number, arrived: Instant::now() }
    }
}

/// An entry to which something can be added.
#[derive(Debug)]
pub struct Open {
    journal: Journal,
    number: usize,
    arrived: Instant,
}

impl Open {
    /// A fault applies to the request.
    pub fn faulted(&self, fault: &impl ToString) {
        self.change(|entry| entry.fault = Some(fault.to_string()));
    }

    /// There is an answer.
    pub fn answered(&self, status: u16) {
        let took = self.arrived.elapsed();
        self.change(|entry| {
            entry.status = Some(status);
            entry.took = Some(took);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        self.journal.entries.send_modify(|entries| entries.get_mut(self.number).map_or((), change));
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.time, self.service, self.verb, self.path)?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        match self.status {
            Some(status) => write!(f, " {status}")?,
            None => write!(f, " (no answer)")?,
        }
        self.fault.iter().try_for_each(|fault| write!(f, " [{fault}]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(path: &str) -> Request {
        Request { service: "kubernetes".into(), verb: "list".into(), path: path.into(), ..Request::default() }
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_the_entry() {
        let journal = Journal::default();
        let waiting = journal.wait_for(|entry| entry.status == Some(200), Duration::from_secs(5));
        let asking = async {
            journal.open(&list("/a"), None).answered(404);
            let open = journal.open(&list("/b"), None);
            tokio::task::yield_now().await;
            open.answered(200);
        };
        let (entry, ()) = tokio::join!(waiting, asking);
        assert_eq!(entry.unwrap().path, "/b");
        assert_eq!(journal.count(|entry| entry.verb == "list"), 2);
    }

    #[tokio::test]
    async fn a_wait_in_vain_says_what_there_was_instead() {
        let journal = Journal::default();
        journal.open(&list("/a"), None).faulted(&"cut before");
        let error = journal.wait_for(|entry| entry.path == "/b", Duration::from_millis(5)).await.unwrap_err();
        assert!(error.to_string().contains("kubernetes list /a (no answer) [cut before]"), "{error}");
    }
}
