//! Collections of Graph's, which come in pages. Every page is read, or nothing is said to be known. No link leads to another
//! host, since the operator's token goes along.

use std::mem;

use azure_core::http::Url;
use serde_json::Value;

use super::{
    graph::Directory,
    refusal::{self, Asked, Failure},
    shape::Page,
};
use crate::facts::Trouble;

/// A tenant of a hundred thousand applications has a thousand pages.
const MOST_PAGES: usize = 10_000;

impl Directory {
    /// Hands on every entry from this page on, unless one cannot be used and why is said; and tells where the last page
    /// says that the next round begins, if it says that.
    pub(super) async fn pages(
        &self,
        asked: &Asked,
        first: String,
        mut entry: impl FnMut(Value) -> Result<(), &'static str>,
    ) -> Result<Option<String>, Failure> {
        let mut link = first;
        for _ in 0..MOST_PAGES {
            let answer = self.get(asked, &link).await?;
            let unreadable = |why| refusal::unreadable(asked, &answer, why);
            let page: Option<Page> = serde_json::from_slice(&answer.body).ok();
            let page = page.ok_or_else(|| unreadable("it is no page of a collection"))?;
            page.value.into_iter().try_for_each(&mut entry).map_err(unreadable)?;
            if let Some(delta) = &page.delta {
                self.own(asked, delta)?;
            }
            let Some(next) = page.next else { return Ok(page.delta) };
            self.own(asked, &next)?;
            if mem::replace(&mut link, next) == link {
                break;
            }
        }
        Err(refusal::inconsistent(asked, "its pages do not end").into())
    }

    /// A link must lead to Graph itself: whoever follows it shows the operator's token there.
    fn own(&self, asked: &Asked, link: &str) -> Result<(), Trouble> {
        if self.is_own(link) { Ok(()) } else { Err(refusal::inconsistent(asked, "it has a link to another host")) }
    }

    pub(super) fn is_own(&self, link: &str) -> bool {
        host_of(link).is_some_and(|theirs| host_of(&self.0.base) == Some(theirs))
    }
}

/// Host and port, if it is a place to show a token at.
fn host_of(link: &str) -> Option<(String, u16)> {
    let url = Url::parse(link).ok().filter(|url| url.scheme() == "https")?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
