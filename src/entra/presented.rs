//! What is presented to Entra as the proof of who signs in: a client secret, a statement signed with a certificate's key, or
//! a token of somebody whom the application trusts. Of a token is read, unverified, what Entra compares, so that a refusal can be explained; neither secret nor token
//! is ever repeated. Pure.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::refusal::line;
use crate::{certificate::Bundle, facts::Claims};

/// How a form says that what it has is a signed statement.
const STATEMENT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How much of the beginning of a value gives it away. Entra's own sentences are cut, and may be so in the midst of one.
const TELLING: usize = 12;

/// What is presented.
#[derive(Debug, Clone, Copy)]
pub(super) enum Presented<'a> {
    /// A client secret.
    Secret(&'a SecretString),
    /// A signed statement, the certificate whose key has signed it, and the thumbprints of those that the application has.
    Statement(&'a SecretString, &'a Bundle, &'a [String]),
    /// A token, and what the federated credential that is to accept it says.
    Token(&'a SecretString, &'a Claims),
}

impl Presented<'_> {
    /// Its part of a token request.
    pub(super) fn form(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Secret(secret) => vec![("client_secret", secret.expose_secret())],
            Self::Statement(token, ..) | Self::Token(token, _) => {
                vec![("client_assertion_type", STATEMENT), ("client_assertion", token.expose_secret())]
            }
        }
    }

    /// Whether whoever accepts it has accepted what is to be proven. Another federated credential may accept a token, too.
    pub(super) fn is_what_is_proven(&self) -> bool {
        match self {
            Self::Secret(_) | Self::Statement(..) => true,
            Self::Token(token, expected) => claims(token).as_ref() == Some(*expected),
        }
    }

    /// What a token and its federated credential say, side by side where they differ; nothing of a secret.
    pub(super) fn compared(&self) -> Option<String> {
        let (token, expected) = match self {
            Self::Secret(_) => return None,
            Self::Statement(_, bundle, listed) => return Some(thumbprints(bundle, listed)),
            Self::Token(token, expected) => (token, expected),
        };
        let Some(said) = claims(token) else { return Some("The token is none that can be read".to_owned()) };
        let both = said.each().into_iter().zip(expected.each()).filter(|((_, one), (_, other))| one != other);
        let differing: Vec<String> = both
            .map(|((claim, one), (_, other))| {
                format!("the token says {claim} \"{}\", the federated credential \"{}\"", line(one), line(other))
            })
            .collect();
        Some(match differing.join("; ") {
            none if none.is_empty() => "Token and federated credential say the same, byte for byte".to_owned(),
            what if said.differs_only_in_case(expected) => {
                format!("They differ in upper and lower case only: {what}")
            }
            what => format!("They differ: {what}"),
        })
    }

    /// A message without what is presented, should whatever answered have repeated it in what looks like Entra's own
    /// sentence.
    pub(super) fn hushed(&self, message: String) -> String {
        match self {
            Self::Secret(secret) => hush(message, secret.expose_secret(), "<secret>"),
            Self::Statement(token, ..) | Self::Token(token, _) => {
                token.expose_secret().split('.').fold(message, |message, part| hush(message, part, "<token>"))
            }
        }
    }
}

/// The thumbprint of the certificate that has signed beside those that the application has.
fn thumbprints(bundle: &Bundle, listed: &[String]) -> String {
    let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
    format!(
        "It was signed with certificate {} (SHA-256 {}); the application was last seen to have {listed}",
        bundle.sha1(),
        bundle.thumbprint()
    )
}

/// Takes a value out of a text, or as much of its beginning as is there.
fn hush(text: String, value: &str, instead: &str) -> String {
    let telling = value.char_indices().nth(TELLING).map_or(value, |(end, _)| &value[..end]);
    if telling.is_empty() || !text.contains(telling) {
        return text;
    }
    let mut pieces = text.split(telling);
    let mut hushed = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let more = piece.chars().zip(value[telling.len()..].chars()).take_while(|(one, other)| one == other);
        let more: usize = more.map(|(one, _)| one.len_utf8()).sum();
        hushed.push_str(instead);
        hushed.push_str(&piece[more..]);
    }
    hushed
}

