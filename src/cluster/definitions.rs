//! The definitions of our kinds in the cluster. Helm and GitOps may bring the operator before them, so they are waited
//! for.

use std::pin::pin;

use futures::TryStreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, CustomResourceExt,
    runtime::{
        WatchStreamExt,
        wait::{Condition, conditions},
        watcher::watch_object,
    },
};

/// Wait until the API server serves a kind. Logs what it waits for, once.
pub async fn served<K: CustomResourceExt>(client: Client) {
    let name = K::crd_name();
    let api: Api<CustomResourceDefinition> = Api::all(client);
    let mut seen = pin!(watch_object(api, name).default_backoff());
    let mut said = false;
    loop {
        match seen.try_next().await {
            Ok(seen) => {
                if conditions::is_crd_established().matches_object(seen.flatten().as_ref()) {
                    return;
                }
                if !said {
                    tracing::warn!(
                        definition = name,
                        "waiting for a definition: install the files of crds/ in this cluster"
                    );
                }
                said = true;
            }
            Err(error) => {
                tracing::warn!(definition = name, %error, "could not look for a definition; trying again");
            }
        }
    }
}
