//! What became of federated credentials. They have no value: what stands for one is whom it lets in. Whoever changes that
//! has ended one credential and begun another, whatever its ID.

use jiff::Timestamp;

use super::{Credential, Kind};
use crate::azure::{Actor, Change, Federated, What};
use crate::witness::Fingerprint;

/// What became of every federated credential that there was.
pub(super) fn credentials(log: &[Change]) -> impl Iterator<Item = Credential> {
    let begun = |(place, change): (usize, &Change)| {
        let one = written(change)?;
        let of_it = |other: &&Change| other.client_id == change.client_id;
        let states = || log[..place].iter().filter(of_it).filter_map(written);
        let before = states().rfind(|before| before.id == one.id);
        if before.is_some_and(|before| identity(before) == identity(one)) {
            return None;
        }
        let later = || log[place + 1..].iter().filter(of_it);
        let end = later().find(|later| match &later.what {
            What::Removed(id) => *id == one.id,
            What::Deleted => true,
            What::FederatedEdited(edited) => edited.id == one.id && identity(edited) != identity(one),
            _ => false,
        });
        let until = end.map_or(Timestamp::MAX, |end| end.time);
        let is_edit = |later: &&Change| written(later).is_some_and(|edited| edited.id == one.id) && later.time < until;
        let by_other = |later: &Change| later.by != Actor::Administrator && later.by != change.by;
        let edited = later().filter(is_edit).find(|later| by_other(later));
        let last = later().filter(is_edit).filter_map(written).next_back().unwrap_or(one);
        let (client, subject) = (change.client_id.to_string(), one.subject.as_deref().unwrap_or_default());
        Some(Credential {
            client_id: change.client_id,
            key_id: one.id,
            kind: Kind::Federated,
            name: last.description.as_ref().unwrap_or(&last.name).clone(),
            fingerprint: Fingerprint::of_federated(&client, &one.issuer, subject, &one.audience),
            minted: change.time,
            by: change.by,
            known: change.settled,
            end: Timestamp::MAX,
            edited: edited.map(|edited| (edited.time, edited.by)),
            removed: end.map(|end| (end.time, end.by)),
            thumbprint: None,
            value: None,
        })
    };
    log.iter().enumerate().filter_map(begun)
}

/// What a change has made of a federated credential.
fn written(change: &Change) -> Option<&Federated> {
    match &change.what {
        What::Federated(one) | What::FederatedEdited(one) => Some(one),
        _ => None,
    }
}

/// Whom it lets in.
fn identity(one: &Federated) -> (&str, Option<&str>, &str) {
    (&one.issuer, one.subject.as_deref(), &one.audience)
}
