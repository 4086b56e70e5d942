//! How much may be asked of a service: its published limits, kept by us, so that a burst goes out at once and a flood is
//! paced before the service has to say so. A sliding window per scope: at no moment have more calls gone out in the time
//! that it looks back than its limit allows. What does not fit is refused at once, with how long to wait; nobody sleeps.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Metrics;
use crate::{
    api::{ClientId, Reason, TenantId, values::VaultUrl},
    facts::{Effect, Service, Trouble},
};

/// So many calls in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub most: usize,
    /// In how long.
    pub per: Duration,
}

/// The limits.
///
/// The one of all applications in a tenant (18,000 writes in 5 minutes) is not among them, since the one of our own there
/// does not let us come near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Writes of ours to the directory of a tenant.
    pub writes: Limit,
    /// Writes of ours to the directories of all tenants.
    pub all_writes: Limit,
    /// Of those in a tenant, the ones to applications where personal accounts may sign in.
    pub personal_writes: Limit,
    /// Reads of applications' certificates in a tenant.
    pub certificate_reads: Limit,
    /// Token requests of one application. Microsoft publishes no number; this is the one that people have measured.
    pub token_requests: Limit,
    /// Reads of ours of Microsoft's reports in a tenant.
    pub reports: Limit,
    /// New versions in a Key Vault.
    pub vault_creates: Limit,
    /// Everything else that a Key Vault is asked for.
    pub vault_calls: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        let limit = |most, seconds| Limit { most, per: Duration::from_secs(seconds) };
        Self {
            writes: limit(3_000, 150),
            all_writes: limit(35_000, 300),
            personal_writes: limit(60, 60),
            certificate_reads: limit(150, 60),
            token_requests: limit(15, 10),
            reports: limit(5, 10),
            vault_creates: limit(300, 10),
            vault_calls: limit(4_000, 10),
        }
    }
}

/// Whose calls count together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Writes of ours to the directory of a tenant.
    Writes(TenantId),
    /// Writes of ours to the directories of all tenants.
    AllWrites,
    /// Writes of ours in a tenant to applications where personal accounts may sign in.
    PersonalWrites(TenantId),
    /// Reads of applications' certificates in a tenant.
    CertificateReads(TenantId),
    /// Token requests of an application in a tenant; of the operator as its surroundings have it, if of none.
    TokenRequests(TenantId, Option<ClientId>),
    /// Reads of ours of Microsoft's reports in a tenant.
    Reports(TenantId),
    /// New versions in a Key Vault.
    VaultCreates(VaultUrl),
    /// Everything else that a Key Vault is asked for.
    VaultCalls(VaultUrl),
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writes(tenant) => write!(out, "writes in tenant {tenant}"),
            Self::AllWrites => out.write_str("writes in all tenants"),
            Self::PersonalWrites(tenant) => {
                write!(out, "writes in tenant {tenant} to applications for personal accounts")
            }
            Self::CertificateReads(tenant) => write!(out, "reads of certificates in tenant {tenant}"),
            Self::TokenRequests(tenant, Some(client)) => write!(out, "sign-ins of {client} in tenant {tenant}"),
            Self::TokenRequests(tenant, None) => write!(out, "sign-ins of the operator in tenant {tenant}"),
            Self::Reports(tenant) => write!(out, "reads of reports in tenant {tenant}"),
            Self::VaultCreates(vault) => write!(out, "new versions in {vault}"),
            Self::VaultCalls(vault) => write!(out, "calls of {vault}"),
        }
    }
}

/// The quotas, shared by all who call.
#[derive(Debug)]
pub struct Quotas {
    windows: Mutex<Windows>,
    metrics: Metrics,
}

impl Quotas {
    pub(super) fn new(limits: Limits, metrics: Metrics) -> Self {
        Self { windows: Mutex::new(Windows { limits, calls: HashMap::new(), swept: None }), metrics }
    }

    /// Counts a call in all of its scopes, or in none if one of them has no room for it.
    pub fn take(&self, service: Service, doing: &str, scopes: &[Scope]) -> Result<(), Trouble> {
        // A panic elsewhere cannot leave a window half-written.
        let taken = self.windows.lock().unwrap_or_else(PoisonError::into_inner).take(scopes, Instant::now());
        taken.map_err(|Full { scope, wait }| {
            self.metrics.held_back(service);
            Trouble {
                reason: Reason::Throttled,
                service,
                effect: Effect::NotSent,
                message: format!("could not {doing}: nothing was sent, because the limit on {scope} is used up."),
                remedy: "Nothing: Keywright tries again by itself as soon as there is room.".to_owned(),
                code: None,
                trace_id: None,
                correlation_id: None,
                at: None,
                retry_after: Some(wait),
            }
        })
    }
}

/// The calls that count, with times as arguments.
#[derive(Debug)]
struct Windows {
    limits: Limits,
    calls: HashMap<Scope, VecDeque<Instant>>,
    swept: Option<Instant>,
}

/// There is no room in a scope for so long.
#[derive(Debug, PartialEq, Eq)]
struct Full {
    scope: Scope,
    wait: Duration,
}

impl Windows {
    fn limit(&self, scope: &Scope) -> Limit {
        match scope {
            Scope::Writes(_) => self.limits.writes,
            Scope::AllWrites => self.limits.all_writes,
            Scope::PersonalWrites(_) => self.limits.personal_writes,
            Scope::CertificateReads(_) => self.limits.certificate_reads,
            Scope::TokenRequests(..) => self.limits.token_requests,
            Scope::Reports(_) => self.limits.reports,
            Scope::VaultCreates(_) => self.limits.vault_creates,
            Scope::VaultCalls(_) => self.limits.vault_calls,
        }
    }

