//! The sign-ins of a container: again and again, with exactly what it holds at that moment, and nothing kept from
//! before, since a token that was cached would hide a refusal. All containers of an agent share a pool of connections.
//! It testifies, and never tries harder because it was refused.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::sync::watch;

use super::credential::{Credential, Proof};
use crate::azure::Form;
use crate::witness::{Cause, Testimony};

/// By what name pods ask for tokens, so that their requests can be told from others'.
pub const USER_AGENT: &str = "keywright-sandbox-pod";

/// What a token is that is presented as an assertion, AZURE 4.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An answer longer than this is none.
const LONGEST_ANSWER: usize = 64 * 1024;

/// How pods sign in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// How often, if the pod does not say; each time it is up to a fifth earlier or later.
    pub every: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The certificates of the authorities that token endpoints are checked against, in PEM; no others are trusted.
    pub trust: String,
    /// The CONNECT proxy to go through, so that real host names work: `http://127.0.0.1:3128`.
    pub proxy: Option<String>,
    /// Whether every sign-in opens a connection of its own; otherwise connections are kept and shared.
    pub fresh_connections: bool,
    /// What tokens are asked for.
    pub scope: String,
}

impl Default for SignIn {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            trust: String::new(),
            proxy: None,
            fresh_connections: false,
            scope: "https://graph.microsoft.com/.default".to_owned(),
        }
    }
}

/// What a container holds now, and how often it signs in with it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) credential: Option<(Arc<Credential>, Arc<Testimony>)>,
    pub(crate) every: Duration,
}

/// The way to token endpoints.
pub(crate) struct Door {
    pool: Pool,
    timeout: Duration,
    scope: String,
}

enum Pool {
    Straight(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    Tunnelled(Client<HttpsConnector<Tunnel<HttpConnector>>, Full<Bytes>>),
}

/// What came of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Refused { cause: Cause, status: Option<u16>, trace_id: Option<String>, description: String },
}

