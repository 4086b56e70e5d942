//! What a query asks for, as far as directory objects go: `$filter`, `$select`, `$top`, and where the next page begins.
//! What Graph does not support here is refused as there. Pure.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::errors::Error;

/// How many objects a page has, if nobody says so, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 999;
/// Graph takes no more alternatives than that in a filter.
const MOST_CLAUSES: usize = 15;

/// A query.
#[derive(Debug)]
pub(super) struct Query {
    /// Any of these is enough; none of them if everything is asked for.
    filter: Option<Vec<Clause>>,
    select: Option<Vec<String>>,
    pub(super) top: Option<usize>,
    after: Option<Uuid>,
    pub(super) count: bool,
    raw: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Clause {
    Equals(String, String),
    Begins(String, String),
}

/// What may be asked about objects of a kind.
pub(super) struct Kind {
    /// What they may be asked for by `$select`.
    pub(super) properties: &'static [&'static str],
    /// What `$filter` may be about.
    pub(super) filters: &'static [&'static str],
    /// Whether a filter knows nothing but `eq`.
    pub(super) equality_only: bool,
}

impl Query {
    /// Reads a query about objects of a kind.
    pub(super) fn read(raw: BTreeMap<String, String>, kind: &Kind) -> Result<Self, Error> {
        const UNDERSTOOD: [&str; 6] = ["$filter", "$select", "$top", "$skiptoken", "$count", "$expand"];
        if let Some(odd) = raw.keys().find(|key| key.starts_with('$') && !UNDERSTOOD.contains(&key.as_str())) {
            return Err(Error::unsupported_query(format!("Query option '{odd}' is not supported here.")));
        }
        let get = |name: &str| raw.get(name).map(String::as_str);
        let filter = get("$filter").map(|filter| clauses(filter, kind)).transpose()?;
        let select = get("$select").map(|select| selected(select, kind.properties)).transpose()?;
        let top = get("$top").map(|top| {
            let valid = top.parse().ok().filter(|top| (1..=LARGEST_PAGE).contains(top));
            valid.ok_or_else(|| {
                Error::bad_request(format!(
                    "Invalid page size specified: '{top}'. Must be between 1 and {LARGEST_PAGE} inclusive."
                ))
            })
        });
        let top = top.transpose()?;
        let after = get("$skiptoken").map(|token| {
            let bytes = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok());
            bytes.ok_or_else(|| Error::bad_request("Invalid skip token."))
        });
        let after = after.transpose()?;
        let count = get("$count") == Some("true");
        Ok(Self { filter, select, top, after, count, raw })
    }

    /// Whether an object is asked for.
    pub(super) fn wants(&self, object: &Value) -> bool {
        let Some(clauses) = &self.filter else { return true };
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_lowercase();
        clauses.iter().any(|clause| match clause {
            Clause::Equals(field, value) => text(field) == value.to_lowercase(),
            Clause::Begins(field, value) => text(field).starts_with(&value.to_lowercase()),
        })
    }

    /// Whether a property is asked for by name.
    pub(super) fn names(&self, property: &str) -> bool {
        self.select.as_ref().is_some_and(|select| select.iter().any(|name| name == property))
    }

    /// What is asked for of an object.
    pub(super) fn pick(&self, object: Value) -> Value {
        match (&self.select, object) {
            (Some(select), Value::Object(object)) => picked(object, select),
            (_, object) => object,
        }
    }

    /// What a GET of applications costs (AZURE 2).
    pub(super) fn cost(&self) -> u32 {
        let (select, small) = (self.select.is_some(), self.top.is_some_and(|top| top < 20));
        (2 + u32::from(self.raw.contains_key("$expand"))).saturating_sub(u32::from(select) + u32::from(small)).max(1)
    }

    /// One page of objects that are in the order of their IDs, and the query of the next if there is one.
    pub(super) fn page(&self, objects: Vec<(Uuid, Value)>) -> (Vec<Value>, Option<String>) {
        let size = self.top.unwrap_or(PAGE);
        let mut rest = objects.into_iter().filter(|(id, _)| self.after.is_none_or(|after| *id > after)).peekable();
        let page: Vec<(Uuid, Value)> = rest.by_ref().take(size).collect();
        let last = page.last().filter(|_| rest.peek().is_some()).map(|(id, _)| *id);
        let next = last.map(|last| {
            let token = URL_SAFE_NO_PAD.encode(last);
            let kept = self.raw.iter().filter(|(name, _)| *name != "$skiptoken");
            let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
            encoded(kept.chain([("$skiptoken", token.as_str())]))
        });
        (page.into_iter().map(|(_, object)| self.pick(object)).collect(), next)
    }
}

