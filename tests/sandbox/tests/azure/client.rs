//! A small HTTP client: a connection per request unless one is kept, through the CONNECT proxy for real host names and
//! straight for the free endpoints.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use keywright_sandbox::Azure;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An answer.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers)).to_str().unwrap()
    }

    /// The AADSTS code, or Graph's word for the error.
    pub fn code(&self) -> String {
        let json = self.json();
        let graph = json["error"]["code"].as_str().map(str::to_owned);
        graph.unwrap_or_else(|| json["error_codes"][0].to_string())
    }
}

/// Who asks.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    proxy: String,
}

/// A connection that is kept.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Client {
    pub fn of(azure: &Azure) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(azure.ca_file()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = Arc::new(builder.with_root_certificates(roots).with_no_client_auth()).into();
        let proxy = azure.endpoints().proxy.strip_prefix("http://").unwrap().to_owned();
        Self { tls, proxy }
    }

    pub async fn connect(&self, url: &str) -> anyhow::Result<Connection> {
        let authority = url.strip_prefix("https://").unwrap().split('/').next().unwrap();
        let (host, tcp) = match authority.rsplit_once(':') {
            Some((host, _)) if host.ends_with(".localhost") => (host, self.through_proxy(authority).await?),
            Some((host, _)) => (host, TcpStream::connect(authority).await?),
            None => (authority, self.through_proxy(&format!("{authority}:443")).await?),
        };
        tcp.set_nodelay(true)?;
        let tls = self.tls.connect(ServerName::try_from(host.to_owned())?, tcp).await?;
        let (sender, connection) = handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        Ok(Connection { sender, host: authority.to_owned() })
    }

    async fn through_proxy(&self, target: &str) -> anyhow::Result<TcpStream> {
        let mut tcp = TcpStream::connect(&self.proxy).await?;
        tcp.write_all(format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n").as_bytes()).await?;
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tcp.read_u8().await?);
        }
        let head = String::from_utf8(head)?;
        anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
        Ok(tcp)
    }

    /// Asks, and says what came of it even if nothing did.
    pub async fn try_send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Reply> {
        self.connect(url).await?.send(method, url, headers, body).await
    }

    pub async fn send(&self, method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.try_send(method, url, headers, body).await.unwrap()
    }
}

impl Connection {
    pub async fn send(
        &mut self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Reply> {
        let path = url.strip_prefix("https://").unwrap();
        let path = path.find('/').map_or("/", |slash| &path[slash..]);
        let request = Request::builder().method(method).uri(path).header("host", &self.host);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(Bytes::from(body.to_owned())))?).await?;
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, text })
    }
}
