//! The doors of Azure, and one way through all of them: a request is journalled, done to as the rules have it, and handed
//! to its service whole. Behind real host names there is a CONNECT proxy that ends TLS itself; behind the free endpoints
//! each service has a port. It knows which service a request is for, and nothing of what services do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::Context;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::administrator::http::Rules;
use super::call::{Answer, Call};
use super::clouds::{self, FREE_VAULTS, Service};
use super::directory::Directory;
use super::issuers::Issuers;
use super::outside::OutsideIssuer;
use super::tokens::Tokens;
use super::vault::{self, Vaults};
use super::{Inside, graph, made_up, token};
use crate::answers::{self, Body, Cut};
use crate::faults::Faults;
use crate::journal::{self, Journal, Open};
use crate::weather::{self, Answered};

/// How the journal calls the CONNECT proxy.
const CONNECT: &str = "connect";
/// What comes before TLS is short.
const LONGEST_HEAD: usize = 8 * 1024;

/// What all doors share.
pub(super) struct Room {
    pub(super) directory: Directory,
    pub(super) tokens: Tokens,
    /// Those whose tokens are taken for secrets.
    pub(super) issuers: Issuers,
    pub(super) vaults: Vaults,
    pub(super) journal: Journal,
    pub(super) faults: Faults,
    pub(super) acceptor: TlsAcceptor,
    /// What tokens are for at the free endpoints.
    pub(super) free: Free,
    /// The outside issuers that were opened over HTTP.
    pub(super) outside: Mutex<Vec<OutsideIssuer>>,
    /// The rules that were added over HTTP.
    pub(super) rules: Mutex<Rules>,
}

/// The addresses of Graph and Key Vault at the free endpoints, which are audiences as well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Free {
    /// Graph.
    pub(crate) graph: String,
    /// Key Vault, with a vault's name in the path.
    pub(crate) vault: String,
    /// Key Vault, with a vault's name before the host.
    pub(crate) vaults: String,
}

/// Behind which door a connection is.
#[derive(Clone, Debug)]
enum Behind {
    /// A real host name.
    Name(String),
    /// The free endpoint of a service.
    Free(Service),
}

/// A connection to the CONNECT proxy.
pub(super) async fn through_proxy(azure: Weak<Inside>, mut client: TcpStream) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let head = head(&mut client).await.context("a client of the CONNECT proxy said nothing")?;
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let known = azure.upgrade().context("Azure is closed")?.room.known(target);
    let refusal = match (method, known) {
        ("CONNECT", Some((service, behind))) => {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            return secured(azure, client, service, behind).await;
        }
        ("CONNECT", None) => (502, "Bad Gateway"),
        _ => (405, "Method Not Allowed"),
    };
    let azure = azure.upgrade().context("Azure is closed")?;
    let (service, verb) = (CONNECT.to_owned(), method.to_ascii_lowercase());
    let asked = journal::Request { service, verb, path: target.into(), ..journal::Request::default() };
    azure.room.journal.open(&asked, None).answered(refusal.0);
    let answer = format!("HTTP/1.1 {} {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", refusal.0, refusal.1);
    client.write_all(answer.as_bytes()).await?;
    Ok(client.shutdown().await?)
}

/// A connection to a free endpoint.
pub(super) async fn at_free_endpoint(azure: Weak<Inside>, client: TcpStream, service: Service) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    secured(azure, client, service, Behind::Free(service)).await
}

async fn secured(azure: Weak<Inside>, client: TcpStream, service: Service, behind: Behind) -> anyhow::Result<()> {
    let acceptor = azure.upgrade().context("Azure is closed")?.room.acceptor.clone();
    let client = acceptor.accept(client).await.context("a client of Azure did not agree on TLS")?;
    let (azure, behind) = (&azure, &behind);
    let answering = service_fn(|request| async move {
        let azure = azure.upgrade().ok_or(Cut("since Azure is closed"))?;
        Arc::clone(&azure.room).answer(request, service, behind).await
    });
    Ok(http1::Builder::new().serve_connection(TokioIo::new(client), answering).await?)
}

