//! The proof of a credential: one raw token request, on a connection of its own, through no cache. Servers of Entra learn
//! of a change one by one, so that a kept connection would ask the same one again and a kept token nobody at all. What
//! comes back is a verdict; the token is dropped unread, and neither it nor what was presented for it is ever printed.

use jiff::Timestamp;
use reqwest::{
    ClientBuilder, Response, StatusCode,
    header::{ACCEPT, HeaderMap},
    redirect,
};
use secrecy::SecretString;
use serde_json::Value;
use uuid::{Builder, Uuid};

use super::{
    codes::{Class, Refusal},
    key::Key,
    presented::Presented,
};
use crate::{
    api::{
        ClientId, Reason, TenantId,
        values::{HttpsUrl, Scope},
    },
    facts::{Claims, Effect, Service, Trouble, Verdict},
    wire::{self, Told, Way, effect::causes},
};

/// No answer of Entra's is nearly as long; what is longer is somebody else's page.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What a client for proofs has that others have not: it keeps no connection, and it carries no secret to where a
/// redirect points. Time limits, proxies and certificates are the caller's.
pub fn for_proofs(builder: ClientBuilder) -> ClientBuilder {
    builder.pool_max_idle_per_host(0).redirect(redirect::Policy::none())
}

/// Signs in once as an application with what it has, and says what that has shown. `http` is built
/// [`for_proofs`].
pub async fn sign_in(
    http: &reqwest::Client,
    authority: &HttpsUrl,
    tenant: TenantId,
    client_id: ClientId,
    key: &Key,
    scope: &Scope,
) -> Verdict {
    let asked = Asked::new(tenant, client_id);
    let statement = key.statement(client_id, &token_url(authority, tenant));
    match key.presented(statement.as_ref()) {
        Some(presented) => asked.ask(http, authority, presented, scope).await,
        None => Verdict::Unheard(asked.unsigned()),
    }
}

/// The same on a connection of its own, unless the tenant is known not to answer, or the application has signed in too
/// often for that.
pub async fn prove(
    wire: &wire::Client,
    authority: &HttpsUrl,
    tenant: TenantId,
    client_id: ClientId,
    key: &Key,
    scope: &Scope,
) -> Verdict {
    let asked = Asked::new(tenant, client_id);
    let statement = key.statement(client_id, &token_url(authority, tenant));
    match key.presented(statement.as_ref()) {
        Some(presented) => asked.prove(wire, authority, presented, scope).await,
        None => Verdict::Unheard(asked.unsigned()),
    }
}

/// The same with a token of somebody whom the application trusts, if it does: `expected` is what the federated credential
/// says that is to be proven. A token that says something else proves nothing about it, whoever accepts it.
pub async fn exchange(
    wire: &wire::Client,
    authority: &HttpsUrl,
    tenant: TenantId,
    client_id: ClientId,
    assertion: &SecretString,
    scope: &Scope,
    expected: &Claims,
) -> Verdict {
    Asked::new(tenant, client_id).prove(wire, authority, Presented::Token(assertion, expected), scope).await
}

