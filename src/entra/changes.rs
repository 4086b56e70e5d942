//! A whole tenant at once, so that drift costs a read per tenant and not one per application: what has changed since the
//! last time (AZURE 1.6) where the operator may ask that, else every page of everything. Of each page only what concerns
//! us is kept: a directory may have a hundred thousand applications, and we may be about ten.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    graph::Directory,
    refusal::{self, About, Failure},
    shape::{SELECT, Told},
};
use crate::{
    api::ClientId,
    facts::{Application, ObjectId, Trouble},
};

/// What is wrong with an entry of which nobody can say what it is about.
const NO_ID: &str = "an application has no ID";

/// Where the next round begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since(Next);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// Behind this link.
    Delta(String),
    /// At the start: deltas are not for this operator.
    Pages,
}

/// What concerns us of a tenant.
#[derive(Debug, Clone, Default)]
pub struct Concern {
    /// The applications that resources are about.
    pub applications: BTreeSet<ClientId>,
    /// What Graph calls those of them that earlier rounds have shown: of what is gone, it tells nothing else.
    pub known: BTreeSet<ObjectId>,
}

/// What a round has shown of what concerns us. Reads lag behind writes, so what is absent here may be there.
#[derive(Debug)]
pub struct Changes {
    /// The applications that were told whole.
    pub seen: BTreeMap<ClientId, Application>,
    /// The applications that are gone.
    pub gone: BTreeSet<ObjectId>,
    /// The applications of which only a part was told, or nothing that can be read: to be looked at one by one.
    pub unclear: BTreeSet<ObjectId>,
    /// Whether every application that concerns us is in it, and not only those that have changed.
    pub is_full: bool,
    /// Where the next round begins.
    pub since: Since,
}

impl Directory {
    /// What has changed since an earlier round; everything if there was none, or if it is too long ago.
    pub async fn changes(&self, since: Option<&Since>, concern: &Concern) -> Result<Changes, Trouble> {
        // A tenant may have been given another Graph since: what was told by the former is no beginning there.
        if let Some(Since(Next::Delta(link))) = since
            && self.is_own(link)
        {
            match self.delta(link, false, concern).await {
                Err(failure) if is_too_old(&failure) || failure.status == Some(403) => {}
                ended => return Ok(ended?),
            }
        }
        if since.is_none_or(|since| since.0 != Next::Pages) {
            match self.delta(&format!("{}/applications/delta?{SELECT}", self.0.base), true, concern).await {
                Err(failure) if failure.status == Some(403) => {}
                ended => return Ok(ended?),
            }
        }
        let asked = self.read("list_applications", "list the applications", About::Tenant);
        let first = format!("{}/applications?{SELECT}&$top=999", self.0.base);
        let mut round = Round::new(true, concern);
        self.pages(&asked, first, |entry| round.add(entry).ok_or(NO_ID)).await?;
        Ok(round.changes(true, Next::Pages))
    }

    async fn delta(&self, first: &str, is_full: bool, concern: &Concern) -> Result<Changes, Failure> {
        let asked = self.read("delta", "read what has changed about the applications", About::Tenant);
        let mut round = Round::new(is_full, concern);
        let link = self.pages(&asked, first.to_owned(), |entry| round.add(entry).ok_or(NO_ID)).await?;
        let link = link
            .ok_or_else(|| refusal::inconsistent(&asked, "its last page does not say where the next round begins"))?;
        Ok(round.changes(is_full, Next::Delta(link)))
    }
}

fn is_too_old(failure: &Failure) -> bool {
    let code = failure.trouble.code.as_deref().unwrap_or_default();
    let codes = ["syncStateNotFound", "syncStateInvalid", "resyncRequired"];
    failure.status == Some(410) || codes.iter().any(|known| code.eq_ignore_ascii_case(known))
}

/// A round in the making. What is told later overrules: entries may come twice, in any order (AZURE 1.6).
#[derive(Debug)]
struct Round<'a> {
    is_full: bool,
    concern: &'a Concern,
    entries: BTreeMap<ObjectId, Entry>,
}

#[derive(Debug)]
enum Entry {
    Seen(ClientId, Application),
    Gone,
    Unclear,
}

impl<'a> Round<'a> {
    const fn new(is_full: bool, concern: &'a Concern) -> Self {
        Self { is_full, concern, entries: BTreeMap::new() }
    }

    /// Whether an entry is about something of ours.
    fn concerns(&self, id: ObjectId, entry: &Entry) -> bool {
        match entry {
            Entry::Seen(client_id, _) => self.concern.applications.contains(client_id),
            Entry::Gone | Entry::Unclear => self.concern.known.contains(&id) || self.entries.contains_key(&id),
        }
    }

