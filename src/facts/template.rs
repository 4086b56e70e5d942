//! Templates: texts with placeholders such as `{{ clientSecret | json }}`. No control flow, so that what is rendered can be
//! told from the text alone. Pure: `plan` parses, to refuse a mistake before anything is minted; the adapters render.
//! Secret values pass through rendering and are kept by nobody here.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use crate::api::{ClientId, KeyId, TenantId, grant::CredentialKind};

/// How many filters a placeholder may pass. Most of them make a text longer, so a long chain would grow without bound.
const MOST_FILTERS: usize = 4;

/// How much of what somebody wrote between braces is repeated to them.
const LONGEST_QUOTE: usize = 40;

/// What RFC 3986 lets stand for itself everywhere.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $says:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $says])+ $variant,)+
        }

        impl $name {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// How it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a placeholder stands for.
    Placeholder {
        /// The client secret.
        ClientSecret = "clientSecret",
        /// The certificate in PEM, and those that vouch for it.
        Certificate = "certificate",
        /// Its key in PEM.
        PrivateKey = "privateKey",
        /// Both in one text.
        CredentialPem = "credentialPem",
        /// The client ID of the application.
        ClientId = "clientId",
        /// The ID of the tenant.
        TenantId = "tenantId",
        /// Where tokens are issued.
        AuthorityHost = "authorityHost",
        /// The key ID of the credential.
        KeyId = "keyId",
        /// When the credential expires.
        ExpiresAt = "expiresAt",
    }
}

words! {
    /// What is done to a value before it is put in.
    Filter {
        /// As a JSON string, with its quotes.
        Json = "json",
        /// In base64.
        Base64 = "base64",
        /// With `%` and two digits for everything that RFC 3986 does not let stand for itself.
        UrlEncode = "urlencode",
    }
}

impl Placeholder {
    /// The placeholders that have a value in credentials of a kind.
    pub fn of(kind: CredentialKind) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |placeholder| match placeholder {
            Self::ClientSecret => kind == CredentialKind::ClientSecret,
            Self::Certificate | Self::PrivateKey | Self::CredentialPem => kind == CredentialKind::Certificate,
            Self::KeyId | Self::ExpiresAt => kind != CredentialKind::Federated,
            Self::ClientId | Self::TenantId | Self::AuthorityHost => true,
        })
    }
}

impl Filter {
    fn apply(self, text: &str) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Json => serde_json::Value::from(text).to_string(),
            Self::Base64 => BASE64_STANDARD.encode(text),
            Self::UrlEncode => utf8_percent_encode(text, UNRESERVED).to_string(),
        })
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATemplate {
    /// Braces that nothing closes.
    #[error("{{{{ in line {line} is not closed by }}}}")]
    Unclosed {
        /// The line in which they stand, from 1.
        line: usize,
    },
    /// A name that nothing has.
    #[error("{{{{ {name} }}}} stands for nothing; there are {}", listed(known))]
    UnknownName {
        /// What was written.
        name: String,
        /// What there is for credentials of this kind.
        known: Vec<Placeholder>,
    },
    /// A filter that does not exist.
    #[error("there is no filter {name}; there are {}", listed(Filter::ALL))]
    UnknownFilter {
        /// What was written.
        name: String,
    },
    /// More filters than anybody needs.
    #[error("{{{{ {name} }}}} passes more than {MOST_FILTERS} filters")]
    TooManyFilters {
        /// What passes them.
        name: Placeholder,
    },
}

fn listed<T: fmt::Display>(words: &[T]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A text with placeholders, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Placeholder, Vec<Filter>),
}

impl Template {
    /// Read a text as a template for credentials of a kind.
    pub fn parse(text: &str, kind: CredentialKind) -> Result<Self, NotATemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let unclosed = || NotATemplate::Unclosed { line: text[..text.len() - after.len()].lines().count() };
            let (inside, behind) = after.split_once("}}").ok_or_else(unclosed)?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(value(inside, kind)?);
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self(pieces))
    }

    /// The text with every placeholder replaced.
    #[must_use]
    pub fn render(&self, values: &Values<'_>) -> SecretString {
        let pieces: Vec<Zeroizing<String>> = self
            .0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Zeroizing::new(text.clone()),
                Piece::Value(placeholder, filters) => {
                    filters.iter().fold(values.get(*placeholder), |text, filter| filter.apply(&text))
                }
            })
            .collect();
        // In one piece of memory from the start: a text that grows leaves copies behind.
        let mut whole = String::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
        for piece in &pieces {
            whole.push_str(piece);
        }
        whole.into()
    }
}

