//! The webhook of workload identity, as clusters have it beside their API server: a TLS server on loopback that the API
//! server asks about every pod with the label `azure.workload.identity/use`, and that fails closed. What upstream's is
//! told once for a cluster, this one reads from annotations of the pod's namespace, because each scenario of a plane has
//! an Azure of its own; and it reads ServiceAccounts afresh, where upstream's may be a moment behind. Only namespaces that
//! ask for it are looked at. It never writes to a pod that exists.
//!
//! - `mutation`: what becomes of a pod. Pure.
//! - `review`: the words of the API server. Pure.

mod mutation;
mod review;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::review::Asked;
use crate::listen::Door;
use crate::plane::Plane;

/// The label of pods that want a token, with the value `true`.
pub const USE: &str = "azure.workload.identity/use";
/// The annotation of ServiceAccounts with the client ID of their application.
pub const CLIENT_ID: &str = mutation::CLIENT_ID;

/// The label of namespaces whose pods the webhook is asked about, with the value `enabled`.
const SERVED: &str = "sandbox.keywright.dev/workload-identity";
const TENANT_ID: &str = "sandbox.keywright.dev/tenant-id";
const AUTHORITY_HOST: &str = "sandbox.keywright.dev/authority-host";
const AUDIENCE: &str = "sandbox.keywright.dev/token-audience";

/// By which name its objects are written, and known upstream.
const CONFIGURATION: &str = "azure-wi-webhook-mutating-webhook-configuration";
const PATH: &str = "/mutate-v1-pod";

/// How long the API server may take until it asks the webhook.
const WITHIN: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(50);

/// What pods of a namespace are given where their accounts say nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Their tenant.
    pub tenant_id: String,
    /// Where they sign in.
    pub authority_host: String,
    /// Whom their tokens are for.
    pub audience: String,
}

impl Defaults {
    /// Those of the public cloud, with its real host names.
    #[must_use]
    pub fn public(tenant_id: impl Into<String>) -> Self {
        Self {
            tenant_id: tenant_id.into(),
            authority_host: "https://login.microsoftonline.com/".to_owned(),
            audience: "api://AzureADTokenExchange".to_owned(),
        }
    }

    /// Those of a namespace.
    fn of(namespace: &Namespace) -> Self {
        let annotated = |name: &str| namespace.annotations().get(name).cloned().unwrap_or_default();
        let [tenant_id, authority_host, audience] = [TENANT_ID, AUTHORITY_HOST, AUDIENCE].map(annotated);
        Self { tenant_id, authority_host, audience }
    }
}

/// A webhook of a plane, of which one is enough. Dropping it takes the server away and not what the API server knows of
/// it, as when it crashes in a real cluster: pods with the label are refused from then on.
pub struct Webhook {
    client: Client,
    url: String,
    _open: DropGuard,
}

/// What its connections share.
struct Room {
    client: Client,
    acceptor: TlsAcceptor,
}

impl Webhook {
    /// Opens it and tells the API server about it, which asks it about pods of the namespaces for which [`Self::serve`]
    /// has returned.
    pub async fn start(plane: &Plane) -> anyhow::Result<Self> {
        let leaf = plane.ca().leaf("azure-wi-webhook", &["127.0.0.1"])?;
        let door = Door::new("the webhook").await?;
        let url = format!("https://{}{PATH}", door.address);
        let room = Arc::new(Room { client: plane.admin(), acceptor: Arc::new(leaf.server()?).into() });
        let open = CancellationToken::new();
        tokio::spawn(door.serve(open.clone(), move |client| serve(client, Arc::clone(&room))));
        let webhook = Self { client: plane.admin(), url, _open: open.drop_guard() };
        webhook.register(plane.ca().pem()).await.context("could not tell the API server about the webhook")?;
        Ok(webhook)
    }

    /// Like upstream's chart, but for the selector of namespaces and a server that is reached without a Service.
    async fn register(&self, ca: String) -> anyhow::Result<()> {
        let webhook = json!({
            "name": "mutation.azure-workload-identity.io",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": self.url, "caBundle": ByteString(ca.into_bytes())},
            "failurePolicy": "Fail",
            "matchPolicy": "Equivalent",
            "namespaceSelector": {"matchLabels": {SERVED: "enabled"}},
            "objectSelector": {"matchLabels": {USE: "true"}},
            "reinvocationPolicy": "IfNeeded",
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "sideEffects": "None",
        });
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": CONFIGURATION}, "webhooks": [webhook],
        });
        let configurations: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        let params = PatchParams::apply("sandbox").force();
        configurations.patch(CONFIGURATION, &params, &Patch::Apply(configuration)).await?;
        Ok(())
    }

    /// Has a namespace looked at, and returns when the API server does ask about its pods.
    pub async fn serve(&self, namespace: &str, defaults: &Defaults) -> anyhow::Result<()> {
        let served = tokio::time::timeout(WITHIN, self.ask_for(namespace, defaults)).await;
        let failed = || format!("the API server does not ask the webhook about the pods of {namespace}");
        served.with_context(failed)?.with_context(failed)
    }

    async fn ask_for(&self, namespace: &str, defaults: &Defaults) -> anyhow::Result<()> {
        let annotations = json!({
            TENANT_ID: defaults.tenant_id, AUTHORITY_HOST: defaults.authority_host, AUDIENCE: defaults.audience,
        });
        let asking = json!({"metadata": {"labels": {SERVED: "enabled"}, "annotations": annotations}});
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(asking)).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let has_account = |account: Option<&ServiceAccount>| account.is_some();
        await_condition(accounts, "default", has_account).await?;
        // A poll, since what the API server knows of webhooks and of namespaces it does not tell.
        while !self.is_asked(namespace).await? {
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    }

    /// Whether a pod would be given a token, if there were one.
    async fn is_asked(&self, namespace: &str) -> anyhow::Result<bool> {
        let pod = json!({
            "metadata": {"generateName": "probe-", "labels": {USE: "true"}},
            "spec": {"containers": [{"name": "probe", "image": "none"}]},
        });
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let pod = pods.create(&dry, &serde_json::from_value(pod)?).await?;
        Ok(mutation::is_mutated(&pod))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.url)
    }
}

/// One connection of the API server.
async fn serve(client: TcpStream, room: Arc<Room>) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let client = room.acceptor.accept(client).await.context("a client of the webhook did not agree on TLS")?;
    let room = &room;
    let answering = service_fn(|request| async move { room.answer(request).await });
    Ok(http1::Builder::new().serve_connection(TokioIo::new(client), answering).await?)
}

impl Room {
    /// An error closes the connection, which the API server takes for a webhook that is not there.
    async fn answer(&self, request: Request<Incoming>) -> anyhow::Result<Response<Full<Bytes>>> {
        let body = request.into_body().collect().await?.to_bytes();
        let asked = review::read(&body)?;
        let answer = asked.answered(self.decide(&asked).await)?;
        let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
        Ok(response.body(Full::new(Value::to_string(&answer).into()))?)
    }

    async fn decide(&self, asked: &Asked) -> Result<Pod, String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &asked.namespace);
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let account = accounts.get(asked.account()).await.map_err(|error| error.to_string())?;
        let namespace = namespaces.get(&asked.namespace).await.map_err(|error| error.to_string())?;
        mutation::mutated(asked.object.clone(), &account, &Defaults::of(&namespace))
    }
}