/// A query as it is written in a link: `$` stays as it is.
pub(super) fn encoded<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pair = |(name, value): (&str, &str)| {
        format!("{name}={}", form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20"))
    };
    pairs.map(pair).collect::<Vec<_>>().join("&")
}

fn picked(object: Map<String, Value>, select: &[String]) -> Value {
    Value::Object(object.into_iter().filter(|(name, _)| name.starts_with('@') || select.contains(name)).collect())
}

fn selected(select: &str, known: &[&str]) -> Result<Vec<String>, Error> {
    let names: Vec<String> = select.split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(odd) => Err(Error::bad_request(format!(
            "Parsing OData Select and Expand failed: Could not find a property named '{odd}'."
        ))),
        None => Ok(names),
    }
}

/// Reads a filter: `a eq 'x' or b in ('y', 'z') or startswith(c, 'w')`.
fn clauses(filter: &str, kind: &Kind) -> Result<Vec<Clause>, Error> {
    let checked = |field: &str| if kind.filters.contains(&field) { Ok(field.to_owned()) } else { Err(unsupported()) };
    let words = words(filter).ok_or_else(|| Error::bad_request(format!("Invalid filter clause: {filter}")))?;
    let mut clauses = vec![];
    for part in words.split(|word| *word == Word::Name("or")) {
        match part {
            [Word::Name(field), Word::Name("eq"), Word::Text(value)] => {
                clauses.push(Clause::Equals(checked(field)?, value.clone()));
            }
            _ if kind.equality_only => return Err(unsupported()),
            [Word::Name(field), Word::Name("in"), Word::Sign('('), values @ .., Word::Sign(')')] => {
                for value in values.iter().filter(|word| **word != Word::Sign(',')) {
                    let Word::Text(value) = value else { return Err(unsupported()) };
                    clauses.push(Clause::Equals(checked(field)?, value.clone()));
                }
            }
            [
                Word::Name("startswith"),
                Word::Sign('('),
                Word::Name(field),
                Word::Sign(','),
                Word::Text(value),
                Word::Sign(')'),
            ] => clauses.push(Clause::Begins(checked(field)?, value.clone())),
            _ => return Err(unsupported()),
        }
    }
    if clauses.len() > MOST_CLAUSES {
        let count = clauses.len();
        return Err(Error::bad_request(format!(
            "Too many child clauses specified in search filter expression containing 'OR' operators: {count}. Max \
             allowed: {MOST_CLAUSES}."
        )));
    }
    Ok(clauses)
}

fn unsupported() -> Error {
    Error::unsupported_query("Unsupported or invalid query filter clause specified for property of resource.")
}

#[derive(Debug, PartialEq, Eq)]
enum Word<'a> {
    Name(&'a str),
    Text(String),
    Sign(char),
}