/// What a token says, unverified; Entra wants one audience, and several are told as they are.
fn claims(token: &SecretString) -> Option<Claims> {
    let payload = token.expose_secret().split('.').nth(1)?;
    let said: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let audience = match &said["aud"] {
        Value::Array(all) => all.iter().map(text).collect::<Option<Vec<_>>>()?.join(", "),
        one => text(one)?,
    };
    Some(Claims { issuer: text(&said["iss"])?, subject: text(&said["sub"])?, audience })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const AUDIENCE: &str = "api://AzureADTokenExchange";

    fn token(payload: &Value) -> SecretString {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2lnbmF0dXJl-of_it", part(&json!({"alg": "RS256"})), part(payload)).into()
    }

    fn of_api() -> Value {
        json!({"iss": "https://oidc.example/A/", "sub": "system:serviceaccount:payments:api", "aud": [AUDIENCE]})
    }

    fn expected() -> Claims {
        Claims::of_account("https://oidc.example/A/", "payments", "api", AUDIENCE)
    }

    /// What is said of a token with this claim instead.
    fn told(claim: &str, value: Value) -> (bool, String) {
        let mut payload = of_api();
        payload[claim] = value;
        let (token, expected) = (token(&payload), expected());
        let presented = Presented::Token(&token, &expected);
        (presented.is_what_is_proven(), presented.compared().unwrap())
    }

    #[test]
    fn a_claim_that_differs_is_shown_beside_what_it_should_be() {
        let same = "Token and federated credential say the same, byte for byte";
        assert_eq!(told("aud", json!(AUDIENCE)), (true, same.to_owned()));
        let slash = "They differ: the token says iss \"https://oidc.example/A\", the federated credential \
                     \"https://oidc.example/A/\"";
        assert_eq!(told("iss", json!("https://oidc.example/A")), (false, slash.to_owned()));
        let case = "They differ in upper and lower case only: the token says sub \"system:serviceaccount:payments:API\", \
                    the federated credential \"system:serviceaccount:payments:api\"";
        assert_eq!(told("sub", json!("system:serviceaccount:payments:API")), (false, case.to_owned()));
        let (is_it, several) = told("aud", json!([AUDIENCE, "vault"]));
        assert!(!is_it && several.contains("the token says aud \"api://AzureADTokenExchange, vault\""), "{several}");
        assert_eq!(told("sub", json!(7)), (false, "The token is none that can be read".to_owned()));
    }

    #[test]
    fn a_token_that_is_none_proves_nothing() {
        let expected = expected();
        for odd in ["", "a", "a.b", "a.!.c", "..", "a.e30.c"] {
            let odd = odd.into();
            assert!(!Presented::Token(&odd, &expected).is_what_is_proven());
        }
    }

    #[test]
    fn no_part_of_what_is_presented_is_repeated() {
        let (token, expected) = (token(&of_api()), expected());
        let whole = token.expose_secret();
        let parts: Vec<&str> = whole.split('.').collect();
        let presented = Presented::Token(&token, &expected);
        let said = presented.hushed(format!("you sent {whole} or {}… or {}", &whole[..40], &parts[2][..14]));
        assert_eq!(said, "you sent <token>.<token>.<token> or <token>.<token>… or <token>");
        let secret = "abc8Q~value-of-forty-characters-in-all--".into();
        let presented = Presented::Secret(&secret);
        assert_eq!(presented.hushed("sent abc8Q~value-of-forty-cha…".into()), "sent <secret>…");
        assert_eq!(presented.hushed("nothing of it: abc".into()), "nothing of it: abc", "the hint is no secret");
        let short = "s3cret".into();
        assert_eq!(Presented::Secret(&short).hushed("s3crets3cret".into()), "<secret><secret>");
        assert!(!format!("{presented:?}").contains("abc8Q"));
    }

    proptest! {
        #[test]
        fn no_token_is_a_surprise(odd in ".{0,80}") {
            let (odd, expected) = (odd.into(), expected());
            let presented = Presented::Token(&odd, &expected);
            drop(presented.compared());
            drop(presented.hushed(format!("x{}", odd.expose_secret())));
        }
    }
}
