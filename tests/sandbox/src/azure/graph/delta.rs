//! Changes of applications since somebody last asked (AZURE 1.6). One replica answers them all, so that nothing is missed
//! while the others know less; what was told lately may be told again. Tokens are all that is remembered of who asked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::errors::Error;
use super::query::{Query, encoded};
use super::{Answered, Request, access, applications, shape};
use crate::azure::tenants::Tenant;

/// How many objects a page has.
const PAGE: usize = 100;
/// Entra remembers changes of directory objects for a week.
const MEMORY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Where somebody is in the sequence of changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Token {
    /// What became known until then has been told.
    after: Timestamp,
    /// When this round began: from there the next one goes on.
    round: Timestamp,
    /// Of this round, everything up to this object has been told.
    told: Option<Uuid>,
    /// The properties that were asked for in the beginning.
    select: Option<String>,
}

impl Token {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(json!(self).to_string())
    }
}

pub(super) fn answer(tenant: &Tenant, request: &Request<'_>) -> Answered {
    access::reads_changes(&request.caller)?;
    let parameters = request.call.parameters();
    if parameters.contains_key("$top") || parameters.contains_key("$filter") {
        return Err(Error::unsupported_query("Delta of applications takes no such query option."));
    }
    let given = parameters.get("$deltatoken").or_else(|| parameters.get("$skiptoken"));
    let base = format!("{}/v1.0/applications/delta", request.call.origin);
    let now = request.now;
    let from_start = |after| Token { after, round: now, told: None, select: parameters.get("$select").cloned() };
    let token = match given.map(String::as_str) {
        None => from_start(Timestamp::MIN),
        Some("latest") => return Ok(latest(&base, &from_start(now), request)),
        Some(text) => {
            let token = Token::read(text).ok_or_else(|| Error::bad_request("Badly formed token."))?;
            if token.round < tenant.delta_tokens_since || token.round + MEMORY < now {
                return Err(Error::resync(base));
            }
            if parameters.contains_key("$deltatoken") { Token { round: now, ..token } } else { token }
        }
    };
    let select = token.select.iter().map(|select| ("$select".to_owned(), select.clone()));
    let query = Query::read(select.collect(), &applications::KIND)?;
    let is_first = token.after == Timestamp::MIN;
    let news = tenant.delta(token.after, now).into_iter();
    let mut rest = news
        .filter(|(id, state)| token.told.is_none_or(|told| *id > told) && (state.is_some() || !is_first))
        .peekable();
    let page: Vec<(Uuid, Value)> = rest
        .by_ref()
        .take(PAGE)
        .map(|(id, state)| {
            let known = state.map(|application| query.pick(shape::application(&application)));
            // An application that was deleted can be restored for a month: "changed", not "deleted".
            (id, known.unwrap_or_else(|| json!({"id": id, "@removed": {"reason": "changed"}})))
        })
        .collect();
    let last = page.last().filter(|_| rest.peek().is_some()).map(|(id, _)| *id);
    let mut body = json!({"value": page.into_iter().map(|(_, object)| object).collect::<Vec<_>>()});
    if let Some(told) = last {
        let next = Token { told: Some(told), ..token };
        body["@odata.nextLink"] = link(&base, "$skiptoken", &next).into();
    } else {
        // A bit of what was told is told again (AZURE 1.6: duplicates and replays are possible).
        let after = token.round - tenant.weather.reads.least;
        body["@odata.deltaLink"] = link(&base, "$deltatoken", &Token { after, told: None, ..token }).into();
    }
    body["@odata.context"] = format!("{}/v1.0/$metadata#applications", request.call.origin).into();
    Ok((StatusCode::OK, Some(body)))
}

fn latest(base: &str, token: &Token, request: &Request<'_>) -> (StatusCode, Option<Value>) {
    let context = format!("{}/v1.0/$metadata#applications", request.call.origin);
    let link = link(base, "$deltatoken", token);
    (StatusCode::OK, Some(json!({"@odata.context": context, "value": [], "@odata.deltaLink": link})))
}

fn link(base: &str, name: &str, token: &Token) -> String {
    format!("{base}?{}", encoded([(name, token.write().as_str())].into_iter()))
}
