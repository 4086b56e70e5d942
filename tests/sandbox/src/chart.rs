//! The chart, as its users install it: rendered by Helm, which Go builds from `tools/helm/go.mod`. Nothing is known here
//! of what the chart has in it but that there are rights, and an account that they are for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use k8s_openapi::api::core::v1::{EnvVar, PodSpec};
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::go::{Module, Set};
use crate::places;
use crate::rights::Right;

const HELM: &str = "helm.sh/helm/v4";

/// What is applied for the rights to hold, and to be bounded; all else of a release runs something.
const ACCESS: [&str; 7] = [
    "ServiceAccount",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
];

/// The chart of this repository, and the Helm that renders it.
#[derive(Clone, Debug)]
pub struct Chart {
    helm: PathBuf,
}

/// What Helm would install.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its objects, in the order in which Helm installs them.
    pub objects: Vec<DynamicObject>,
}

/// Names and values of an environment.
type Variables = Vec<(String, String)>;

impl Chart {
    /// The Helm of `KUBEBUILDER_ASSETS`, or that of `tools/helm/go.mod`, built if it has not been before.
    pub async fn find() -> anyhow::Result<Self> {
        match places::assets().map(|folder| folder.join("helm")).filter(|file| file.is_file()) {
            Some(helm) => Ok(Self { helm }),
            None => built().await,
        }
    }

    /// The file of Helm.
    #[must_use]
    pub fn helm(&self) -> PathBuf {
        self.helm.clone()
    }

    /// The release of this name, in a namespace, with these values.
    pub async fn render(&self, release: &str, namespace: &str, values: &Value) -> anyhow::Result<Release> {
        let mut helm = Command::new(&self.helm)
            .args(["template", release, "--namespace", namespace, "--values", "-"])
            .args(["--set-string", "image.repository=registry.example.org/keywright"])
            .arg(places::chart())
            // Nothing of a developer's Helm, such as its plugins.
            .env_clear()
            .env("HOME", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not run {}", self.helm.display()))?;
        // Helm reads all values before it says anything.
        let mut stdin = helm.stdin.take().context("Helm has no standard input")?;
        stdin.write_all(values.to_string().as_bytes()).await.context("could not give Helm its values")?;
        drop(stdin);
        let output = helm.wait_with_output().await.context("could not wait for Helm")?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "could not render the chart with {values}: {}", said.trim());
        let manifests = String::from_utf8(output.stdout).context("the chart renders to something that is no text")?;
        let objects =
            serde_saphyr::from_multiple(&manifests).context("the chart renders to something that is no YAML")?;
        Ok(Release { objects })
    }
}

impl Release {
    /// Its objects of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a DynamicObject> {
        self.objects.iter().filter(move |object| object.types.as_ref().is_some_and(|types| types.kind == kind))
    }

    /// The pod of its operator.
    pub fn pod(&self) -> anyhow::Result<PodSpec> {
        let deployment = self.of_kind("Deployment").next().context("the chart has no Deployment")?;
        let pod = deployment.data.pointer("/spec/template/spec").context("the chart's Deployment has no pod")?;
        Ok(PodSpec::deserialize(pod)?)
    }

    /// The name of the account that its operator runs as.
    pub fn account(&self) -> anyhow::Result<String> {
        self.pod()?.service_account_name.context("the chart's Deployment names no ServiceAccount")
    }

    /// How its operator is started: its arguments, and its variables.
    pub fn command(&self) -> anyhow::Result<(Vec<String>, Variables)> {
        let container = self.pod()?.containers.into_iter().next().context("the chart's pod has no container")?;
        let variable = |one: EnvVar| one.value.map(|value| (one.name, value));
        Ok((container.args.unwrap_or_default(), container.env.into_iter().flatten().filter_map(variable).collect()))
    }

    /// The rights that it gives to that account.
    pub fn rights(&self) -> anyhow::Result<BTreeSet<Right>> {
        Right::given_by(&self.objects)
    }

    /// Has the account and its rights installed, and nothing that runs.
    pub async fn permit(&self, client: &Client) -> anyhow::Result<()> {
        for object in ACCESS.into_iter().flat_map(|kind| self.of_kind(kind)) {
            let name = object.name_any();
            let types = object.types.as_ref().context("an object without a kind")?;
            let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
            let api: Api<DynamicObject> = match object.namespace() {
                Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            let applied = api.patch(&name, &PatchParams::apply("helm"), &Patch::Apply(object)).await;
            applied.with_context(|| format!("could not install {} {name}", types.kind))?;
        }
        Ok(())
    }
}

async fn built() -> anyhow::Result<Chart> {
    let module = Module::read(places::tools().join("helm"))?;
    let version = module.version(HELM)?;
    let set = Set {
        name: &format!("helm-{version}"),
        what: &format!("building Helm {version} with Go, once"),
        ldflags: "-s -w",
        builds: &[("helm", vec![format!("{HELM}/cmd/helm")])],
        files: &[],
        without_go: "put helm into the folder in KUBEBUILDER_ASSETS",
    };
    Ok(Chart { helm: module.built(&set).await?.join("helm") })
}
