//! How much Graph answers before it refuses (AZURE 2): sliding windows over what requests cost, one per scope. Pure: the
//! time is an argument. What a request costs, and how a refusal is told, is not decided here.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// So much in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How much.
    pub most: u32,
    /// In how long.
    pub per: SignedDuration,
}

impl Limit {
    /// So much in so long.
    #[must_use]
    pub const fn new(most: u32, per: SignedDuration) -> Self {
        Self { most, per }
    }
}

/// The limits in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Resource units of all requests of an application in a tenant. By default a tenant of 50 to 500 users.
    pub units: Limit,
    /// Writes of an application in a tenant.
    pub writes: Limit,
    /// Writes of all applications in a tenant.
    pub tenant_writes: Limit,
    /// Writes to applications for personal accounts, of an application in a tenant.
    pub personal_writes: Limit,
    /// Reads with `$select=keyCredentials` in a tenant.
    pub certificate_reads: Limit,
    /// Reads of reports by an application in a tenant.
    pub reports: Limit,
    /// Sign-ins of an application; there is no published number (AZURE 2), so by default there is none.
    pub sign_ins: Option<Limit>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            units: Limit::new(5_000, SignedDuration::from_secs(10)),
            writes: Limit::new(3_000, SignedDuration::from_secs(150)),
            tenant_writes: Limit::new(18_000, SignedDuration::from_mins(5)),
            personal_writes: Limit::new(60, SignedDuration::from_mins(1)),
            certificate_reads: Limit::new(150, SignedDuration::from_mins(1)),
            reports: Limit::new(5, SignedDuration::from_secs(10)),
            sign_ins: None,
        }
    }
}

/// Whose use is counted, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Resource units of an application in a tenant.
    Units(Uuid, Uuid),
    /// Its writes.
    Writes(Uuid, Uuid),
    /// All writes in a tenant.
    TenantWrites(Uuid),
    /// Its writes to applications for personal accounts.
    PersonalWrites(Uuid, Uuid),
    /// Reads of certificates in a tenant.
    CertificateReads(Uuid),
    /// Reads of reports by an application in a tenant.
    Reports(Uuid, Uuid),
    /// Sign-ins of an application in a tenant.
    SignIns(Uuid, Uuid),
}

/// What a limit says to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It is within the limit, of which now so much is used (1 is all of it).
    Within(f64),
    /// It is not; after so long it would be, if nothing else is asked.
    Beyond(SignedDuration),
}

/// Everybody's use.
#[derive(Debug, Default)]
pub(crate) struct Quotas(HashMap<Scope, Window>);

impl Quotas {
    /// Counts a request, also one that is refused: requests during throttling still count (AZURE 2).
    pub(crate) fn count(&mut self, scope: Scope, limit: Limit, cost: u32, now: Timestamp) -> Verdict {
        self.0.entry(scope).or_default().count(limit, cost, now)
    }
}

/// What was used lately, the oldest first.
#[derive(Debug, Default)]
struct Window {
    uses: VecDeque<(Timestamp, u32)>,
    used: u32,
}

impl Window {
    fn count(&mut self, limit: Limit, cost: u32, now: Timestamp) -> Verdict {
        while let Some(&(time, cost)) = self.uses.front()
            && time + limit.per <= now
        {
            self.uses.pop_front();
            self.used -= cost;
        }
        self.uses.push_back((now, cost));
        self.used += cost;
        if self.used <= limit.most {
            return Verdict::Within(f64::from(self.used) / f64::from(limit.most.max(1)));
        }
        let mut excess = self.used - limit.most;
        let frees = |&(time, cost): &(Timestamp, u32)| {
            excess = excess.saturating_sub(cost);
            (excess == 0).then(|| (time + limit.per).duration_since(now))
        };
        Verdict::Beyond(self.uses.iter().find_map(frees).unwrap_or(limit.per))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE_A_MINUTE: Limit = Limit::new(3, SignedDuration::from_mins(1));
    const SCOPE: Scope = Scope::Writes(Uuid::nil(), Uuid::nil());

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn beyond(seconds: i64) -> Verdict {
        Verdict::Beyond(SignedDuration::from_secs(seconds))
    }

    #[test]
    fn a_burst_passes_and_the_next_waits_for_the_oldest() {
        let mut quotas = Quotas::default();
        let mut count = |second| quotas.count(SCOPE, THREE_A_MINUTE, 1, at(second));
        assert!([0, 10, 20].into_iter().all(|second| matches!(count(second), Verdict::Within(_))));
        assert_eq!(count(30), beyond(30), "until the one of second 0 is a minute old");
        assert!(matches!(count(90), Verdict::Within(_)));
    }

    /// AZURE 2: requests during throttling still count.
    #[test]
    fn whoever_does_not_wait_waits_longer() {
        let mut quotas = Quotas::default();
        let waits: Vec<Verdict> = (0..6).map(|second| quotas.count(SCOPE, THREE_A_MINUTE, 1, at(second))).collect();
        assert_eq!(waits[3..], [beyond(57), beyond(57), beyond(57)]);
        assert_eq!(quotas.count(SCOPE, THREE_A_MINUTE, 1, at(60)), beyond(3));
    }

    #[test]
    fn scopes_do_not_share() {
        let mut quotas = Quotas::default();
        assert!(matches!(quotas.count(SCOPE, THREE_A_MINUTE, 5, at(0)), Verdict::Beyond(_)));
        let other = Scope::Writes(Uuid::nil(), Uuid::max());
        assert_eq!(quotas.count(other, THREE_A_MINUTE, 3, at(0)), Verdict::Within(1.0));
    }
}
