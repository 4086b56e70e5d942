//! The proof of a credential: one raw token request, on a connection of its own, through no cache. Servers of Entra learn
//! of a change one by one, so that a kept connection would ask the same one again and a kept token nobody at all. What
//! comes back is a verdict; the token is dropped unread, and neither it nor the secret is ever printed.

use std::{error::Error, time::Duration};

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    ClientBuilder, Response, StatusCode,
    header::{ACCEPT, DATE, HeaderMap, RETRY_AFTER},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use uuid::{Builder, Uuid};

use super::codes::{Class, Refusal};
use crate::{
    api::{
        ClientId, Reason, TenantId,
        values::{HttpsUrl, Scope},
    },
    facts::{Effect, Service, Trouble, Verdict},
};

/// No answer of Entra's is nearly as long; what is longer is somebody else's page.
const LONGEST_ANSWER: usize = 64 * 1024;
/// However long a service asks us to wait, it is asked again after this.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// What a client for proofs has that others have not: it keeps no connection, and it carries no secret to where a
/// redirect points. Time limits, proxies and certificates are the caller's.
pub fn for_proofs(builder: ClientBuilder) -> ClientBuilder {
    builder.pool_max_idle_per_host(0).redirect(redirect::Policy::none())
}

/// Signs in once as an application with a client secret, and says what that has shown. `http` is built
/// [`for_proofs`].
pub async fn sign_in(
    http: &reqwest::Client,
    authority: &HttpsUrl,
    tenant: TenantId,
    client_id: ClientId,
    secret: &SecretString,
    scope: &Scope,
) -> Verdict {
    let asked = Asked { tenant, client_id, request_id: Builder::from_random_bytes(rand::random()).into_uuid() };
    let url = format!("{}/{tenant}/oauth2/v2.0/token", authority.as_str().trim_end_matches('/'));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &client_id.to_string()),
        ("client_secret", secret.expose_secret()),
        ("scope", scope.as_str()),
    ];
    let request = http.post(url).header(ACCEPT, "application/json");
    let request = request.header("client-request-id", asked.request_id.to_string());
    let sent = request.header("return-client-request-id", "true").form(&form).send().await;
    let heard = match sent {
        Ok(response) => Heard::of(response).await,
        Err(error) => Err(error),
    };
    let mut verdict = match heard {
        Ok(heard) => asked.verdict(&heard),
        Err(error) => Verdict::Unheard(asked.unheard(&error)),
    };
    hush(&mut verdict, secret);
    verdict
}

/// What was asked, for messages.
#[derive(Debug, Clone, Copy)]
struct Asked {
    tenant: TenantId,
    client_id: ClientId,
    request_id: Uuid,
}

/// What was answered.
struct Heard {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Heard {
    async fn of(mut response: Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = vec![];
        while body.len() < LONGEST_ANSWER
            && let Some(chunk) = response.chunk().await?
        {
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status, headers, body })
    }

    fn has_a_token(&self) -> bool {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["access_token"].as_str().is_some_and(|token| !token.is_empty())
    }
}

impl Asked {
    fn verdict(self, heard: &Heard) -> Verdict {
        if heard.status != StatusCode::OK {
            let refusal = Refusal::read(heard.status.as_u16(), &heard.body);
            return verdict(refusal.code.class, self.refused(refusal, heard));
        }
        if heard.has_a_token() {
            return Verdict::Accepted;
        }
        Verdict::Unheard(Trouble {
            reason: Reason::Unintelligible,
            effect: Effect::Unknown,
            message: format!("{}: the answer was 200, but there is no token in it", self.doing()),
            remedy: "See whether a proxy or a firewall answers in Entra's place".into(),
            ..self.trouble(&heard.headers)
        })
    }

    fn doing(self) -> String {
        format!("could not sign in as application {} in tenant {}", self.client_id, self.tenant)
    }

    /// What every trouble of this request has.
    fn trouble(self, headers: &HeaderMap) -> Trouble {
        Trouble {
            reason: Reason::Unreachable,
            service: Service::Token,
            effect: Effect::Unknown,
            message: String::new(),
            remedy: String::new(),
            code: None,
            trace_id: header(headers, "x-ms-request-id").map(str::to_owned),
            correlation_id: Some(self.request_id.to_string()),
            at: header(headers, DATE.as_str()).and_then(http_date),
            retry_after: retry_after(headers),
        }
    }

