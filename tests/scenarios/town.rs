//! Where scenarios happen: a control plane with our kinds, and in it a place for each scenario; or a firm, which is a
//! place with an Azure of its own, and pods that sign in.

mod controllers;
mod course;
mod ending;
mod firm;
mod lanes;
mod pods;
mod stages;
mod tokens;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

pub use self::{
    course::{Course, RESOURCE},
    ending::locked,
    firm::{Firm, Side},
    lanes::in_lanes,
    pods::Reads,
    stages::{ESTABLISHING, FEDERATING, KEEPING, MINTING, NOTING, STAGES, Stage},
    tokens::AUDIENCE,
};

use k8s_openapi::{
    api::{
        core::v1::{Namespace, Secret},
        events::v1::Event,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use keywright::api::{EntraAppCredential, EntraTenant};
use keywright_sandbox::{Chart, Operator, Options, Plane, Proxy, Release, Via, Webhook};
use kube::{
    Api, Client, Resource,
    api::{ListParams, Patch, PatchParams},
    core::DynamicObject,
    runtime::wait::await_condition,
};
use libtest_mimic::Failed;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    manifests::{self, merged},
    rbac,
};

/// The product.
pub const BINARY: &str = env!("CARGO_BIN_EXE_keywright");

/// How long anything that should happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A control plane in which both kinds are defined.
#[derive(Clone)]
pub struct Town {
    plane: Arc<Plane>,
    chart: Chart,
    webhook: Arc<OnceCell<Webhook>>,
}

impl Town {
    /// A plane with our kinds.
    pub async fn build() -> Result<Self, Failed> {
        let town = Self::without_our_kinds().await?;
        town.define().await?;
        Ok(town)
    }

    /// A plane that knows nothing of us.
    pub async fn without_our_kinds() -> Result<Self, Failed> {
        let chart = Chart::find().await.map_err(chain)?;
        let plane = Plane::start(Options::default()).await.map_err(chain)?;
        Ok(Self { plane: Arc::new(plane), chart, webhook: Arc::default() })
    }

    /// Install both definitions and wait until they are served.
    pub async fn define(&self) -> Result<(), Failed> {
        for definition in keywright::cli::crds::definitions() {
            self.install(definition).await?;
        }
        Ok(())
    }

    /// Install a definition and wait until it is served.
    pub async fn install(
        &self,
        definition: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    ) -> Result<(), Failed> {
        let api = Api::all(self.admin());
        let name = definition.metadata.name.clone().unwrap_or_default();
        api.patch(&name, &PatchParams::apply("scenarios").force(), &Patch::Apply(&definition)).await?;
        let served = await_condition(api, &name, kube::runtime::conditions::is_crd_established());
        tokio::time::timeout(PATIENCE, served).await??;
        Ok(())
    }

    /// A client with all rights.
    pub fn admin(&self) -> Client {
        self.plane.admin()
    }

    /// The plane itself, for those who have one of their own.
    pub fn plane(&self) -> &Plane {
        &self.plane
    }

    /// End the plane and everything in it.
    pub async fn end(&self) -> anyhow::Result<()> {
        self.plane.stop().await
    }

    /// The chart, for those who install it otherwise than a place does.
    pub fn chart(&self) -> &Chart {
        &self.chart
    }

    /// A place with a namespace of this name, in which the chart is installed for itself alone, and no operator yet.
    pub async fn place(&self, name: &str) -> Result<Place, Failed> {
        self.place_with(name, &json!({"watchNamespaces": [name]})).await
    }

    /// A place with a namespace of this name, in which the chart is installed with these values, and no operator yet.
    pub async fn place_with(&self, name: &str, values: &Value) -> Result<Place, Failed> {
        let admin = self.admin();
        let namespace = manifests::namespace(&admin, name).await?;
        let release = self.chart.render(name, name, values).await.map_err(chain)?;
        release.permit(&admin).await.map_err(chain)?;
        let proxy = Proxy::start(&self.plane).await.map_err(chain)?;
        let tenant = json!({"tenantId": manifests::CLIENT});
        Ok(Place {
            town: self.clone(),
            home: namespace.clone(),
            name: namespace,
            release,
            proxy,
            client_id: manifests::CLIENT.to_owned(),
            asking: only_talked_about(), // there is no Azure here, so nothing is to be done
            tenant,
            args: vec![],
            env: vec![],
            logs: Mutex::default(),
        })
    }

    /// A place with an operator at work.
    pub async fn open_place(&self, name: &str) -> Result<(Place, Operator), Failed> {
        let place = self.place(name).await?;
        let operator = place.operator().await?;
        Ok((place, operator))
    }
}

/// What makes a resource one that is granted, and about which the product only talks: its template cannot be read.
pub fn only_talked_about() -> Value {
    json!({"spec": {"publish": {"secret": {"template": {"data": {"app.json": "{{ nothingOfTheKind }}"}}}}}})
}

/// A scenario's own part of a town: a namespace, a tenant of the same name, and a proxy before the API server.
pub struct Place {
    town: Town,
    /// The name of the namespace and of the tenant.
    pub name: String,
    /// The namespace in which the chart is installed.
    pub home: String,
    /// What is installed of it: whose account operators are, and what they may.
    pub release: Release,
    /// What stands between the operator and the API server.
    pub proxy: Proxy,
    /// The application that resources are about.
    client_id: String,
    /// What its resources ask for, beside what they are about.
    pub asking: Value,
    /// What the spec of its tenant says.
    tenant: Value,
    /// The arguments of its operators, beside those of the chart.
    pub args: Vec<String>,
    /// The environment of its operators, beside that of the chart.
    pub env: Vec<(String, String)>,
    /// The log files of its operators.
    logs: Mutex<Vec<PathBuf>>,
}

impl Place {
    /// An operator for this namespace, at work.
    pub async fn operator(&self) -> Result<Operator, Failed> {
        let operator = self.starting_operator().await?;
        self.at_work(&operator).await?;
        Ok(operator)
    }

    /// An operator for this namespace, just started, as the chart starts it.
    pub async fn starting_operator(&self) -> Result<Operator, Failed> {
        self.starting_operator_as(&self.name).await
    }

    /// The same under a name of its own, for where there are several.
    pub async fn starting_operator_as(&self, instance: &str) -> Result<Operator, Failed> {
        rbac::keep_books(self)?;
        let account = self.release.account().map_err(chain)?;
        let kubeconfig = self.town.plane.kubeconfig_for(&self.home, &account, Via::Proxy(&self.proxy)).await;
        let (args, env) = self.release.command().map_err(chain)?;
        let own = ["--admin-address", "127.0.0.1:0", "--instance", instance];
        let args = args.iter().map(String::as_str).chain(own).chain(self.args.iter().map(String::as_str));
        let env = env.iter().chain(&self.env).map(|(name, value)| (name, value));
        let operator = Operator::start(Path::new(BINARY), &kubeconfig.map_err(chain)?, args, env).map_err(chain)?;
        self.logs.lock().map_err(|_| "a scenario of this place has failed")?.push(operator.log().to_path_buf());
        Ok(operator)
    }

    /// Wait until an operator watches.
    pub async fn at_work(&self, operator: &Operator) -> Result<(), Failed> {
        operator.wait_for_line(|line| said(line, "watching"), PATIENCE).await.map_err(chain)?;
        Ok(())
    }

    /// Apply the tenant of this place: a merge patch over one with a grant for everything here.
    pub async fn tenant(&self, patch: &Value) -> Result<(), Failed> {
        let granting = json!({"spec": merged(self.tenant.clone(), &json!({"grants": [self.grant()]}))});
        self.apply("EntraTenant", &[&granting, patch]).await
    }

    /// A grant for the smallest resource of this place.
    pub fn grant(&self) -> Value {
        json!({
            "name": "all", "namespaces": {"names": [self.name]}, "clientIds": [self.client_id],
            "kinds": ["ClientSecret", "Certificate"],
        })
    }

    /// Apply a resource of this place: a merge patch over the smallest, which names the tenant of this place.
    pub async fn resource(&self, name: &str, patch: &Value) -> Result<(), Failed> {
        let spec = json!({"tenantRef": {"name": self.name}, "clientId": self.client_id});
        let here = json!({"metadata": {"name": name}, "spec": spec});
        self.apply("EntraAppCredential", &[&here, &self.asking, patch]).await
    }

    async fn apply(&self, kind: &str, patches: &[&Value]) -> Result<(), Failed> {
        let object = manifests::smallest(kind, &self.name, patches)?;
        let api = manifests::api(&self.town.admin(), &object)?;
        let name = object.metadata.name.clone().unwrap_or_default();
        api.patch(&name, &PatchParams::apply("scenario").force(), &Patch::Apply(&object)).await?;
        Ok(())
    }

    /// A client with all rights.
    pub fn admin(&self) -> Client {
        self.town.admin()
    }

    /// The resources of this place.
    pub fn resources(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.town.admin(), &self.name, &kube::core::ApiResource::erase::<EntraAppCredential>(&()))
    }

    /// The Secrets of this place.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.town.admin(), &self.name)
    }

    /// All tenants.
    pub fn tenants(&self) -> Api<DynamicObject> {
        Api::all_with(self.town.admin(), &kube::core::ApiResource::erase::<EntraTenant>(&()))
    }

    /// All namespaces.
    pub fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.town.admin())
    }

    /// Wait until `Ready` of a resource gives this reason.
    pub async fn told(&self, name: &str, reason: &str) -> Result<Condition, Failed> {
        ready(self.resources(), name, reason).await
    }

    /// Wait until a condition of a resource gives this reason.
    pub async fn condition_told(&self, type_: &'static str, reason: &str) -> Result<Condition, Failed> {
        gives(self.resources(), RESOURCE, type_, reason).await
    }

    /// Wait until a condition of the resource gives this reason, with these words in its message.
    pub async fn condition_says(&self, type_: &'static str, reason: &str, words: &str) -> Result<(), Failed> {
        let says = |object: Option<&DynamicObject>| {
            condition(object, type_).is_some_and(|one| one.reason == reason && one.message.contains(words))
        };
        let waited = tokio::time::timeout(PATIENCE, await_condition(self.resources(), RESOURCE, says)).await;
        let last = condition(Some(&self.read(RESOURCE).await?), type_);
        waited
            .map_err(|_| format!("{type_} should have given {reason} with {words:?}, but last it was {last:?}"))??;
        Ok(())
    }

    /// Wait until `Ready` of the tenant gives this reason.
    pub async fn tenant_told(&self, reason: &str) -> Result<Condition, Failed> {
        ready(self.tenants(), &self.name, reason).await
    }

    /// Wait until a condition of the tenant gives this reason.
    pub async fn tenant_condition_told(&self, type_: &'static str, reason: &str) -> Result<Condition, Failed> {
        gives(self.tenants(), &self.name, type_, reason).await
    }

    /// Wait until the operator has nothing left to look at: it looks once more at what it has just written about, and
    /// would find there whatever changes at that moment, without having been woken by it. A resource that comes now is
    /// looked at after that.
    pub async fn settled(&self, marker: &str) -> Result<(), Failed> {
        self.resource(marker, &json!({"spec": {"tenantRef": {"name": "nowhere"}}})).await?;
        self.told(marker, "TenantNotFound").await?;
        Ok(())
    }

    /// A resource as it is now.
    pub async fn read(&self, name: &str) -> Result<DynamicObject, Failed> {
        Ok(self.resources().get(name).await?)
    }

    /// The reasons and notes of the Events about an object of this place.
    pub async fn events(&self, about: &str) -> Result<Vec<(String, String)>, Failed> {
        let events: Api<Event> = Api::namespaced(self.town.admin(), &self.name);
        let listed = events.list(&ListParams::default()).await?;
        let about = |event: &Event| event.regarding.as_ref().and_then(|one| one.name.as_deref()) == Some(about);
        let told = |event: Event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default());
        Ok(listed.items.into_iter().filter(about).map(told).collect())
    }

    /// How often the operator wrote about an object, or tried: `entratenants/<name>`, `entraappcredentials/<name>`.
    pub fn writes(&self, about: &str) -> usize {
        let about = format!("/{about}/status");
        self.proxy.journal().count(|entry| entry.verb == "update" && entry.path.ends_with(&about))
    }
}

