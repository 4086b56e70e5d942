//! Azure, as far as credentials of applications go: an honest opponent that lags, flaps, refuses and forgets as the real
//! services do. What it answers is in AZURE.md's paragraphs, which its tests name. It is started, spoken to over TLS at
//! real host names or at free endpoints, tampered with by its administrator, and asked for its log. It knows nothing of
//! Kubernetes, and nothing of who asks.
//!
//! The rooms, in the order in which they know each other: `dice`, `replicas`, `quotas`, `federated`, `x509`,
//! `certificates`, `applications`, `principals`, `usage`, `log`, `tenants`, `directory` (pure); `call`, `clouds`, `signing`,
//! `bearer`, `self_signed`, `tokens`, `issuers`; `token`, `graph`, `vault` (the services); `outside`; `server`; `administrator`.

mod administrator;
mod applications;
mod bearer;
mod call;
mod certificates;
mod clouds;
mod dice;
mod directory;
mod federated;
mod graph;
mod issuers;
mod log;
mod made_up;
mod outside;
mod principals;
mod quotas;
mod replicas;
mod self_signed;
mod server;
mod signing;
mod tenants;
mod token;
mod tokens;
mod usage;
mod vault;
mod x509;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use jiff::SignedDuration;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::administrator::{Draft, NewApplication, Rival, Seeded};
pub use self::applications::{Application, Audience, NewPassword, Password, Policies, Principal};
pub(crate) use self::bearer::{Bearer, Form};
pub use self::certificates::{Certificate, CertificateEntry};
pub use self::clouds::{GRAPH, Service, TOKEN, VAULT};
use self::directory::Directory;
pub use self::federated::{Federated, NewFederated};
use self::issuers::Issuers;
pub use self::log::{Actor, Cause, Change, RefusedSignIn, What};
pub use self::outside::{ISSUER, OutsideIssuer};
pub use self::quotas::{Limit, Limits};
pub use self::replicas::Lag;
pub use self::self_signed::SelfSigned;
use self::server::{Free, Room};
pub use self::tenants::Weather;
use self::tokens::Tokens;
use self::vault::Vaults;
pub use self::vault::{Access, Action, Grant, Network, Role, SecretChange, SecretEdit, SecretWhat, VaultSettings};
pub use self::x509::X509;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::listen::Door;
use crate::pki::{self, Ca};

/// What may be chosen about an Azure.
#[derive(Clone, Debug)]
pub struct Options {
    /// How slow replicas are, against what was measured of the real ones: 1 is as slow, 0 knows everything at once.
    pub scale: f64,
    /// On how many replicas each application lives.
    pub replicas: usize,
    /// Where chance begins.
    pub seed: u64,
    /// For how long the keys of those who issue federated tokens are kept (AZURE 7: up to an hour, it is said).
    pub keys_kept: SignedDuration,
    /// The folder for the CA's file; by default the system's for temporary files.
    pub dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { scale: 1.0, replicas: 3, seed: 1, keys_kept: SignedDuration::from_hours(1), dir: None }
    }
}

/// A running Azure; clones are the same. When the last is dropped it is closed, and the CA's file removed.
#[derive(Clone)]
pub struct Azure(Arc<Inside>);

struct Inside {
    room: Arc<Room>,
    endpoints: Endpoints,
    ca: Ca,
    ca_file: CaFile,
    _open: DropGuard,
}

/// Where Azure is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// What goes into `HTTPS_PROXY`: behind it are the real host names of every cloud.
    pub proxy: String,
    /// The token endpoint for a custom cloud, an authority host.
    pub authority: String,
    /// Graph for a custom cloud.
    pub graph: String,
    /// Key Vault for a custom cloud; a vault is at this address, a slash, and its name. Clients that take a vault for a
    /// host reach it at `https://<name>.` and [`Endpoints::vault_suffix`].
    pub vault: String,
    /// What follows the name of a vault that is a host: `vault.localhost:40123`. Not every system resolves such names,
    /// but the CONNECT proxy knows them too.
    pub vault_suffix: String,
    /// The administrator, without TLS: see [`Azure`]'s methods, which it offers as JSON.
    pub admin: String,
}