fn value(inside: &str, kind: CredentialKind) -> Result<Piece, NotATemplate> {
    let mut words = inside.split('|').map(str::trim);
    let name = words.next().unwrap_or_default();
    let placeholder = Placeholder::of(kind)
        .find(|placeholder| placeholder.as_str() == name)
        .ok_or_else(|| NotATemplate::UnknownName { name: quoted(name), known: Placeholder::of(kind).collect() })?;
    let filter = |name: &str| {
        let known = Filter::ALL.iter().copied().find(|filter| filter.as_str() == name);
        known.ok_or_else(|| NotATemplate::UnknownFilter { name: quoted(name) })
    };
    let filters = words.map(filter).collect::<Result<Vec<_>, _>>()?;
    if filters.len() > MOST_FILTERS {
        return Err(NotATemplate::TooManyFilters { name: placeholder });
    }
    Ok(Piece::Value(placeholder, filters))
}

fn quoted(name: &str) -> String {
    name.chars().take(LONGEST_QUOTE).collect()
}

/// A certificate with its key, as text.
#[derive(Debug, Clone, Default)]
pub struct Pem {
    /// The certificate, and those that vouch for it.
    pub certificates: String,
    /// Its key.
    pub key: SecretString,
    /// Both.
    pub both: SecretString,
}

/// What the placeholders stand for. What a kind of credential lacks is empty; no template of that kind asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The client secret.
    pub client_secret: Option<&'a SecretString>,
    /// The certificate with its key.
    pub certificate: Option<&'a Pem>,
    /// The client ID of the application.
    pub client_id: ClientId,
    /// The ID of the tenant.
    pub tenant_id: TenantId,
    /// Where tokens are issued.
    pub authority_host: &'a str,
    /// The key ID of the credential.
    pub key_id: Option<KeyId>,
    /// When the credential expires.
    pub expires_at: Option<Timestamp>,
}