    fn refused(self, refusal: Refusal, heard: &Heard) -> Trouble {
        let base = self.trouble(&heard.headers);
        let trace_id = refusal.trace_id.clone().or(base.trace_id);
        let correlation_id = refusal.correlation_id.clone().or(base.correlation_id);
        let at = refusal.at.or(base.at);
        let transient = matches!(refusal.code.class, Class::Throttled | Class::Unavailable);
        let mut ids = vec![];
        ids.extend(trace_id.as_ref().map(|id| format!("trace {id}")));
        ids.extend(correlation_id.as_ref().map(|id| format!("correlation {id}")));
        ids.extend(at.map(|time| time.to_string()));
        let name = refusal.name();
        let message = format!(
            "{}: {}. The answer was {}{} ({}){}",
            self.doing(),
            refusal.code.meaning,
            refusal.status,
            name.as_ref().map(|name| format!(" {name}")).unwrap_or_default(),
            ids.join(", "),
            refusal.sentence.map(|sentence| format!(": {sentence}")).unwrap_or_default(),
        );
        Trouble {
            reason: refusal.code.reason,
            effect: if transient { Effect::Unknown } else { Effect::Refused },
            message,
            remedy: refusal.code.remedy.into(),
            code: name,
            trace_id,
            correlation_id,
            at,
            ..base
        }
    }

    fn unheard(self, error: &reqwest::Error) -> Trouble {
        let (what, remedy) = if error.is_timeout() {
            (
                "there was no answer in time",
                "Nothing: it is asked again. If it lasts, see what is slow on the way to Entra",
            )
        } else {
            (
                "there was no whole answer",
                "See that the cluster, and its proxy if there is one, reaches the cloud's sign-in host",
            )
        };
        Trouble {
            effect: if error.is_connect() { Effect::NotSent } else { Effect::Unknown },
            message: format!("{}: {what}: {}", self.doing(), chain(error)),
            remedy: remedy.into(),
            ..self.trouble(&HeaderMap::new())
        }
    }
}

/// What a class says of the credential that was tried.
const fn verdict(class: Class, trouble: Trouble) -> Verdict {
    match class {
        Class::Wrong | Class::Expired => Verdict::Refused(trouble),
        Class::Blocked => Verdict::Blocked(trouble),
        Class::Misasked | Class::Ours => Verdict::Misasked(trouble),
        Class::Throttled | Class::Unavailable | Class::Unknown => Verdict::Unheard(trouble),
    }
}

/// Takes a secret out of a message, should whatever answered have repeated it in what looks like Entra's own sentence.
fn hush(verdict: &mut Verdict, secret: &SecretString) {
    let (Verdict::Blocked(trouble)
    | Verdict::Refused(trouble)
    | Verdict::Misasked(trouble)
    | Verdict::Unheard(trouble)) = verdict
    else {
        return;
    };
    if !secret.expose_secret().is_empty() {
        trouble.message = trouble.message.replace(secret.expose_secret(), "<secret>");
    }
}

/// An error and what it came from, the address left out: the message has said what was asked.
fn chain(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut said = vec![];
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    if said.is_empty() { error.to_string() } else { said.join(": ") }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|time| time.timestamp())
}

/// How long a service asks us to wait: seconds, or a time, which is measured by the service's own clock if it tells it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let said = header(headers, RETRY_AFTER.as_str())?.trim();
    let until = || {
        let now = header(headers, DATE.as_str()).and_then(http_date).unwrap_or_else(Timestamp::now);
        Some(Duration::try_from(http_date(said)?.duration_since(now)).unwrap_or_default())
    };
    said.parse().ok().map(Duration::from_secs).or_else(until).map(|wait| wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entra::codes::CODES;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn we_wait_for_as_long_as_we_are_asked_to_but_never_for_more_than_an_hour() {
        let date = ("date", "Sat, 21 Nov 2026 08:00:00 GMT");
        let waits = |said: &str| retry_after(&headers(&[date, ("retry-after", said)])).map(|wait| wait.as_secs());
        assert_eq!(waits("60"), Some(60));
        assert_eq!(waits("86400"), Some(3_600));
        assert_eq!(waits("Sat, 21 Nov 2026 08:01:30 GMT"), Some(90));
        assert_eq!(waits("Sat, 21 Nov 2026 07:00:00 GMT"), Some(0), "the time is over");
        assert_eq!(waits("Mon, 21 Nov 2044 07:00:00 GMT"), Some(3_600));
        assert_eq!((waits("soon"), waits("-5"), retry_after(&headers(&[date]))), (None, None, None));
    }

    #[test]
    fn only_what_is_about_the_credential_is_a_verdict_on_it() {
        let asked = Asked { tenant: TenantId(Uuid::nil()), client_id: ClientId(Uuid::nil()), request_id: Uuid::nil() };
        let refuses = |class| {
            matches!(verdict(class, asked.trouble(&HeaderMap::new())), Verdict::Refused(_) | Verdict::Blocked(_))
        };
        let about_it: Vec<Class> = Class::ALL.into_iter().filter(|class| refuses(*class)).collect();
        assert_eq!(about_it, [Class::Wrong, Class::Expired, Class::Blocked]);
        let transient = |class: &Class| matches!(class, Class::Throttled | Class::Unavailable);
        assert!(CODES.iter().all(|code| code.class != Class::Unknown), "a code in the table has a meaning");
        assert!(Class::ALL.iter().filter(|class| transient(class)).all(|class| !refuses(*class)));
    }
}