/// A file that is removed with its owner.
struct CaFile(PathBuf);

impl Drop for CaFile {
    fn drop(&mut self) {
        // It lies among temporary files; nobody is harmed if it stays.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Azure {
    /// Opens all doors. Its tasks belong to the calling runtime and end with it.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let ca = Ca::new()?;
        let dir = options.dir.unwrap_or_else(std::env::temp_dir);
        let ca_file = CaFile(dir.join(format!("keywright-azure-{}.pem", pki::random_word()?)));
        std::fs::write(&ca_file.0, ca.pem()).with_context(|| format!("could not write {}", ca_file.0.display()))?;
        let names = clouds::all_names();
        let names: Vec<&str> = names.iter().map(String::as_str).chain(["127.0.0.1", "localhost"]).collect();
        let acceptor = Arc::new(ca.leaf("keywright sandbox azure", &names)?.server()?).into();

        let (proxy, authority) = (Door::new("Azure's proxy").await?, Door::new("the token endpoint").await?);
        let (graph, vault) = (Door::new("Graph").await?, Door::new("Key Vault").await?);
        let admin = Door::new("Azure's administrator").await?;
        let https = |address: SocketAddr| format!("https://{address}");
        let endpoints = Endpoints {
            proxy: format!("http://{}", proxy.address),
            authority: https(authority.address),
            graph: https(graph.address),
            vault: https(vault.address),
            vault_suffix: format!("{}:{}", clouds::FREE_VAULTS, vault.address.port()),
            admin: format!("http://{}", admin.address),
        };
        let weather = Weather::scaled(options.scale);
        let room = Arc::new(Room {
            directory: Directory::new(options.replicas, weather, options.seed),
            tokens: Tokens::new()?,
            issuers: Issuers::trusting(&ca.pem(), options.keys_kept)?,
            vaults: Vaults::new(options.scale, options.seed, endpoints.authority.clone()),
            journal: Journal::default(),
            faults: Faults::default(),
            acceptor,
            free: Free {
                graph: endpoints.graph.clone(),
                vault: endpoints.vault.clone(),
                vaults: format!("https://{}", endpoints.vault_suffix),
            },
            outside: Mutex::default(),
            rules: Mutex::default(),
        });
        let open = CancellationToken::new();
        let azure = Self(Arc::new(Inside { room, endpoints, ca, ca_file, _open: open.clone().drop_guard() }));
        let free = [(authority, Service::Token), (graph, Service::Graph), (vault, Service::Vault)];
        for (door, service) in free {
            let here = Arc::downgrade(&azure.0);
            tokio::spawn(
                door.serve(open.clone(), move |client| server::at_free_endpoint(here.clone(), client, service)),
            );
        }
        let here = Arc::downgrade(&azure.0);
        tokio::spawn(proxy.serve(open.clone(), move |client| server::through_proxy(here.clone(), client)));
        let here = Arc::downgrade(&azure.0);
        tokio::spawn(admin.serve(open, move |client| administrator::http::serve(here.clone(), client)));
        Ok(azure)
    }

    /// Where it is.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.0.endpoints
    }

    /// What goes into `SSL_CERT_FILE`: the certificate of its CA.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.0.ca_file.0
    }

    /// The certificate of its CA.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.0.ca.pem()
    }

    /// Trusts the certificates of whoever issues federated tokens, as it trusts public ones: of a cluster's API server,
    /// most likely.
    pub fn trust_issuers(&self, pem: &str) -> anyhow::Result<()> {
        self.0.room.issuers.trust(pem)
    }

    /// Somebody else who issues tokens, trusted already.
    pub async fn open_issuer(&self) -> anyhow::Result<OutsideIssuer> {
        OutsideIssuer::open(&self.0.ca).await
    }

    /// What was asked of it; services are [`TOKEN`], [`GRAPH`] and [`VAULT`]. The path of a vault begins with its name.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.0.room.journal
    }

    /// The rules in force.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.0.room.faults
    }
}

impl std::fmt::Debug for Azure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Azure({:?})", self.0.endpoints)
    }
}
