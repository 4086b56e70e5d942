//! Carrying out what concerns certificates: an arm each, as in `act`.

use secrecy::SecretString;

use super::act::{Act, Values};
use crate::{
    api::{KeyId, Reason, grant::CredentialKind, values::ObjectName},
    certificate::{Bundle, Unsuited, made},
    entra::{Key, list::new_key},
    facts::{Effect, Entry, Kept, ListedKey, Looked, Mark, Record, Service, Trouble},
    plan::{Outcome, removable::Removable, step::Origin},
};

impl Act<'_> {
    /// Make a key and a certificate, which takes the processor a while, or take them from a Secret.
    pub(super) async fn make(&self, record: &Record, from: &Origin, values: &mut Values) -> Result<Outcome, Trouble> {
        let Some(last) = record.entry.last_attempt() else { return Ok(Outcome::Expired) };
        let bundle = match from {
            Origin::Generated(wish) => {
                let wish = wish.clone();
                let made = tokio::task::spawn_blocking(move || made::make(&wish)).await;
                let why = |why: String| not_made(record, &why);
                made.map_err(|end| why(end.to_string()))?.map_err(|not_made| why(not_made.to_string()))?
            }
            Origin::Secret { name, thumbprint } => {
                let found = self.hands.sources.read(self.namespace, name.as_str()).await?;
                match found.bundle {
                    Some(bundle) if bundle.thumbprint() == *thumbprint => bundle,
                    _ => return Ok(Outcome::Source(Looked { at: self.hands.clock.now(), found: found.source })),
                }
            }
        };
        let thumbprint = bundle.thumbprint();
        values.insert(last.nonce.clone(), bundle.pem());
        Ok(Outcome::Minted(Kept {
            key_id: thumbprint.key_id(&last.nonce),
            // What was made since `issuedAfter` is not to look older than that.
            issued_at: self.hands.clock.at_the_latest(),
            expires_at: Some(bundle.ends()),
            thumbprint: Some(thumbprint),
        }))
    }

    /// What the Secret has that a certificate is to be taken from.
    pub(super) async fn read_source(&self, name: &ObjectName) -> Result<Outcome, Trouble> {
        let at = self.hands.clock.now();
        let found = self.hands.sources.read(self.namespace, name.as_str()).await?;
        Ok(Outcome::Source(Looked { at, found: found.source }))
    }

    pub(super) async fn read_list(&self, whole: bool) -> Result<Outcome, Trouble> {
        let at = self.hands.clock.now();
        let connection = self.connection().await?;
        let (found, keys) = connection.directory.certificates(self.spec.client_id, whole).await?;
        Ok(Outcome::List(Looked { at, found }, keys))
    }

    /// Write what stays, with what is added.
    pub(super) async fn write_list(
        &self,
        keep: &[ListedKey],
        add: Option<&Record>,
        drop: Option<(KeyId, Removable)>,
        values: &Values,
    ) -> Result<Outcome, Trouble> {
        let Some(application) = &self.seen.application else { return Ok(Outcome::Expired) };
        let mut list = keep.to_vec();
        let doing = match (add, drop) {
            (Some(record), _) => {
                let Some(new) = self.new_key(record, values).await? else { return Ok(Outcome::Expired) };
                let doing = format!("add certificate {} to", new.key_id);
                list.push(new);
                doing
            }
            (None, Some((key_id, _))) => format!("remove certificate {key_id} from"),
            (None, None) => "put back what was dropped from the certificates of".to_owned(),
        };
        if let Some(record) = add
            && !self.is_still_so(record).await?
        {
            return Ok(Outcome::Outpaced);
        }
        let connection = self.connection().await?;
        let _turn = self.hands.turns.take(self.spec.client_id)?;
        if self.is_late() {
            return Ok(Outcome::Expired);
        }
        let object_id = application.found.object_id;
        connection.directory.write_certificates(object_id, &doing, &list, self.in_time()).await?;
        Ok(Outcome::Listed)
    }

    /// The certificate of a record as an application is told it.
    async fn new_key(&self, record: &Record, values: &Values) -> Result<Option<ListedKey>, Trouble> {
        let entry = &record.entry;
        let (Some(kept), Some(last)) = (&entry.kept, entry.last_attempt()) else { return Ok(None) };
        let value = self.value(record, values).await?;
        let bundle = bundle(entry, &value)?;
        let mark = Mark { owner: entry.owner.clone(), sequence: entry.sequence, nonce: last.nonce.clone() };
        Ok(Some(new_key(kept.key_id, &mark.display_name(self.namespace, &entry.resource), &bundle)))
    }

    /// What an application signs in with, if this is the value of its credential.
    pub(super) fn signing_key(&self, entry: &Entry, value: &SecretString) -> Result<Key, Trouble> {
        let all = self.seen.application.iter().flat_map(|looked| &looked.found.credentials);
        let certificates = all.filter(|one| one.kind == CredentialKind::Certificate);
        let listed = certificates.filter_map(|one| one.hint.clone()).collect();
        Key::of(entry.kind, value, listed).map_err(|why| unsuited(entry, why))
    }
}

/// What a record says, with what only the value itself tells.
pub(super) fn completed(entry: &Entry, value: &SecretString) -> Result<Entry, Trouble> {
    if entry.kind != CredentialKind::Certificate {
        return Ok(entry.clone());
    }
    let thumbprint = Some(bundle(entry, value)?.thumbprint());
    let kept = entry.kept.clone().map(|kept| Kept { thumbprint, ..kept });
    Ok(Entry { kept, ..entry.clone() })
}

/// The certificate and its key that a record keeps.
pub(super) fn bundle(entry: &Entry, value: &SecretString) -> Result<Bundle, Trouble> {
    Bundle::of(value).map_err(|why| unsuited(entry, why))
}

fn unsuited(entry: &Entry, why: Unsuited) -> Trouble {
    let message = format!("could not read certificate {} of record {}: {why}", entry.sequence, entry.name());
    let remedy = "Somebody has edited it. Keywright makes another one by itself if nobody uses it yet.";
    Trouble { effect: Effect::Refused, ..Trouble::unsent(Service::Kubernetes, Reason::SourceUnsuited, message, remedy) }
}

fn not_made(record: &Record, why: &str) -> Trouble {
    let message =
        format!("could not make certificate {} for record {}: {why}", record.entry.sequence, record.entry.name());
    Trouble::unsent(Service::Kubernetes, Reason::InternalError, message, "Nothing: it is tried again by itself.")
}
