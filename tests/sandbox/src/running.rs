//! The programs of a plane while they run: started in order, and awaited. Whoever waits also hears of a program that
//! ended instead, with the end of its log. What they are started with is not decided here.

use std::time::Duration;

use anyhow::Context;
use futures::future::select_all;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};

use crate::components::Components;
use crate::hold::{self, Held};

/// How long a plane may take until it serves; a machine under load takes much more than the usual two seconds.
const WITHIN: Duration = Duration::from_mins(1);

/// The programs that run; what is stopped is absent.
#[derive(Default)]
pub(crate) struct Running {
    pub(crate) etcd: Option<Held>,
    pub(crate) api: Option<Held>,
    /// The controller manager and the scheduler.
    clients: Vec<Held>,
}

impl Running {
    /// Starts all programs and returns when the plane serves; if it does not, nothing of it is left.
    pub(crate) async fn start(components: &Components, admin: &Client) -> anyhow::Result<Self> {
        let mut running = Self::default();
        if let Err(error) = running.bring_up(components, admin).await {
            running.kill().await?;
            return Err(error);
        }
        Ok(running)
    }

    async fn bring_up(&mut self, components: &Components, admin: &Client) -> anyhow::Result<()> {
        self.etcd = Some(components.etcd()?);
        self.api = Some(components.api_server()?);
        self.api_is_ready(components, admin).await?;
        self.clients = vec![components.controller_manager()?, components.scheduler()?];
        self.controllers_work(components, admin).await
    }

    /// Waits until the API server says that it is ready.
    pub(crate) async fn api_is_ready(&self, components: &Components, admin: &Client) -> anyhow::Result<()> {
        let asked_again = Duration::from_millis(50);
        let ready = async {
            // A poll, since an API server that is not there yet has no way to call us.
            while !matches!(tokio::time::timeout(Duration::from_secs(1), readyz(admin)).await, Ok(Ok(()))) {
                tokio::time::sleep(asked_again).await;
            }
            Ok(())
        };
        self.unless_one_ends("the API server is not ready", components, ready).await
    }

    /// Waits until a controller has done what every namespace needs before a pod can be created in it.
    async fn controllers_work(&self, components: &Components, admin: &Client) -> anyhow::Result<()> {
        let accounts: Api<ServiceAccount> = Api::default_namespaced(admin.clone());
        let present = await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some());
        let present = async { present.await.map(|_| ()).context("could not watch ServiceAccounts") };
        self.unless_one_ends("the namespace default has no ServiceAccount", components, present).await
    }

    /// Awaits `work`, unless it takes too long or one of the programs ends, in which case its log says why.
    async fn unless_one_ends(
        &self,
        meanwhile: &str,
        components: &Components,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let ends = self.all().map(|held| Box::pin(async move { (held.name(), held.ended().await) }));
        tokio::select! {
            done = work => done,
            ((name, status), ..) = select_all(ends) => {
                let log = components.run().log(name);
                anyhow::bail!("{name} ended ({}). The end of {}:\n{}", status?, log.display(), hold::tail(&log))
            }
            () = tokio::time::sleep(WITHIN) => {
                let log = components.run().log("kube-apiserver");
                anyhow::bail!("{meanwhile} after {} s. The end of {}:\n{}", WITHIN.as_secs(), log.display(), hold::tail(&log))
            }
        }
    }

    /// Kills every program and waits until all are gone.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        futures::future::try_join_all(self.all().map(Held::kill)).await?;
        *self = Self::default();
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Held> {
        self.etcd.iter().chain(&self.api).chain(&self.clients)
    }
}

async fn readyz(admin: &Client) -> anyhow::Result<()> {
    admin.request_text(hyper::Request::get("/readyz").body(vec![])?).await?;
    Ok(())
}
