//! The ways into the tenants: one a tenant, shared by all of its resources, and made anew when what the tenant says of the
//! operator's identity has changed, or when Entra does not take it any more.

use std::{
    collections::HashMap,
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
    key: String,
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
        let key = key(tenant);
        let cell = Arc::clone(self.open().entry(key.clone()).or_default());
        cell.get_or_try_init(|| self.connect(tenant, key)).await.cloned()
    }

    /// What came of a call. After one for which the operator could not sign in, its credential is read anew: somebody may
    /// have rotated it.
    pub fn watched<T>(&self, connection: &Connection, ended: Result<T, Trouble>) -> Result<T, Trouble> {
        if ended.as_ref().is_err_and(|trouble| trouble.reason == Reason::OperatorCannotSignIn) {
            self.open().remove(&connection.key);
        }
        ended
    }

    async fn connect(&self, tenant: &EntraTenantSpec, key: String) -> Result<Arc<Connection>, Trouble> {
        let cloud = Cloud::of(tenant).map_err(|nowhere| misplaced(&nowhere.to_string()))?;
        let identity = self.identity(tenant.identity.as_ref()).await?;
        let vaults = credential(&self.wire, tenant.tenant_id, &cloud, &identity)?;
        let vaults =
            Vaults::new(self.wire.http().clone(), vaults, cloud.vault_suffix().into()).counted(self.wire.metrics());
        let directory = Directory::new(&self.wire, tenant.tenant_id, &cloud, identity)?;
        Ok(Arc::new(Connection { cloud, directory, vaults, key }))
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
