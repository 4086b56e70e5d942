//! A Kubernetes control plane of one's own: etcd, API server, controller manager and scheduler, started in order,
//! awaited until they serve, stopped without leaving anything. The API server can be stopped and started, etcd
//! snapshotted and restored. It has no nodes, and knows nothing of what runs against it, but that some of it ends with it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::{Mutex, MutexGuard};

use crate::components::Components;
use crate::kubeconfig::Access;
use crate::operator::Operator;
use crate::pki::{self, Ca};
use crate::programs::Programs;
use crate::proxy::Proxy;
use crate::run::RunDir;
use crate::running::Running;
use crate::snapshot;

/// How often a plane is begun anew because somebody took one of its ports.
const ATTEMPTS: usize = 5;

/// What may be chosen about a plane.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The directory of the run: new, empty, or an earlier run's, which is wiped. By default a new one below
    /// `target/sandbox/runs`.
    pub dir: Option<PathBuf>,
    /// Keep the directory after [`Plane::stop`].
    pub keep: bool,
    /// The programs, if not those of [`Programs::find`].
    pub programs: Option<Programs>,
}

/// Which way a client takes to the API server.
#[derive(Clone, Copy, Debug)]
pub enum Via<'a> {
    /// Straight.
    Direct,
    /// Through this proxy: journalled, and subject to its faults.
    Proxy(&'a Proxy),
}

/// A running control plane. Dropping it ends its programs as well, but keeps its directory, since whoever drops it
/// without [`Plane::stop`] has failed.
pub struct Plane {
    components: Components,
    ca: Ca,
    admin: Client,
    running: Mutex<Running>,
    /// Other people's controllers by name, which no restore ends: they see time run backwards like whoever else watches.
    guests: Mutex<BTreeMap<&'static str, Operator>>,
    keep: bool,
}