/// Where tokens are issued, which is also whom a statement is for.
fn token_url(authority: &HttpsUrl, tenant: TenantId) -> String {
    format!("{}/{tenant}/oauth2/v2.0/token", authority.as_str().trim_end_matches('/'))
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
    fn new(tenant: TenantId, client_id: ClientId) -> Self {
        Self { tenant, client_id, request_id: Builder::from_random_bytes(rand::random()).into_uuid() }
    }

    async fn prove(
        self,
        wire: &wire::Client,
        authority: &HttpsUrl,
        presented: Presented<'_>,
        scope: &Scope,
    ) -> Verdict {
        let Self { tenant, client_id, .. } = self;
        let doing = format!("sign in as application {client_id} in tenant {tenant}");
        let scopes = [wire::Scope::TokenRequests(tenant, Some(client_id))];
        let gone = wire.ways().go(Way::Tokens(tenant), &doing);
        let gone = gone.and_then(|passage| wire.quotas().take(Service::Token, &doing, &scopes).map(|()| passage));
        let passage = match gone {
            Ok(passage) => passage,
            Err(trouble) => return Verdict::Unheard(trouble),
        };
        let verdict = self.ask(wire.fresh(), authority, presented, scope).await;
        if !matches!(verdict, Verdict::Unheard(_)) {
            passage.answered();
        }
        verdict
    }

    async fn ask(
        self,
        http: &reqwest::Client,
        authority: &HttpsUrl,
        presented: Presented<'_>,
        scope: &Scope,
    ) -> Verdict {
        let Self { tenant, client_id, request_id } = self;
        let url = token_url(authority, tenant);
        let client_id = client_id.to_string();
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", &client_id)];
        form.extend(presented.form());
        form.push(("scope", scope.as_str()));
        let request = http.post(url).header(ACCEPT, "application/json");
        let request = request.header("client-request-id", request_id.to_string());
        let sent = request.header("return-client-request-id", "true").form(&form).send().await;
        let heard = match sent {
            Ok(response) => Heard::of(response).await,
            Err(error) => Err(error),
        };
        let verdict = match heard {
            Ok(heard) => self.verdict(&heard),
            Err(error) => Verdict::Unheard(self.unheard(&error)),
        };
        self.told(verdict, presented)
    }

    /// A verdict on what is to be proven, in words that explain it and repeat nothing of what was presented.
    fn told(self, verdict: Verdict, presented: Presented<'_>) -> Verdict {
        let hushed = |trouble: Trouble| Trouble { message: presented.hushed(trouble.message), ..trouble };
        match verdict {
            Verdict::Accepted if presented.is_what_is_proven() => Verdict::Accepted,
            Verdict::Accepted => Verdict::Misasked(self.accepted_by_another(presented)),
            Verdict::Blocked(trouble) => Verdict::Blocked(hushed(trouble)),
            Verdict::Refused(trouble) => {
                let trouble = hushed(trouble);
                let message = match presented.compared() {
                    Some(compared) => format!("{}. {compared}", trouble.message.trim_end_matches('.')),
                    None => trouble.message,
                };
                Verdict::Refused(Trouble { message, ..trouble })
            }
            Verdict::Misasked(trouble) => Verdict::Misasked(hushed(trouble)),
            Verdict::Unheard(trouble) => Verdict::Unheard(hushed(trouble)),
        }
    }

    fn accepted_by_another(self, presented: Presented<'_>) -> Trouble {
        let compared = presented.compared().unwrap_or_default();
        Trouble {
            reason: Reason::TokenDiffers,
            effect: Effect::Refused,
            message: format!(
                "could not prove a federated credential of application {} in tenant {}: Entra has accepted the token, but \
                 not by this one. {compared}",
                self.client_id, self.tenant
            ),
            remedy:
                "Keywright reads the cluster's issuer again by itself. If it lasts, see that all API servers have the \
                     same --service-account-issuer first"
                    .into(),
            ..self.trouble(&HeaderMap::new())
        }
    }

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
        let Told { at, retry_after } = Told::of(|name| header(headers, name), Timestamp::now());
        Trouble {
            reason: Reason::Unreachable,
            service: Service::Token,
            effect: Effect::Unknown,
            message: String::new(),
            remedy: String::new(),
            code: None,
            trace_id: header(headers, "x-ms-request-id").map(str::to_owned),
            correlation_id: Some(self.request_id.to_string()),
            at,
            retry_after,
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

    fn unsigned(self) -> Trouble {
        Trouble {
            reason: Reason::InternalError,
            effect: Effect::NotSent,
            message: format!("{}: the certificate's key could not sign", self.doing()),
            remedy: "Nothing: it is tried again. If it lasts, replace the certificate".into(),
            ..self.trouble(&HeaderMap::new())
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
            message: format!("{}: {what}: {}", self.doing(), causes(error)),
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

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{
        entra::codes::CODES,
        wire::{Limits, quotas::Limit},
    };

    /// Nothing is sent: the limit has no room.
    #[tokio::test]
    async fn an_application_that_signs_in_too_often_is_not_heard_and_nothing_is_said_of_its_secret() {
        let none = Limit { most: 0, per: Duration::from_secs(10) };
        let limits = Limits { token_requests: none, ..Limits::default() };
        let wire = wire::Client::new(wire::Settings { limits, ..wire::Settings::default() }).unwrap();
        let (tenant, client_id) = (TenantId(Uuid::nil()), ClientId(Uuid::nil()));
        let (authority, scope) =
            ("https://login.microsoftonline.com".into(), "https://graph.microsoft.com/.default".into());
        let verdict = prove(&wire, &authority, tenant, client_id, &Key::Secret("s3cret".into()), &scope).await;
        let Verdict::Unheard(trouble) = verdict else { panic!("{verdict:?}") };
        assert_eq!((trouble.reason, trouble.effect), (Reason::Throttled, Effect::NotSent));
        assert_eq!(trouble.retry_after, Some(Duration::from_secs(10)));
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

    /// Another federated credential of the application may accept the token; that proves nothing about this one.
    #[test]
    fn a_token_that_another_federated_credential_accepts_is_no_proof() {
        let asked = Asked::new(TenantId(Uuid::nil()), ClientId(Uuid::nil()));
        let payload = r#"{"iss": "https://oidc.example/B/", "sub": "system:serviceaccount:payments:api", "aud": "a"}"#;
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)).into();
        let of = |issuer: &str| Claims::of_account(issuer, "payments", "api", "a");
        let (this, another) = (of("https://oidc.example/A/"), of("https://oidc.example/B/"));
        assert_eq!(asked.told(Verdict::Accepted, Presented::Token(&token, &another)), Verdict::Accepted);
        let verdict = asked.told(Verdict::Accepted, Presented::Token(&token, &this));
        let Verdict::Misasked(trouble) = verdict else { panic!("{verdict:?}") };
        assert_eq!(trouble.reason, Reason::TokenDiffers);
        let sides =
            "the token says iss \"https://oidc.example/B/\", the federated credential \"https://oidc.example/A/\"";
        assert!(trouble.message.contains(sides), "{}", trouble.message);
    }
}