/// Splits a filter into words; a quote within a text is doubled.
fn words(mut rest: &str) -> Option<Vec<Word<'_>>> {
    let mut words = vec![];
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Some(words) };
        match first {
            '(' | ')' | ',' => {
                words.push(Word::Sign(first));
                rest = &rest[1..];
            }
            '\'' => {
                let mut text = String::new();
                rest = &rest[1..];
                loop {
                    let (part, after) = rest.split_once('\'')?;
                    text.push_str(part);
                    rest = after;
                    match rest.strip_prefix('\'') {
                        Some(after) => {
                            text.push('\'');
                            rest = after;
                        }
                        None => break,
                    }
                }
                words.push(Word::Text(text));
            }
            _ => {
                let end = rest.find(|letter: char| letter.is_whitespace() || "(),'".contains(letter));
                let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
                words.push(Word::Name(name));
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: Kind = Kind {
        properties: &["id", "appId", "displayName", "tags"],
        filters: &["id", "appId", "displayName"],
        equality_only: false,
    };

    fn query(pairs: &[(&str, &str)]) -> Result<Query, Error> {
        let raw = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Query::read(raw, &KNOWN)
    }

    fn wants(filter: &str, object: &Value) -> bool {
        query(&[("$filter", filter)]).unwrap().wants(object)
    }

    #[test]
    fn filters_that_are_supported() {
        let object = json!({"id": "1", "appId": "8f3c", "displayName": "it's or was"});
        assert!(wants("appId eq '8F3C'", &object));
        assert!(wants("displayName eq 'it''s or was'", &object));
        assert!(wants("id eq '2' or startswith(displayName,'IT')", &object));
        assert!(wants("id in ('2', '1')", &object));
        assert!(!wants("id in ('2')", &object));
    }

    #[test]
    fn queries_that_are_refused() {
        for filter in ["appId ne '1'", "tags eq '1'", "appId eq '1' and id eq '1'", "appId eq 'open", "appId eq 1"] {
            assert!(query(&[("$filter", filter)]).is_err(), "{filter}");
        }
        let many: Vec<String> = (0..16).map(|id| format!("'{id}'")).collect();
        assert!(query(&[("$filter", &format!("id in ({})", many.join(",")))]).is_err());
        assert!(query(&[("$select", "id,secret")]).is_err());
        assert!(query(&[("$top", "1000")]).is_err());
        assert!(query(&[("$orderby", "id")]).is_err());
    }

    /// AZURE 1.5: federated credentials are filtered by `eq`, on name and subject.
    #[test]
    fn some_kinds_are_filtered_by_equality_only() {
        let kind = Kind { filters: &["name"], equality_only: true, ..KNOWN };
        let read = |filter: &str| Query::read(BTreeMap::from([("$filter".to_owned(), filter.to_owned())]), &kind);
        assert!(read("name eq 'web'").unwrap().wants(&json!({"name": "web"})));
        for filter in ["id eq '1'", "name in ('web')", "startswith(name,'w')"] {
            assert!(read(filter).is_err(), "{filter}");
        }
    }

    /// AZURE 2: 2, one less with `$select`, one less with a small `$top`, one more with `$expand`.
    #[test]
    fn a_query_costs_what_it_asks_for() {
        let cost = |pairs: &[(&str, &str)]| query(pairs).unwrap().cost();
        assert_eq!((cost(&[]), cost(&[("$expand", "owners")])), (2, 3));
        assert_eq!((cost(&[("$select", "id")]), cost(&[("$select", "id"), ("$top", "5")])), (1, 1));
    }

    #[test]
    fn pages_follow_each_other_without_gap() {
        let all = |count: u128| (1..=count).map(|id| (Uuid::from_u128(id), json!({"id": id, "tags": []}))).collect();
        let first = query(&[("$top", "2"), ("$select", "id")]).unwrap();
        let (page, next) = first.page(all(5));
        assert_eq!(page, [json!({"id": 1}), json!({"id": 2})]);
        let mut seen = page.len();
        let mut next = next;
        while let Some(query) = &next {
            let raw = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let (page, following) = Query::read(raw, &KNOWN).unwrap().page(all(5));
            seen += page.len();
            next = following;
        }
        assert_eq!(seen, 5);
    }
}
