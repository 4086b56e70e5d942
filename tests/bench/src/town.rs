//! Where it is measured: a control plane with our kinds, and in it a place for each scene: a namespace, a tenant with as
//! many applications as there are resources, a proxy that counts what is asked of the API server, and an Azure that
//! counts what is asked of it.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use keywright_sandbox::{
    Azure, Chart, Nodes, Operator, Options, Plane, Proxy, Rule, Via,
    azure::{self, NewApplication, NewPassword, Seeded},
    node,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
    runtime::{conditions::is_crd_established, wait::await_condition},
};
use serde_json::{Value, json};

use crate::issue::Weather;

/// How long anything may take that is not measured.
pub const PATIENCE: Duration = Duration::from_mins(1);

const DEFINITIONS: [&str; 2] =
    [include_str!("../../../crds/entraappcredentials.yaml"), include_str!("../../../crds/entratenants.yaml")];

/// As many client IDs as one grant may list.
const IDS_OF_A_GRANT: usize = 64;

/// How many objects are written at the same time.
pub const AT_ONCE: usize = 16;

/// A control plane in which both kinds are defined.
pub struct Town {
    plane: Plane,
    binary: PathBuf,
    /// How many resources a scene has.
    pub count: usize,
}

impl Town {
    /// A plane with our kinds.
    pub async fn build(binary: PathBuf, count: usize) -> anyhow::Result<Self> {
        let town = Self { plane: Plane::start(Options::default()).await?, binary, count };
        let client = town.plane.admin();
        for definition in DEFINITIONS {
            let object = apply(&client, serde_saphyr::from_str(definition)?).await?;
            let name = object.metadata.name.unwrap_or_default();
            let served = await_condition(Api::all(client.clone()), &name, is_crd_established());
            tokio::time::timeout(PATIENCE, served).await.with_context(|| format!("{name} is not served"))??;
        }
        Ok(town)
    }

    /// End the plane, and everything in it.
    pub async fn end(&self) -> anyhow::Result<()> {
        self.plane.stop().await
    }

    /// A place with a tenant and so many resources, and no operator yet.
    pub async fn place(&self, name: &str, weather: &Weather, count: usize) -> anyhow::Result<Place<'_>> {
        let options = azure::Options { scale: weather.lag, ..azure::Options::default() };
        let place = Place {
            town: self,
            name: name.to_owned(),
            count,
            proxy: Proxy::start(&self.plane).await?,
            azure: Azure::start(azure::Options { dir: Some(self.plane.dir().to_path_buf()), ..options }).await?,
            latency: weather.latency,
            time_scale: weather.time_scale,
        };
        if let Some(latency) = weather.latency {
            place.azure.faults().add(Rule::at("*", "*", "**").delay(latency));
        }
        place.appoint_operator().await?;
        let (keywright, applications) = place.seed()?;
        place.declare(keywright, &applications).await?;
        Ok(place)
    }
}

/// A scene's own part of a town.
pub struct Place<'a> {
    town: &'a Town,
    /// The namespace.
    pub name: String,
    count: usize,
    /// What stands between the operator and the API server.
    pub proxy: Proxy,
    /// Its Azure.
    pub azure: Azure,
    latency: Option<Duration>,
    time_scale: f64,
}

