//! What a credential makes of an entry of a vault, and whether an entry is that already. The tags carry the same coherent
//! set as a Secret does. Pure.

use std::collections::{BTreeMap, HashMap};

use azure_core::time::OffsetDateTime;
use azure_security_keyvault_certificates::models::{
    Certificate, CertificateAttributes, CertificatePolicy, ImportCertificateParameters, KeyProperties, SecretProperties,
};
use azure_security_keyvault_secrets::models::{Secret, SecretAttributes, SetSecretParameters};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::tags::{AUTHORITY, CLIENT, KEY_ID, NONCE, OWNER, SEQUENCE, TENANT};
use crate::{
    api::{grant::CredentialKind, values::HttpsUrl},
    certificate::Bundle,
    facts::Entry,
};

/// How Key Vault calls PEM. Without it, it takes what is imported for PKCS #12.
const PEM: &str = "application/x-pem-file";
/// Documents differ on how long a tag may be: 256 or 512 characters.
const LONGEST_TAG: usize = 256;

/// What an entry of a vault is to be.
#[derive(Debug, Clone)]
pub struct Projection {
    /// The value.
    pub value: SecretString,
    /// What the value is.
    pub content_type: String,
    /// When it ends, which Key Vault shows and does not enforce.
    pub expires: Option<Timestamp>,
    /// Tags, ours among them.
    pub tags: BTreeMap<String, String>,
}

impl Projection {
    /// What the credential of a record makes of an entry with this value. Nothing, if there is no credential in the
    /// record yet, or one that has no value.
    #[must_use]
    pub fn of(entry: &Entry, authority: &HttpsUrl, value: SecretString) -> Option<Self> {
        let content_type = match entry.kind {
            CredentialKind::ClientSecret => "text/plain",
            CredentialKind::Certificate => PEM,
            CredentialKind::Federated => return None,
        };
        let kept = entry.kept.as_ref()?;
        let tags = [
            (OWNER, entry.owner.to_string()),
            (KEY_ID, kept.key_id.to_string()),
            (SEQUENCE, entry.sequence.to_string()),
            (NONCE, entry.attempts.last()?.nonce.to_string()),
            (TENANT, entry.tenant.to_string()),
            (CLIENT, entry.client_id.to_string()),
            (AUTHORITY, authority.to_string()),
        ];
        let fits = |(name, text): (&str, String)| (text.len() <= LONGEST_TAG).then(|| (name.to_owned(), text));
        Some(Self {
            value,
            content_type: content_type.into(),
            expires: kept.expires_at,
            tags: tags.into_iter().filter_map(fits).collect(),
        })
    }

    /// Whether an entry is what this makes of it. Tags that others have added change nothing: to write for their sake
    /// would make a version a day where a policy tags everything.
    pub(super) fn agrees(&self, secret: &Secret) -> bool {
        let expires = secret.attributes.as_ref().and_then(|attributes| attributes.expires);
        secret.value.as_deref() == Some(self.value.expose_secret())
            && secret.content_type.as_deref() == Some(self.content_type.as_str())
            && expires.map(OffsetDateTime::unix_timestamp) == self.expires.map(Timestamp::as_second)
            && self.is_tagged(secret.tags.as_ref())
    }

    /// The same about a certificate, whose end is its own. Its key is the one that was imported with it, since Key Vault
    /// refuses any other; if that must not be exported, the secret has none.
    pub(super) fn is_imported_as(&self, found: &Certificate) -> bool {
        let Certificate { attributes, policy, cer, .. } = found;
        let enabled = attributes.as_ref().and_then(|attributes| attributes.enabled);
        let key = policy.as_ref().and_then(|policy| policy.key_properties.as_ref());
        let is_exportable = key.and_then(|key| key.exportable);
        let kept_as = policy.as_ref().and_then(|policy| policy.secret_properties.as_ref()?.content_type.as_deref());
        Bundle::of(&self.value).is_ok_and(|bundle| cer.as_deref() == Some(bundle.der()))
            && enabled != Some(false)
            && is_exportable != Some(false)
            && kept_as == Some(PEM)
            && self.is_tagged(found.tags.as_ref())
    }

