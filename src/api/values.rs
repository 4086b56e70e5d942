//! The small values that the two kinds are made of: IDs and names that must not be mixed up. The API server checks each
//! with the rule of its type; a value that breaks it anyway (an older definition, a changed one) is checked where it is used.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that the API server checks by `pattern` and answers with `advice`.
///
/// A rule rather than the schema's own `pattern`, because only a rule can say what to write instead. `max` bounds
/// what all rules over the text may cost.
pub(super) fn checked_text(max: u32, pattern: &str, advice: &str) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": max,
        "x-kubernetes-validations": [{"rule": format!("self.matches(r'{pattern}')"), "message": advice}],
    })
}

macro_rules! guid {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(out)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                checked_text(
                    64,
                    "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
                    "must be a GUID in lower case, for example 8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f",
                )
            }
        }
    };
}

guid!(ClientId, "The application (client) ID of an app registration; not its object ID.");
guid!(KeyId, "The ID of one credential of an application, as Entra shows it; not its value.");
guid!(TenantId, "The ID of a Microsoft Entra tenant.");

macro_rules! text {
    ($name:ident, $max:literal, $pattern:expr, $advice:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                checked_text($max, $pattern, $advice)
            }
        }
    };
}

text!(
    ObjectName,
    253,
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    "must be a Kubernetes name of lower-case letters, digits, '-' and '.', for example payments-api",
    "The name of a Kubernetes object."
);
text!(
    EntryName,
    63,
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    "must be a name of lower-case letters, digits and '-', at most 63 of them, for example github",
    "The name by which an entry of a list is known."
);
text!(
    HolderName,
    53,
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    "must be a name of lower-case letters, digits and '-', for example braintrust-sso",
    "The name of a holder outside the cluster. It confirms by the annotation `keywright.dev/confirmed.<name>`, which leaves room for 53 characters."
);
text!(
    SecretKey,
    253,
    r"^([-_a-zA-Z0-9]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$",
    "must be a key of a Secret: letters, digits, '-', '_' and '.', for example client-secret",
    "A key in the data of a Secret."
);
text!(
    VaultUrl,
    256,
    r"^https://[a-z0-9]([a-z0-9-]{1,22}[a-z0-9])(\.[a-z0-9-]+)+(:[0-9]{1,5})?$",
    "must be the URL of a Key Vault in lower case and without a trailing slash, for example https://kv-payments.vault.azure.net",
    "The URL of a Key Vault, lower case and without a trailing slash, so that it can be compared."
);
text!(
    VaultName,
    127,
    "^[0-9a-z-]+$",
    "must be the name of a Key Vault object: lower-case letters, digits and '-', for example payments-api",
    "The name of an object in a Key Vault, lower case, because Key Vault does not tell cases apart."
);
text!(
    NamePattern,
    253,
    r"^[-.a-z0-9*]*[a-z0-9][-.a-z0-9*]*$",
    "must be a name or a pattern with more to it than '*', for example payments-*",
    "A name in which `*` stands for any characters; never a bare `*`."
);
text!(
    VaultNamePattern,
    127,
    "^[-0-9a-z*]*[0-9a-z][-0-9a-z*]*$",
    "must be a name or a pattern with more to it than '*', for example payments-*",
    "A name of a Key Vault object in which `*` stands for any characters; never a bare `*`."
);
text!(
    SubjectPattern,
    600,
    r"[a-zA-Z0-9]",
    "must be a subject or a pattern with more to it than '*', for example repo:contoso/pay:*",
    "A subject of a federated token in which `*` stands for any characters; never a bare `*`."
);
text!(
    HttpsUrl,
    600,
    r"^https://[^\s/?#]+[^\s?#]*$",
    "must be an https URL, for example https://token.actions.githubusercontent.com",
    "The URL of a token issuer or service. A trailing slash matters where Entra compares it byte for byte."
);
text!(
    Scope,
    256,
    r"^[a-z]+://\S+/\.default$",
    "must be a scope that ends in /.default, for example https://graph.microsoft.com/.default",
    "The scope that a token is asked for."
);
text!(
    Cron,
    100,
    r"^\S+( \S+){4}$",
    "must be a schedule of five fields (minute, hour, day, month, weekday), for example 0 2 * * 1-5",
    "A schedule in cron's five fields."
);
text!(
    TimeZone,
    64,
    r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
    "must be an IANA time zone, for example Europe/Berlin",
    "The name of a time zone."
);
text!(Text, 600, r"\S", "must not be blank", "A short text that is compared byte for byte.");
text!(
    Template,
    16384,
    r"\S",
    "must not be blank, for example {{ clientSecret }}",
    "A text with placeholders such as `{{ clientSecret }}`."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_as_entra_shows_them() {
        let id: ClientId = serde_json::from_str(r#""8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f""#).unwrap();
        assert_eq!(id.to_string(), "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f");
    }
}
