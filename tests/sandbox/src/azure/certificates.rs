//! Certificates of an application: what is kept of one, and what may be written of all of them, which is always the whole
//! list (AZURE 1.4). Values and rules; what replicas know of them, and who may write, is decided by others.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::applications::{Policies, Refusal};
use super::dice::Dice;
use super::x509::X509;

/// AZURE 1.4: names that are longer are shortened.
const LONGEST_NAME: usize = 90;
/// A tick of Entra's clock.
const TICK: i128 = 100;

/// A certificate of an application.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Its ID.
    pub key_id: Uuid,
    /// Its name.
    pub display_name: Option<String>,
    /// From when on it is good.
    pub start: Timestamp,
    /// Until when.
    pub end: Timestamp,
    /// `customKeyIdentifier`, as it is shown: the thumbprint, unless somebody wanted another.
    pub identifier: String,
    /// The certificate itself.
    #[serde(skip)]
    pub x509: Arc<X509>,
}

/// A certificate in a list that somebody writes: one that is there already, by its ID, or a new one, by its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateEntry {
    /// Its ID; a new one may bring one along.
    pub key_id: Option<Uuid>,
    /// Its name.
    pub display_name: Option<String>,
    /// From when on it is good; by default as the certificate itself says.
    pub start: Option<Timestamp>,
    /// Until when; by default as the certificate itself says.
    pub end: Option<Timestamp>,
    /// By what it shall be identified; by default by its thumbprint.
    pub identifier: Option<String>,
    /// The certificate itself, in DER or PEM.
    pub key: Option<Vec<u8>>,
}

/// Why a list of certificates cannot be as somebody wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsound {
    /// It has an entry that is not there yet, or that the replica has not heard of, without a certificate.
    NoKey,
    /// What it has is no certificate.
    Malformed,
    /// An entry would begin before its certificate.
    Start,
    /// An entry would end after its certificate, before it begins, or in the past.
    End,
    /// Two entries have the same ID.
    Twice(Uuid),
    /// An entry that is there already would become another.
    Changed(Uuid),
}

impl Certificate {
    /// Of what somebody sends.
    pub(crate) fn of(entry: CertificateEntry, dice: &mut Dice) -> Result<Self, Unsound> {
        let CertificateEntry { key_id, display_name, start, end, identifier, key } = entry;
        let key = key.filter(|key| !key.is_empty()).ok_or(Unsound::NoKey)?;
        let x509 = X509::read(&key).ok_or(Unsound::Malformed)?;
        let (start, end) = (start.unwrap_or_else(|| x509.begin()), end.unwrap_or_else(|| x509.end()));
        if start < x509.begin() {
            return Err(Unsound::Start);
        }
        if end > x509.end() || end <= start {
            return Err(Unsound::End);
        }
        Ok(Self {
            key_id: key_id.unwrap_or_else(|| dice.uuid()),
            display_name: display_name.map(|name| name.chars().take(LONGEST_NAME).collect()),
            start,
            end,
            identifier: identifier.unwrap_or_else(|| x509.thumbprint()),
            x509: Arc::new(x509),
        })
    }

    /// Whether it is good at a time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.start <= now && now < self.end
    }

    /// Whether it may be added: what is there already is not asked (AZURE 1.8).
    pub(crate) fn may_be_added(&self, policies: Policies, now: Timestamp) -> Result<(), Refusal> {
        if self.end <= now {
            return Err(Refusal::Unsound(Unsound::End));
        }
        let life = self.end.duration_since(self.start);
        let is_too_long = policies.longest_certificate_life.is_some_and(|longest| life > longest);
        if is_too_long { Err(Refusal::LifeTooLong) } else { Ok(()) }
    }

    /// Whether it is what an entry says of it; a name is not looked at.
    fn is_as(&self, entry: &CertificateEntry) -> bool {
        let same = |said: Option<Timestamp>, is: Timestamp| {
            said.is_none_or(|said| said.as_nanosecond() / TICK == is.as_nanosecond() / TICK)
        };
        let key = entry.key.as_deref().map(X509::read);
        same(entry.start, self.start)
            && same(entry.end, self.end)
            && key.is_none_or(|key| key.as_ref() == Some(&*self.x509))
    }
}

