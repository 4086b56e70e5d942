//! The ways into the tenants: one a tenant, shared by all of its resources, and made anew when what the tenant says of the
//! operator's identity has changed, or when Entra does not take it any more.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use crate::{
    api::{EntraTenantSpec, Reason, tenant::OperatorIdentity},
    cluster::{Client, identity},
    entra::{Cloud, Directory, Identity, credential},
    facts::{Service, Trouble},
    vault::Vaults,
    wire,
};

/// The way into one tenant.
pub struct Connection {
    /// Where its cloud is.
    pub cloud: Cloud,
    /// Its applications.
    pub directory: Directory,
    /// Its Key Vaults.
    pub vaults: Vaults,
}

/// The ways into all tenants.
pub struct Connections {
    wire: wire::Client,
    client: Client,
    /// Where the Secrets are that the operator itself signs in with.
    namespace: String,
    /// Whether whoever is signed in on this machine is asked where the surroundings would be.
    developer: bool,
    open: Mutex<HashMap<String, Arc<OnceCell<Arc<Connection>>>>>,
}

impl Connections {
    /// No way is made yet.
    #[must_use]
    pub fn new(wire: wire::Client, client: Client, namespace: String, developer: bool) -> Self {
        Self { wire, client, namespace, developer, open: Mutex::default() }
    }

    /// The way into a tenant.
    pub async fn to(&self, tenant: &EntraTenantSpec) -> Result<Arc<Connection>, Trouble> {
        let cell = Arc::clone(self.open().entry(key(tenant)).or_default());
        cell.get_or_try_init(|| self.connect(tenant)).await.cloned()
    }

    /// Forget all ways but those into these tenants, and with them what the operator signed in with.
    pub fn keep_only<'a>(&self, tenants: impl Iterator<Item = &'a EntraTenantSpec>) {
        let needed: HashSet<String> = tenants.map(key).collect();
        self.open().retain(|key, _| needed.contains(key));
    }

    /// What kept a call from succeeding. If the operator could not sign in for it, to whichever service, its credential is
    /// read anew: somebody may have rotated it.
    pub fn heed(&self, tenant: &EntraTenantSpec, trouble: &Trouble) {
        if trouble.reason == Reason::OperatorCannotSignIn {
            self.open().remove(&key(tenant));
        }
    }

    async fn connect(&self, tenant: &EntraTenantSpec) -> Result<Arc<Connection>, Trouble> {
        let cloud = Cloud::of(tenant).map_err(|nowhere| misplaced(&nowhere.to_string()))?;
        let identity = self.identity(tenant.identity.as_ref()).await?;
        let vaults = credential(&self.wire, tenant.tenant_id, &cloud, &identity)?;
        let vaults = Vaults::new(self.wire.http().clone(), vaults, cloud.vault_suffix().into()).sharing(&self.wire);
        let directory = Directory::new(&self.wire, tenant.tenant_id, &cloud, identity)?;
        Ok(Arc::new(Connection { cloud, directory, vaults }))
    }

    async fn identity(&self, said: Option<&OperatorIdentity>) -> Result<Identity, Trouble> {
        let none = OperatorIdentity::default();
        let said = said.unwrap_or(&none);
        if let Some(by) = &said.client_secret {
            let secret = identity::client_secret(&self.client, &self.namespace, &by.secret_ref).await?;
            return Ok(Identity::ClientSecret { client_id: by.client_id, secret });
        }
        if let Some(by) = &said.certificate {
            let pem = identity::certificate(&self.client, &self.namespace, &by.secret_ref).await?.pem();
            return Ok(Identity::Certificate { client_id: by.client_id, pem });
        }
        if let Some(by) = &said.managed_identity {
            return Ok(Identity::ManagedIdentity { client_id: by.client_id });
        }
        if self.developer {
            return Ok(Identity::DeveloperTools);
        }
        Ok(Identity::WorkloadIdentity { client_id: said.workload_identity.as_ref().and_then(|by| by.client_id) })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<OnceCell<Arc<Connection>>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection depends on, in a form that can be compared.
fn key(tenant: &EntraTenantSpec) -> String {
    serde_json::json!([tenant.tenant_id, tenant.cloud, tenant.endpoints, tenant.identity]).to_string()
}

fn misplaced(why: &str) -> Trouble {
    let message = format!("could not find the tenant's cloud: {why}");
    Trouble::unsent(Service::Token, Reason::OperatorCannotSignIn, message, "Correct spec.endpoints of the EntraTenant.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tenant(client_id: &str) -> EntraTenantSpec {
        let identity = json!({"managedIdentity": {"clientId": client_id}});
        serde_json::from_value(json!({"tenantId": client_id, "identity": identity})).unwrap()
    }

    #[tokio::test]
    async fn a_way_that_no_tenant_describes_any_more_is_forgotten() {
        let nobody = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("there is no cluster here"))
        });
        let wire = wire::Client::new(wire::Settings::default()).unwrap();
        let connections = Connections::new(wire, Client::new(nobody, "here"), "here".into(), false);
        let ids = ["8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f", "11111111-2222-3333-4444-555555555555"];
        let [before, now] = ids.map(tenant);
        let old = Arc::downgrade(&connections.to(&before).await.unwrap());
        let new = connections.to(&now).await.unwrap();
        connections.keep_only([&now].into_iter());
        assert!(old.upgrade().is_none(), "nobody has it any more");
        assert!(Arc::ptr_eq(&new, &connections.to(&now).await.unwrap()), "the other is the same");
    }
}
