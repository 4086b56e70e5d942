//! What the API accepts but this version does not do yet. Each capability that is built removes its row; what is not
//! done is said, never ignored.

use super::Refusal;
use crate::api::{EntraAppCredentialSpec, Reason, publish::SecretDeletionPolicy, rotation::DeletionPolicy};

type Asked = fn(&EntraAppCredentialSpec) -> bool;

const NOT_YET: [(&str, Asked); 8] = [
    ("certificate", |spec| spec.certificate.is_some()),
    ("federated", |spec| spec.federated.is_some()),
    ("rotation", |spec| spec.rotation.is_some()),
    ("consumers", |spec| spec.consumers.is_some()),
    ("retirement", |spec| spec.retirement.is_some()),
    ("adopt", |spec| spec.adopt.is_some()),
    ("publish.secret.deletionPolicy", |spec| {
        let secret = spec.publish.as_ref().and_then(|publish| publish.secret.as_ref());
        secret.and_then(|secret| secret.deletion_policy) == Some(SecretDeletionPolicy::Delete)
    }),
    ("deletionPolicy", |spec| spec.deletion_policy == Some(DeletionPolicy::Revoke)),
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
