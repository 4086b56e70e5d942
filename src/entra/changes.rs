//! A whole tenant at once, so that drift costs a read per tenant and not one per application: what has changed since the
//! last time (AZURE 1.6) where the operator may ask that, else every page of everything. No link leads to another host,
//! since the operator's token goes along.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use azure_core::http::Url;
use serde_json::Value;

use super::{
    graph::Directory,
    refusal::{self, About, Asked, Failure},
    shape::{Page, SELECT, Told},
};
use crate::{
    api::ClientId,
    facts::{Application, ObjectId, Trouble},
};

/// A tenant of a hundred thousand applications has a thousand pages.
const MOST_PAGES: usize = 10_000;

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

/// What a round has shown. Reads lag behind writes, so what is absent here may be there.
#[derive(Debug)]
pub struct Changes {
    /// The applications that were told whole.
    pub seen: BTreeMap<ClientId, Application>,
    /// The applications that are gone.
    pub gone: BTreeSet<ObjectId>,
    /// The applications of which only a part was told, or nothing that can be read: to be looked at one by one.
    pub unclear: BTreeSet<ObjectId>,
    /// Whether every application of the tenant is in it, and not only those that have changed.
    pub is_full: bool,
    /// Where the next round begins.
    pub since: Since,
}

impl Directory {
    /// What has changed since an earlier round; everything if there was none, or if it is too long ago.
    pub async fn changes(&self, since: Option<&Since>) -> Result<Changes, Trouble> {
        if let Some(Since(Next::Delta(link))) = since {
            match self.delta(link, false).await {
                Err(failure) if is_too_old(&failure) || failure.status == Some(403) => {}
                ended => return Ok(ended?),
            }
        }
        if since.is_none_or(|since| since.0 != Next::Pages) {
            match self.delta(&format!("{}/applications/delta?{SELECT}", self.0.base), true).await {
                Err(failure) if failure.status == Some(403) => {}
                ended => return Ok(ended?),
            }
        }
        let asked = self.read("list_applications", "list the applications", About::Tenant);
        let first = format!("{}/applications?{SELECT}&$top=999", self.0.base);
        let (round, _) = self.round(&asked, first, true).await?;
        Ok(round.changes(true, Next::Pages))
    }

    async fn delta(&self, first: &str, is_full: bool) -> Result<Changes, Failure> {
        let asked = self.read("delta", "read what has changed about the applications", About::Tenant);
        let (round, link) = self.round(&asked, first.to_owned(), is_full).await?;
        let link = link
            .ok_or_else(|| refusal::inconsistent(&asked, "its last page does not say where the next round begins"))?;
        Ok(round.changes(is_full, Next::Delta(link)))
    }

    /// Every page from this one on, and where they say that the next round begins.
    async fn round(&self, asked: &Asked, first: String, is_full: bool) -> Result<(Round, Option<String>), Failure> {
        let (mut round, mut link) = (Round { is_full, ..Round::default() }, first);
        for _ in 0..MOST_PAGES {
            let answer = self.get(asked, &link).await?;
            let page: Option<Page> = serde_json::from_slice(&answer.body).ok();
            let page = page.ok_or_else(|| refusal::unreadable(asked, &answer, "it is no page of applications"))?;
            for entry in page.value {
                round.add(entry).ok_or_else(|| refusal::unreadable(asked, &answer, "an application has no ID"))?;
            }
            if let Some(delta) = &page.delta {
                self.own(asked, delta)?;
            }
            let Some(next) = page.next else { return Ok((round, page.delta)) };
            self.own(asked, &next)?;
            if mem::replace(&mut link, next) == link {
                break;
            }
        }
        Err(refusal::inconsistent(asked, "its pages do not end").into())
    }

    /// A link must lead to Graph itself: whoever follows it shows the operator's token there.
    fn own(&self, asked: &Asked, link: &str) -> Result<(), Trouble> {
        if host_of(link).is_some_and(|theirs| host_of(&self.0.base) == Some(theirs)) {
            Ok(())
        } else {
            Err(refusal::inconsistent(asked, "it has a link to another host"))
        }
    }
}

/// Host and port, if it is a place to show a token at.
fn host_of(link: &str) -> Option<(String, u16)> {
    let url = Url::parse(link).ok().filter(|url| url.scheme() == "https")?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

fn is_too_old(failure: &Failure) -> bool {
    let code = failure.trouble.code.as_deref().unwrap_or_default();
    let codes = ["syncStateNotFound", "syncStateInvalid", "resyncRequired"];
    failure.status == Some(410) || codes.iter().any(|known| code.eq_ignore_ascii_case(known))
}

/// A round in the making. What is told later overrules: entries may come twice, in any order (AZURE 1.6).
#[derive(Debug, Default)]
struct Round {
    is_full: bool,
    entries: BTreeMap<ObjectId, Entry>,
}

#[derive(Debug)]
enum Entry {
    Seen(ClientId, Application),
    Gone,
    Unclear,
}

impl Round {
    /// Adds an entry; nothing comes back if not even its ID can be read.
    fn add(&mut self, entry: Value) -> Option<()> {
        let id = ObjectId(entry.get("id")?.as_str()?.parse().ok()?);
        let entry = match serde_json::from_value::<Told>(entry) {
            Ok(told) if told.is_removed() => Entry::Gone,
            Ok(told) => {
                // In a full round, a collection that is not told has never had anything in it.
                let told = if self.is_full { told.with_no_secrets_if_none_are_told() } else { told };
                told.whole().map_or(Entry::Unclear, |(client_id, application)| Entry::Seen(client_id, application))
            }
            Err(_) => Entry::Unclear,
        };
        self.entries.insert(id, entry);
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
        json!({"id": id(number), "appId": id(number + 100), "signInAudience": "AzureADMyOrg", "passwordCredentials": []})
    }

    fn round(is_full: bool, entries: impl IntoIterator<Item = Value>) -> Changes {
        let mut round = Round { is_full, ..Round::default() };
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
    fn a_link_elsewhere_is_told_from_one_to_graph() {
        let graph = host_of("https://graph.microsoft.com/v1.0");
        assert!(graph.is_some());
        assert_eq!(host_of("https://graph.microsoft.com:443/v1.0/applications?$skiptoken=x"), graph);
        for elsewhere in [
            "https://graph.microsoft.com.example/v1.0",
            "https://graph.microsoft.com:8443/v1.0",
            "https://graph.microsoft.com@example.com/v1.0",
            "http://graph.microsoft.com/v1.0",
            "//graph.microsoft.com/v1.0",
            "",
        ] {
            assert_ne!(host_of(elsewhere), graph, "{elsewhere}");
        }
    }

    #[test]
    fn an_entry_without_an_id_is_not_passed_over() {
        assert!(Round::default().add(json!({"appId": id(1)})).is_none());
        assert!(Round::default().add(json!({"id": "one"})).is_none());
    }
}
