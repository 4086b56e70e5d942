//! `ServiceAccounts`: the two annotations by which the webhook of Azure Workload Identity knows as whom their pods sign in.
//! Only these two are ever written, and only where nobody else keeps them; no account is ever created.

use k8s_openapi::{
    api::core::v1::ServiceAccount,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};
use kube::{
    Client, Resource,
    api::{GetParams, Patch, PatchParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Written,
    call::{ask, for_metadata},
    connect::Connection,
    stored::manager,
    trouble::{rivals, trouble},
};
use crate::{
    api::{ClientId, Reason, TenantId},
    facts::{AccountSeen, Effect, Owner, Trouble},
};

/// The annotations that the webhook reads: the application, and the tenant.
const CLIENT_ID: &str = "azure.workload.identity/client-id";
const TENANT_ID: &str = "azure.workload.identity/tenant-id";

/// The `ServiceAccounts` of this cluster.
#[derive(Clone)]
pub struct Accounts {
    client: Client,
    once: Client,
}

/// An account, read no further than this.
#[derive(Deserialize)]
struct Account {
    metadata: ObjectMeta,
}

impl Accounts {
    /// The accounts of a cluster.
    #[must_use]
    pub fn new(cluster: &Connection) -> Self {
        Self { client: cluster.client.clone(), once: cluster.once.clone() }
    }

    /// An account as it is now, if there is one, and whether its annotations are written on behalf of this owner.
    pub async fn read(&self, namespace: &str, name: &str, owner: &Owner) -> Result<Option<AccountSeen>, Trouble> {
        let doing = || format!("read ServiceAccount {namespace}/{name}");
        let asked = for_metadata(accounts(namespace).get(name, &GetParams::default()));
        match ask::<Account>(&self.client, doing, asked).await {
            Ok(account) => Ok(Some(account.seen(owner))),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Say of an account, if it is still the one that was seen, as whom its pods are to sign in.
    pub async fn annotate(
        &self,
        namespace: &str,
        (name, seen): (&str, &AccountSeen),
        owner: &Owner,
        (client_id, tenant_id): (ClientId, TenantId),
    ) -> Result<Written<AccountSeen>, Trouble> {
        let doing = || format!("annotate ServiceAccount {namespace}/{name}");
        self.apply(namespace, (name, seen), owner, json!({CLIENT_ID: client_id, TENANT_ID: tenant_id}), doing).await
    }

    /// Take the annotations of this owner back from an account, if it is still the one that was seen. What somebody else
    /// applies as well stays.
    pub async fn take_back(
        &self,
        namespace: &str,
        (name, seen): (&str, &AccountSeen),
        owner: &Owner,
    ) -> Result<Written<AccountSeen>, Trouble> {
        let doing = || format!("take the annotations of ServiceAccount {namespace}/{name} back");
        self.apply(namespace, (name, seen), owner, json!({}), doing).await
    }

    async fn apply(
        &self,
        namespace: &str,
        (name, seen): (&str, &AccountSeen),
        owner: &Owner,
        annotations: Value,
        doing: impl Fn() -> String,
    ) -> Result<Written<AccountSeen>, Trouble> {
        // With the UID, since an apply would bring back what somebody has deleted.
        let body = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace, "uid": seen.uid, "annotations": annotations},
        });
        // Never with force: what somebody else says of an account of theirs is theirs.
        let apply = PatchParams::apply(&manager(owner));
        let asked = for_metadata(accounts(namespace).patch(name, &apply, &Patch::Apply(body)));
        match ask::<Account>(&self.once, &doing, asked).await {
            Ok(account) => Ok(Written::Yes(account.seen(owner))),
            Err(error) => {
                let rivals = error.status().map(rivals).unwrap_or_default();
                if rivals.is_empty() {
                    return Ok(error.unless_outpaced()?);
                }
                let code = error.status().map(|status| status.reason.clone());
                Err(Trouble { code, ..contested(&doing(), &rivals) })
            }
        }
    }
}

impl Account {
    fn seen(&self, owner: &Owner) -> AccountSeen {
        let metadata = &self.metadata;
        let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).cloned();
        let manager = manager(owner);
        let applied = metadata.managed_fields.iter().flatten();
        let mut ours = applied.filter(|entry| entry.manager.as_deref() == Some(manager.as_str()));
        AccountSeen {
            uid: metadata.uid.clone().unwrap_or_default(),
            client_id: annotation(CLIENT_ID),
            tenant_id: annotation(TENANT_ID),
            managed_by_us: ours.any(|entry| [CLIENT_ID, TENANT_ID].into_iter().all(|key| has(entry, key))),
        }
    }
}

/// Whether an annotation is among what a manager has applied.
fn has(entry: &ManagedFieldsEntry, annotation: &str) -> bool {
    let annotations = entry.fields_v1.as_ref().map(|fields| &fields.0["f:metadata"]["f:annotations"]);
    annotations.is_some_and(|annotations| !annotations[format!("f:{annotation}")].is_null())
}

/// Requests about the accounts of a namespace.
fn accounts(namespace: &str) -> Request {
    Request::new(ServiceAccount::url_path(&(), Some(namespace)))
}

fn contested(doing: &str, rivals: &[String]) -> Trouble {
    let remedy = "Take these annotations out of what the other manager applies, or leave them to it: annotations: Ignore in \
                  spec.federated.identities.";
    let message = format!("could not {doing}: somebody else keeps what is to be written: {}", rivals.join("; "));
    trouble((Reason::AccountContested, Effect::Refused, remedy), message)
}