impl Door {
    pub(crate) fn new(options: &SignIn) -> anyhow::Result<Self> {
        let tls = HttpsConnectorBuilder::new().with_tls_config(trusting(&options.trust)?).https_only();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(30));
        if options.fresh_connections {
            builder.pool_max_idle_per_host(0);
        }
        let tls = tls.enable_http1();
        let pool = match &options.proxy {
            None => Pool::Straight(builder.build(tls.wrap_connector(http))),
            Some(proxy) => {
                let proxy: Uri = proxy.parse().with_context(|| format!("the proxy {proxy:?} is no URL"))?;
                Pool::Tunnelled(builder.build(tls.wrap_connector(Tunnel::new(proxy, http))))
            }
        };
        Ok(Self { pool, timeout: options.timeout, scope: options.scope.clone() })
    }

    /// Signs in once.
    async fn try_with(&self, credential: &Credential, form: Form) -> Verdict {
        let asked = tokio::time::timeout(self.timeout, self.ask(credential, form)).await;
        match asked {
            Ok(Ok((status, request_id, body))) => verdict(status, request_id, &body, credential),
            Ok(Err((stage, error))) => {
                let description = credential.without_secret(&chain(error.as_ref()));
                no_answer(stage, description)
            }
            Err(_) => no_answer("timeout", format!("no answer within {:?}", self.timeout)),
        }
    }

    async fn ask(
        &self,
        credential: &Credential,
        form: Form,
    ) -> Result<(u16, Option<String>, Bytes), (&'static str, Failure)> {
        let request = self.request(credential, form).map_err(|error| ("request", error.into()))?;
        let answered = match &self.pool {
            Pool::Straight(pool) => pool.request(request).await,
            Pool::Tunnelled(pool) => pool.request(request).await,
        };
        let answer =
            answered.map_err(|error| (if error.is_connect() { "connect" } else { "exchange" }, error.into()))?;
        let status = answer.status().as_u16();
        let request_id = answer.headers().get("x-ms-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await.map_err(|error| ("body", error))?;
        Ok((status, request_id, body.to_bytes()))
    }

    fn request(&self, credential: &Credential, how: Form) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", &credential.client);
        form.append_pair("scope", &self.scope);
        match &credential.proof {
            Proof::Secret(secret) => form.append_pair("client_secret", secret),
            Proof::Federated(token) => {
                form.append_pair("client_assertion_type", JWT_BEARER).append_pair("client_assertion", token)
            }
            Proof::Certificate(bearer) => {
                let assertion = bearer.assertion(&credential.client, &credential.endpoint(), how)?;
                form.append_pair("client_assertion_type", JWT_BEARER).append_pair("client_assertion", &assertion)
            }
        };
        let request = Request::post(credential.endpoint())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .body(Full::new(form.finish().into()))?;
        Ok(request)
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn trusting(pem: &str) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.context("what pods are to trust is no certificate in PEM")?;
        roots.add(certificate).context("rustls refuses a certificate that pods are to trust")?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().context("could not set up TLS for pods")?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Signs in at once, and then again and again, until it is dropped. Assertions are signed in either form by turns, so that
/// both let in whoever has a certificate.
pub(crate) async fn keep_signing_in(door: Arc<Door>, mut held: watch::Receiver<Held>) {
    let mut forms = [Form::Newer, Form::Older].into_iter().cycle();
    loop {
        let Held { credential, every } = held.borrow_and_update().clone();
        let Some((credential, testimony)) = credential else {
            match held.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        match door.try_with(&credential, forms.next().unwrap_or(Form::Newer)).await {
            Verdict::Accepted => testimony.accepted(),
            Verdict::Refused { cause, status, trace_id, description } => {
                testimony.refused(Timestamp::now(), cause, status, trace_id, description);
            }
        }
        drop((credential, testimony));
        tokio::time::sleep(every.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
    }
}

/// The parts of an answer that count; Entra's errors have them all, AZURE 4.2.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    access_token: String,
    error_description: String,
    error_codes: Vec<u32>,
    trace_id: Option<String>,
}

/// Entra answers in JSON, but throttles in plain text too (AZURE 2), and proxies say what they like.
fn verdict(status: u16, request_id: Option<String>, body: &[u8], credential: &Credential) -> Verdict {
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    let text = match &answer {
        Some(answer) => answer.error_description.clone(),
        None => String::from_utf8_lossy(body).chars().take(200).collect(),
    };
    let answer = answer.unwrap_or_default();
    if status == 200 && !answer.access_token.is_empty() {
        return Verdict::Accepted;
    }
    let code = answer.error_codes.first().copied().or_else(|| code_in(&text));
    Verdict::Refused {
        cause: code.map_or(Cause::Http(status), Cause::Aadsts),
        status: Some(status),
        trace_id: answer.trace_id.or(request_id),
        description: credential.without_secret(&text),
    }
}

/// `AADSTS7000215: Invalid client secret provided. …`
fn code_in(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn no_answer(stage: &str, description: String) -> Verdict {
    Verdict::Refused { cause: Cause::Transport(stage.to_owned()), status: None, trace_id: None, description }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let (mut told, mut cause) = (vec![error.to_string()], error.source());
    while let Some(error) = cause {
        told.push(error.to_string());
        cause = error.source();
    }
    told.join(": ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn credential() -> Credential {
        let [authority, tenant, client] = ["https://login.example", "t", "c"].map(str::to_owned);
        Credential { authority, tenant, client, proof: Proof::Secret("a~b c".into()) }
    }

    fn refused(status: u16, body: &str) -> (Cause, Option<String>, String) {
        match verdict(status, Some("from a header".into()), body.as_bytes(), &credential()) {
            Verdict::Refused { cause, trace_id, description, .. } => (cause, trace_id, description),
            Verdict::Accepted => panic!("{status} {body} was accepted"),
        }
    }

    async fn sent(credential: &Credential) -> String {
        let request = Door::new(&SignIn::default()).unwrap().request(credential, Form::Newer).unwrap();
        assert_eq!(request.uri(), "https://login.example/t/oauth2/v2.0/token");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8_lossy(&body).into_owned()
    }

    #[tokio::test]
    async fn the_secret_is_url_encoded_as_azure_4_1_asks() {
        assert_eq!(
            sent(&credential()).await,
            "grant_type=client_credentials&client_id=c&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default&client_secret=a%7Eb+c"
        );
    }

    #[tokio::test]
    async fn a_federated_token_is_an_assertion_as_azure_4_1_asks() {
        let federated = Credential { proof: Proof::Federated("e30.e30.c2ln".into()), ..credential() };
        assert_eq!(
            sent(&federated).await,
            "grant_type=client_credentials&client_id=c&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default\
             &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
             &client_assertion=e30.e30.c2ln"
        );
    }

    #[test]
    fn only_a_token_is_a_token() {
        let token = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "eyJ0"}).to_string();
        assert_eq!(verdict(200, None, token.as_bytes(), &credential()), Verdict::Accepted);
        assert_eq!(refused(200, "{}").0, Cause::Http(200));
        assert_eq!(refused(201, &token).0, Cause::Http(201));
    }

    #[test]
    fn a_refusal_has_the_code_and_the_trace_id_of_azure_4_2() {
        let body = json!({
            "error": "invalid_client", "error_codes": [7_000_215], "trace_id": "t-1",
            "error_description": "AADSTS7000215: Invalid client secret provided. You sent a~b c.",
        });
        let told = "AADSTS7000215: Invalid client secret provided. You sent (the secret).".to_owned();
        assert_eq!(refused(401, &body.to_string()), (Cause::Aadsts(7_000_215), Some("t-1".into()), told));
        let without_codes = json!({"error_description": "AADSTS90033: A transient error has occurred."});
        assert_eq!(refused(503, &without_codes.to_string()).0, Cause::Aadsts(90033));
    }

    #[test]
    fn throttling_may_be_plain_text_as_in_azure_2() {
        let (cause, trace_id, description) = refused(429, "Too Many Requests");
        assert_eq!((cause, description.as_str()), (Cause::Http(429), "Too Many Requests"));
        assert_eq!(trace_id.as_deref(), Some("from a header"));
    }

    /// AZURE 9: official SDKs refuse it before anything is sent.
    #[tokio::test]
    async fn an_authority_without_tls_is_not_asked() {
        let mut plain = credential();
        plain.authority = "http://127.0.0.1:1".into();
        let Verdict::Refused { description, .. } =
            Door::new(&SignIn::default()).unwrap().try_with(&plain, Form::Newer).await
        else {
            panic!("nobody is there")
        };
        assert!(description.contains("unsupported scheme http"), "{description}");
    }

    #[tokio::test]
    async fn without_a_connection_there_is_no_answer() {
        let mut away = credential();
        away.authority = "https://127.0.0.1:1".into();
        let Verdict::Refused { cause, status, .. } =
            Door::new(&SignIn::default()).unwrap().try_with(&away, Form::Newer).await
        else {
            panic!("nobody is there")
        };
        assert_eq!((cause, status), (Cause::Transport("connect".into()), None));
    }
}
