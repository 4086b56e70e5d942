//! What it means when a vault does not do what it was asked to, and what to do about it. Pure: the SDK's error in, words
//! out. Of what was answered, only what Key Vault itself says is quoted, and nothing of an answer to a malformed request:
//! it may repeat what was sent.

use std::time::Duration;

use azure_core::{
    Error,
    error::ErrorKind,
    http::{RawResponse, headers::HeaderName},
    time::OffsetDateTime,
};
use azure_security_keyvault_secrets::models::{KeyVaultError, KeyVaultErrorError};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{Call, VaultSuffix, remedy};
use crate::{
    api::Reason,
    facts::{Effect, Service, Trouble},
    wire::{Told, effect},
};

/// A part of a value that is as long as this is looked for by itself in what is quoted.
const LONG_ENOUGH: usize = 12;
/// As much of an answer as is repeated.
const LONGEST_QUOTE: usize = 400;

/// What an error of the SDK means.
pub(super) fn of(call: Call<'_>, error: &Error) -> Trouble {
    match error.kind() {
        ErrorKind::HttpResponse { status, raw_response: Some(response), .. } => {
            answered(call, u16::from(*status), response)
        }
        ErrorKind::Connection => unconnected(call, &effect::causes(error)),
        ErrorKind::Credential => not_signed_in(call, error),
        ErrorKind::Io => {
            let base = trouble(
                call,
                Reason::Unreachable,
                Effect::Unknown,
                &format!("there was no whole answer: {}", effect::causes(error)),
            );
            Trouble { remedy: remedy::UNREACHABLE.into(), ..base }
        }
        _ if effect::of_error(error) == Effect::NotSent => {
            let said = format!("nothing was sent: {}", effect::causes(error));
            Trouble { remedy: remedy::UNREACHABLE.into(), ..trouble(call, Reason::Unreachable, Effect::NotSent, &said) }
        }
        // What cannot be decoded is not repeated: there is a value in it. A challenge has none.
        _ if effect::causes(error).contains("challenge") => {
            let said = "its challenge asks for a token that is not for this vault, so none was sent";
            let remedy = "Compare the vault's URL, and cloud and endpoints of the EntraTenant: something else answers in its place";
            Trouble { remedy: remedy.into(), ..trouble(call, Reason::Unintelligible, Effect::NotSent, said) }
        }
        _ => unintelligible(call, "it is not of the form that it must have"),
    }
}

/// A host that is not a vault of the tenant's cloud.
pub(super) fn elsewhere(call: Call<'_>, suffix: &VaultSuffix) -> Trouble {
    let said = format!(
        "it is not a Key Vault of the tenant's cloud, whose vaults are https://<name>.{suffix}, so no token is sent there"
    );
    let remedy =
        "Correct the URL; for a custom cloud, endpoints.keyVaultSuffix of the EntraTenant says where its vaults are";
    Trouble { remedy: remedy.into(), ..trouble(call, Reason::VaultNotFound, Effect::NotSent, &said) }
}

/// Nothing was answered in time.
pub(super) fn silence(call: Call<'_>, limit: Duration) -> Trouble {
    let said = format!("there was no answer within {}s", limit.as_secs());
    Trouble { remedy: remedy::UNREACHABLE.into(), ..trouble(call, Reason::Unreachable, Effect::Unknown, &said) }
}

/// An answer that cannot be understood.
pub(super) fn unintelligible(call: Call<'_>, why: &str) -> Trouble {
    let remedy = "See whether a proxy or a firewall answers in the vault's place";
    let base =
        trouble(call, Reason::Unintelligible, Effect::Unknown, &format!("the answer cannot be understood: {why}"));
    Trouble { remedy: remedy.into(), ..base }
}

/// A version that somebody else has written.
pub(super) fn not_ours(call: Call<'_>, version: &str) -> Trouble {
    let said = format!("version {version} does not bear the tag of this resource, so it is left alone");
    let remedy = "If it is to go, whoever wrote it disables it";
    Trouble { remedy: remedy.into(), ..trouble(call, Reason::VaultEntryNotOurs, Effect::NotSent, &said) }
}

/// A name that is taken by something deleted.
pub(super) fn deleted(call: Call<'_>, purged: Option<OffsetDateTime>) -> Trouble {
    let until = purged.and_then(timestamp).map(|time| format!(" until {time}")).unwrap_or_default();
    let said = format!("it is deleted but recoverable{until}, so its name is taken");
    Trouble { remedy: remedy::deleted(call).into(), ..trouble(call, Reason::VaultEntryDeleted, Effect::Refused, &said) }
}

