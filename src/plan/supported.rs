//! What the API accepts but this version does not do yet. Each capability that is built removes its row; what is not
//! done is said, never ignored.

use super::{Refusal, readable::Request};
use crate::{
    api::{EntraAppCredentialSpec, Reason, consumers::Confirmation},
    facts::{Record, Stage},
};

type Asked = fn(&EntraAppCredentialSpec) -> bool;

const NOT_YET: [(&str, Asked); 4] = [
    ("certificate", |spec| spec.certificate.is_some()),
    ("publish beside federated", |spec| spec.federated.is_some() && spec.publish.is_some()),
    ("consumers.syncedSecrets beside federated", |spec| {
        spec.federated.is_some() && spec.consumers.as_ref().is_some_and(|one| !one.synced_secrets.is_empty())
    }),
    ("consumers.external with confirm: SignInReport", |spec| {
        let mut outside = spec.consumers.iter().flat_map(|one| &one.external);
        outside.any(|one| one.confirm == Confirmation::SignInReport)
    }),
];

/// Which fields are asked for in vain.
#[must_use]
pub fn refusal(spec: &EntraAppCredentialSpec) -> Option<Refusal> {
    let fields: Vec<String> =
        NOT_YET.iter().filter(|(_, asked)| asked(spec)).map(|(field, _)| format!("spec.{field}")).collect();
    (!fields.is_empty()).then(|| {
        Refusal::new(
            Reason::NotSupportedYet,
            format!(
                "The resource is granted and makes sense, but this version of Keywright does not act on {} yet. Nothing \
                 is minted, published or removed. Keep rotating by hand until a version that does is installed.",
                fields.join(", ")
            ),
        )
    })
}

/// A resource that has had credentials of another kind, which pods may still use.
#[must_use]
pub fn migration(request: &Request<'_>, records: &[Record]) -> Option<Refusal> {
    let is_used = |record: &&Record| {
        let entry = &record.entry;
        let about = (entry.client_id, entry.tenant) == (request.spec.client_id, request.tenant.tenant_id);
        about && entry.kind != request.kind && entry.stage == Stage::Publishing && entry.retired_at.is_none()
    };
    let used = records.iter().find(is_used)?;
    let (before, now) = (used.entry.kind, request.kind);
    Some(Refusal::new(
        Reason::NotSupportedYet,
        format!(
            "This resource has had credentials of kind {before:?}, which somebody may use, and this version of Keywright does \
             not lead from them to {now:?} yet. Nothing is minted, published or removed. Declare {before:?} again here, and \
             {now:?} in a second resource for the same application; delete this one when nobody uses it any more."
        ),
    ))
}
