//! A token endpoint that knows a list of secrets and whom it trusts, and nothing else, and a CONNECT proxy that leads
//! everybody to it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The endpoint; it is open as long as the runtime.
pub struct Endpoint {
    address: SocketAddr,
    /// The certificate of its CA.
    pub trust: String,
    door: Arc<Door>,
}

#[derive(Default)]
struct Door {
    known: Mutex<BTreeSet<String>>,
    /// The subjects whose tokens are accepted.
    trusted: Mutex<BTreeSet<String>>,
    /// The tokens that were presented, each once, and what they claim.
    presented: Mutex<Vec<(String, Value)>>,
    connections: AtomicUsize,
}

impl Endpoint {
    pub async fn open() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names = vec!["127.0.0.1".to_owned(), "login.microsoftonline.com".to_owned()];
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Arc::new(Door::default());
        tokio::spawn(accept(listener, Arc::new(tls).into(), Arc::clone(&door)));
        Self { address, trust: ca.pem(), door }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn knows(&self, secret: &str) {
        self.door.known.lock().unwrap().insert(secret.to_owned());
    }

    pub fn forgets(&self, secret: &str) {
        self.door.known.lock().unwrap().remove(secret);
    }

    pub fn trusts(&self, subject: &str) {
        self.door.trusted.lock().unwrap().insert(subject.to_owned());
    }

    pub fn distrusts(&self, subject: &str) {
        self.door.trusted.lock().unwrap().remove(subject);
    }

    /// What the tokens of a subject claim, each once, in the order in which they were presented.
    pub fn presented(&self, subject: &str) -> Vec<Value> {
        let presented = self.door.presented.lock().unwrap();
        presented.iter().map(|(_, claims)| claims.clone()).filter(|claims| claims["sub"] == subject).collect()
    }

    pub fn connections(&self) -> usize {
        self.door.connections.load(Ordering::Relaxed)
    }

    /// A proxy that opens a way here, whatever it is asked for, and that keeps what it was asked for.
    pub async fn proxy(&self) -> (String, Arc<Mutex<BTreeSet<String>>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, to) = (Arc::new(Mutex::default()), self.address);
        let asking = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, to, Arc::clone(&asking)));
            }
        });
        (url, asked)
    }
}

async fn tunnel(mut client: TcpStream, to: SocketAddr, asked: Arc<Mutex<BTreeSet<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    asked.lock().unwrap().insert(head.lines().next().unwrap().to_owned());
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let mut server = TcpStream::connect(to).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, door: Arc<Door>) {
    while let Ok((client, _)) = listener.accept().await {
        door.connections.fetch_add(1, Ordering::Relaxed);
        let (tls, door) = (tls.clone(), Arc::clone(&door));
        tokio::spawn(async move {
            let Ok(client) = tls.accept(client).await else { return };
            let answering = service_fn(|request| answer(request, &door));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(client), answering).await;
        });
    }
}

/// Bodies as in AZURE 4.1 and 4.2.
async fn answer(request: Request<Incoming>, door: &Door) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    assert!(path.ends_with("/oauth2/v2.0/token") && field("grant_type").unwrap() == "client_credentials");
    let (is_accepted, code, words) = match (field("client_secret"), field("client_assertion")) {
        (Some(secret), None) => (door.knows(&secret), 7_000_215, "Invalid client secret provided."),
        (None, Some(token)) => {
            let kind = field("client_assertion_type").unwrap();
            assert_eq!(kind, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
            (door.trusts(token), 700_213, "No matching federated identity record found.")
        }
        _ => panic!("neither a secret nor a token, or both"),
    };
    let (status, body) = if is_accepted {
        (200, json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "eyJ0"}))
    } else {
        let description = format!("AADSTS{code}: {words} Trace ID: t-1");
        let error = json!({
            "error": "invalid_client", "error_description": description, "error_codes": [code], "trace_id": "t-1",
        });
        (401, error)
    };
    Ok(Response::builder().status(status).body(Full::new(body.to_string().into())).unwrap())
}

impl Door {
    fn knows(&self, secret: &str) -> bool {
        self.known.lock().unwrap().contains(secret)
    }

    fn trusts(&self, token: String) -> bool {
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let is_trusted = self.trusted.lock().unwrap().contains(claims["sub"].as_str().unwrap());
        let mut presented = self.presented.lock().unwrap();
        if !presented.iter().any(|(before, _)| *before == token) {
            presented.push((token, claims));
        }
        is_trusted
    }
}