/// A secret where a certificate is to be.
pub(super) fn taken(call: Call<'_>) -> Trouble {
    let base = trouble(call, Reason::VaultEntryNotOurs, Effect::Refused, "there is a secret of this name");
    Trouble { remedy: remedy::TAKEN.into(), ..base }
}

/// A certificate where a secret is to be.
pub(super) fn of_a_certificate(call: Call<'_>) -> Trouble {
    let said = "it is the secret of a certificate, which is written with the certificate only";
    Trouble { remedy: remedy::MANAGED.into(), ..trouble(call, Reason::VaultEntryNotOurs, Effect::NotSent, said) }
}

/// A latest version that nobody may use.
pub(super) fn disabled(call: Call<'_>) -> Trouble {
    let base = trouble(call, Reason::VaultForbidden, Effect::NotSent, "its latest version is disabled");
    Trouble { remedy: remedy::DISABLED.into(), ..base }
}

/// The same without a value that was sent, should whatever answered have repeated it in what looks like Key Vault's words.
pub(super) fn hushed(trouble: Trouble, value: &SecretString) -> Trouble {
    let value = value.expose_secret();
    let whole = Some(value).filter(|value| !value.is_empty());
    // What is quoted was put on one line, so that of a PEM each line is looked for, and what was left of the last.
    let lines = value.split_whitespace().filter(|line| line.len() >= LONG_ENOUGH);
    let hush = |message: String, part: &str| message.replace(part, "<value>");
    let mut message = whole.into_iter().chain(lines).fold(trouble.message, hush);
    let cut = message.rsplit(|one: char| !one.is_ascii_alphanumeric() && !"+/=-_.~".contains(one)).next();
    let cut = cut.filter(|cut| cut.len() >= 4 && value.contains(*cut)).map(str::len);
    if let Some(length) = cut {
        message.replace_range(message.len() - length.., "<value>");
    }
    Trouble { message, ..trouble }
}

/// Whether a trouble is only that there is nothing of that name.
pub(super) fn is_absence(trouble: &Trouble) -> bool {
    trouble.service == Service::KeyVault
        && trouble.code.as_deref().is_some_and(|code| remedy::NOT_FOUND.contains(&code))
}

/// Whether a trouble is that there is nothing, or that the operator may not see what there is.
pub(super) fn is_nothing_seen(trouble: &Trouble) -> bool {
    let is_forbidden = trouble.service == Service::KeyVault && trouble.reason == Reason::VaultForbidden;
    is_forbidden || is_absence(trouble)
}

/// A time of Key Vault's as ours.
pub(super) fn timestamp(time: OffsetDateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.unix_timestamp()).ok()
}

fn answered(call: Call<'_>, status: u16, response: &RawResponse) -> Trouble {
    let said: Option<KeyVaultErrorError> =
        serde_json::from_slice::<KeyVaultError>(response.body()).ok().and_then(|body| body.error);
    let code = said.as_ref().and_then(innermost);
    let (reason, remedy) = remedy::meaning(call, status, code.as_deref().unwrap_or_default());
    let header = |name| response.headers().get_optional_str(&HeaderName::from_static(name));
    let Told { at, retry_after } = Told::of(header, Timestamp::now());
    let trace_id = header("x-ms-request-id").map(str::to_owned);
    let mut ids = vec![format!("{status}{}", code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())];
    ids.extend(trace_id.as_ref().map(|id| format!("request {id}")));
    ids.extend(at.map(|time| time.to_string()));
    let quotable = said.filter(|_| matches!(status, 401 | 403 | 404 | 409 | 429));
    let quote = quotable.and_then(|said| said.message).map(|text| format!(": {}", flat(&text))).unwrap_or_default();
    let effect = if matches!(status, 408 | 500..) { Effect::Unknown } else { Effect::Refused };
    Trouble {
        remedy: remedy.into(),
        trace_id,
        correlation_id: header("x-ms-client-request-id").map(str::to_owned),
        at,
        retry_after,
        code,
        ..trouble(call, reason, effect, &format!("the answer was {}{quote}", ids.join(", ")))
    }
}

/// The most precise code of an answer. Of those to a bad token, the code is in the text.
fn innermost(said: &KeyVaultErrorError) -> Option<String> {
    let inner = said.inner_error.as_deref().and_then(innermost);
    let text = said.message.as_deref().unwrap_or_default();
    let akv = text.split(':').next().filter(|word| word.starts_with("AKV") && word.len() < 16);
    inner.or_else(|| akv.map(str::to_owned)).or_else(|| said.code.clone())
}

