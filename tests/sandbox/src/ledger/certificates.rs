//! What became of certificates. Of their keys Azure knows nothing: what stands for one is the certificate itself. Whose it
//! is, its name decides, since whoever writes a list writes those of others, too.

use super::{Credential, Kind, mark};
use crate::azure::{Certificate, Change, What};

/// What became of every certificate that there was.
pub(super) fn credentials(log: &[Change]) -> impl Iterator<Item = Credential> {
    let begun = |(place, change): (usize, &Change)| {
        let What::Certified(Certificate { key_id, display_name, start, end, x509, .. }) = &change.what else {
            return None;
        };
        let mut later = log[place + 1..].iter().filter(|later| later.client_id == change.client_id);
        let removal = later.find(|later| match &later.what {
            What::Removed(removed) => removed == key_id,
            What::Deleted => true,
            _ => false,
        });
        Some(Credential {
            client_id: change.client_id,
            key_id: *key_id,
            kind: Kind::Certificate,
            name: display_name.clone().unwrap_or_default(),
            fingerprint: x509.fingerprint(),
            minted: change.time,
            by: change.by,
            known: change.settled.max(*start),
            end: *end,
            edited: None,
            removed: removal.map(|removal| (removal.time, removal.by)),
            thumbprint: Some(x509.thumbprint()),
            value: None,
        })
    };
    log.iter().enumerate().filter_map(begun)
}

/// Whether it is somebody else's, whoever has written it.
pub(super) fn is_foreign(credential: &Credential) -> bool {
    credential.kind == Kind::Certificate && !mark::begins_with_mark(&credential.name)
}
