//! Where a test happens: a namespace, a proxy before the API server, and the way through it with the permissions that the
//! operator needs for this room, and no others.

use std::{fs, path::Path, time::Duration};

use http::HeaderName;
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Secret, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding},
};
use keywright::{
    api::{ClientId, KeyId, TenantId, grant::CredentialKind, publish::SecretTarget},
    cluster::{
        Written,
        connect::Connection,
        records::{Keep, Records},
        secrets::Secrets,
        wanted::{Issued, Wanted},
        workloads::Workloads,
    },
    facts::{Attempt, Carried, Entry, Kept, Nonce, Owner, Record, Sequence, TargetState, Trouble, WorkloadSeen},
};
use keywright_sandbox::{KUBERNETES, Plane, Proxy, Rule, Via, faults::Point};
use kube::{
    Api, Client, Config,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

/// How long anything that should happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The value that is never to be seen anywhere but in data.
pub const VALUE: &str = "q8~s3cret-of-an-application";

/// A namespace, and the way to it.
pub struct Place {
    /// A client with all rights, past the proxy.
    pub admin: Client,
    /// The same for the rooms that are tested, for when the ServiceAccount has gone with its namespace.
    pub all_rights: Connection,
    /// The same as somebody who may do nothing.
    pub no_rights: Connection,
    /// The name of the namespace.
    pub namespace: String,
    /// What stands between us and the API server.
    pub proxy: Proxy,
    /// The way through the proxy.
    pub way: Connection,
    /// The records, by that way.
    pub records: Records,
    /// The published Secrets, by that way.
    pub secrets: Secrets,
    /// The workloads, by that way.
    pub workloads: Workloads,
}

impl Place {
    /// A place in a plane.
    pub async fn open(plane: &Plane, name: &str) -> Self {
        let admin = plane.admin();
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(admin.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        let account: ServiceAccount = made(json!({"metadata": {"name": "keywright"}}));
        Api::namespaced(admin.clone(), name).create(&PostParams::default(), &account).await.unwrap();
        permit(&admin, name).await;

        let proxy = Proxy::start(plane).await.unwrap();
        let way = way_of(&plane.kubeconfig_for(name, "keywright", Via::Proxy(&proxy)).await.unwrap(), None).await;
        let (records, secrets, workloads) = (Records::new(&way), Secrets::new(&way), Workloads::new(&way, true));
        let all_rights = way_of(&plane.kubeconfig(), None).await;
        let no_rights = way_of(&plane.kubeconfig(), Some("nobody")).await;
        Self { admin, all_rights, no_rights, namespace: name.to_owned(), proxy, way, records, secrets, workloads }
    }

    /// The Secrets of the namespace, as somebody else writes them.
    pub fn others(&self) -> Api<Secret> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    /// Have somebody else create a Secret.
    pub async fn somebody_creates(&self, secret: Value) -> Secret {
        self.others().create(&PostParams::default(), &made(secret)).await.unwrap()
    }

    /// Have somebody else change a Secret by a merge patch.
    pub async fn somebody_changes(&self, name: &str, patch: Value) -> Secret {
        self.others().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// Have somebody else delete a Secret for good.
    pub async fn somebody_deletes(&self, name: &str) {
        self.others().delete(name, &kube::api::DeleteParams::default()).await.unwrap();
        if self.others().get_opt(name).await.unwrap().is_some() {
            self.somebody_changes(name, json!({"metadata": {"finalizers": null}})).await;
        }
    }

    /// An entry of this place's resource, open.
    pub fn entry(&self, sequence: u32) -> Entry {
        Entry::opened(
            self.owner(),
            "payments-api",
            (TenantId(Uuid::from_u128(1)), ClientId(Uuid::from_u128(2)), CredentialKind::ClientSecret),
            Sequence(sequence),
            attempt(0),
        )
    }

    /// An entry that keeps a credential.
    pub fn kept(&self, sequence: u32) -> Entry {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let kept = Kept {
            key_id: KeyId(Uuid::from_u128(sequence.into())),
            issued_at: now,
            expires_at: Some(now),
            thumbprint: None,
        };
        Entry { kept: Some(kept), ..self.entry(sequence) }
    }

    /// Whose everything here is.
    pub fn owner(&self) -> Owner {
        Owner::of("cluster", &self.namespace, "payments-api")
    }

    /// A record, just opened.
    pub async fn opened(&self, sequence: u32) -> Record {
        yes(self.records.open(&self.namespace, &self.entry(sequence)).await)
    }

    /// A record with a value.
    pub async fn with_value(&self, sequence: u32) -> Record {
        let record = self.opened(sequence).await;
        match self.records.keep(&self.namespace, &record, &self.kept(sequence), &VALUE.into()).await {
            Keep::Kept(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    /// What a target is to be with the credential of this sequence.
    pub fn wanted(&self, sequence: u32, target: Value) -> Wanted {
        let (entry, value) = (self.kept(sequence), SecretString::from(format!("{VALUE}-{sequence}")));
        let issued = Issued { entry: &entry, value: &value, authority_host: "https://login.microsoftonline.com/" };
        let target: SecretTarget = made(target);
        Wanted::new(Some(&target), &issued).unwrap()
    }

    /// What is at a target.
    pub async fn seen(&self, wanted: &Wanted) -> Result<TargetState, Trouble> {
        self.secrets.read(&self.namespace, &wanted.name, async { Ok(wanted) }).await
    }

    /// What is at a target, where something must be.
    pub async fn carried(&self, wanted: &Wanted) -> Carried {
        match self.seen(wanted).await.unwrap() {
            TargetState::Present(carried) => carried,
            other => panic!("{other:?}"),
        }
    }

    /// A workload as it is now, if there is one.
    pub async fn workload(&self, name: &str) -> Option<WorkloadSeen> {
        self.workloads.list(&self.namespace).await.unwrap().into_iter().find(|one| one.id.name == name)
    }

    /// Have somebody else deploy something that reads a Secret.
    pub async fn somebody_deploys(&self, name: &str, secret: &str) {
        let labels = json!({"app": name});
        let container = json!({"name": "app", "image": "none", "envFrom": [{"secretRef": {"name": secret}}]});
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
        let spec = json!({"selector": {"matchLabels": labels}, "template": template});
        self.somebody_makes::<Deployment>(name, json!({"spec": spec})).await;
    }

    /// Have somebody else make an object.
    pub async fn somebody_makes<K>(&self, name: &str, mut object: Value) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        object["metadata"]["name"] = json!(name);
        Api::namespaced(self.admin.clone(), &self.namespace)
            .create(&PostParams::default(), &made(object))
            .await
            .unwrap()
    }

    /// The point where requests about this namespace's Secrets pass.
    pub fn at(&self, verb: &str) -> Point {
        Rule::at(KUBERNETES, verb, &format!("/api/v1/namespaces/{}/secrets**", self.namespace))
    }

    /// How many requests of a verb have passed.
    pub fn sent(&self, verb: &str) -> usize {
        self.proxy.journal().count(|entry| entry.verb == verb)
    }
}

/// An object from JSON.
pub fn made<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

/// An attempt to mint.
pub fn attempt(chance: u8) -> Attempt {
    Attempt { nonce: Nonce::of([chance; 10]), holder: "one".into(), at: Timestamp::UNIX_EPOCH }
}

/// What was written, where it must have been.
pub fn yes<T: std::fmt::Debug, E: std::fmt::Debug>(written: Result<Written<T>, E>) -> T {
    match written {
        Ok(Written::Yes(now)) => now,
        other => panic!("{other:?}"),
    }
}

/// Insist that somebody else came before.
pub fn outpaced<T: std::fmt::Debug, E: std::fmt::Debug>(written: &Result<Written<T>, E>) {
    assert!(matches!(written, Ok(Written::Outpaced)), "{written:?}");
}

/// The way to the API server that a kubeconfig describes, as somebody else if one is named.
async fn way_of(kubeconfig: &Path, somebody: Option<&str>) -> Connection {
    let kubeconfig = Kubeconfig::from_yaml(&fs::read_to_string(kubeconfig).unwrap()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let somebody = somebody.map(|name| (HeaderName::from_static("impersonate-user"), name.parse().unwrap()));
    config.headers.extend(somebody);
    Connection::to(config).unwrap()
}

/// The permissions that this room needs.
async fn permit(admin: &Client, namespace: &str) {
    let rules = json!([
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "create", "update", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"], "verbs": ["list", "watch", "patch"]},
        {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["list", "watch", "patch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    ]);
    let everywhere = json!([{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]);
    for (role, rules) in [("here", rules), ("everywhere", everywhere)] {
        let role = format!("keywright-{role}");
        let role: ClusterRole = made(json!({"metadata": {"name": role}, "rules": rules}));
        let name = role.metadata.name.clone().unwrap();
        let apply = PatchParams::apply("tests").force();
        Api::<ClusterRole>::all(admin.clone()).patch(&name, &apply, &Patch::Apply(&role)).await.unwrap();
    }
    let binding = |role: &str| {
        json!({
            "metadata": {"name": format!("keywright-{namespace}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": "keywright", "namespace": namespace}],
        })
    };
    let here: RoleBinding = made(binding("keywright-here"));
    let everywhere: ClusterRoleBinding = made(binding("keywright-everywhere"));
    Api::namespaced(admin.clone(), namespace).create(&PostParams::default(), &here).await.unwrap();
    Api::all(admin.clone()).create(&PostParams::default(), &everywhere).await.unwrap();
}
