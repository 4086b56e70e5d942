//! What was last said of a resource in its status. The watch brings a status that we wrote a moment later than the records
//! that we wrote before it, and a look in between would say all of it again: an Event that is there, and a status that
//! is refused as stale.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::memory::is_newer;
use crate::api::{Declared, EntraAppCredential, EntraAppCredentialStatus};

/// The watch brings what was written, or what made a write stale, and with it the next look. If it should not, that look
/// is overdue after this; and what was said is no more believed than what the watch shows.
pub(super) const OVERDUE: Duration = Duration::from_secs(10);

/// What was last said.
#[derive(Debug, Default)]
pub struct Said(Option<Last>);

#[derive(Debug)]
struct Last {
    uid: Option<String>,
    version: String,
    status: EntraAppCredentialStatus,
    at: Instant,
}

impl Said {
    /// This was said, and this is the version that has it.
    pub fn note(
        &mut self,
        of: &Declared<EntraAppCredential>,
        version: Option<String>,
        status: EntraAppCredentialStatus,
        now: Instant,
    ) {
        self.0 = version.map(|version| Last { uid: of.metadata.uid.clone(), version, status, at: now });
    }

    /// The resource with what was said, if the watch shows it without. Once the watch shows it, it is forgotten.
    #[must_use]
    pub fn over(
        &mut self,
        shown: &Declared<EntraAppCredential>,
        now: Instant,
    ) -> Option<Arc<Declared<EntraAppCredential>>> {
        let version = shown.metadata.resource_version.as_deref()?;
        let is_ahead = |last: &Last| {
            let is_believed = now.duration_since(last.at) < OVERDUE;
            is_believed && last.uid == shown.metadata.uid && is_newer(&last.version, version)
        };
        self.0 = self.0.take().filter(is_ahead);
        let last = self.0.as_ref()?;
        // The write was made to what was shown then, and took nothing of it but the status.
        let mut newest = shown.clone();
        newest.metadata.resource_version = Some(last.version.clone());
        newest.status = Some(last.status.clone());
        Some(Arc::new(newest))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(uid: &str, version: &str) -> Declared<EntraAppCredential> {
        serde_json::from_value(json!({"metadata": {"uid": uid, "resourceVersion": version}})).unwrap()
    }

    fn said() -> EntraAppCredentialStatus {
        EntraAppCredentialStatus { observed_generation: Some(7), ..EntraAppCredentialStatus::default() }
    }

    #[test]
    fn what_was_said_is_believed_until_the_watch_shows_it_or_something_newer() {
        let (mut last, now) = (Said::default(), Instant::now());
        assert!(last.over(&shown("a", "10"), now).is_none(), "nothing was said");
        last.note(&shown("a", "10"), Some("12".to_owned()), said(), now);
        for late in ["10", "11"] {
            let newest = last.over(&shown("a", late), now).unwrap();
            assert_eq!((newest.metadata.resource_version.as_deref(), &newest.status), (Some("12"), &Some(said())));
        }
        for there in ["12", "13"] {
            last.note(&shown("a", "10"), Some("12".to_owned()), said(), now);
            assert!(last.over(&shown("a", there), now).is_none(), "{there}: somebody may have wiped it since");
            assert!(last.0.is_none(), "{there}: it is kept twice");
        }
    }

    #[test]
    fn another_object_of_that_name_was_told_nothing() {
        let (mut last, now) = (Said::default(), Instant::now());
        last.note(&shown("a", "10"), Some("12".to_owned()), said(), now);
        assert!(last.over(&shown("b", "11"), now).is_none());
    }

    #[test]
    fn a_watch_that_never_shows_it_is_believed_in_the_end() {
        let (mut last, now) = (Said::default(), Instant::now());
        last.note(&shown("a", "10"), Some("12".to_owned()), said(), now);
        assert!(last.over(&shown("a", "3"), now + OVERDUE).is_none(), "etcd was restored");
    }
}
