//! Which ways lead nowhere at this moment. A service that takes calls and never answers costs each of them its whole time
//! limit, so what one call has found out is shared: after a silence the way is closed for a while, and then one call at a
//! time finds out whether anybody answers again. What is not sent because of that says so at once; nobody sleeps.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    api::{Reason, TenantId, values::VaultUrl},
    facts::{Service, Trouble},
};

/// A call that ends sooner without an answer was no silence: who refuses a connection costs nobody any time.
const SILENCE: Duration = Duration::from_secs(2);
/// How long a way is closed after the first silence, and at the longest.
const CLOSED: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// A way to something that answers, or does not, as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Way {
    /// To the tokens of a tenant.
    Tokens(TenantId),
    /// To the directory of a tenant.
    Directory(TenantId),
    /// To a Key Vault.
    Vault(VaultUrl),
}

impl Way {
    const fn service(&self) -> Service {
        match self {
            Self::Tokens(_) => Service::Token,
            Self::Directory(_) => Service::Graph,
            Self::Vault(_) => Service::KeyVault,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens(tenant) => write!(out, "sign-ins in tenant {tenant}"),
            Self::Directory(tenant) => write!(out, "the directory of tenant {tenant}"),
            Self::Vault(url) => write!(out, "{url}"),
        }
    }
}

/// What is known of the ways, shared by all who call. A way that is open and was answered a moment ago is not in it.
#[derive(Debug, Default)]
pub struct Ways(Mutex<HashMap<Way, Known>>);

#[derive(Debug)]
struct Known {
    /// Calls that are under way.
    under_way: usize,
    /// When the last answer came, as long as a call is under way that was sent before it.
    answered: Option<Instant>,
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Closed {
    silences: u32,
    until: Instant,
    /// Whether a call is under way that finds out if it still is.
    tried: bool,
}

impl Ways {
    /// Go a way, unless it is known to lead nowhere.
    pub fn go(&self, way: Way, doing: &str) -> Result<Passage<'_>, Trouble> {
        let (now, mut ways) = (Instant::now(), self.lock());
        let known = ways.entry(way.clone()).or_insert_with(|| Known { under_way: 0, answered: None, closed: None });
        let is_trial = known.closed.is_some();
        if let Some(closed) = &mut known.closed {
            let left = closed.until.saturating_duration_since(now);
            if closed.tried || !left.is_zero() {
                return Err(nowhere(&way, doing, left.max(CLOSED.0)));
            }
            closed.tried = true;
        }
        known.under_way += 1;
        Ok(Passage { ways: self, way, since: now, is_trial, is_answered: false })
    }

    fn end(&self, passage: &Passage<'_>) {
        let (now, mut ways) = (Instant::now(), self.lock());
        let Some(known) = ways.get_mut(&passage.way) else { return };
        known.under_way = known.under_way.saturating_sub(1);
        if passage.is_answered {
            (known.answered, known.closed) = (Some(now), None);
        } else {
            let was_silent = now.duration_since(passage.since) >= SILENCE;
            // Others were answered meanwhile: it was not the way.
            let is_alive = known.answered.is_some_and(|answered| answered >= passage.since);
            match &mut known.closed {
                // Those that were under way when it was closed say nothing new.
                Some(closed) if passage.is_trial && was_silent => closed.again(now),
                Some(closed) if passage.is_trial => closed.tried = false,
                None if was_silent && !is_alive => known.closed = Some(Closed::since(now)),
                Some(_) | None => {}
            }
        }
        if known.under_way == 0 && known.closed.is_none() {
            ways.remove(&passage.way);
        }
    }

    /// What is known is whole at any moment, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, HashMap<Way, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Closed {
    fn since(now: Instant) -> Self {
        Self { silences: 1, until: now + CLOSED.0, tried: false }
    }

    fn again(&mut self, now: Instant) {
        let doubled = CLOSED.0.saturating_mul(1_u32.checked_shl(self.silences).unwrap_or(u32::MAX));
        *self = Self { silences: self.silences.saturating_add(1), until: now + doubled.min(CLOSED.1), tried: false };
    }
}