impl Place<'_> {
    /// How many resources it has.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The name of its resource of this number, and of the Secret that that is published to.
    pub fn resource(number: usize) -> String {
        format!("api-{number:04}")
    }

    /// What is special about it, for people.
    pub fn weather(&self) -> String {
        self.latency.map(|time| format!(", {} ms on every answer of Azure's", time.as_millis())).unwrap_or_default()
    }

    /// A client with all rights.
    pub fn admin(&self) -> Client {
        self.town.plane.admin()
    }

    /// Nodes for pods.
    pub async fn nodes(&self, options: node::Options) -> anyhow::Result<Nodes> {
        Nodes::start(&self.town.plane, options).await
    }

    /// Its resources.
    pub fn resources(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("keywright.dev", "v1alpha1", "EntraAppCredential");
        Api::namespaced_with(self.town.plane.admin(), &self.name, &ApiResource::from_gvk(&kind))
    }

    /// An operator, just started.
    pub async fn operator(&self) -> anyhow::Result<Operator> {
        let kubeconfig = self.town.plane.kubeconfig_for(&self.name, "keywright", Via::Proxy(&self.proxy)).await?;
        let (scale, proxy) = (self.time_scale.to_string(), self.azure.endpoints().proxy.clone());
        let args = ["run", "--namespace", &self.name, "--admin-address", "127.0.0.1:0", "--time-scale", &scale];
        let trust = self.azure.ca_file().display().to_string();
        let env = [("HTTPS_PROXY", proxy), ("NO_PROXY", "127.0.0.1".to_owned()), ("SSL_CERT_FILE", trust)];
        Operator::start(&self.town.binary, &kubeconfig, args, env)
    }

    async fn appoint_operator(&self) -> anyhow::Result<()> {
        let (client, name) = (self.town.plane.admin(), &self.name);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        apply(&client, serde_json::from_value(namespace)?).await?;
        let values = json!({"watchNamespaces": [name]});
        Chart::find().await?.render("keywright", name, &values).await?.permit(&client).await?;
        Ok(())
    }

    /// The operator's application, and those that it owns.
    fn seed(&self) -> anyhow::Result<(Seeded, Vec<Seeded>)> {
        let tenant = self.azure.seed_tenant();
        let roles = vec!["Application.ReadWrite.OwnedBy".to_owned()];
        let new = NewApplication { display_name: "keywright".into(), roles, ..NewApplication::default() };
        let keywright = self.azure.seed_application(tenant, new)?;
        let application = |number: usize| {
            let (display_name, owners) = (format!("application-{number}"), vec![keywright.principal]);
            let new = NewApplication { display_name, owners, ..NewApplication::default() };
            self.azure.seed_application(tenant, new)
        };
        Ok((keywright, (0..self.count()).map(application).collect::<anyhow::Result<_>>()?))
    }

    /// Apply the tenant, which grants everything, and a resource for each application.
    async fn declare(&self, keywright: Seeded, applications: &[Seeded]) -> anyhow::Result<()> {
        let client = self.town.plane.admin();
        let value = self.azure.seed_password(&keywright, NewPassword::default())?.value;
        let identity = json!({"clientId": keywright.client_id, "secretRef": {"name": "keywright-identity"}});
        let grants = applications.chunks(IDS_OF_A_GRANT).enumerate().map(|(number, some)| {
            json!({
                "name": format!("grant-{number}"), "namespaces": {"names": [self.name]}, "kinds": ["ClientSecret"],
                "clientIds": some.iter().map(|one| one.client_id).collect::<Vec<_>>(),
            })
        });
        let grants: Vec<Value> = grants.collect();
        for object in [
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keywright-identity", "namespace": self.name},
                "stringData": {"AZURE_CLIENT_SECRET": value},
            }),
            json!({
                "apiVersion": "keywright.dev/v1alpha1", "kind": "EntraTenant", "metadata": {"name": self.name},
                "spec": {
                    "tenantId": keywright.tenant, "identity": {"clientSecret": identity}, "grants": grants,
                    "limits": {"maxInFlight": 1000},
                },
            }),
        ] {
            apply(&client, serde_json::from_value(object)?).await?;
        }
        let resources = stream::iter(applications.iter().enumerate());
        let applied = resources.map(|(number, one)| apply_resource(&client, &self.name, number, one));
        applied.buffer_unordered(AT_ONCE).try_collect().await
    }
}

async fn apply_resource(client: &Client, place: &str, number: usize, of: &Seeded) -> anyhow::Result<()> {
    let proof = json!({"consecutiveSuccesses": 3, "interval": "1s", "minAge": "0s"});
    let object = json!({
        "apiVersion": "keywright.dev/v1alpha1", "kind": "EntraAppCredential",
        "metadata": {"name": Place::resource(number), "namespace": place},
        "spec": {"tenantRef": {"name": place}, "clientId": of.client_id, "clientSecret": {}, "verification": proof},
    });
    apply(client, serde_json::from_value(object)?).await.map(drop)
}

async fn apply(client: &Client, object: DynamicObject) -> anyhow::Result<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(object.types.as_ref().context("no kind")?)?);
    let api = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    };
    let name = object.metadata.name.clone().unwrap_or_default();
    let applied = api.patch(&name, &PatchParams::apply("bench"), &Patch::Apply(&object)).await;
    applied.with_context(|| format!("could not apply {name}"))
}