/// What an application's certificates become when somebody writes this list in their place. An entry that is there
/// already stays as it is; one without its key must be known to the replica that was asked, too.
pub(crate) fn replaced(
    truth: &[Certificate],
    seen: &[Certificate],
    list: Vec<CertificateEntry>,
    policies: Policies,
    now: Timestamp,
    dice: &mut Dice,
) -> Result<Vec<Certificate>, Refusal> {
    let mut ids = BTreeSet::new();
    if let Some(twice) = list.iter().filter_map(|entry| entry.key_id).find(|key_id| !ids.insert(*key_id)) {
        return Err(Refusal::Unsound(Unsound::Twice(twice)));
    }
    let in_its_place = |entry: CertificateEntry| {
        let is_it = |one: &&Certificate| entry.key_id == Some(one.key_id);
        match truth.iter().find(is_it) {
            Some(known) if entry.key.is_some() || seen.iter().any(|one| is_it(&one)) => {
                let unchanged = known.is_as(&entry).then(|| known.clone());
                unchanged.ok_or(Refusal::Unsound(Unsound::Changed(known.key_id)))
            }
            _ => {
                let new = Certificate::of(entry, dice).map_err(Refusal::Unsound)?;
                new.may_be_added(policies, now)?;
                Ok(new)
            }
        }
    };
    list.into_iter().map(in_its_place).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::azure::SelfSigned;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn in_days(days: i64) -> Timestamp {
        now() + SignedDuration::from_hours(24 * days)
    }

    fn made() -> SelfSigned {
        SelfSigned::new("payments", now(), in_days(90)).unwrap()
    }

    fn write(truth: &[Certificate], list: Vec<CertificateEntry>) -> Result<Vec<Certificate>, Refusal> {
        replaced(truth, truth, list, Policies::default(), now(), &mut Dice::new(truth.len() as u64))
    }

    fn refused(truth: &[Certificate], entry: CertificateEntry) -> Unsound {
        match write(truth, vec![entry]) {
            Err(Refusal::Unsound(unsound)) => unsound,
            other => panic!("{other:?}"),
        }
    }

    fn kept(one: &Certificate) -> CertificateEntry {
        CertificateEntry { key_id: Some(one.key_id), ..CertificateEntry::default() }
    }

    /// AZURE 1.4: what is not said is as in the certificate; the identifier is the thumbprint.
    #[test]
    fn a_new_one_takes_after_its_certificate() {
        let made = made();
        let [one] = &write(&[], vec![made.entry("kw1:abc")]).unwrap()[..] else { panic!() };
        assert_eq!((one.start, one.end), (now(), in_days(90)));
        assert_eq!((one.display_name.as_deref(), &one.identifier), (Some("kw1:abc"), &one.x509.thumbprint()));
        let wanted = CertificateEntry {
            key_id: Some(Uuid::from_u128(7)),
            start: Some(in_days(1)),
            end: Some(in_days(2)),
            identifier: Some("AAAA".into()),
            key: Some(made.pem().into_bytes()),
            display_name: Some("ö".repeat(91)),
        };
        let [one] = &write(&[], vec![wanted]).unwrap()[..] else { panic!() };
        assert_eq!((one.key_id, one.start, one.end), (Uuid::from_u128(7), in_days(1), in_days(2)));
        assert_eq!((one.identifier.as_str(), &one.display_name), ("AAAA", &Some("ö".repeat(90))));
        assert!(!one.is_valid(now()) && one.is_valid(in_days(1)) && !one.is_valid(in_days(2)));
    }

    /// AZURE 1.4: the list is written whole, and an ID is enough for what is to stay.
    #[test]
    fn what_is_not_in_the_list_is_gone_and_what_is_stays_as_it_is() {
        let (first, second, third) = (made(), made(), made());
        let truth = write(&[], vec![first.entry("first"), second.entry("second")]).unwrap();
        let ids = |list: &[Certificate]| list.iter().map(|one| one.key_id).collect::<Vec<_>>();
        let renamed = CertificateEntry { display_name: Some("renamed".into()), ..kept(&truth[1]) };
        let now_there = write(&truth, vec![third.entry("third"), renamed]).unwrap();
        assert_eq!(now_there.len(), 2);
        assert_eq!((ids(&now_there)[1], &now_there[1].display_name), (truth[1].key_id, &Some("second".into())));
        let again = CertificateEntry { key_id: Some(truth[0].key_id), ..first.entry("first") };
        assert_eq!(ids(&write(&truth, vec![again]).unwrap()), [truth[0].key_id], "sent once more, with its key");
        assert!(write(&truth, vec![]).unwrap().is_empty());
        let told = CertificateEntry { start: Some(truth[0].start), end: Some(truth[0].end), ..kept(&truth[0]) };
        assert!(write(&truth, vec![told]).is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let (made, other) = (made(), made());
        let truth = write(&[], vec![made.entry("first")]).unwrap();
        let but = |change: fn(&mut CertificateEntry)| {
            let mut entry = made.entry("new");
            change(&mut entry);
            refused(&truth, entry)
        };
        assert_eq!(but(|entry| entry.key = None), Unsound::NoKey);
        assert_eq!(but(|entry| entry.key = Some(vec![])), Unsound::NoKey);
        assert_eq!(but(|entry| entry.key = Some(vec![7; 300])), Unsound::Malformed);
        assert_eq!(but(|entry| entry.end = Some(in_days(90) + SignedDuration::from_millis(1))), Unsound::End);
        assert_eq!(but(|entry| entry.end = Some(now())), Unsound::End);
        assert_eq!(but(|entry| entry.start = Some(in_days(-1))), Unsound::Start);
        let unknown = CertificateEntry { key_id: Some(Uuid::from_u128(7)), ..CertificateEntry::default() };
        assert_eq!(refused(&truth, unknown), Unsound::NoKey);
        let changed = Unsound::Changed(truth[0].key_id);
        let other = CertificateEntry { key_id: Some(truth[0].key_id), ..other.entry("first") };
        assert_eq!(refused(&truth, other), changed);
        assert_eq!(refused(&truth, CertificateEntry { end: Some(in_days(1)), ..kept(&truth[0]) }), changed);
        let twice = write(&truth, vec![kept(&truth[0]), kept(&truth[0])]).unwrap_err();
        assert_eq!(twice, Refusal::Unsound(Unsound::Twice(truth[0].key_id)));
    }

    /// AZURE 3: an ID means nothing to a replica that has not heard of it; with its key it can be told.
    #[test]
    fn a_replica_keeps_only_what_it_has_heard_of() {
        let made = made();
        let truth = write(&[], vec![made.entry("first")]).unwrap();
        let write = |entry| replaced(&truth, &[], vec![entry], Policies::default(), now(), &mut Dice::new(7));
        assert_eq!(write(kept(&truth[0])).unwrap_err(), Refusal::Unsound(Unsound::NoKey));
        let whole = CertificateEntry { key_id: Some(truth[0].key_id), ..made.entry("first") };
        assert_eq!(write(whole).unwrap()[0].key_id, truth[0].key_id);
    }

    /// AZURE 1.8: the policy looks at what is added only.
    #[test]
    fn a_policy_forbids_new_ones_that_live_long() {
        let made = made();
        let truth = write(&[], vec![made.entry("first")]).unwrap();
        let policies = |days: i64| Policies {
            longest_certificate_life: Some(SignedDuration::from_hours(24 * days)),
            ..Policies::default()
        };
        let write = |entry, days| replaced(&truth, &truth, vec![entry], policies(days), now(), &mut Dice::new(7));
        assert_eq!(write(made.entry("new"), 89).unwrap_err(), Refusal::LifeTooLong);
        assert!(write(made.entry("new"), 90).is_ok() && write(kept(&truth[0]), 1).is_ok());
        let shorter = CertificateEntry { end: Some(in_days(1)), ..made.entry("new") };
        assert!(write(shorter, 1).is_ok(), "what counts is the entry's life");
        let expired = replaced(&[], &[], vec![made.entry("old")], Policies::default(), in_days(91), &mut Dice::new(7));
        assert_eq!(expired.unwrap_err(), Refusal::Unsound(Unsound::End));
    }
}