/// A call under way. Dropped without an answer after a while, it was a silence.
#[derive(Debug)]
pub struct Passage<'a> {
    ways: &'a Ways,
    way: Way,
    since: Instant,
    is_trial: bool,
    is_answered: bool,
}

impl Passage<'_> {
    /// Something has answered, whatever it said.
    pub fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.ways.end(self);
    }
}

fn nowhere(way: &Way, doing: &str, wait: Duration) -> Trouble {
    let message = format!("could not {doing}: nothing was sent, because {way} did not answer a moment ago");
    let remedy = "Nothing, unless it lasts: one call at a time finds out whether it answers again. Then see that the \
                  cluster, and its proxy if there is one, reaches it";
    Trouble { retry_after: Some(wait), ..Trouble::unsent(way.service(), Reason::Unreachable, message, remedy) }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use uuid::Uuid;

    use super::*;
    use crate::facts::Effect;

    fn way() -> Way {
        Way::Directory(TenantId(Uuid::nil()))
    }

    fn go(ways: &Ways) -> Result<Passage<'_>, Trouble> {
        ways.go(way(), "read x")
    }

    async fn in_silence(passage: Passage<'_>) {
        advance(Duration::from_secs(30)).await;
        drop(passage);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_silence_nothing_is_sent_for_a_while_and_then_by_one_at_a_time() {
        let ways = Ways::default();
        in_silence(go(&ways).unwrap()).await;
        let refused = go(&ways).unwrap_err();
        assert_eq!((refused.reason, refused.effect), (Reason::Unreachable, Effect::NotSent));
        assert_eq!(refused.retry_after, Some(Duration::from_secs(5)));
        assert_eq!(
            refused.message,
            format!(
                "could not read x: nothing was sent, because the directory of tenant {} did not answer a moment ago",
                Uuid::nil()
            )
        );
        advance(Duration::from_secs(5)).await;
        let first = go(&ways).unwrap();
        assert!(go(&ways).is_err(), "another is on its way");
        in_silence(first).await;
        advance(Duration::from_secs(9)).await;
        assert!(go(&ways).is_err(), "closed for longer after every silence");
        advance(Duration::from_secs(1)).await;
        go(&ways).unwrap().answered();
        let (_one, _other) = (go(&ways).unwrap(), go(&ways).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn each_way_is_closed_by_itself() {
        let ways = Ways::default();
        in_silence(go(&ways).unwrap()).await;
        ways.go(Way::Directory(TenantId(Uuid::max())), "read y").unwrap().answered();
        ways.go(Way::Tokens(TenantId(Uuid::nil())), "sign in").unwrap().answered();
    }

    #[tokio::test(start_paused = true)]
    async fn one_lost_answer_among_others_closes_nothing() {
        let ways = Ways::default();
        let lost = go(&ways).unwrap();
        advance(Duration::from_secs(1)).await;
        go(&ways).unwrap().answered();
        in_silence(lost).await;
        go(&ways).unwrap().answered();
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_connection_is_no_silence() {
        let ways = Ways::default();
        drop(go(&ways).unwrap());
        go(&ways).unwrap().answered();
        assert!(ways.lock().is_empty(), "nothing is remembered of what is well");
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_were_under_way_together_are_one_silence() {
        let ways = Ways::default();
        let all: Vec<_> = (0..64).map(|_| go(&ways).unwrap()).collect();
        advance(Duration::from_secs(30)).await;
        drop(all);
        advance(Duration::from_secs(5)).await;
        go(&ways).unwrap().answered();
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_that_is_broken_off_leaves_the_way_to_the_next() {
        let ways = Ways::default();
        in_silence(go(&ways).unwrap()).await;
        advance(Duration::from_secs(5)).await;
        drop(go(&ways).unwrap());
        go(&ways).unwrap().answered();
    }
}