    /// Adds an entry, if it concerns us; nothing comes back if not even its ID can be read.
    fn add(&mut self, entry: Value) -> Option<()> {
        let id = ObjectId(entry.get("id")?.as_str()?.parse().ok()?);
        let entry = match serde_json::from_value::<Told>(entry) {
            Ok(told) if told.is_removed() => Entry::Gone,
            Ok(told) => {
                // In a full round, a collection that is not told has never had anything in it.
                let told = if self.is_full { told.with_none_if_none_are_told() } else { told };
                told.whole().map_or(Entry::Unclear, |(client_id, application)| Entry::Seen(client_id, application))
            }
            Err(_) => Entry::Unclear,
        };
        if self.concerns(id, &entry) {
            self.entries.insert(id, entry);
        }
        Some(())
    }

    fn changes(self, is_full: bool, next: Next) -> Changes {
        let (seen, gone, unclear) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let mut changes = Changes { seen, gone, unclear, is_full, since: Since(next) };
        for (id, entry) in self.entries {
            match entry {
                Entry::Seen(client_id, application) => _ = changes.seen.insert(client_id, application),
                Entry::Gone => _ = changes.gone.insert(id),
                Entry::Unclear => _ = changes.unclear.insert(id),
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn whole(number: u128) -> Value {
        json!({"id": id(number), "appId": id(number + 100), "signInAudience": "AzureADMyOrg", "passwordCredentials": [], "keyCredentials": []})
    }

    /// A tenant in which the first two applications are ours.
    fn ours() -> Concern {
        Concern {
            applications: [101, 102].map(|number| ClientId(id(number))).into(),
            known: [1, 2].map(|number| ObjectId(id(number))).into(),
        }
    }

    fn round(is_full: bool, entries: impl IntoIterator<Item = Value>) -> Changes {
        let ours = ours();
        let mut round = Round::new(is_full, &ours);
        for entry in entries {
            round.add(entry).unwrap();
        }
        round.changes(is_full, Next::Pages)
    }

    #[test]
    fn what_is_told_last_is_so() {
        let removed = |number| json!({"id": id(number), "@removed": {"reason": "changed"}});
        let told = round(false, [whole(1), removed(2), removed(1), whole(2)]);
        assert_eq!(told.gone, BTreeSet::from([ObjectId(id(1))]));
        assert_eq!(told.seen.keys().collect::<Vec<_>>(), [&ClientId(id(102))]);
    }

    #[test]
    fn a_change_that_is_told_in_part_is_to_be_looked_at() {
        let part = json!({"id": id(1), "appId": id(101), "signInAudience": "AzureADMyOrg"});
        let odd = json!({"id": id(2), "appId": id(102), "passwordCredentials": "many"});
        let told = round(false, [part.clone(), odd]);
        assert_eq!(told.unclear, BTreeSet::from([ObjectId(id(1)), ObjectId(id(2))]));
        assert!(told.seen.is_empty());
        assert_eq!(round(true, [part]).seen.len(), 1, "in a full round, no secrets are none");
    }

    #[test]
    fn nothing_is_kept_of_what_is_not_ours() {
        let gone = |number| json!({"id": id(number), "@removed": {"reason": "changed"}});
        let odd = |number| json!({"id": id(number), "passwordCredentials": "many"});
        let ours = ours();
        let mut round = Round::new(true, &ours);
        for number in 1..1_000 {
            round.add(whole(number)).unwrap();
        }
        assert_eq!(round.entries.len(), 2);
        for number in 1..1_000 {
            round.add(gone(number)).unwrap();
            round.add(odd(number)).unwrap();
        }
        assert_eq!(round.entries.len(), 2);
        let changes = round.changes(true, Next::Pages);
        assert_eq!(changes.unclear, BTreeSet::from([ObjectId(id(1)), ObjectId(id(2))]));
    }

    #[test]
    fn what_is_told_of_ours_and_gone_in_one_round_is_gone_although_it_was_not_known() {
        let concern = Concern { known: BTreeSet::new(), ..ours() };
        let mut round = Round::new(false, &concern);
        round.add(whole(1)).unwrap();
        round.add(json!({"id": id(1), "@removed": {"reason": "deleted"}})).unwrap();
        assert!(round.changes(false, Next::Pages).seen.is_empty());
    }

    #[test]
    fn an_entry_without_an_id_is_not_passed_over() {
        let nothing = Concern::default();
        assert!(Round::new(true, &nothing).add(json!({"appId": id(1)})).is_none());
        assert!(Round::new(true, &nothing).add(json!({"id": "one"})).is_none());
    }
}
