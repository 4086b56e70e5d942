//! Carrying out an adoption: the value is read where somebody has put it, and is to be what the spec says it is, before
//! anything is written.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{act::Act, certificates::completed};
use crate::{
    api::{Reason, rotation::ValueFrom},
    entra::sign_in,
    facts::{Effect, Entry, Record, Service, Trouble, VaultEntry, Verdict},
    plan::Outcome,
};

impl Act<'_> {
    pub(super) async fn adopt(
        &self,
        record: Option<&Record>,
        entry: &Entry,
        from: &ValueFrom,
    ) -> Result<Outcome, Trouble> {
        let value = self.found(from).await?;
        if Uuid::try_parse(value.expose_secret()).is_ok() {
            let why = "it is a GUID, so it is the ID of the secret and not its value";
            return Err(refused(from, why, "Put the value there: Entra shows it only once, when the secret is made."));
        }
        if !self.fits(entry, &value) {
            let why = "it is not the one that Entra shows for spec.adopt.keyId";
            return Err(refused(from, why, "Correct spec.adopt.keyId, or put the value of that credential there."));
        }
        let Some(scope) = self.scope else { return Ok(Outcome::Expired) };
        let connection = self.connection().await?;
        let authority = connection.cloud.authority().into();
        let (entry, key) = (&completed(entry, &value)?, self.signing_key(entry, &value)?);
        let fresh = self.hands.wire.fresh();
        match sign_in(fresh, &authority, entry.tenant, entry.client_id, &key, scope).await {
            Verdict::Accepted => match record {
                Some(record) => self.keep_in(record, entry, &value).await,
                None => self.keep_anew(entry, &value).await,
            },
            Verdict::Blocked(trouble)
            | Verdict::Refused(trouble)
            | Verdict::Misasked(trouble)
            | Verdict::Unheard(trouble) => Err(Trouble { effect: Effect::Refused, ..trouble }),
        }
    }

    /// The value, where the spec says that it is.
    async fn found(&self, from: &ValueFrom) -> Result<SecretString, Trouble> {
        match (&from.secret_key_ref, &from.key_vault_ref) {
            (Some(secret), _) => {
                let held = self.hands.secrets.held(self.namespace, secret.name.as_str(), secret.key.as_str()).await?;
                held.ok_or_else(|| refused(from, "there is nothing", "Create the Secret with that key."))
            }
            (None, Some(entry)) => {
                let entry = VaultEntry::secret(&entry.vault_url, &entry.name);
                self.connection().await?.vaults.value(&entry).await
            }
            (None, None) => Err(refused(from, "nothing is named", "Name a key of a Secret, or an entry of a vault.")),
        }
    }
}

fn refused(from: &ValueFrom, why: &str, remedy: &str) -> Trouble {
    let place = match (&from.secret_key_ref, &from.key_vault_ref) {
        (Some(secret), _) => format!("secret/{}, key {}", secret.name, secret.key),
        (None, Some(entry)) => format!("{}/secrets/{}", entry.vault_url, entry.name),
        (None, None) => "spec.adopt.valueFrom".to_owned(),
    };
    let message = format!("could not adopt what is in {place}: {why}");
    Trouble {
        effect: Effect::Refused,
        ..Trouble::unsent(Service::Kubernetes, Reason::AdoptionRefused, message, remedy)
    }
}