impl Values<'_> {
    fn get(&self, placeholder: Placeholder) -> Zeroizing<String> {
        let text = |text: Option<&SecretString>| text.map(|text| text.expose_secret().to_owned()).unwrap_or_default();
        Zeroizing::new(match placeholder {
            Placeholder::ClientSecret => text(self.client_secret),
            Placeholder::Certificate => self.certificate.map(|pem| pem.certificates.clone()).unwrap_or_default(),
            Placeholder::PrivateKey => text(self.certificate.map(|pem| &pem.key)),
            Placeholder::CredentialPem => text(self.certificate.map(|pem| &pem.both)),
            Placeholder::ClientId => self.client_id.to_string(),
            Placeholder::TenantId => self.tenant_id.to_string(),
            Placeholder::AuthorityHost => self.authority_host.to_owned(),
            Placeholder::KeyId => self.key_id.map(|key_id| key_id.to_string()).unwrap_or_default(),
            Placeholder::ExpiresAt => self.expires_at.map(|time| time.to_string()).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const SECRET: &str = r#"~q8"\& é/"#;

    fn parsed(text: &str) -> Result<Template, NotATemplate> {
        Template::parse(text, CredentialKind::ClientSecret)
    }

    fn rendered(text: &str) -> String {
        let secret = SecretString::from(SECRET);
        let values = Values {
            client_secret: Some(&secret),
            certificate: None,
            client_id: ClientId(Uuid::from_u128(1)),
            tenant_id: TenantId(Uuid::from_u128(2)),
            authority_host: "https://login.microsoftonline.com/",
            key_id: Some(KeyId(Uuid::from_u128(3))),
            expires_at: Some("2027-02-19T08:00:00Z".parse().unwrap()),
        };
        parsed(text).unwrap().render(&values).expose_secret().to_owned()
    }

    #[test]
    fn every_placeholder_has_its_value() {
        assert_eq!(
            rendered("{{clientId}} {{ tenantId }} {{ authorityHost }} {{ keyId }} {{ expiresAt }}"),
            "00000000-0000-0000-0000-000000000001 00000000-0000-0000-0000-000000000002 \
             https://login.microsoftonline.com/ 00000000-0000-0000-0000-000000000003 2027-02-19T08:00:00Z"
        );
    }

    #[test]
    fn filters_are_passed_from_left_to_right() {
        assert_eq!(rendered("{{ clientSecret }}"), SECRET);
        assert_eq!(rendered(r#"{"a":{"b":{{ clientSecret | json }}}}"#), r#"{"a":{"b":"~q8\"\\& é/"}}"#);
        assert_eq!(rendered("{{clientSecret|base64}}"), "fnE4IlwmIMOpLw==");
        assert_eq!(rendered("{{ clientSecret | urlencode }}"), "~q8%22%5C%26%20%C3%A9%2F");
        assert_eq!(rendered("{{ clientSecret | base64 | urlencode }}"), "fnE4IlwmIMOpLw%3D%3D");
    }

    #[test]
    fn what_is_refused_is_named_with_what_there_is() {
        let refusals = [
            (
                "{{ clientScret }}",
                "{{ clientScret }} stands for nothing; there are clientSecret, clientId, tenantId, authorityHost, keyId, expiresAt",
            ),
            ("{{ clientId | jsn }}", "there is no filter jsn; there are json, base64, urlencode"),
            ("{{ clientId | }}", "there is no filter ; there are json, base64, urlencode"),
            ("a\nb {{ clientId }\n", "{{ in line 2 is not closed by }}"),
            ("{{ clientId | json | json | json | json | json }}", "{{ clientId }} passes more than 4 filters"),
            (
                "{{ if clientId }}",
                "{{ if clientId }} stands for nothing; there are clientSecret, clientId, tenantId, authorityHost, keyId, expiresAt",
            ),
        ];
        for (text, refusal) in refusals {
            assert_eq!(parsed(text).unwrap_err().to_string(), refusal);
        }
    }

    #[test]
    fn a_kind_has_no_placeholder_for_the_value_of_another() {
        let names = |kind| {
            let error = Template::parse("{{ no }}", kind).unwrap_err().to_string();
            error.trim_start_matches("{{ no }} stands for nothing; there are ").to_owned()
        };
        let certificate = "certificate, privateKey, credentialPem, clientId, tenantId, authorityHost, keyId, expiresAt";
        assert_eq!(names(CredentialKind::Certificate), certificate);
        assert_eq!(names(CredentialKind::Federated), "clientId, tenantId, authorityHost");
        assert!(names(CredentialKind::ClientSecret).starts_with("clientSecret, clientId"));
    }

    #[test]
    fn a_certificate_is_put_in_whole_or_in_parts() {
        let pem = Pem { certificates: "chain".into(), key: "key".into(), both: "both".into() };
        let values = Values {
            client_secret: None,
            certificate: Some(&pem),
            client_id: ClientId(Uuid::nil()),
            tenant_id: TenantId(Uuid::nil()),
            authority_host: "",
            key_id: None,
            expires_at: None,
        };
        let rendered = |text| Template::parse(text, CredentialKind::Certificate).unwrap().render(&values);
        assert_eq!(rendered("{{ credentialPem }}").expose_secret(), "both");
        assert_eq!(rendered("{{ privateKey }} {{ certificate | json }}").expose_secret(), "key \"chain\"");
    }

    #[test]
    fn nothing_rendered_is_shown_to_whoever_debugs() {
        let shown = format!(
            "{:?}",
            parsed("{{ clientId }}").unwrap().render(&Values {
                client_secret: None,
                certificate: None,
                client_id: ClientId(Uuid::nil()),
                tenant_id: TenantId(Uuid::nil()),
                authority_host: "",
                key_id: None,
                expires_at: None,
            })
        );
        assert!(!shown.contains("0000"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_is_a_surprise(text in r"(\{|\}|\||clientId|json|[a-z \n]|é){0,60}") {
            if let Ok(template) = parsed(&text) {
                prop_assert!(!text.contains("{{") || template.0.iter().any(|piece| matches!(piece, Piece::Value(..))));
            }
        }

        #[test]
        fn a_text_without_braces_stays_as_it_is(text in r"[^{]{0,200}") {
            prop_assert_eq!(rendered(&text), text);
        }

        #[test]
        fn what_stands_around_a_placeholder_stays_as_it_is(before in r"[^{]{0,60}", after in r"[^{]{0,60}") {
            prop_assert_eq!(rendered(&format!("{before}{{{{ clientSecret }}}}{after}")), format!("{before}{SECRET}{after}"));
        }
    }
}
