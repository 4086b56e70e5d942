//! A refusal of the token endpoint as it came: read leniently, since what answers may be Entra, an older Entra, its
//! gateway (which speaks plain text when it throttles), or a proxy on the way (which speaks HTML). Nothing is quoted that
//! is not surely Entra's own sentence: somebody else's page may repeat what was sent.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Class, Code, known,
    table::{
        CLIENT_NOT_ALLOWED, CLIENT_REFUSED, IN_TROUBLE, NO_WORD_FOR, NOT_ENTRA, REQUEST_REFUSED, SCOPE_REFUSED, WAIT,
    },
};

/// What all descriptions of Entra begin with.
const PREFIX: &str = "AADSTS";
/// As much of Entra's sentence as is repeated.
const LONGEST_SENTENCE: usize = 300;

/// A refusal of the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The number that decided, or the first that was given.
    pub number: Option<u32>,
    /// The word in `error`, the only thing in a refusal that Microsoft promises.
    pub error: Option<String>,
    /// Entra's own sentence, shortened.
    pub sentence: Option<String>,
    /// The trace ID.
    pub trace_id: Option<String>,
    /// The correlation ID.
    pub correlation_id: Option<String>,
    /// When, by Entra's clock.
    pub at: Option<Timestamp>,
    /// What it means.
    pub code: &'static Code,
}

impl Refusal {
    /// Reads an answer with a status that is no success.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |field: &str| json[field].as_str().filter(|text| !text.is_empty());
        let description = text("error_description").filter(|text| text.starts_with(PREFIX)).unwrap_or_default();
        let error = text("error").map(str::to_owned);
        let numbers = numbers(&json["error_codes"], description);
        let code = meaning(status, &numbers, error.as_deref());
        let said = |field: &str, label: &str| text(field).or_else(|| labelled(description, label)).map(str::to_owned);
        let deciding = numbers.iter().find(|number| code.numbers.contains(number));
        Self {
            status,
            number: deciding.or_else(|| numbers.first()).copied(),
            sentence: sentence(description),
            trace_id: said("trace_id", "Trace ID: "),
            correlation_id: said("correlation_id", "Correlation ID: "),
            at: said("timestamp", "Timestamp: ").and_then(|time| time.parse().ok()),
            error,
            code,
        }
    }

    /// The code as people search for it.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.number.map(|number| format!("{PREFIX}{number}")).or_else(|| self.error.clone())
    }
}

/// The numbers that an answer gives: those of the array, which may be texts, and that of the description.
fn numbers(array: &Value, description: &str) -> Vec<u32> {
    let items = array.as_array().map_or_else(|| std::slice::from_ref(array), Vec::as_slice);
    let number = |item: &Value| item.as_u64().or_else(|| item.as_str()?.trim().parse().ok());
    let digits = description.trim_start_matches(PREFIX);
    let digits = &digits[..digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len())];
    let described = digits.parse().ok();
    items.iter().filter_map(number).filter_map(|number| u32::try_from(number).ok()).chain(described).collect()
}

fn meaning(status: u16, numbers: &[u32], error: Option<&str>) -> &'static Code {
    let code = numbers.iter().find_map(|number| known(*number));
    let of_class = |classes: &[Class]| code.filter(|code| classes.contains(&code.class));
    match (status, error) {
        // Whatever a service in trouble says of a credential is not to be believed.
        (429, _) => of_class(&[Class::Throttled]).unwrap_or(&WAIT),
        (408 | 500.., _) => of_class(&[Class::Throttled, Class::Unavailable]).unwrap_or(&IN_TROUBLE),
        (_, error) => code.unwrap_or_else(|| without_known_code(numbers.is_empty(), error)),
    }
}

/// What the word alone says. Beside a number that is not in the table it says little: `invalid_client` stands for
/// secrets that are wrong as well as for applications without a service principal.
fn without_known_code(no_number: bool, error: Option<&str>) -> &'static Code {
    match error {
        Some("temporarily_unavailable" | "server_error") => &IN_TROUBLE,
        Some("invalid_client") if no_number => &CLIENT_REFUSED,
        Some("unauthorized_client") if no_number => &CLIENT_NOT_ALLOWED,
        Some("invalid_scope" | "invalid_resource" | "invalid_target") if no_number => &SCOPE_REFUSED,
        Some("invalid_request" | "unsupported_grant_type") if no_number => &REQUEST_REFUSED,
        None if no_number => &NOT_ENTRA,
        _ => &NO_WORD_FOR,
    }
}

/// What follows a label in a description, up to the next blank; a timestamp has one in it.
fn labelled<'a>(description: &'a str, label: &str) -> Option<&'a str> {
    let rest = &description[description.find(label)? + label.len()..];
    let end = if label.starts_with("Timestamp") { rest.find('Z').map(|end| end + 1) } else { None };
    let end = end.or_else(|| rest.find(char::is_whitespace)).unwrap_or(rest.len());
    Some(&rest[..end]).filter(|text| !text.is_empty())
}