/// Wait until `Ready` of an object gives this reason; the error says what it gave last.
async fn ready(api: Api<DynamicObject>, name: &str, reason: &str) -> Result<Condition, Failed> {
    gives(api, name, "Ready", reason).await
}

/// The same of any condition.
async fn gives(api: Api<DynamicObject>, name: &str, type_: &'static str, reason: &str) -> Result<Condition, Failed> {
    let gives = |object: Option<&DynamicObject>| condition(object, type_).is_some_and(|one| one.reason == reason);
    let Ok(found) = tokio::time::timeout(PATIENCE, await_condition(api.clone(), name, gives)).await else {
        let last = condition(api.get_opt(name).await?.as_ref(), type_);
        return Err(format!("{type_} of {name} should have given {reason}, but last it was {last:?}").into());
    };
    condition(found?.as_ref(), type_).ok_or_else(|| "the condition is gone".into())
}

/// A condition of an object.
pub fn condition(object: Option<&DynamicObject>, type_: &str) -> Option<Condition> {
    let conditions: Vec<Condition> = read(object?, "/status/conditions")?;
    conditions.into_iter().find(|one| one.type_ == type_)
}

/// A part of an object.
pub fn read<T: DeserializeOwned>(object: &DynamicObject, pointer: &str) -> Option<T> {
    serde_json::from_value(object.data.pointer(pointer)?.clone()).ok()
}

/// Whether a log line has this message.
pub fn said(line: &str, message: &str) -> bool {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    line["message"] == message
}

/// An error of the sandbox with everything that it knows.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn chain(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}

/// Compare, and say what was compared.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, expected: T) -> Result<(), Failed> {
    if seen == expected { Ok(()) } else { Err(format!("{what}: expected {expected:?}, but saw {seen:?}").into()) }
}

/// Insist on something, and say what it was.
pub fn insist(holds: bool, what: impl Into<String>) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.into().into()) }
}

/// Merge a patch into an object.
pub async fn change<K>(api: &Api<K>, name: &str, patch: &Value) -> Result<(), Failed>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}
