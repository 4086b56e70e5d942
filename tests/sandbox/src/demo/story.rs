//! The story that the demo tells: a first secret, and what becomes of it when things are broken. It reads what kubectl
//! would read.

use std::time::{Duration, Instant};

use anyhow::Context;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keywright_sandbox::azure::{self, GRAPH, Grant, NewApplication, NewPassword, Role, Seeded};
use keywright_sandbox::journal::Entry;
use keywright_sandbox::node::{self, SignIn};
use keywright_sandbox::{Azure, Nodes, Operator, Plane, Rule};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::rotation::condition;
use super::screen::Screen;
use super::{Operators, PATIENCE};

const DEFINITIONS: [&str; 2] =
    [include_str!("../../../../crds/entraappcredentials.yaml"), include_str!("../../../../crds/entratenants.yaml")];

/// The name of the resource, and of what it publishes.
pub(super) const RESOURCE: &str = "payments-api";

/// How often pods sign in, and how soon nodes notice things.
const MOMENT: Duration = Duration::from_millis(200);

/// The stage: a cluster with our kinds, an Azure with two applications, and a node.
pub(super) struct Story {
    client: Client,
    /// Azure.
    pub(super) azure: Azure,
    keywright: Seeded,
    pub(super) payments: Seeded,
    billing: Seeded,
    pub(super) nodes: Nodes,
}

impl Story {
    /// Sets the stage.
    pub(super) async fn begin(plane: &Plane) -> anyhow::Result<Self> {
        let client = plane.admin();
        let azure = Azure::start(azure::Options { scale: 0.1, ..azure::Options::default() }).await?;
        let tenant = azure.seed_tenant();
        let application = |name: &str, owners: &[Seeded], roles: &[&str]| {
            let owners = owners.iter().map(|owner| owner.principal).collect();
            let roles = roles.iter().map(ToString::to_string).collect();
            let new = NewApplication { display_name: name.to_owned(), owners, roles, ..NewApplication::default() };
            azure.seed_application(tenant, new)
        };
        let keywright = application("keywright", &[], &["Application.ReadWrite.OwnedBy"])?;
        let payments = application("payments", &[keywright], &[])?;
        let billing = application("billing", &[keywright], &[])?;
        azure.seed_vault(tenant, "kv-payments")?;
        azure.seed_grant("kv-payments", Grant::role(keywright.principal, Role::SecretsOfficer, None))?;
        let sign_in = SignIn {
            every: MOMENT,
            trust: azure.ca_pem(),
            proxy: Some(azure.endpoints().proxy.clone()),
            ..SignIn::default()
        };
        let options =
            node::Options { cache_lag: MOMENT, readiness: MOMENT, retry: MOMENT, sign_in, ..node::Options::default() };
        let nodes = Nodes::start(plane, options).await?;
        let story = Self { client, azure, keywright, payments, billing, nodes };
        story.define().await?;
        Ok(story)
    }

