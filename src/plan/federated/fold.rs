//! What reads and exchanges have brought becomes part of the observation.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    api::KeyId,
    facts::{Absent, AccountSeen, Exchange, Federated, Looked, Observation, Withheld},
    plan::{fold::one_more, step::Step},
};

/// The federated credentials as they were just read. Which of ours they do not show is counted.
pub(in crate::plan) fn read(seen: &mut Observation, looked: Looked<Vec<Federated>>) {
    let kept = seen.records.list.iter().filter(|record| record.entry.claims.is_some());
    let kept: BTreeSet<KeyId> = kept.filter_map(|record| Some(record.entry.kept.as_ref()?.key_id)).collect();
    seen.mine.exchanges.retain(|key_id, _| kept.contains(key_id));
    let missing = kept.into_iter().filter(|key_id| looked.found.iter().all(|one| one.id != *key_id));
    let counted = missing.map(|key_id| {
        let before = seen.mine.absent.get(&key_id).copied().unwrap_or(Absent { since: looked.at, reads: 0 });
        (key_id, Absent { reads: before.reads.saturating_add(1), ..before })
    });
    seen.mine.absent = counted.collect();
    seen.federation.credentials = Some(looked);
}

/// One that was just added is known before a read shows it.
pub(in crate::plan) fn established(seen: &mut Observation, credential: Federated, now: Timestamp) {
    let looked = seen.federation.credentials.get_or_insert(Looked { at: now, found: vec![] });
    looked.found.retain(|one| one.id != credential.id);
    looked.found.push(credential);
}

/// How a token fared.
pub(in crate::plan) fn exchanged(seen: &mut Observation, step: &Step, exchange: Exchange, now: Timestamp) {
    let Step::Exchange { account, key_id, .. } = step else { return };
    match exchange {
        Exchange::Judged(verdict) => {
            let before = seen.mine.exchanges.remove(key_id);
            seen.mine.exchanges.insert(*key_id, one_more(before, *key_id, verdict, now));
            seen.mine.withheld.remove(account);
        }
        Exchange::NotAllowed(trouble) => {
            let since = seen.mine.withheld.get(account).map_or(now, |before| before.since);
            seen.mine.withheld.insert(account.clone(), Withheld { since, last_at: now, trouble });
        }
        Exchange::NoAccount(_) => {
            seen.federation.accounts.insert(account.clone(), Looked { at: now, found: None });
        }
    }
}

/// A `ServiceAccount` as it was just read or written.
pub(in crate::plan) fn account(seen: &mut Observation, step: &Step, looked: Looked<Option<AccountSeen>>) {
    if let Step::ReadAccount { account } | Step::Annotate { account, .. } = step {
        seen.federation.accounts.insert(account.clone(), looked);
    }
}
