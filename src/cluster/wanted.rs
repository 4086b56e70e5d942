//! What a published Secret is to be: worked out from what is declared and from one kept credential. Pure.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::{
    api::{
        grant::CredentialKind,
        publish::{SecretCreationPolicy, SecretTarget},
    },
    certificate::{Bundle, Unsuited},
    facts::{
        Entry, NotATemplate, Owner, Template,
        record::{KEY_ID, NONCE, OWNER, RESOURCE, SEQUENCE},
        target::{PATH_KEY, PUBLIC_KEYS},
        template::{Pem, Values},
    },
};

/// The type of a Secret that says nothing about it.
const OPAQUE: &str = "Opaque";

/// The key of a client secret in the coherent set.
const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";

/// The keys of a certificate: by itself, its key by itself, and both in one text.
const CERTIFICATE: [&str; 3] = ["tls.crt", "tls.key", "credential.pem"];

/// Where a pod mounts the Secret, if it takes the path to the certificate from it.
const MOUNTS: &str = "/var/run/secrets/keywright.dev";

/// The key under which a published Secret has the value of a credential.
#[must_use]
pub const fn value_key(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Certificate => CERTIFICATE[2],
        CredentialKind::ClientSecret | CredentialKind::Federated => CLIENT_SECRET,
    }
}

/// A credential that is to be published.
#[derive(Debug, Clone, Copy)]
pub struct Issued<'a> {
    /// What its record says.
    pub entry: &'a Entry,
    /// The client secret, or the certificate with its key in PEM.
    pub value: &'a SecretString,
    /// Where its tokens are issued, as SDKs take it.
    pub authority_host: &'a str,
}

/// A Secret as it is to be.
#[derive(Debug)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// What to do about one that exists.
    pub policy: SecretCreationPolicy,
    /// Its type; none if any will do.
    pub type_: Option<String>,
    /// Its labels, ours among them.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, ours among them.
    pub annotations: BTreeMap<String, String>,
    /// Its keys: the coherent set, and those made from templates.
    pub data: BTreeMap<String, SecretString>,
    /// Whose it is.
    pub owner: Owner,
    /// Whether it is on its way to be without the credential: what templates made stays as it is until then.
    pub leaving: bool,
}

/// Why a credential cannot be published as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPublishable {
    /// Nothing has been kept in the record.
    #[error("the record has no credential yet")]
    Open,
    /// The certificate and its key do not belong together, or cannot be read.
    #[error("what the record keeps is no certificate with its key: {0}")]
    Unsuited(#[from] Unsuited),
    /// A template cannot be read.
    #[error("spec.publish.secret.template.data[{key}]: {why}")]
    Template {
        /// The key that it is for.
        key: String,
        /// What is wrong with it.
        why: NotATemplate,
    },
}

impl Wanted {
    /// What a target is to be with a credential. Without a target it is a Secret of the resource's own name.
    ///
    /// Labels and annotations by which GitOps tools claim an object cannot come here: the API server refuses them in a
    /// template.
    pub fn new(target: Option<&SecretTarget>, issued: &Issued<'_>) -> Result<Self, NotPublishable> {
        let none = SecretTarget::default();
        let target = target.unwrap_or(&none);
        let template = target.template.as_ref();
        let metadata = template.and_then(|template| template.metadata.as_ref());
        let policy = target.creation_policy.unwrap_or(SecretCreationPolicy::Owner);
        let (labels, annotations) = marks(issued.entry)?;
        let given = metadata.iter().flat_map(|metadata| &metadata.labels);
        let given_annotations = metadata.iter().flat_map(|metadata| &metadata.annotations);
        let name = target.name.as_ref().map_or_else(|| issued.entry.resource.clone(), |name| name.0.clone());
        Ok(Self {
            policy,
            type_: type_of(Some(target)),
            labels: given.map(|(key, text)| (key.clone(), text.0.clone())).chain(labels).collect(),
            annotations: given_annotations
                .map(|(key, text)| (key.clone(), text.0.clone()))
                .chain(annotations)
                .collect(),
            data: data(&name, target, issued)?,
            owner: issued.entry.owner.clone(),
            name,
            leaving: false,
        })
    }