/// The sentence of a description, without the IDs that stand for themselves.
fn sentence(description: &str) -> Option<String> {
    let (_, words) = description.split_once(':')?;
    let words = words.split("Trace ID:").next().unwrap_or_default();
    let words: Vec<&str> = words.split_whitespace().collect();
    let words: String = words.join(" ").chars().filter(|letter| !letter.is_control()).take(LONGEST_SENTENCE).collect();
    Some(words).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::api::Reason;

    const TRACE: &str = "6b1e0f4a-0000-4000-8000-000000000001";
    const CORRELATION: &str = "6b1e0f4a-0000-4000-8000-000000000002";

    fn description(number: u32) -> String {
        format!(
            "AADSTS{number}: Invalid client secret provided. Trace ID: {TRACE} Correlation ID: {CORRELATION} Timestamp: \
             2023-11-06 07:47:49Z"
        )
    }

    fn read(status: u16, body: &Value) -> Refusal {
        Refusal::read(status, body.to_string().as_bytes())
    }

    #[test]
    fn everything_that_identifies_a_refusal_is_read() {
        let body = json!({
            "error": "invalid_client", "error_description": description(7_000_215), "error_codes": [7_000_215],
            "timestamp": "2023-11-06 07:47:49Z", "trace_id": TRACE, "correlation_id": CORRELATION,
        });
        let refusal = read(401, &body);
        assert_eq!(
            refusal,
            read(401, &json!({"error": "invalid_client", "error_description": description(7_000_215)}))
        );
        assert_eq!(refusal.sentence.as_deref(), Some("Invalid client secret provided."));
        assert_eq!((refusal.trace_id.as_deref(), refusal.correlation_id.as_deref()), (Some(TRACE), Some(CORRELATION)));
        assert_eq!(refusal.at, Some("2023-11-06T07:47:49Z".parse().unwrap()));
        assert_eq!(refusal.name().as_deref(), Some("AADSTS7000215"));
        assert_eq!((refusal.code.class, refusal.code.reason), (Class::Wrong, Reason::CredentialUnknown));
    }

    #[test]
    fn an_older_description_breaks_its_lines() {
        let text = description(70_021)
            .replace(" Trace", "\r\nTrace")
            .replace(" Corr", "\r\nCorr")
            .replace(" Time", "\r\nTime");
        let refusal = read(400, &json!({"error": "invalid_request", "error_description": text}));
        assert_eq!((refusal.trace_id.as_deref(), refusal.correlation_id.as_deref()), (Some(TRACE), Some(CORRELATION)));
        assert!(refusal.at.is_some());
    }

    #[test]
    fn numbers_come_as_numbers_as_texts_and_alone() {
        for codes in
            [json!([7_000_222]), json!(["7000222"]), json!(7_000_222), json!("7000222"), json!([1, "x", 7_000_222])]
        {
            let refusal = read(401, &json!({"error": "invalid_client", "error_codes": codes}));
            assert_eq!((refusal.code.class, refusal.number), (Class::Expired, Some(7_000_222)), "{codes}");
        }
    }

    #[test]
    fn the_array_goes_before_the_description_and_that_before_the_word() {
        let class = |body: Value| read(400, &body).code.class;
        let described = description(7_000_222);
        assert_eq!(class(json!({"error_codes": [53_003], "error_description": described})), Class::Blocked);
        assert_eq!(class(json!({"error_codes": [1], "error_description": described})), Class::Expired);
        assert_eq!(class(json!({"error": "invalid_scope", "error_description": described})), Class::Expired);
        assert_eq!(class(json!({"error": "invalid_scope"})), Class::Misasked);
    }

    #[test]
    fn a_code_without_a_meaning_claims_nothing() {
        for error in ["invalid_client", "unauthorized_client", "invalid_grant", "anything"] {
            let refusal = read(401, &json!({"error": error, "error_codes": [7_999_999]}));
            assert_eq!((refusal.code, refusal.number), (&NO_WORD_FOR, Some(7_999_999)), "{error}");
        }
        assert_eq!(
            read(400, &json!({"error": "temporarily_unavailable", "error_codes": [7_999_999]})).code,
            &IN_TROUBLE
        );
        assert_eq!(read(401, &json!({"error": "invalid_client"})).code, &CLIENT_REFUSED);
    }

    #[test]
    fn a_service_in_trouble_is_not_believed_about_credentials() {
        let body = json!({"error": "invalid_client", "error_codes": [7_000_215]});
        assert_eq!((read(429, &body).code, read(503, &body).code), (&WAIT, &IN_TROUBLE));
        assert_eq!(Refusal::read(429, b"Too Many Requests").code, &WAIT);
        assert_eq!(Refusal::read(502, b"<html>Bad Gateway</html>").code, &IN_TROUBLE);
    }

    #[test]
    fn what_is_not_entras_is_not_quoted() {
        for body in ["<html>client_secret=hush</html>", "hush", "", "[]", r#"{"error":{"code":"hush"}}"#] {
            let refusal = Refusal::read(403, body.as_bytes());
            assert_eq!(refusal.code, &NOT_ENTRA, "{body}");
            assert!(!format!("{refusal:?}").contains("hush"));
        }
        let page = read(400, &json!({"error": "invalid_client", "error_description": "You sent client_secret=hush"}));
        assert!(!format!("{page:?}").contains("hush"));
    }

    proptest! {
        #[test]
        fn no_answer_is_a_surprise(status in 300_u16..600, body in ".{0,200}") {
            let refusal = Refusal::read(status, body.as_bytes());
            let named = Refusal::read(status, json!({"error_description": format!("{PREFIX}{body}")}).to_string().as_bytes());
            prop_assert!(named.sentence.is_none_or(|sentence| sentence.chars().count() <= LONGEST_SENTENCE));
            prop_assert!(refusal.sentence.is_none());
        }
    }
}