    fn is_tagged(&self, tags: Option<&HashMap<String, String>>) -> bool {
        self.tags.iter().all(|(name, text)| tags.and_then(|tags| tags.get(name)) == Some(text))
    }

    /// The body of the import. Whoever reads the secret of this certificate is to find its key there.
    pub(super) fn import(&self) -> ImportCertificateParameters {
        let key_properties = KeyProperties { exportable: Some(true), ..KeyProperties::default() };
        let secret_properties = SecretProperties { content_type: Some(PEM.to_owned()) };
        ImportCertificateParameters {
            base64_encoded_certificate: Some(self.value.expose_secret().to_owned()),
            certificate_attributes: Some(CertificateAttributes {
                enabled: Some(true),
                ..CertificateAttributes::default()
            }),
            certificate_policy: Some(CertificatePolicy {
                key_properties: Some(key_properties),
                secret_properties: Some(secret_properties),
                ..CertificatePolicy::default()
            }),
            tags: Some(self.tags.clone().into_iter().collect()),
            ..ImportCertificateParameters::default()
        }
    }

    /// The body of the PUT. Key Vault counts in whole seconds.
    pub(super) fn secret(&self) -> SetSecretParameters {
        let time = |time: Timestamp| OffsetDateTime::from_unix_timestamp(time.as_second()).ok();
        SetSecretParameters {
            value: Some(self.value.expose_secret().to_owned()),
            content_type: Some(self.content_type.clone()),
            secret_attributes: Some(SecretAttributes {
                enabled: Some(true),
                expires: self.expires.and_then(time),
                ..SecretAttributes::default()
            }),
            tags: Some(self.tags.clone().into_iter().collect()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::{
        api::{ClientId, KeyId, TenantId, values::ObjectName},
        certificate::made::{Wish, make},
        facts::{Attempt, Kept, Nonce, Owner, Sequence, Stage, TargetId},
        vault::tags::Tags,
    };

    fn entry() -> Entry {
        let attempt =
            |chance| Attempt { nonce: Nonce::of([chance; 10]), holder: "one".into(), at: Timestamp::UNIX_EPOCH };
        Entry {
            attempts: vec![attempt(1), attempt(2)],
            kept: Some(Kept {
                key_id: KeyId(Uuid::from_u128(3)),
                issued_at: Timestamp::UNIX_EPOCH,
                expires_at: Some("2027-02-03T04:05:06.789Z".parse().unwrap()),
                thumbprint: None,
            }),
            stage: Stage::Publishing,
            published_to: vec![TargetId::Secret(ObjectName::from("api"))],
            ..Entry::opened(
                Owner::of("cluster", "payments", "api"),
                "api",
                (TenantId(Uuid::from_u128(1)), ClientId(Uuid::from_u128(2)), CredentialKind::ClientSecret),
                Sequence(7),
                attempt(1),
            )
        }
    }

    pub(in crate::vault) fn projection() -> Projection {
        Projection::of(&entry(), &"https://login.microsoftonline.com".into(), "hush".into()).unwrap()
    }

    /// What Key Vault shows after it was sent this.
    fn stored(projection: &Projection) -> Secret {
        serde_json::from_value(json!({
            "value": projection.value.expose_secret(), "contentType": projection.content_type, "tags": projection.tags,
            "attributes": {"enabled": true, "exp": projection.expires.unwrap().as_second()},
        }))
        .unwrap()
    }

    #[test]
    fn tags_carry_the_coherent_set_and_are_read_as_they_are_written() {
        let (projection, entry) = (projection(), entry());
        let tags = projection.secret().tags.unwrap();
        let read = Tags::read(Some(&tags));
        assert_eq!((read.owner, read.key_id), (Some(entry.owner), entry.kept.map(|kept| kept.key_id)));
        assert_eq!((read.sequence, read.nonce), (Some(entry.sequence), Some(Nonce::of([2; 10]))), "the last attempt's");
        assert_eq!(tags[TENANT], entry.tenant.to_string());
        assert_eq!(tags[CLIENT], entry.client_id.to_string());
        assert_eq!(tags[AUTHORITY], "https://login.microsoftonline.com");
        assert!(tags.len() <= 15 && tags.iter().all(|(name, text)| name.len() <= 256 && text.len() <= 256));
        assert!(!format!("{projection:?}").contains("hush"));
    }

    #[test]
    fn what_was_written_agrees_and_every_difference_counts() {
        let wanted = projection();
        assert!(wanted.agrees(&stored(&wanted)));
        let other = |change: fn(&mut Projection)| {
            let mut other = projection();
            change(&mut other);
            stored(&other)
        };
        for changed in [
            other(|other| other.value = "other".into()),
            other(|other| other.content_type = "application/json".into()),
            other(|other| other.expires = Some("2027-02-03T04:05:07Z".parse().unwrap())),
            other(|other| drop(other.tags.insert(KEY_ID.into(), "another".into()))),
            other(|other| drop(other.tags.remove(CLIENT))),
            Secret::default(),
        ] {
            assert!(!wanted.agrees(&changed), "{:?}", changed.tags);
        }
    }

    fn bundle() -> Bundle {
        let (begins, ends) = (Timestamp::UNIX_EPOCH, "2027-02-03T04:05:06Z".parse().unwrap());
        make(&Wish { common_name: "payments".into(), bits: 2048, begins, ends }).unwrap()
    }

    #[test]
    fn what_was_imported_agrees_and_every_difference_counts() {
        let bundle = bundle();
        let entry = Entry { kind: CredentialKind::Certificate, ..entry() };
        let wanted = Projection::of(&entry, &"https://login.microsoftonline.com".into(), bundle.pem()).unwrap();
        let (tags, import) = (&wanted.tags, wanted.import());
        assert!(!import.base64_encoded_certificate.unwrap().contains('\r'), "Key Vault reads no other line breaks");
        let stored = json!({
            "cer": STANDARD.encode(bundle.der()), "attributes": {"enabled": true}, "tags": tags,
            "policy": {"secret_props": {"contentType": PEM}},
        });
        let agrees = |patch: &Value| {
            let mut changed = stored.clone();
            patch.as_object().unwrap().iter().for_each(|(name, value)| changed[name] = value.clone());
            wanted.is_imported_as(&serde_json::from_value(changed).unwrap())
        };
        assert!(agrees(&json!({})));
        for difference in [
            json!({"cer": STANDARD.encode(self::bundle().der())}),
            json!({"attributes": {"enabled": false}}),
            json!({"policy": {"secret_props": {"contentType": "application/x-pkcs12"}}}),
            json!({"policy": {"secret_props": {"contentType": PEM}, "key_props": {"exportable": false}}}),
            json!({"tags": {}}),
        ] {
            assert!(!agrees(&difference), "{difference}");
        }
    }

    #[test]
    fn tags_that_others_have_added_are_no_difference() {
        let tagged = {
            let mut other = projection();
            other.tags.insert("cost-center".into(), "4711".into());
            stored(&other)
        };
        assert!(projection().agrees(&tagged));
    }

    #[test]
    fn an_authority_that_is_too_long_for_a_tag_is_left_out_rather_than_cut() {
        let long = format!("https://{}.example", "a".repeat(300));
        let projection = Projection::of(&entry(), &long.as_str().into(), "hush".into()).unwrap();
        assert!(!projection.tags.contains_key(AUTHORITY) && projection.tags.contains_key(OWNER));
    }

    #[test]
    fn without_a_value_there_is_nothing_to_project() {
        let of = |entry: &Entry| Projection::of(entry, &"https://login.microsoftonline.com".into(), "hush".into());
        assert!(of(&Entry { kept: None, ..entry() }).is_none());
        assert!(of(&Entry { kind: CredentialKind::Federated, ..entry() }).is_none());
    }
}
