//! The ledger's verdict as a story in lines: what became of each credential, what was wrong, who was refused and why.

use std::collections::BTreeMap;
use std::fmt;

use super::{Credential, Kind, Verdict};
use crate::azure::Actor;

/// How many refusals of one kind are told one by one.
const TOLD: usize = 5;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "credentials:")?;
        self.credentials.iter().try_for_each(|credential| writeln!(f, "  {credential:?}"))?;
        for (client_id, least) in &self.least_valid {
            writeln!(f, "at least {} valid for {client_id}, since {}", least.count, least.since)?;
        }
        for credential in &self.orphans {
            writeln!(f, "ORPHAN: {credential:?}, neither published nor removed")?;
        }
        for credential in &self.foreign_removed {
            writeln!(f, "FOREIGN, REMOVED: {credential:?}")?;
        }
        for credential in &self.foreign_edited {
            writeln!(f, "FOREIGN, CHANGED: {credential:?}")?;
        }
        for early in &self.early_removals {
            writeln!(f, "REMOVED WHILE HELD by {}: {:?}", early.pods.join(", "), early.credential)?;
        }
        let (accepted, refused) = (self.accepted, self.refusals.len());
        writeln!(f, "sign-ins of pods: {accepted} accepted, {refused} refused")?;
        let mut by_blame: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for attributed in &self.refusals {
            by_blame.entry(attributed.blame).or_default().push(&attributed.refusal);
        }
        for (blame, refusals) in by_blame {
            writeln!(f, "  {blame}: {}", refusals.len())?;
            refusals.iter().take(TOLD).try_for_each(|refusal| writeln!(f, "    {refusal}"))?;
        }
        writeln!(f, "calls:")?;
        self.calls.iter().try_for_each(|((service, verb), count)| writeln!(f, "  {service} {verb}: {count}"))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_id, key_id, name, fingerprint, minted, by, known, .. } = self;
        let short = || format!("{}…", &fingerprint.to_string()[..12]);
        let known_by = self.thumbprint.clone().unwrap_or_else(short);
        write!(f, "{key_id} ({name:?}, {known_by}) of {client_id}: minted {minted} by {}", who(*by))?;
        write!(f, ", known everywhere {known}")?;
        if let Some((time, by)) = self.edited {
            write!(f, ", changed {time} by {}", who(by))?;
        }
        match self.removed {
            Some((time, by)) => write!(f, ", removed {time} by {}", who(by)),
            None if self.kind == Kind::Federated => Ok(()),
            None => write!(f, ", expires {}", self.end),
        }
    }
}

fn who(actor: Actor) -> String {
    match actor {
        Actor::Administrator => "an administrator".into(),
        Actor::Application(client_id) => client_id.to_string(),
    }
}
