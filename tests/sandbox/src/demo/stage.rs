//! The stage of every story: a cluster with our kinds, a simulated Azure, and a node whose pods sign in. What is read here
//! is what kubectl would read.

use std::time::{Duration, Instant};

use anyhow::Context;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keywright_sandbox::azure::{self, Grant, NewApplication, NewPassword, Role, Seeded};
use keywright_sandbox::node::{self, SignIn};
use keywright_sandbox::witness::Testimonies;
use keywright_sandbox::{Azure, Nodes, Plane};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::PATIENCE;

const DEFINITIONS: [&str; 2] =
    [include_str!("../../../../crds/entraappcredentials.yaml"), include_str!("../../../../crds/entratenants.yaml")];

/// How often pods sign in, and how soon nodes notice things.
const MOMENT: Duration = Duration::from_millis(200);

/// The stage: a cluster with our kinds, an Azure with two applications, and a node.
pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) azure: Azure,
    keywright: Seeded,
    pub(super) payments: Seeded,
    pub(super) billing: Seeded,
    pub(super) nodes: Nodes,
}

impl Stage {
    /// Sets the stage, in which Azure takes `scale` times as long as the real one.
    pub(super) async fn begin(plane: &Plane, scale: f64) -> anyhow::Result<Self> {
        let client = plane.admin();
        let azure = Azure::start(azure::Options { scale, ..azure::Options::default() }).await?;
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
        let stage = Self { client, azure, keywright, payments, billing, nodes };
        stage.define().await?;
        Ok(stage)
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

    /// The platform team's part: the tenant, with a grant for these kinds of credentials.
    pub(super) async fn open_the_tenant(&self, kinds: &[&str]) -> anyhow::Result<()> {
        let value = self.azure.seed_password(&self.keywright, NewPassword::default())?.value;
        let identity = json!({"metadata": {"name": "identity"}, "stringData": {"AZURE_CLIENT_SECRET": value}});
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "keywright");
        secrets.create(&PostParams::default(), &serde_json::from_value(identity)?).await?;
        let grant = json!({
            "name": "payments", "namespaces": {"names": ["payments"]}, "kinds": kinds,
            "clientIds": [self.payments.client_id, self.billing.client_id],
            "keyVaults": [{"url": "https://kv-payments.vault.azure.net"}],
        });
        let by_secret = json!({"clientId": self.keywright.client_id, "secretRef": {"name": "identity"}});
        let spec =
            json!({"tenantId": self.keywright.tenant, "identity": {"clientSecret": by_secret}, "grants": [grant]});
        self.apply(ours("EntraTenant", json!({"metadata": {"name": "default"}, "spec": spec}))?).await.map(drop)
    }

    pub(super) fn resources(&self) -> anyhow::Result<Api<DynamicObject>> {
        self.api(&ours("EntraAppCredential", json!({"metadata": {"name": "any", "namespace": "payments"}}))?)
    }

    /// The team's part: a resource.
    pub(super) async fn declare(&self, name: &str, spec: &Value) -> anyhow::Result<()> {
        let metadata = json!({"name": name, "namespace": "payments"});
        self.apply(ours("EntraAppCredential", json!({"metadata": metadata, "spec": spec}))?).await.map(drop)
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

    /// How many sign-ins of pods were accepted so far, and how many refused.
    pub(super) fn sign_ins(&self) -> (u64, usize) {
        let count =
            |seen: &Testimonies| (seen.holdings.iter().map(|one| one.accepted).sum::<u64>(), seen.refusals.len());
        self.nodes.witnesses().read(count)
    }
}

pub(super) fn secs(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// A part of an object.
pub(super) fn at<'a>(object: &'a DynamicObject, pointer: &str) -> &'a Value {
    object.data.pointer(pointer).unwrap_or(&Value::Null)
}

pub(super) fn text(object: &DynamicObject, pointer: &str) -> String {
    at(object, pointer).as_str().unwrap_or_default().to_owned()
}

/// Why `Ready` is as it is.
pub(super) fn reason(object: &DynamicObject) -> String {
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

/// A field of a condition.
pub(super) fn condition(object: &DynamicObject, type_: &str, field: &str) -> String {
    let conditions = at(object, "/status/conditions").as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or_default();
    found[field].as_str().unwrap_or_default().to_owned()
}