    /// What a target is to be that says only where to sign in, and as what: it bears neither a credential nor the marks of
    /// one.
    pub fn without_credential(
        target: Option<&SecretTarget>,
        entry: &Entry,
        authority_host: &str,
    ) -> Result<Self, NotPublishable> {
        let none = SecretString::default();
        let mut wanted = Self::new(target, &Issued { entry, value: &none, authority_host })?;
        wanted.data.remove(CLIENT_SECRET);
        for mark in [KEY_ID, SEQUENCE, NONCE] {
            wanted.annotations.remove(mark);
        }
        Ok(wanted)
    }

    /// The keys that have to be there as they are wanted.
    pub(super) fn compared(&self) -> impl Iterator<Item = (&String, &SecretString)> {
        self.data.iter().filter(|(key, _)| !self.leaving || is_coherent(key))
    }

    /// The values in it that nothing may repeat.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let is_public = |key: &str| PUBLIC_KEYS.contains(&key) || [PATH_KEY, CERTIFICATE[0]].contains(&key);
        self.data.iter().filter(move |(key, _)| !is_public(key)).map(|(_, value)| value)
    }
}

/// The type that a Secret must have; none if any will do. Somebody else's Secret may be of any, unless the resource says
/// which it expects.
pub(super) fn type_of(target: Option<&SecretTarget>) -> Option<String> {
    let stated = target.and_then(|target| target.template.as_ref()?.type_.clone());
    let merges = target.is_some_and(|target| target.creation_policy == Some(SecretCreationPolicy::Merge));
    stated.or_else(|| (!merges).then(|| OPAQUE.to_owned()))
}

fn is_coherent(key: &str) -> bool {
    [CLIENT_SECRET, PATH_KEY].contains(&key) || CERTIFICATE.contains(&key) || PUBLIC_KEYS.contains(&key)
}

type Texts = Vec<(String, String)>;

/// By which label a watch finds what is ours, and which annotations say what it carries.
fn marks(entry: &Entry) -> Result<(Texts, Texts), NotPublishable> {
    let (Some(kept), Some(attempt)) = (&entry.kept, entry.last_attempt()) else {
        return Err(NotPublishable::Open);
    };
    let annotations = [
        (RESOURCE, entry.resource.clone()),
        (KEY_ID, kept.key_id.to_string()),
        (SEQUENCE, entry.sequence.to_string()),
        (NONCE, attempt.nonce.to_string()),
    ];
    let annotations = annotations.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
    Ok((vec![(OWNER.to_owned(), entry.owner.to_string())], annotations))
}

fn data(
    name: &str,
    target: &SecretTarget,
    issued: &Issued<'_>,
) -> Result<BTreeMap<String, SecretString>, NotPublishable> {
    let Issued { entry, value, authority_host } = *issued;
    let [host, tenant, client] = PUBLIC_KEYS;
    let pem = (entry.kind == CredentialKind::Certificate).then(|| Bundle::of(value)).transpose()?;
    let pem = pem.as_ref().map(Bundle::texts);
    let mut coherent = vec![
        (host, SecretString::from(authority_host)),
        (tenant, entry.tenant.to_string().into()),
        (client, entry.client_id.to_string().into()),
    ];
    match &pem {
        Some(pem) => coherent.extend(certificate(name, pem)),
        None => coherent.push((CLIENT_SECRET, value.clone())),
    }
    let values = Values {
        client_secret: pem.is_none().then_some(value),
        certificate: pem.as_ref(),
        client_id: entry.client_id,
        tenant_id: entry.tenant,
        authority_host,
        key_id: entry.kept.as_ref().map(|kept| kept.key_id),
        expires_at: entry.kept.as_ref().and_then(|kept| kept.expires_at),
    };
    let templates = target.template.iter().flat_map(|template| &template.data);
    let made = templates.map(|(key, text)| match Template::parse(text.as_str(), entry.kind) {
        Ok(template) => Ok((key.clone(), template.render(&values))),
        Err(why) => Err(NotPublishable::Template { key: key.clone(), why }),
    });
    // The coherent set last: no template can take one of its keys.
    made.chain(coherent.into_iter().map(|(key, value)| Ok((key.to_owned(), value)))).collect()
}