    async fn define(&self) -> anyhow::Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for definition in DEFINITIONS {
            let definition: DynamicObject =
                serde_saphyr::from_str(definition).context("could not read a definition")?;
            let name = self.apply(definition).await?.name_any();
            let served = await_condition(definitions.clone(), &name, is_crd_established());
            tokio::time::timeout(PATIENCE, served).await.with_context(|| format!("{name} is not served"))??;
        }
        for name in ["payments", "keywright"] {
            self.apply(object("v1", "Namespace", json!({"metadata": {"name": name}}))?).await?;
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), "payments");
        let there = await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some());
        tokio::time::timeout(PATIENCE, there).await.context("namespace payments has no account for pods")??;
        Ok(())
    }

    /// Tells every chapter; ends with an error at the first that does not go as it should. Returns the operator that is
    /// alive in the end.
    pub(super) async fn tell(
        &self,
        screen: &Screen,
        operators: &Operators,
        operator: Operator,
    ) -> anyhow::Result<Operator> {
        screen.chapter("The platform team opens tenant default to namespace payments, for two applications")?;
        self.open_the_tenant().await?;
        self.mistakes(screen).await?;
        screen.chapter("Team payments declares a client secret; the pods that will use it wait")?;
        self.first_issue(screen).await?;
        screen.chapter("Somebody deletes the Secret, then edits the value in it, then wipes the status")?;
        self.break_the_secret(screen).await?;
        screen
            .chapter("The operator is killed just after Entra has minted another secret, before it has heard of it")?;
        let operator = self.kill(screen, operators, operator).await?;
        screen.chapter(
            "Twice somebody demands another secret, while a Deployment, a StatefulSet and a DaemonSet sign in",
        )?;
        self.rotate_twice(screen).await?;
        screen.chapter("Once more, but the pods of one of them cannot start any more")?;
        self.stall(screen).await?;
        screen.chapter("What the pods have seen all the while")?;
        self.verdict(screen)?;
        Ok(operator)
    }

    async fn open_the_tenant(&self) -> anyhow::Result<()> {
        let value = self.azure.seed_password(&self.keywright, NewPassword::default())?.value;
        let identity = json!({"metadata": {"name": "identity"}, "stringData": {"AZURE_CLIENT_SECRET": value}});
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "keywright");
        secrets.create(&PostParams::default(), &serde_json::from_value(identity)?).await?;
        let grant = json!({
            "name": "payments", "namespaces": {"names": ["payments"]}, "kinds": ["ClientSecret"],
            "clientIds": [self.payments.client_id, self.billing.client_id],
            "keyVaults": [{"url": "https://kv-payments.vault.azure.net"}],
        });
        let by_secret = json!({"clientId": self.keywright.client_id, "secretRef": {"name": "identity"}});
        let spec =
            json!({"tenantId": self.keywright.tenant, "identity": {"clientSecret": by_secret}, "grants": [grant]});
        self.apply(ours("EntraTenant", json!({"metadata": {"name": "default"}, "spec": spec}))?).await.map(drop)
    }

    /// What is wrong is refused as early as it can be.
    async fn mistakes(&self, screen: &Screen) -> anyhow::Result<()> {
        let words = ["exactly one of clientSecret, certificate and federated", "must be a GUID in lower case"];
        let manifests: Vec<DynamicObject> = serde_saphyr::from_multiple(include_str!("../../demo/wrong.yaml"))?;
        for (manifest, expected) in manifests.into_iter().zip(words) {
            let name = manifest.name_any();
            let answer = match self.apply(manifest).await {
                Ok(_) => anyhow::bail!("{name} should have been refused by the API server, and was not"),
                Err(error) => format!("{:#}", error.root_cause()),
            };
            anyhow::ensure!(answer.contains(expected), "{name} was refused, but not with {expected:?}: {answer}");
            screen.refused(&name, &answer)?;
        }
        Ok(())
    }

    async fn first_issue(&self, screen: &Screen) -> anyhow::Result<()> {
        let began = Instant::now();
        self.deploy().await?;
        self.declare(RESOURCE, self.payments.client_id.to_string(), true).await?;
        let kept = self.wait(RESOURCE, |object| !at(object, "/status/next/credential/keyId").is_null()).await?;
        let key = text(&kept, "/status/next/credential/keyId");
        screen.done("opened", "a record, before anything was minted")?;
        screen.done("minted", &format!("{key}, with the mark of its record in its name"))?;
        screen.done("kept", "its value is in the record, and cannot change any more")?;
        let proving = Instant::now();
        let published = self.wait(RESOURCE, |object| reason(object) == "Published").await?;
        screen.done(
            "proven",
            &format!("3 sign-ins in a row, each on a connection of its own, in {:.1} s", secs(proving)),
        )?;
        let targets = at(&published, "/status/targets").as_array().cloned().unwrap_or_default();
        let targets: Vec<&str> = targets.iter().filter_map(|target| target["target"].as_str()).collect();
        screen.done("published", &targets.join("   "))?;
        self.everybody_signs_in().await?;
        screen.done("pods", &format!("all sign in with it, {:.1} s after it was declared", secs(began)))
    }

    async fn break_the_secret(&self, screen: &Screen) -> anyhow::Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "payments");
        let before = secrets.get(RESOURCE).await?;
        let (uid, value) = (before.uid(), value(&before));
        let began = Instant::now();
        secrets.delete(RESOURCE, &DeleteParams::default()).await?;
        let back = move |secret: Option<&Secret>| secret.is_some_and(|secret| secret.uid() != uid);
        tokio::time::timeout(PATIENCE, await_condition(secrets.clone(), RESOURCE, back)).await??;
        screen
            .done("deleted", &format!("back after {:.1} s; secrets minted so far: {}", secs(began), self.minted()))?;

        let began = Instant::now();
        let edit = json!({"stringData": {"AZURE_CLIENT_SECRET": "pasted by hand"}});
        secrets.patch(RESOURCE, &PatchParams::default(), &Patch::Merge(edit)).await?;
        let right = move |secret: Option<&Secret>| secret.is_some_and(|secret| self::value(secret) == value);
        tokio::time::timeout(PATIENCE, await_condition(secrets, RESOURCE, right)).await??;
        screen.done("edited", &format!("right again after {:.1} s; minted so far: {}", secs(began), self.minted()))?;

        let api = self.resources()?;
        let mut object = api.get(RESOURCE).await?;
        object.data["status"] = json!({});
        api.replace_status(RESOURCE, &PostParams::default(), &object).await?;
        self.wait(RESOURCE, |object| reason(object) == "Published").await?;
        screen.done("status wiped", &format!("written again from what is so; minted so far: {}", self.minted()))
    }

    async fn kill(&self, screen: &Screen, operators: &Operators, operator: Operator) -> anyhow::Result<Operator> {
        let minting = Rule::at(GRAPH, "addPassword", "**").kill_after(operator.kill_switch());
        let added = self.azure.faults().add(minting);
        self.declare("billing-api", self.billing.client_id.to_string(), false).await?;
        operator.exited(PATIENCE).await?;
        added.lift();
        screen.done(
            "killed",
            &format!("application billing has {} secret, whose value nobody has", self.on_billing()?),
        )?;
        let operator = operators.start(&self.azure).await?;
        self.wait("billing-api", |object| reason(object) == "Published").await?;
        screen.done("started again", "another attempt, with a mark of its own, was minted, proven and published")?;
        let removed = |entry: &Entry| entry.verb == "removePassword" && entry.status == Some(204);
        self.azure.journal().wait_for(removed, PATIENCE).await?;
        screen
            .done("taken back", &format!("what was left behind; secrets on the application: {}", self.on_billing()?))?;
        Ok(operator)
    }

    fn verdict(&self, screen: &Screen) -> anyhow::Result<()> {
        let (accepted, refused) = self.sign_ins();
        anyhow::ensure!(refused == 0, "{refused} sign-ins of pods were refused");
        screen.done("sign-ins", &format!("{accepted} accepted, {refused} refused"))
    }

    fn minted(&self) -> usize {
        self.azure.journal().count(|entry| entry.service == GRAPH && entry.verb == "addPassword")
    }

    fn on_billing(&self) -> anyhow::Result<usize> {
        Ok(self.azure.passwords(&self.billing)?.len())
    }

    async fn declare(&self, name: &str, client_id: String, vault: bool) -> anyhow::Result<()> {
        let proof = json!({"consecutiveSuccesses": 3, "interval": "1s", "timeout": "1m", "minAge": "5s"});
        let mut spec = json!({
            "clientId": client_id, "clientSecret": {}, "verification": proof, "retirement": {"minOverlap": "3s"},
            "consumers": {"rollout": {"timeout": "8s"}},
        });
        if vault {
            let entry = json!({"vaultUrl": "https://kv-payments.vault.azure.net", "name": name});
            spec["publish"] = json!({"secret": {}, "keyVaults": [entry]});
        }
        let metadata = json!({"name": name, "namespace": "payments"});
        self.apply(ours("EntraAppCredential", json!({"metadata": metadata, "spec": spec}))?).await.map(drop)
    }

    pub(super) fn resources(&self) -> anyhow::Result<Api<DynamicObject>> {
        self.api(&ours("EntraAppCredential", json!({"metadata": {"name": "any", "namespace": "payments"}}))?)
    }

    /// Waits until a resource is so.
    pub(super) async fn wait(
        &self,
        name: &str,
        is_so: impl Fn(&DynamicObject) -> bool,
    ) -> anyhow::Result<DynamicObject> {
        let api = self.resources()?;
        let so = |object: Option<&DynamicObject>| object.is_some_and(&is_so);
        let Ok(found) = tokio::time::timeout(PATIENCE, await_condition(api.clone(), name, so)).await else {
            let last =
                api.get_opt(name).await?.map(|object| at(&object, "/status/conditions").clone()).unwrap_or_default();
            anyhow::bail!("{name} is not as it should be within {PATIENCE:?}; last it was told {last}")
        };
        found?.with_context(|| format!("{name} is gone"))
    }

    pub(super) async fn apply(&self, manifest: DynamicObject) -> anyhow::Result<DynamicObject> {
        let name = manifest.name_any();
        let applied = self.api(&manifest)?.patch(&name, &PatchParams::apply("demo"), &Patch::Apply(&manifest)).await;
        match applied {
            // What the API server says is said for people; its struct is not.
            Err(kube::Error::Api(status)) => Err(anyhow::anyhow!("{}", status.message)),
            other => Ok(other?),
        }
        .with_context(|| format!("could not apply {name}"))
    }

    pub(super) fn api(&self, object: &DynamicObject) -> anyhow::Result<Api<DynamicObject>> {
        let types = object.types.as_ref().context("a manifest without apiVersion and kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
        Ok(match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        })
    }
}

pub(super) fn secs(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// The value that a Secret carries.
fn value(secret: &Secret) -> Option<Vec<u8>> {
    Some(secret.data.as_ref()?.get("AZURE_CLIENT_SECRET")?.0.clone())
}

/// A part of an object.
pub(super) fn at<'a>(object: &'a DynamicObject, pointer: &str) -> &'a Value {
    object.data.pointer(pointer).unwrap_or(&Value::Null)
}

pub(super) fn text(object: &DynamicObject, pointer: &str) -> String {
    at(object, pointer).as_str().unwrap_or_default().to_owned()
}

/// Why `Ready` is as it is.
fn reason(object: &DynamicObject) -> String {
    condition(object, "Ready", "reason")
}

fn ours(kind: &str, content: Value) -> anyhow::Result<DynamicObject> {
    object("keywright.dev/v1alpha1", kind, content)
}

pub(super) fn object(api_version: &str, kind: &str, mut content: Value) -> anyhow::Result<DynamicObject> {
    content["apiVersion"] = json!(api_version);
    content["kind"] = json!(kind);
    serde_json::from_value(content).context("could not make an object of the demo")
}
