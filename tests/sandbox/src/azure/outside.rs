//! Somebody else who issues tokens, as GitHub does: it publishes its metadata and keys over TLS on a port of 127.0.0.1,
//! signs tokens for whomever it is told to, changes its key, and can be out of reach. Entra trusts its certificate as it
//! trusts any public one. It knows nothing of Azure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use anyhow::Context;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::call::json;
use super::signing::SigningKey;
use crate::answers::{self, Cut};
use crate::journal::{self, Journal};
use crate::listen::Door;
use crate::pki::Ca;
use crate::weather::Answered;

/// How the journal calls it.
pub const ISSUER: &str = "issuer";
/// How long a token is good for.
const LIFE: SignedDuration = SignedDuration::from_mins(10);
const METADATA: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/.well-known/jwks";

/// An outside issuer; clones are the same. When the last is dropped it is closed.
#[derive(Clone)]
pub struct OutsideIssuer(Arc<Inside>);

struct Inside {
    url: String,
    acceptor: TlsAcceptor,
    key: RwLock<SigningKey>,
    away: AtomicBool,
    journal: Journal,
    _open: DropGuard,
}

impl OutsideIssuer {
    pub(super) async fn open(ca: &Ca) -> anyhow::Result<Self> {
        let acceptor = Arc::new(ca.leaf("outside issuer", &["127.0.0.1"])?.server()?).into();
        let (door, open) = (Door::new("an outside issuer").await?, CancellationToken::new());
        let inside = Inside {
            url: format!("https://{}", door.address),
            acceptor,
            key: RwLock::new(SigningKey::new()?),
            away: AtomicBool::new(false),
            journal: Journal::default(),
            _open: open.clone().drop_guard(),
        };
        let issuer = Self(Arc::new(inside));
        let here = Arc::downgrade(&issuer.0);
        tokio::spawn(door.serve(open, move |client| serve(here.clone(), client)));
        Ok(issuer)
    }

    /// What it calls itself, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// What was asked of it: whoever fetches its keys is here.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// A token for somebody, good from now on for ten minutes.
    pub fn mint(&self, subject: &str, audience: &str) -> anyhow::Result<String> {
        let now = Timestamp::now();
        self.mint_with(&json!({
            "iss": self.url(),
            "sub": subject,
            "aud": audience,
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "exp": (now + LIFE).as_second(),
        }))
    }

    /// A token that says just this.
    pub fn mint_with(&self, claims: &Value) -> anyhow::Result<String> {
        let key = self.0.key.read().unwrap_or_else(PoisonError::into_inner);
        key.sign(&json!({"alg": "RS256", "typ": "JWT", "kid": key.id()}), claims)
    }

    /// Signs with another key from now on, and publishes that alone.
    pub fn rotate(&self) -> anyhow::Result<()> {
        let new = SigningKey::new()?;
        *self.0.key.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Answers nobody from now on.
    pub fn go_away(&self) {
        self.0.away.store(true, Ordering::Relaxed);
    }

    /// Answers again.
    pub fn come_back(&self) {
        self.0.away.store(false, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for OutsideIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutsideIssuer({})", self.url())
    }
}

async fn serve(issuer: Weak<Inside>, client: TcpStream) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let acceptor = {
        let issuer = issuer.upgrade().context("the outside issuer is closed")?;
        anyhow::ensure!(!issuer.away.load(Ordering::Relaxed), "the outside issuer is away");
        issuer.acceptor.clone()
    };
    let client = acceptor.accept(client).await.context("a client of the outside issuer did not agree on TLS")?;
    let issuer = &issuer;
    let answering = service_fn(|request| async move {
        let issuer = issuer.upgrade().ok_or(Cut("since the outside issuer is closed"))?;
        issuer.answer(&request)
    });
    Ok(http1::Builder::new().serve_connection(TokioIo::new(client), answering).await?)
}

impl Inside {
    fn answer(&self, request: &Request<Incoming>) -> Answered {
        let path = request.uri().path();
        let (service, verb) = (ISSUER.to_owned(), request.method().as_str().to_ascii_lowercase());
        let asked = journal::Request { service, verb, path: path.to_owned(), ..journal::Request::default() };
        let entry = self.journal.open(&asked, None);
        if self.away.load(Ordering::Relaxed) {
            return Err(Cut("since the outside issuer is away"));
        }
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        let answer = match path {
            METADATA => json(StatusCode::OK, &self.metadata()),
            KEYS => json(StatusCode::OK, &json!({"keys": [key.jwk()]})),
            _ => json(StatusCode::NOT_FOUND, &Value::Null),
        };
        entry.answered(answer.status().as_u16());
        Ok(answer.map(|body: Bytes| answers::whole(body)))
    }

    fn metadata(&self) -> Value {
        json!({
            "issuer": self.url,
            "jwks_uri": format!("{}{KEYS}", self.url),
            "subject_types_supported": ["public"],
            "response_types_supported": ["id_token"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }
}