fn unconnected(call: Call<'_>, chain: &str) -> Trouble {
    if !is_unknown_host(chain) {
        let base = trouble(call, Reason::Unreachable, Effect::NotSent, &format!("there was no connection: {chain}"));
        return Trouble { remedy: remedy::UNREACHABLE.into(), ..base };
    }
    let remedy = "Compare the vault's name with the portal, and see that the cluster's DNS, or its proxy, knows it; a private endpoint needs its DNS zone";
    let base = trouble(call, Reason::VaultNotFound, Effect::NotSent, &format!("there is no such host: {chain}"));
    Trouble { remedy: remedy.into(), ..base }
}

/// A vault that does not exist has no name in DNS; a proxy answers in its own way that it cannot go there. Only the texts
/// tell: a resolver that is in trouble itself is another matter.
fn is_unknown_host(chain: &str) -> bool {
    let chain = chain.to_ascii_lowercase();
    let resolver_in_trouble = chain.contains("temporary failure") || chain.contains("try again");
    (chain.contains("dns error") && !resolver_in_trouble) || chain.contains("tunnel error: unsuccessful")
}

/// The operator got no token, so the vault was never asked.
fn not_signed_in(call: Call<'_>, error: &Error) -> Trouble {
    let cause = std::iter::successors(Some(error), |error| error.downcast_ref::<Error>()).last().unwrap_or(error);
    let (reason, response) = match cause.kind() {
        ErrorKind::HttpResponse { status, raw_response, .. } => {
            let reason = match u16::from(*status) {
                429 => Reason::Throttled,
                408 | 500.. => Reason::Unreachable,
                _ => Reason::OperatorCannotSignIn,
            };
            (reason, raw_response.as_deref())
        }
        ErrorKind::Connection | ErrorKind::Io => (Reason::Unreachable, None),
        _ => (Reason::OperatorCannotSignIn, None),
    };
    let header = |name| response?.headers().get_optional_str(&HeaderName::from_static(name));
    let told = Told::of(header, Timestamp::now());
    let said = format!("the operator itself got no token: {}", flat(&cause.to_string()));
    Trouble {
        service: Service::Token,
        remedy: "See the conditions of the EntraTenant, which say how the operator signs in".into(),
        trace_id: header("x-ms-request-id").map(str::to_owned),
        retry_after: told.retry_after,
        ..trouble(call, reason, Effect::NotSent, &said)
    }
}

fn trouble(call: Call<'_>, reason: Reason, effect: Effect, said: &str) -> Trouble {
    Trouble {
        reason,
        service: Service::KeyVault,
        effect,
        message: format!("could not {call}: {said}"),
        remedy: String::new(),
        code: None,
        trace_id: None,
        correlation_id: None,
        at: None,
        retry_after: None,
    }
}

/// A text on one line, shortened.
fn flat(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST_QUOTE).collect()
}

#[cfg(test)]
mod tests {
    use azure_core::http::{StatusCode, headers::Headers};

    use super::*;
    use crate::{
        api::values::{VaultName, VaultUrl},
        facts::VaultEntry,
        wire::told,
    };

    fn asked<T>(judge: impl FnOnce(Call<'_>) -> T) -> T {
        let (url, name) = (VaultUrl::from("https://kv-a.vault.azure.net"), VaultName::from("a"));
        judge(Call::about("read", &VaultEntry::secret(&url, &name)))
    }

    fn refused(status: StatusCode, headers: &[(&'static str, &'static str)], body: &'static str) -> Trouble {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.insert(HeaderName::from_static(name), *value);
        }
        let raw = RawResponse::from_bytes(status, all, body);
        let kind = ErrorKind::HttpResponse { status, error_code: None, raw_response: Some(Box::new(raw)) };
        asked(|call| of(call, &kind.into_error()))
    }

    #[test]
    fn a_refusal_is_told_with_its_innermost_code_and_all_ids() {
        let headers = [("x-ms-request-id", "6b1e"), ("date", "Sat, 21 Nov 2026 08:00:00 GMT"), ("retry-after", "9000")];
        let body = r#"{"error":{"code":"Forbidden","message":"Caller is not\r\nauthorized.","innererror":{"code":"ForbiddenByRbac"}}}"#;
        let trouble = refused(StatusCode::Forbidden, &headers, body);
        assert_eq!(
            trouble.message,
            "could not read secret a of https://kv-a.vault.azure.net: the answer was 403 ForbiddenByRbac, request 6b1e, \
             2026-11-21T08:00:00Z: Caller is not authorized."
        );
        assert_eq!((trouble.trace_id.as_deref(), trouble.code.as_deref()), (Some("6b1e"), Some("ForbiddenByRbac")));
        assert_eq!(trouble.retry_after, Some(told::LONGEST));
    }