impl Room {
    /// The rules that were added over HTTP; they are whole at any moment, so a panic elsewhere does not spoil them.
    pub(super) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outside issuers that were opened over HTTP, by their numbers.
    pub(super) fn outside(&self) -> MutexGuard<'_, Vec<OutsideIssuer>> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a host and a port lead to. The name of a vault that does not exist leads nowhere: no name server knows it.
    fn known(&self, target: &str) -> Option<(Service, Behind)> {
        let (host, port) = target.rsplit_once(':')?;
        let host = host.to_ascii_lowercase();
        if clouds::vault_of(&host, FREE_VAULTS).is_some() {
            let is_here = self.free.vaults.ends_with(&format!(":{port}")) && self.vaults.exists(&host);
            return is_here.then_some((Service::Vault, Behind::Free(Service::Vault)));
        }
        let service = clouds::service_of(&host).filter(|_| port == "443")?;
        let is_here = service != Service::Vault || self.vaults.exists(&host);
        is_here.then_some((service, Behind::Name(host)))
    }

    /// Answers a request; [`Cut`] closes the connection instead.
    async fn answer(self: Arc<Self>, request: Request<Incoming>, service: Service, behind: &Behind) -> Answered {
        let call = Arc::new(whole(request, behind).await?);
        let path = match service {
            // Vaults are told apart by their names, which are not in their paths.
            Service::Vault => format!("/{}{}", call.host.split('.').next().unwrap_or_default(), call.path),
            Service::Token | Service::Graph => call.path.clone(),
        };
        let asked = journal::Request {
            service: service.name().into(),
            verb: verb(service, &call).into(),
            path,
            query: call.query.clone(),
            user_agent: call.header("user-agent").unwrap_or_default().into(),
        };
        let body = self.journal.keeps_bodies().then(|| String::from_utf8_lossy(&call.body).into_owned());
        let entry = Arc::new(self.journal.open(&asked, body));
        let action = self.faults.decide(&asked);
        let id = self.directory.lock().dice.uuid();
        let made_up = |status, retry_after, body| made_up::answer(service, &call, id, status, retry_after, body);
        let (room, asked, under) = (Arc::clone(&self), Arc::clone(&call), Arc::clone(&entry));
        let effect = async move { Ok(room.effect(service, &asked, &under).await) };
        weather::carry_out(action, &entry, effect, made_up).await
    }

    /// The service's own answer.
    async fn effect(&self, service: Service, call: &Call, entry: &Open) -> Response<Body> {
        let answer = self.served(service, call, Timestamp::now()).await;
        entry.answered(answer.status().as_u16());
        answer.map(answers::whole)
    }

    async fn served(&self, service: Service, call: &Call, now: Timestamp) -> Answer {
        let (directory, tokens) = (&self.directory, &self.tokens);
        match service {
            Service::Token => {
                token::Endpoint { directory, tokens, issuers: &self.issuers, free: &self.free }.answer(call, now).await
            }
            Service::Graph => graph::Endpoint { directory, tokens, free: &self.free.graph }.answer(call, now),
            Service::Vault => vault::Endpoint { vaults: &self.vaults, tokens, free: &self.free }.answer(call, now),
        }
    }
}

fn verb(service: Service, call: &Call) -> &'static str {
    match service {
        Service::Token => token::verb(&call.method, &call.path),
        Service::Graph => graph::verb(&call.method, &call.path),
        Service::Vault => vault::verb(&call.method, &call.path),
    }
}

/// The head of a request, up to the empty line.
async fn head(client: &mut TcpStream) -> anyhow::Result<String> {
    let mut head = vec![];
    // Byte by byte: what follows the empty line is TLS, and not ours to read.
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
        anyhow::ensure!(head.len() < LONGEST_HEAD, "the head of the request does not end");
    }
    Ok(String::from_utf8(head)?)
}

/// Reads a request whole, and finds out how it was addressed.
async fn whole(request: Request<Incoming>, behind: &Behind) -> Result<Call, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut("by the client, in the middle of its request"))?.to_bytes();
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    let authority = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let bare = authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase();
    let (origin, host, path) = match behind {
        Behind::Name(host) => (format!("https://{host}"), host.clone(), path),
        Behind::Free(Service::Vault) if clouds::vault_of(&bare, FREE_VAULTS).is_some() => {
            (format!("https://{authority}"), bare, path)
        }
        Behind::Free(Service::Vault) => {
            let path = path.trim_start_matches('/');
            let (name, path) = path.split_once('/').unwrap_or((path, ""));
            (format!("https://{authority}/{name}"), format!("{name}.{FREE_VAULTS}"), format!("/{path}"))
        }
        Behind::Free(_) => (format!("https://{authority}"), bare, path),
    };
    Ok(Call { method: head.method, origin, host, path, query, headers: head.headers, body })
}
