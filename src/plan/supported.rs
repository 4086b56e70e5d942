//! What the API accepts but this version does not do yet. Each capability that is built removes its row; what is not
//! done is said, never ignored.

use super::Refusal;
use crate::api::{EntraAppCredentialSpec, Reason, publish::VaultObjectType};

type Asked = fn(&EntraAppCredentialSpec) -> bool;

const NOT_YET: [(&str, Asked); 1] = [("publish.keyVaults with objectType: Certificate", |spec| {
    let mut vaults = spec.publish.iter().flat_map(|publish| &publish.key_vaults);
    vaults.any(|one| one.object_type == Some(VaultObjectType::Certificate))
})];

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
