//! A search of every minted value through what the system wrote: raw, and in the disguises that values wear. It tells
//! where, and in which form; never the value.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use uuid::Uuid;

use super::Ledger;

/// How a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// As it is.
    Raw,
    /// In base64, alone or as a part of more.
    Base64,
    /// Percent-encoded.
    UrlEncoded,
    /// Escaped as in a JSON string.
    JsonEscaped,
}

/// A value where it must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Where it was found.
    pub output: String,
    /// The credential whose value it is; nil for the key of a certificate that no application ever had.
    pub key_id: Uuid,
    /// How it was written.
    pub form: Form,
    /// In which line, from 1.
    pub line: usize,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the value of {} is in {}, line {} ({:?})", self.key_id, self.output, self.line, self.form)
    }
}

impl Ledger {
    /// Searches texts, each with a name, for every value that was ever minted in this tenant, and every private key that
    /// is known.
    pub fn leaks<N: Into<String>, T: AsRef<str>>(&self, outputs: impl IntoIterator<Item = (N, T)>) -> Vec<Leak> {
        let values = self.credentials.iter().filter_map(|one| Some((one.key_id, one.value.as_deref()?)));
        let of_certificate = |fingerprint| {
            let found = self.credentials.iter().rfind(|one| one.fingerprint == fingerprint);
            found.map(|one| one.key_id).unwrap_or_default()
        };
        let keys = self.keys.all().map(|(fingerprint, piece)| (of_certificate(fingerprint), piece));
        let searched: Vec<(Uuid, BTreeMap<String, Form>)> =
            values.chain(keys).map(|(key_id, value)| (key_id, disguises(value))).collect();
        let mut leaks = vec![];
        for (output, text) in outputs {
            let (output, text) = (output.into(), text.as_ref());
            for (key_id, disguises) in &searched {
                for (disguise, form) in disguises {
                    if let Some(place) = text.find(disguise.as_str()) {
                        let line = text[..place].matches('\n').count() + 1;
                        leaks.push(Leak { output: output.clone(), key_id: *key_id, form: *form, line });
                    }
                }
            }
        }
        leaks
    }
}

/// All texts by which a value could be recognised.
fn disguises(value: &str) -> BTreeMap<String, Form> {
    let mut found = BTreeMap::new();
    let base64 = (0..3).flat_map(|before| within_base64(value, before));
    let json = serde_json::Value::from(value).to_string();
    let others = [
        (percent_encode(value.as_bytes(), NON_ALPHANUMERIC).to_string(), Form::UrlEncoded),
        (form_urlencoded::byte_serialize(value.as_bytes()).collect(), Form::UrlEncoded),
        (json[1..json.len() - 1].to_owned(), Form::JsonEscaped),
        (value.to_owned(), Form::Raw),
    ];
    found.extend(base64.map(|text| (text, Form::Base64)));
    found.extend(others);
    found
}

/// The value in base64 when so many bytes come before it, without the digits that its neighbours have a part in.
fn within_base64(value: &str, before: usize) -> [String; 2] {
    let bytes = [&[0].repeat(before), value.as_bytes()].concat();
    let whole = bytes.len() / 3 * 4;
    let first = (before * 8).div_ceil(6);
    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)].map(|text| text[first..whole].to_owned())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn found_in(text: &str) -> Vec<Form> {
        let disguises = disguises("a8Q~b+c/\"d_1234567890");
        disguises.into_iter().filter(|(disguise, _)| text.contains(disguise)).map(|(_, form)| form).collect()
    }

    #[test]
    fn a_value_is_recognised_in_every_disguise() {
        let value = "a8Q~b+c/\"d_1234567890";
        assert_eq!(found_in(&format!("secret={value};")), [Form::Raw]);
        for around in ["", "x", "xy", "client-secret: "] {
            let text = format!("{around}{value}{around}");
            assert_eq!(found_in(&STANDARD.encode(&text)), [Form::Base64], "after {around:?}");
        }
        assert_eq!(found_in("secret=a8Q%7Eb%2Bc%2F%22d_1234567890&"), [Form::UrlEncoded]);
        assert_eq!(found_in("{\"secret\":\"a8Q~b+c/\\\"d_1234567890\"}"), [Form::JsonEscaped]);
        assert!(found_in("a8Q~b+c/").is_empty());
    }
}