/// A certificate with its key, in the forms in which programs read them, and where they do.
fn certificate(name: &str, pem: &Pem) -> [(&'static str, SecretString); 4] {
    let [alone, key, both] = CERTIFICATE;
    [
        (alone, pem.certificates.clone().into()),
        (key, pem.key.clone()),
        (both, pem.both.clone()),
        (PATH_KEY, format!("{MOUNTS}/{name}/{both}").into()),
    ]
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use secrecy::ExposeSecret;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{
        api::{ClientId, KeyId, TenantId, grant::CredentialKind},
        certificate::made::{Wish, make},
        facts::{Attempt, Kept, Nonce, Sequence, Stage},
    };

    fn entry() -> Entry {
        Entry {
            kept: Some(Kept {
                key_id: KeyId(Uuid::from_u128(5)),
                issued_at: Timestamp::UNIX_EPOCH,
                expires_at: None,
                thumbprint: None,
            }),
            stage: Stage::Publishing,
            ..Entry::opened(
                Owner::of("cluster", "payments", "payments-api"),
                "payments-api",
                (TenantId(Uuid::from_u128(1)), ClientId(Uuid::from_u128(2)), CredentialKind::ClientSecret),
                Sequence(3),
                Attempt { nonce: Nonce::of([4; 10]), holder: "one".into(), at: Timestamp::UNIX_EPOCH },
            )
        }
    }

    fn declared(target: serde_json::Value) -> SecretTarget {
        serde_json::from_value(target).unwrap()
    }

    fn wanted(target: Option<&SecretTarget>, entry: &Entry) -> Result<Wanted, NotPublishable> {
        let issued = Issued { entry, value: &"s3cret".into(), authority_host: "https://login.microsoftonline.com/" };
        Wanted::new(target, &issued)
    }

    fn texts(wanted: &Wanted) -> Vec<(&str, &str)> {
        wanted.data.iter().map(|(key, value)| (key.as_str(), value.expose_secret())).collect()
    }

    #[test]
    fn what_says_nothing_gets_the_coherent_set_under_the_name_of_the_resource() {
        let wanted = wanted(None, &entry()).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.type_.as_deref()), ("payments-api", Some("Opaque")));
        assert_eq!(wanted.policy, SecretCreationPolicy::Owner);
        let coherent = [
            ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
            ("AZURE_CLIENT_ID", "00000000-0000-0000-0000-000000000002"),
            ("AZURE_CLIENT_SECRET", "s3cret"),
            ("AZURE_TENANT_ID", "00000000-0000-0000-0000-000000000001"),
        ];
        assert_eq!(texts(&wanted), coherent);
        assert_eq!(wanted.labels.into_iter().collect::<Vec<_>>(), [(OWNER.to_owned(), entry().owner.to_string())]);
        let annotations: Vec<_> = wanted.annotations.into_iter().collect();
        let expected = [
            ("keywright.dev/key-id", "00000000-0000-0000-0000-000000000005".to_owned()),
            ("keywright.dev/nonce", Nonce::of([4; 10]).to_string()),
            ("keywright.dev/resource", "payments-api".to_owned()),
            ("keywright.dev/sequence", "3".to_owned()),
        ];
        assert_eq!(annotations, expected.map(|(key, text)| (key.to_owned(), text)));
    }

    #[test]
    fn a_certificate_is_there_in_every_form_with_the_place_to_mount_it_at() {
        let (begins, ends) = (Timestamp::UNIX_EPOCH, "2030-01-01T00:00:00Z".parse().unwrap());
        let bundle = make(&Wish { common_name: "x".into(), bits: 2048, begins, ends }).unwrap();
        let entry = Entry { kind: CredentialKind::Certificate, ..entry() };
        let target = declared(json!({"name": "other", "template": {"data": {"key": "{{ privateKey }}"}}}));
        let of = |value: &SecretString| {
            Wanted::new(Some(&target), &Issued { entry: &entry, value, authority_host: "https://login.example/" })
        };
        let wanted = of(&bundle.pem()).unwrap();
        let has = |key: &str| wanted.data[key].expose_secret().to_owned();
        assert_eq!(has("tls.crt"), bundle.certificates());
        assert_eq!([has("tls.key"), has("key")], [bundle.key().expose_secret(); 2]);
        assert_eq!(has("credential.pem"), bundle.pem().expose_secret());
        assert_eq!(has("AZURE_CLIENT_CERTIFICATE_PATH"), "/var/run/secrets/keywright.dev/other/credential.pem");
        assert!(!wanted.data.contains_key("AZURE_CLIENT_SECRET"));
        // Nothing is repeated of what is secret, and of nothing else is it feared.
        let secrets: Vec<_> = wanted.secrets().map(ExposeSecret::expose_secret).collect();
        assert_eq!(secrets.len(), 3, "the key, twice, and both in one");
        let another = make(&Wish { common_name: "x".into(), bits: 2048, begins, ends }).unwrap();
        let mixed = format!("{}{}", another.certificates(), bundle.key().expose_secret()).into();
        assert_eq!(of(&mixed).unwrap_err(), NotPublishable::Unsuited(Unsuited::AnotherKey));
    }

    #[test]
    fn templates_add_keys_and_metadata_but_cannot_take_ours() {
        let target = json!({"name": "other", "template": {
            "type": "example.com/mine",
            "metadata": {"labels": {"team": "pay", OWNER: "me"}, "annotations": {"note": "x", KEY_ID: "none"}},
            "data": {"appsettings.json": r#"{"Secret": {{ clientSecret | json }}}"#, "AZURE_CLIENT_ID": "mine"},
        }});
        let wanted = wanted(Some(&declared(target)), &entry()).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.type_.as_deref()), ("other", Some("example.com/mine")));
        assert_eq!(wanted.labels[OWNER], entry().owner.to_string());
        assert_eq!(wanted.labels["team"], "pay");
        assert_eq!(
            (wanted.annotations[KEY_ID].as_str(), wanted.annotations["note"].as_str()),
            ("00000000-0000-0000-0000-000000000005", "x")
        );
        let texts = texts(&wanted);
        assert!(texts.contains(&("appsettings.json", r#"{"Secret": "s3cret"}"#)), "{texts:?}");
        assert!(texts.contains(&("AZURE_CLIENT_ID", "00000000-0000-0000-0000-000000000002")), "{texts:?}");
    }

    #[test]
    fn what_says_only_where_to_sign_in_bears_no_mark_of_a_credential() {
        let entry = Entry { kind: CredentialKind::Federated, ..entry() };
        let target = json!({"template": {"metadata": {"labels": {"team": "pay"}}, "data": {"id": "{{ clientId }}"}}});
        let wanted = Wanted::without_credential(Some(&declared(target)), &entry, "https://login.example/").unwrap();
        let said = [
            ("AZURE_AUTHORITY_HOST", "https://login.example/"),
            ("AZURE_CLIENT_ID", "00000000-0000-0000-0000-000000000002"),
            ("AZURE_TENANT_ID", "00000000-0000-0000-0000-000000000001"),
            ("id", "00000000-0000-0000-0000-000000000002"),
        ];
        assert_eq!(texts(&wanted), said);
        let annotations: Vec<_> = wanted.annotations.keys().map(String::as_str).collect();
        assert_eq!((annotations, wanted.labels.len()), (vec!["keywright.dev/resource"], 2));
        let needy = json!({"template": {"data": {"a": "{{ clientSecret }}"}}});
        Wanted::without_credential(Some(&declared(needy)), &entry, "https://login.example/").unwrap_err();
    }

    #[test]
    fn of_what_is_on_its_way_to_be_without_a_credential_only_the_coherent_set_is_compared() {
        let target = json!({"template": {"data": {"appsettings.json": "{{ clientId }}"}}});
        let mut wanted = wanted(Some(&declared(target)), &entry()).unwrap();
        assert_eq!(wanted.compared().count(), 5);
        wanted.leaving = true;
        assert!(wanted.compared().all(|(key, _)| key.starts_with("AZURE_")));
        assert_eq!(wanted.compared().count(), 4);
    }

    #[test]
    fn somebody_else_s_secret_may_be_of_any_type_unless_one_is_expected() {
        let of = |target| wanted(Some(&declared(target)), &entry()).unwrap().type_;
        assert_eq!(of(json!({"creationPolicy": "Merge"})), None);
        assert_eq!(of(json!({"creationPolicy": "Merge", "template": {"type": "a/b"}})).as_deref(), Some("a/b"));
        assert_eq!(of(json!({"creationPolicy": "Adopt"})).as_deref(), Some("Opaque"));
    }

    #[test]
    fn what_cannot_be_published_is_named() {
        let open = Entry { kept: None, ..entry() };
        assert_eq!(wanted(None, &open).unwrap_err(), NotPublishable::Open);
        let error =
            wanted(Some(&declared(json!({"template": {"data": {"a": "{{ b }}"}}}))), &entry()).unwrap_err().to_string();
        assert!(error.starts_with("spec.publish.secret.template.data[a]: {{ b }} stands for nothing"), "{error}");
    }

    #[test]
    fn nothing_of_it_is_shown_to_whoever_debugs() {
        let shown = format!("{:?}", wanted(None, &entry()).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
