//! The course of a first issue: a firm in which a credential is declared, for a Secret and for an entry of a vault, and
//! the end to which it must come, whatever happens on the way.

use std::ops::{Deref, DerefMut, RangeInclusive};

use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::{
    Operator,
    azure::{self, NewPassword, Password, SecretChange, Seeded},
};
use kube::ResourceExt;
use libtest_mimic::Failed;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Firm, Town, chain, insist, same};

/// The name of the resource, of its Secret, and of its entry.
pub const RESOURCE: &str = "payments-api";

/// A firm in which a credential is declared. What a firm can, it can.
pub struct Course {
    firm: Firm,
    /// A credential of the application that somebody made by hand.
    pub by_hand: Uuid,
}

impl Deref for Course {
    type Target = Firm;

    fn deref(&self) -> &Firm {
        &self.firm
    }
}

impl DerefMut for Course {
    fn deref_mut(&mut self) -> &mut Firm {
        &mut self.firm
    }
}

impl Town {
    /// A firm of this name in which a credential is declared, before there is any operator.
    pub async fn course(&self, name: &str) -> Result<Course, Failed> {
        let course = self.undeclared(name).await?;
        course.declare(&json!({})).await?;
        Ok(course)
    }

    /// The same without the resource.
    pub async fn undeclared(&self, name: &str) -> Result<Course, Failed> {
        Course::in_firm(self.firm(name).await?).await
    }

    /// The same in a firm with an Azure like this.
    pub async fn undeclared_with(&self, name: &str, options: azure::Options) -> Result<Course, Failed> {
        Course::in_firm(self.firm_with(name, options).await?).await
    }
}

impl Course {
    async fn in_firm(firm: Firm) -> Result<Self, Failed> {
        let made = NewPassword { display_name: Some("made by hand".to_owned()), ..NewPassword::default() };
        let by_hand = firm.azure.seed_password(&firm.payments, made).map_err(chain)?.key_id;
        firm.tenant(&json!({})).await?;
        Ok(Self { firm, by_hand })
    }

    /// Declare the credential: a merge patch over one for both kinds of targets.
    pub async fn declare(&self, patch: &Value) -> Result<(), Failed> {
        let both = json!({"spec": {"publish": {"secret": {}, "keyVaults": [self.entry(RESOURCE)]}}});
        self.resource(RESOURCE, &crate::manifests::merged(both, patch)).await
    }

    /// An entry of the vault, as a target.
    pub fn entry(&self, name: &str) -> Value {
        json!({"vaultUrl": self.vault, "name": name})
    }

    /// The credentials on the application that nobody made by hand.
    pub fn ours(&self) -> Result<Vec<Password>, Failed> {
        let mut all = self.azure.passwords(&self.payments).map_err(chain)?;
        all.retain(|one| one.key_id != self.by_hand);
        Ok(all)
    }

    /// Wait until a Secret has the one credential of ours, with all that makes it usable and known as ours.
    pub async fn is_carried_by(&self, name: &str) -> Result<(), Failed> {
        self.until(|| async {
            let ours = self.ours()?;
            let [ours] = &ours[..] else { return Ok(Err(format!("there is not one credential of ours: {ours:?}"))) };
            Ok(match self.secrets().get_opt(name).await? {
                Some(secret) => carries(&secret, ours, &self.payments),
                None => Err(format!("there is no Secret {name}")),
            })
        })
        .await
    }

    /// What was done to an entry of its vault, and by whom.
    pub fn entry_changes(&self, name: &str) -> Vec<SecretChange> {
        let mut changes = self.azure.secret_changes(self.payments.tenant);
        changes.retain(|change| change.name == name);
        changes
    }
    /// Wait until it is published and nothing is left to be done; so many credentials were minted for it, one of them was
    /// ever published, the others are gone, and nothing that is somebody else's was touched.
    pub async fn ends_published(&self, operator: &Operator, minted: RangeInclusive<usize>) -> Result<(), Failed> {
        self.told(RESOURCE, "Published").await?;
        self.comes_to_rest().await?;
        let ours = self.minted().await?;
        insist(minted.contains(&ours.len()), format!("{minted:?} should have been minted, but {} were", ours.len()))?;
        same("credentials that were ever published", self.ever_published().await?.len(), 1)?;
        let left: Vec<Uuid> =
            self.azure.passwords(&self.payments).map_err(chain)?.iter().map(|one| one.key_id).collect();
        insist(left.len() == 2 && left.contains(&self.by_hand), format!("on the application there are {left:?}"))?;
        self.ends_clean(operator).await
    }
}

/// Whether a Secret has the coherent set with a credential, and bears our marks.
fn carries(secret: &Secret, password: &Password, application: &Seeded) -> Result<(), String> {
    let has = |key: &str, value: &str| {
        let found = secret.data.as_ref().and_then(|data| data.get(key));
        found.is_some_and(|found| found.0 == value.as_bytes())
    };
    let key_id = secret.annotations().get("keywright.dev/key-id");
    let all = [
        ("AZURE_CLIENT_SECRET", has("AZURE_CLIENT_SECRET", &password.value)),
        ("AZURE_CLIENT_ID", has("AZURE_CLIENT_ID", &application.client_id.to_string())),
        ("AZURE_TENANT_ID", has("AZURE_TENANT_ID", &application.tenant.to_string())),
        ("AZURE_AUTHORITY_HOST", secret.data.as_ref().is_some_and(|data| data.contains_key("AZURE_AUTHORITY_HOST"))),
        ("the key ID", key_id.is_some_and(|key_id| *key_id == password.key_id.to_string())),
        ("the owner", secret.labels().contains_key("keywright.dev/owner")),
    ];
    let lacks: Vec<&str> = all.into_iter().filter(|(_, has)| !has).map(|(what, _)| what).collect();
    if lacks.is_empty() { Ok(()) } else { Err(format!("{} lacks {}", secret.name_any(), lacks.join(", "))) }
}