    fn take(&mut self, scopes: &[Scope], now: Instant) -> Result<(), Full> {
        self.sweep(now);
        let full = scopes.iter().filter_map(|scope| {
            let wait = self.wait(scope, now)?;
            Some(Full { scope: scope.clone(), wait })
        });
        if let Some(fullest) = full.max_by_key(|full| full.wait) {
            return Err(fullest);
        }
        for scope in scopes {
            self.calls.entry(scope.clone()).or_default().push_back(now);
        }
        Ok(())
    }

    /// How long until there is room for one more; nothing if there is.
    fn wait(&mut self, scope: &Scope, now: Instant) -> Option<Duration> {
        let Limit { most, per } = self.limit(scope);
        let calls = self.calls.entry(scope.clone()).or_default();
        while calls.front().is_some_and(|first| now.duration_since(*first) >= per) {
            calls.pop_front();
        }
        if calls.len() < most {
            return None;
        }
        // A limit of none at all has no first call.
        let first = calls.front().copied().unwrap_or(now);
        Some(per.saturating_sub(now.duration_since(first)))
    }

    /// Forgets scopes that nobody uses any more, now and then.
    fn sweep(&mut self, now: Instant) {
        const PAUSE: Duration = Duration::from_mins(10);
        if self.swept.is_none_or(|swept| now.duration_since(swept) >= PAUSE) {
            self.calls.retain(|_, calls| calls.back().is_some_and(|last| now.duration_since(*last) < PAUSE));
            self.swept = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::nil());

    fn windows(limits: Limits) -> Windows {
        Windows { limits, calls: HashMap::new(), swept: None }
    }

    fn few() -> Limits {
        let limit = |most, millis| Limit { most, per: Duration::from_millis(millis) };
        Limits { writes: limit(5, 100), all_writes: limit(7, 250), ..Limits::default() }
    }

    proptest! {
        /// The heart of it: whatever the pauses, no window ever holds more than its limit, and no call is refused that
        /// would have fitted.
        #[test]
        fn never_more_than_the_limit_and_never_less(pauses in vec(0_u64..60, 1..200)) {
            let (mut windows, start) = (windows(few()), Instant::now());
            let scopes = [Scope::Writes(TENANT), Scope::AllWrites];
            let (mut now, mut gone) = (start, vec![]);
            for pause in pauses {
                now += Duration::from_millis(pause);
                let within = |per: Duration| gone.iter().filter(|at| now.duration_since(**at) < per).count();
                let fits = within(few().writes.per) < 5 && within(few().all_writes.per) < 7;
                match windows.take(&scopes, now) {
                    Ok(()) => {
                        prop_assert!(fits, "more than the limit");
                        gone.push(now);
                    }
                    Err(full) => {
                        prop_assert!(!fits, "there was room");
                        prop_assert!(full.wait > Duration::ZERO);
                        let early = windows.take(&scopes, now + full.wait.saturating_sub(Duration::from_millis(1)));
                        prop_assert!(early.is_err(), "the wait is no longer than needed");
                        now += full.wait;
                        prop_assert_eq!(windows.take(&scopes, now), Ok(()), "and no shorter");
                        gone.push(now);
                    }
                }
            }
        }
    }

    #[test]
    fn a_burst_goes_out_at_once_and_the_next_when_it_has_left_the_window() {
        let (mut windows, now) = (windows(Limits::default()), Instant::now());
        let writes = [Scope::Writes(TENANT)];
        assert!((0..3_000).all(|_| windows.take(&writes, now).is_ok()));
        let later = now + Duration::from_secs(50);
        let full = Full { scope: Scope::Writes(TENANT), wait: Duration::from_secs(100) };
        assert_eq!(windows.take(&writes, later), Err(full));
        assert_eq!(windows.take(&writes, now + Duration::from_secs(150)), Ok(()));
    }

    #[test]
    fn what_is_refused_in_one_scope_is_counted_in_none() {
        let (mut windows, now) =
            (windows(Limits { personal_writes: few().writes, ..Limits::default() }), Instant::now());
        let personal = [Scope::Writes(TENANT), Scope::PersonalWrites(TENANT)];
        let taken = (0..10).filter(|_| windows.take(&personal, now).is_ok()).count();
        assert_eq!((taken, windows.calls[&Scope::Writes(TENANT)].len()), (5, 5));
        let elsewhere = [Scope::PersonalWrites(TenantId(Uuid::max()))];
        assert_eq!(windows.take(&elsewhere, now), Ok(()), "each tenant has its own");
    }

    #[test]
    fn scopes_that_nobody_uses_are_forgotten() {
        let (mut windows, now) = (windows(Limits::default()), Instant::now());
        let sign_in = |id| [Scope::TokenRequests(TENANT, Some(ClientId(Uuid::from_u128(id))))];
        assert!((0..1_000).all(|id| windows.take(&sign_in(id), now).is_ok()));
        assert_eq!(windows.take(&sign_in(0), now + Duration::from_mins(11)), Ok(()));
        assert_eq!(windows.calls.len(), 1);
    }

    #[test]
    fn a_call_beyond_the_quota_is_told_as_never_sent() {
        let limits = Limits { vault_creates: Limit { most: 0, per: Duration::from_secs(10) }, ..Limits::default() };
        let scope = Scope::VaultCreates("https://kv-payments.vault.azure.net".into());
        let refused = Quotas::new(limits, Metrics::default()).take(Service::KeyVault, "store x", &[scope]).unwrap_err();
        assert_eq!((refused.reason, refused.effect), (Reason::Throttled, Effect::NotSent));
        assert_eq!(refused.retry_after, Some(Duration::from_secs(10)));
        assert_eq!(
            refused.message,
            "could not store x: nothing was sent, because the limit on new versions in https://kv-payments.vault.azure.net is used up."
        );
    }
}
