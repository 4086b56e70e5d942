//! Reading one object from the API server itself, where a copy in memory lacks it.

use std::fmt::Debug;

use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::{Error, within};

/// An object of a namespace, if there is one of this name.
pub async fn namespaced<K>(client: &Client, namespace: &str, name: &str) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api = Api::namespaced(client.clone(), namespace);
    within(|| format!("read {} {namespace}/{name}", K::kind(&())), api.get_opt(name)).await
}

/// A cluster-scoped object, if there is one of this name.
pub async fn cluster_scoped<K>(client: &Client, name: &str) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope> + Clone + Debug + DeserializeOwned,
{
    within(|| format!("read {} {name}", K::kind(&())), Api::all(client.clone()).get_opt(name)).await
}
