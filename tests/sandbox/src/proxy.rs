//! A TLS proxy in front of the API server: it journals every request, and does to it what the rules say. For each
//! connection of a client it has one to the API server, opened before and closed with it, so that to the client an API
//! server that is gone looks as without a proxy. HTTP/1.1 only, no upgrades (`kubectl exec`), bodies streamed, tokens
//! passed on. It never changes what is asked or answered, other than by a fault.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::answers::{self, Body, Cut};
use crate::faults::Faults;
use crate::journal::{self, Journal, Open};
use crate::kubeconfig::Access;
use crate::listen::Door;
use crate::plane::Plane;
use crate::verbs::verb;
use crate::weather::{self, Answered};

/// How the journal and the rules call the API server.
pub const KUBERNETES: &str = "kubernetes";

/// A proxy of its own journal and rules; there may be many in front of one plane. Dropping it closes it.
pub struct Proxy {
    address: SocketAddr,
    journal: Journal,
    faults: Faults,
    admin: Access,
    _open: DropGuard,
}

/// What the connections of a proxy share.
struct Room {
    api: SocketAddr,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
    journal: Journal,
    faults: Faults,
}

impl Proxy {
    /// Opens a proxy in front of a plane. It stays while the API server is stopped and started.
    pub async fn start(plane: &Plane) -> anyhow::Result<Self> {
        let components = plane.components();
        let leaf = plane.ca().leaf("keywright sandbox proxy", &["127.0.0.1", "localhost"])?;
        let door = Door::new("a proxy").await?;
        let address = door.address;
        let (journal, faults) = (Journal::default(), Faults::default());
        let room = Room {
            api: (Ipv4Addr::LOCALHOST, components.api_port()).into(),
            connector: Arc::new(plane.ca().client()?).into(),
            acceptor: Arc::new(leaf.server()?).into(),
            journal: journal.clone(),
            faults: faults.clone(),
        };
        let open = CancellationToken::new();
        let room = Arc::new(room);
        tokio::spawn(door.serve(open.clone(), move |client| serve(client, Arc::clone(&room))));
        let admin =
            Access::admin(format!("https://{address}"), components.ca_file(), components.admin_token().to_owned());
        Ok(Self { address, journal, faults, admin, _open: open.drop_guard() })
    }

    /// Its address, as a kubeconfig names it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What was asked through it.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The rules in force; requests are those of the service [`KUBERNETES`].
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// A client with all rights that goes through this proxy, and does not retry.
    pub async fn admin(&self) -> anyhow::Result<kube::Client> {
        self.admin.client().await
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.address)
    }
}

/// One connection of a client, and the one to the API server that belongs to it.
async fn serve(client: TcpStream, room: Arc<Room>) -> anyhow::Result<()> {
    let (sender, upstream) = room.connect().await.context("the API server is not there")?;
    client.set_nodelay(true)?;
    let client = room.acceptor.accept(client).await.context("a client did not agree on TLS")?;
    // A request that is under way when the client leaves is still passed on: the last one to hold the sender ends it.
    let (room, sender, mut upstream) = (&room, &Arc::new(Mutex::new(sender)), tokio::spawn(upstream));
    let answering = service_fn(|request| async move { room.answer(request, sender).await });
    let served = http1::Builder::new().serve_connection(TokioIo::new(client), answering);
    tokio::pin!(served);
    tokio::select! {
        served = &mut served => return Ok(served?),
        _ = &mut upstream => {}
    }
    // The API server has closed its side: what it still answered is passed on, and the client's side closed too.
    served.as_mut().graceful_shutdown();
    Ok(served.await?)
}

impl Room {
    async fn connect(&self) -> anyhow::Result<(SendRequest<Body>, impl Future<Output = hyper::Result<()>> + use<>)> {
        let tcp = TcpStream::connect(self.api).await?;
        tcp.set_nodelay(true)?;
        let tls = self.connector.connect(ServerName::from(self.api.ip()), tcp).await?;
        Ok(handshake(TokioIo::new(tls)).await?)
    }

    /// Answers a request; [`Cut`] closes the connection instead.
    async fn answer(&self, request: Request<Incoming>, api: &Arc<Mutex<SendRequest<Body>>>) -> Answered {
        let asked = asked(&request);
        let (request, body) = self.body_of(request).await?;
        let entry = Arc::new(self.journal.open(&asked, body));
        let action = self.faults.decide(&asked);
        let effect = forward(request, Arc::clone(api), Arc::clone(&entry));
        weather::carry_out(action, &entry, effect, answers::made_up).await
    }

    /// Streams the body on, unless the journal wants to see it first.
    async fn body_of(&self, request: Request<Incoming>) -> Result<(Request<Body>, Option<String>), Cut> {
        let (head, body) = request.into_parts();
        if !self.journal.keeps_bodies() {
            return Ok((Request::from_parts(head, answers::streamed(body)), None));
        }
        let whole = body.collect().await.map_err(|_| Cut("by the client, in the middle of its request"))?.to_bytes();
        let text = String::from_utf8_lossy(&whole).into_owned();
        Ok((Request::from_parts(head, answers::whole(whole)), Some(text)))
    }
}

/// Has the request carried out by the API server.
async fn forward(request: Request<Body>, api: Arc<Mutex<SendRequest<Body>>>, entry: Arc<Open>) -> Answered {
    let response = api.lock().await.send_request(request).await.map_err(|_| Cut("by the API server"))?;
    entry.answered(response.status().as_u16());
    Ok(response.map(answers::streamed))
}

/// What the journal and the rules get to know of a request: nothing that could be a secret.
fn asked(request: &Request<Incoming>) -> journal::Request {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let user_agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    journal::Request {
        service: KUBERNETES.into(),
        verb: verb(request.method().as_str(), path, query),
        path: path.into(),
        query: query.into(),
        user_agent: user_agent.unwrap_or_default().into(),
    }
}
