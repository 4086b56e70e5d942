//! Other people's controllers, as clusters have them: each is built by Go from a module of its own below `tools/` when it
//! is asked for first, its definitions are those of the same version, and it runs until its plane stops. What it does there
//! is not known here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::go::{Module, Set};
use crate::operator::Operator;
use crate::places;
use crate::plane::Plane;

/// How long one may take until it is at work, on a machine under load.
const WITHIN: Duration = Duration::from_mins(1);

/// Somebody else's controller.
#[derive(Debug)]
pub struct Controller {
    /// What it is called.
    pub name: &'static str,
    /// The folder of its module below `tools/`, and of what is built from it.
    folder: &'static str,
    /// The module that it is from.
    module: &'static str,
    /// The package that is built; in its own folder, if nobody has published one.
    package: &'static str,
    /// Where its module has its definitions.
    definitions: &'static str,
    args: &'static [&'static str],
    /// What it prints when it is at work.
    at_work: &'static str,
}

/// The controller of Argo Rollouts, for all namespaces: alone, so no election; on ports of its own; and far above the
/// requests per second at which rollouts crawl.
pub const ARGO_ROLLOUTS: Controller = Controller {
    name: "Argo Rollouts",
    folder: "argo-rollouts",
    module: "github.com/argoproj/argo-rollouts",
    package: "github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
    definitions: "manifests/crds",
    args: &["--leader-elect=false", "--metricsPort=0", "--healthzPort=0", "--qps=500", "--burst=1000"],
    at_work: "Started controller",
};

/// The controllers of cert-manager for Issuers that sign themselves or have a CA, and for Certificates. Its command is in
/// no module that is published, so it is built from a main of ours.
pub const CERT_MANAGER: Controller = Controller {
    name: "cert-manager",
    folder: "cert-manager",
    module: "github.com/cert-manager/cert-manager",
    package: ".",
    definitions: "deploy/crds",
    args: &[],
    at_work: "at work",
};

/// All of them.
pub const ALL: [&Controller; 2] = [&ARGO_ROLLOUTS, &CERT_MANAGER];

impl Controller {
    /// Builds it, if that has not been done before.
    pub async fn build(&self) -> anyhow::Result<()> {
        self.built().await.map(drop)
    }

    /// The folder that has its program and its definitions: in `KUBEBUILDER_ASSETS`, or built.
    async fn built(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = places::assets().map(|assets| assets.join(self.folder)).filter(|folder| folder.is_dir()) {
            return Ok(folder);
        }
        let module = Module::read(places::tools().join(self.folder))?;
        let version = module.version(self.module)?;
        let set = Set {
            name: &format!("{}-{version}", self.folder),
            what: &format!("building {} {version} with Go, once", self.name),
            ldflags: "-s -w",
            builds: &[("controller", vec![self.package.to_owned()])],
            files: &[("crds", self.module, self.definitions)],
            without_go: &format!("put {}/ (controller, crds/) into the folder in KUBEBUILDER_ASSETS", self.folder),
        };
        module.built(&set).await
    }
}

impl Plane {
    /// Has somebody else's controller at work, with its definitions and all rights, until the plane stops; whoever asks first
    /// starts it.
    pub async fn run(&self, controller: &Controller) -> anyhow::Result<()> {
        // Whoever asks meanwhile waits.
        let mut guests = self.guests().await;
        if !guests.contains_key(controller.name) {
            let started = self.started(controller).await;
            guests.insert(controller.name, started.with_context(|| format!("could not run {}", controller.name))?);
        }
        Ok(())
    }

    async fn started(&self, controller: &Controller) -> anyhow::Result<Operator> {
        let folder = controller.built().await?;
        install(&self.admin(), &folder.join("crds")).await?;
        let log = self.dir().join("logs").join(format!("{}.log", controller.folder));
        let env: [(&str, &str); 0] = [];
        let kubeconfig = self.kubeconfig();
        let started =
            Operator::launch(controller.name, &folder.join("controller"), (&kubeconfig, log), controller.args, env)?;
        started.wait_for_line(|line| line.contains(controller.at_work), WITHIN).await?;
        Ok(started)
    }
}

/// Has every definition in a folder, whatever else is there, and returns when all are served.
async fn install(client: &Client, folder: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for entry in entries {
        let file = entry?.path();
        let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
        if !text.contains("kind: CustomResourceDefinition\n") {
            continue;
        }
        let failed = || format!("could not install what is in {}", file.display());
        let object: DynamicObject = serde_saphyr::from_str(&text).with_context(failed)?;
        let name = object.metadata.name.clone().unwrap_or_default();
        let apply = PatchParams::apply("sandbox").force();
        definitions.patch(&name, &apply, &Patch::Apply(&object)).await.with_context(failed)?;
        let served = await_condition(definitions.clone(), &name, is_crd_established());
        tokio::time::timeout(WITHIN, served).await.with_context(failed)?.with_context(failed)?;
    }
    Ok(())
}

/// The Certificates of a namespace, from which cert-manager makes Secrets.
#[must_use]
pub fn certificates(client: Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", "Certificate"));
    Api::namespaced_with(client, namespace, &resource)
}

/// The Issuers of a namespace, who sign them.
#[must_use]
pub fn issuers(client: Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", "Issuer"));
    Api::namespaced_with(client, namespace, &resource)
}

/// Has cert-manager renew a Certificate now, as `cmctl renew` does.
pub async fn renew(certificates: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    loop {
        let mut certificate =
            certificates.get(name).await.with_context(|| format!("could not read Certificate {name}"))?;
        let generation = certificate.metadata.generation;
        let conditions = certificate.data.pointer("/status/conditions").and_then(Value::as_array);
        let others = conditions.into_iter().flatten().filter(|one| one["type"] != "Issuing");
        let mut conditions: Vec<Value> = others.cloned().collect();
        conditions.push(json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
            "message": "Certificate re-issuance manually triggered",
            "lastTransitionTime": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "observedGeneration": generation,
        }));
        certificate.data["status"]["conditions"] = conditions.into();
        match certificates.replace_status(name, &PostParams::default(), &certificate).await {
            // Its controllers write there, too.
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            asked => return asked.map(drop).with_context(|| format!("could not have Certificate {name} renewed")),
        }
    }
}