    #[test]
    fn the_code_of_a_bad_token_is_in_the_text() {
        let body = r#"{"error":{"code":"Unauthorized","message":"AKV10022: Invalid audience. Expected x, found: y."}}"#;
        let trouble = refused(StatusCode::Unauthorized, &[], body);
        assert_eq!((trouble.code.as_deref(), trouble.reason), (Some("AKV10022"), Reason::OperatorCannotSignIn));
        let body = r#"{"error":{"code":"Unauthorized","message":"[TokenExpired] Error validating token."}}"#;
        assert_eq!(refused(StatusCode::Unauthorized, &[], body).code.as_deref(), Some("Unauthorized"));
    }

    /// What is quoted was put on one line and cut, and PEM has many.
    #[test]
    fn a_value_of_many_lines_is_not_repeated_in_parts() {
        let (first, second) = ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ", "C7VJTUt9Us8cKjMzEfYyjiWA4R4");
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{first}\n{second}\n-----END PRIVATE KEY-----\n");
        let said = flat(&format!("you may not write: {pem}"));
        let message = said[..said.len() - 40].to_owned();
        assert!(message.contains(first) && message.contains(&second[..8]));
        let trouble = asked(|call| trouble(call, Reason::VaultForbidden, Effect::Refused, &message));
        let hushed = hushed(trouble, &SecretString::from(pem)).message;
        assert!(
            !hushed.contains("MIIE") && !hushed.contains("C7VJ") && hushed.contains("you may not write"),
            "{hushed}"
        );
    }

    #[test]
    fn a_host_that_is_not_there_is_told_from_a_resolver_that_is_in_trouble() {
        for (said, reason) in [
            (
                "client error (Connect): dns error: failed to lookup address information: Name or service not known",
                Reason::VaultNotFound,
            ),
            (
                "client error (Connect): dns error: failed to lookup address information: Name does not resolve",
                Reason::VaultNotFound,
            ),
            ("client error (Connect): tunnel error: unsuccessful", Reason::VaultNotFound),
            ("client error (Connect): dns error: Temporary failure in name resolution", Reason::Unreachable),
            ("client error (Connect): dns error: Try again", Reason::Unreachable),
            ("client error (Connect): tcp connect error: Connection refused", Reason::Unreachable),
            ("client error (Connect): tunnel error: proxy authorization required", Reason::Unreachable),
        ] {
            let trouble = asked(|call| unconnected(call, said));
            assert_eq!((trouble.reason, trouble.effect), (reason, Effect::NotSent), "{said}");
            assert!(trouble.message.ends_with(said));
        }
    }

    #[test]
    fn a_date_until_which_to_stay_away_is_read_by_the_clock_of_the_vault() {
        let date = ("date", "Sat, 21 Nov 2026 08:00:00 GMT");
        let waits = |until| refused(StatusCode::TooManyRequests, &[date, ("retry-after", until)], "").retry_after;
        assert_eq!(waits("Sat, 21 Nov 2026 08:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(waits("Mon, 21 Nov 2044 07:00:00 GMT"), Some(told::LONGEST));
        assert_eq!((waits("7"), waits("soon")), (Some(Duration::from_secs(7)), None));
    }

    #[test]
    fn a_challenge_for_something_else_ends_before_a_token_is_sent() {
        let said = "challenge resource 'https://evil.example/.default' doesn't match the requested domain 'kv-a.vault.azure.net'";
        let trouble = asked(|call| of(call, &Error::with_message(ErrorKind::Other, said)));
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unintelligible, Effect::NotSent));
    }

    #[test]
    fn what_cannot_be_decoded_is_not_repeated() {
        let trouble =
            asked(|call| of(call, &Error::with_message(ErrorKind::DataConversion, "invalid type: string \"hush\"")));
        assert_eq!((trouble.reason, trouble.effect), (Reason::Unintelligible, Effect::Unknown));
        assert!(!format!("{trouble:?}").contains("hush"));
    }

    #[test]
    fn absence_is_key_vaults_own_word_only() {
        let found = |body: &'static str| is_absence(&refused(StatusCode::NotFound, &[], body));
        assert!(found(r#"{"error":{"code":"SecretNotFound","message":"A secret was not found"}}"#));
        assert!(!found("<html>Not Found</html>") && !found("") && !found(r#"{"error":{"code":"NotFound"}}"#));
    }
}
