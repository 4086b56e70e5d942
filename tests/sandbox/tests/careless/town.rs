//! A plane with a node, an Azure, and teams: each with a tenant, an application, and a Deployment that signs in without
//! pause with what its pods hold.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use keywright_sandbox::azure::{self, Azure, NewApplication, NewPassword, Password, Seeded};
use keywright_sandbox::ledger::Ledger;
use keywright_sandbox::node::{self, SignIn};
use keywright_sandbox::witness::{Fingerprint, Testimonies};
use keywright_sandbox::{Nodes, Options, Plane};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::json;

/// Longer than anything takes on a machine under load.
const SOON: Duration = Duration::from_mins(2);

/// How long a node serves an old value.
const CACHE: Duration = Duration::from_secs(1);

pub struct Town {
    plane: Plane,
    azure: Azure,
    nodes: Nodes,
}

impl Town {
    pub async fn new() -> Self {
        let plane = Plane::start(Options::default()).await.unwrap();
        // A third as slow as the real one: a new secret is known everywhere after 1 to 6 seconds.
        let azure = Azure::start(azure::Options { scale: 0.33, ..azure::Options::default() }).await.unwrap();
        let sign_in = SignIn { every: Duration::from_millis(200), trust: azure.ca_pem(), ..SignIn::default() };
        let nodes = node::Options { cache_lag: CACHE, sign_in, ..node::Options::default() };
        let nodes = Nodes::start(&plane, nodes).await.unwrap();
        Self { plane, azure, nodes }
    }

    pub async fn close(self) {
        drop(self.nodes);
        self.plane.stop().await.unwrap();
    }

    /// A team whose pods sign in with a secret that is there of old.
    pub async fn team(&self, name: &'static str, pods: i32) -> Team<'_> {
        let client = self.plane.admin();
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
        let present = await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some());
        tokio::time::timeout(SOON, present).await.unwrap().unwrap();

        let tenant = self.azure.seed_tenant();
        let application = NewApplication { display_name: name.to_owned(), ..NewApplication::default() };
        let application = self.azure.seed_application(tenant, application).unwrap();
        let old = self.azure.seed_password(&application, NewPassword::default()).unwrap();
        let team = Team { town: self, name, pods, client, application, old, published: Mutex::default() };
        team.publish(&team.old).await;
        team.deploy().await;
        team
    }
}

pub struct Team<'a> {
    town: &'a Town,
    name: &'static str,
    pods: i32,
    client: Client,
    application: Seeded,
    old: Password,
    /// What was written to the Secret, and when: the ledger knows only what pods have held.
    published: Mutex<Vec<(Fingerprint, Timestamp)>>,
}

impl Team<'_> {
    async fn deploy(&self) {
        let container =
            json!({"name": "app", "image": "example.org/app", "envFrom": [{"secretRef": {"name": "entra"}}]});
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "app"},
            "spec": {
                "replicas": self.pods, "selector": {"matchLabels": {"app": "app"}},
                "template": {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [container]}},
            },
        }))
        .unwrap();
        self.deployments().create(&PostParams::default(), &deployment).await.unwrap();
        self.is_rolled_out().await;
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), self.name)
    }

    async fn is_rolled_out(&self) {
        let pods = Some(self.pods);
        let done = move |deployment: Option<&Deployment>| {
            deployment.is_some_and(|deployment| {
                let status = deployment.status.clone().unwrap_or_default();
                status.observed_generation == deployment.metadata.generation
                    && status.updated_replicas == pods
                    && status.available_replicas == pods
                    && status.replicas == pods
            })
        };
        let done = await_condition(self.deployments(), "app", done);
        tokio::time::timeout(SOON, done).await.unwrap().unwrap();
    }

    pub fn mint(&self) -> Password {
        self.town.azure.add_password(&self.application, NewPassword::default()).unwrap()
    }

    /// Waits until every replica knows a secret. (A script cannot ask for that; the administrator of a simulator can.)
    pub async fn is_known(&self, password: &Password) {
        let credentials = self.ledger().verdict().credentials;
        let known = credentials.iter().find(|one| one.key_id == password.key_id).unwrap().known;
        let left = known.duration_since(Timestamp::now());
        tokio::time::sleep(Duration::try_from(left).unwrap_or_default() + Duration::from_millis(100)).await;
    }

    pub async fn publish(&self, password: &Password) {
        let data = json!({
            "AZURE_AUTHORITY_HOST": self.town.azure.endpoints().authority,
            "AZURE_TENANT_ID": self.application.tenant, "AZURE_CLIENT_ID": self.application.client_id,
            "AZURE_CLIENT_SECRET": password.value,
        });
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "entra"}, "stringData": data});
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), self.name);
        secrets.patch("entra", &PatchParams::apply("script").force(), &Patch::Apply(secret)).await.unwrap();
        self.published.lock().unwrap().push((password.fingerprint, Timestamp::now()));
    }

    /// Waits until no node serves an older value from its cache.
    pub async fn nodes_serve_it(&self) {
        tokio::time::sleep(2 * CACHE).await;
    }

    pub async fn restart(&self) {
        let restarted = json!({"spec": {"template": {"metadata": {"annotations": {"restarted": Timestamp::now()}}}}});
        self.deployments().patch("app", &PatchParams::default(), &Patch::Merge(restarted)).await.unwrap();
        self.is_rolled_out().await;
    }

    pub async fn nobody_holds_the_old_one(&self) {
        let old = self.old.fingerprint;
        let nobody = |seen: &Testimonies| seen.holders_of(old).next().is_none();
        self.town.nodes.witnesses().wait_for(nobody, SOON).await.unwrap();
    }

    pub fn revoke_the_old_one(&self) {
        self.town.azure.remove_password(&self.application, self.old.key_id).unwrap();
    }

    pub async fn somebody_is_refused(&self) {
        let name = self.name;
        let refused = |seen: &Testimonies| seen.refusals.iter().any(|refusal| refusal.who.namespace == name);
        self.town.nodes.witnesses().wait_for(refused, SOON).await.unwrap();
    }

    /// Waits until the pods that there are have signed in fifty times more.
    pub async fn sign_in_for_a_while(&self) {
        let name = self.name;
        let accepted = move |seen: &Testimonies| -> u64 {
            seen.held().filter(|one| one.who.namespace == name).map(|one| one.accepted).sum()
        };
        let before = self.town.nodes.witnesses().read(accepted);
        self.town.nodes.witnesses().wait_for(|seen| accepted(seen) >= before + 50, SOON).await.unwrap();
    }

    pub fn ledger(&self) -> Ledger {
        let ledger = self.town.azure.ledger(self.application.tenant, self.town.nodes.witnesses()).unwrap();
        let published = self.published.lock().unwrap();
        published.iter().fold(ledger, |ledger, (fingerprint, since)| ledger.published(*fingerprint, *since))
    }
}
