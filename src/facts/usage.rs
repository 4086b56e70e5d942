//! When credentials of an application were last used, as a report of Microsoft's has it. It is behind what happens, nobody
//! says by how much, and it is about credentials, not about those who use them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::KeyId;

/// The last sign-in with each credential that the report knows one of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage(pub BTreeMap<KeyId, Timestamp>);

impl Usage {
    /// When a credential was last used; none if the report has no sign-in with it, which says nothing.
    #[must_use]
    pub fn last(&self, key_id: KeyId) -> Option<Timestamp> {
        self.0.get(&key_id).copied()
    }

    /// A sign-in that the report has: a credential may have several lines, of which the last counts.
    pub fn add(&mut self, key_id: KeyId, at: Timestamp) {
        let last = self.0.entry(key_id).or_insert(at);
        *last = at.max(*last);
    }
}