impl Plane {
    /// Starts a control plane and returns when it serves: the API server is ready, and the controllers have given
    /// the namespace `default` its ServiceAccount. Its programs belong to the calling runtime and end with it.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let programs = match options.programs {
            Some(programs) => programs,
            None => Programs::find().await?,
        };
        let run = RunDir::create(options.dir.as_deref())?;
        let dir = run.path().to_path_buf();
        let started = Self::start_in(run, programs, options.keep).await;
        started.with_context(|| format!("could not start a control plane; what it wrote is in {}", dir.display()))
    }

    async fn start_in(run: RunDir, programs: Programs, keep: bool) -> anyhow::Result<Self> {
        let ca = Ca::new()?;
        let mut components = Components::prepare(programs, run, &ca)?;
        let mut attempt = 1;
        loop {
            let admin = components.admin_client().await?;
            match Running::start(&components, &admin).await {
                Ok(running) => {
                    publish_issuer(&admin).await?;
                    let (running, guests) = (Mutex::new(running), Mutex::default());
                    return Ok(Self { components, ca, admin, running, guests, keep });
                }
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains("address already in use") => {
                    attempt += 1;
                    components.move_to_other_ports()?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The run's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.components.run().path()
    }

    /// The admin's kubeconfig, straight to the API server.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.components.kubeconfig()
    }

    /// The admin's client, straight to the API server, whom it obeys when it is told to come again. It belongs to the
    /// runtime that started the plane.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.admin.clone()
    }

    /// The API server's own address, which is also the issuer of its ServiceAccount tokens.
    #[must_use]
    pub fn url(&self) -> String {
        self.components.api()
    }

    /// The certificate of the CA by which the API server is known: what an Entra has to trust that is to fetch the
    /// issuer's keys.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// Writes a kubeconfig with a token of this ServiceAccount, which must exist; it is valid for a day.
    pub async fn kubeconfig_for(&self, namespace: &str, account: &str, via: Via<'_>) -> anyhow::Result<PathBuf> {
        let spec = TokenRequestSpec { expiration_seconds: Some(24 * 60 * 60), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin(), namespace);
        let issued = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let issued =
            issued.with_context(|| format!("could not get a token of ServiceAccount {namespace}/{account}"))?;
        let access = Access {
            server: match via {
                Via::Direct => self.url(),
                Via::Proxy(proxy) => proxy.url(),
            },
            ca: self.components.ca_file(),
            user: account.to_owned(),
            token: issued.status.and_then(|status| status.token).context("the API server answered without a token")?,
            namespace: namespace.to_owned(),
        };
        let name = format!("{namespace}-{account}-{}", pki::random_word()?);
        let file = self.dir().join("kubeconfigs").join(name);
        access.write(&file)?;
        Ok(file)
    }

    /// Stops the API server: it answers what it was asked already, but those who watch get only a second, since it
    /// would wait for them for a minute. What depends on it keeps running and keeps trying.
    pub async fn stop_api(&self) -> anyhow::Result<()> {
        if let Some(api) = self.running.lock().await.api.take() {
            api.end(Duration::from_secs(1)).await?;
        }
        Ok(())
    }

    /// Kills the API server (SIGKILL).
    pub async fn kill_api(&self) -> anyhow::Result<()> {
        if let Some(api) = self.running.lock().await.api.take() {
            api.kill().await?;
        }
        Ok(())
    }

    /// Starts the API server after it was stopped or killed, at the same address, and returns when it is ready.
    pub async fn start_api(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if running.api.is_none() {
            running.api = Some(self.components.api_server()?);
        }
        running.api_is_ready(&self.components, &self.admin).await.context("could not start the API server again")
    }

    /// Keeps a copy of etcd's data under `name`.
    ///
    /// Nothing is stopped for it: etcd stands still (SIGSTOP) while its files are copied, which holds requests up for
    /// a fraction of a second. The copy is what etcd would find after a SIGKILL at that moment, from which it recovers
    /// every acknowledged write.
    pub async fn snapshot(&self, name: &str) -> anyhow::Result<()> {
        let running = self.running.lock().await;
        let etcd = running.etcd.as_ref().context("the plane is stopped")?;
        let taken = snapshot::take(etcd, &self.components, &self.snapshot_dir(name)).await;
        taken.with_context(|| format!("could not take snapshot {name:?} of etcd"))
    }

    /// Brings back what [`Plane::snapshot`] kept: every program is killed, etcd's data replaced, and all are started
    /// again at the same addresses; it returns when the plane serves. As after a true restore, time runs backwards for
    /// whoever watches: resource versions that clients have seen are in the future.
    pub async fn restore(&self, name: &str) -> anyhow::Result<()> {
        let kept = self.snapshot_dir(name);
        anyhow::ensure!(kept.is_dir(), "there is no snapshot {name:?} to restore: take it first");
        let mut running = self.running.lock().await;
        running.kill().await?;
        let restored = async {
            snapshot::put_back(&kept, &self.components.etcd_data()).await?;
            // Controllers, too, are new: what the old ones have cached is of another time line.
            *running = Running::start(&self.components, &self.admin).await?;
            anyhow::Ok(())
        };
        restored.await.with_context(|| format!("could not restore snapshot {name:?} of etcd"))
    }

    /// Ends every program and removes the run's directory, unless it is to be kept.
    pub async fn stop(&self) -> anyhow::Result<()> {
        // Nothing of it is needed any more, so nothing has to end in good order.
        for guest in std::mem::take(&mut *self.guests.lock().await).values() {
            guest.kill().await?;
        }
        self.running.lock().await.kill().await?;
        if self.keep { Ok(()) } else { self.components.run().remove() }
    }

    /// The programs that are to end with the plane.
    pub(crate) async fn guests(&self) -> MutexGuard<'_, BTreeMap<&'static str, Operator>> {
        self.guests.lock().await
    }

    fn snapshot_dir(&self, name: &str) -> PathBuf {
        self.dir().join("snapshots").join(name)
    }

    pub(crate) const fn components(&self) -> &Components {
        &self.components
    }

    pub(crate) fn ca(&self) -> &Ca {
        &self.ca
    }
}

/// Lets everybody read the metadata and the keys of the issuer of ServiceAccount tokens, as one has to whose pods sign in
/// by them: Entra has no account here.
async fn publish_issuer(admin: &Client) -> anyhow::Result<()> {
    let name = "sandbox:issuer-is-public";
    let group = "rbac.authorization.k8s.io".to_owned();
    let binding = ClusterRoleBinding {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        role_ref: RoleRef {
            api_group: Some(group.clone()),
            kind: "ClusterRole".into(),
            name: "system:service-account-issuer-discovery".into(),
        },
        subjects: Some(vec![Subject {
            api_group: Some(group),
            kind: "Group".into(),
            name: "system:unauthenticated".into(),
            namespace: None,
        }]),
    };
    let created = Api::all(admin.clone()).create(&PostParams::default(), &binding).await;
    created.map(drop).context("could not make the issuer of ServiceAccount tokens public")
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plane({})", self.dir().display())
    }
}
