//! Who issues the tokens of this cluster's `ServiceAccounts`, as the API server itself spells it. Entra compares that byte
//! for byte, so that nothing of it is trimmed, completed or made lower-case here.

use http::Request;
use kube::Client;
use serde::Deserialize;

use super::{
    Error,
    call::ask,
    trouble::{Meaning, trouble},
};
use crate::{
    api::Reason,
    facts::{Effect, Trouble},
};

/// Where an issuer of tokens describes itself.
const DISCOVERY: &str = "/.well-known/openid-configuration";

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

/// The issuer of this cluster.
pub async fn issuer(client: &Client) -> Result<String, Trouble> {
    let doing = || format!("read from {DISCOVERY} of the API server who issues the cluster's tokens");
    let asked = Request::get(DISCOVERY).body(vec![]).map_err(kube::core::request::Error::BuildRequest);
    match ask::<Discovery>(client, doing, asked).await {
        Ok(Discovery { issuer }) if issuer.is_empty() => {
            Err(trouble(unknown(Effect::Unknown, NO_DISCOVERY), format!("could not {}: it is empty", doing())))
        }
        Ok(Discovery { issuer }) => Ok(issuer),
        Err(error) => Err(explained(error)),
    }
}

const NO_DISCOVERY: &str = "Start the API server with a --service-account-issuer that is an https URL and public: for \
                            any other it publishes none, and Entra could not fetch its keys.";
const NOT_ALLOWED: &str = "Bind the ClusterRole system:service-account-issuer-discovery to the operator's ServiceAccount, \
                           as Kubernetes does for all of them by itself, or let it get this path (nonResourceURLs).";

fn unknown(effect: Effect, remedy: &'static str) -> Meaning {
    (Reason::IssuerUnknown, effect, remedy)
}

fn explained(error: Error) -> Trouble {
    let remedy = match error.status().map(|status| status.code) {
        Some(403) => NOT_ALLOWED,
        Some(404) => NO_DISCOVERY,
        _ => return error.into(),
    };
    let known = Trouble::from(error);
    Trouble { code: known.code, ..trouble(unknown(known.effect, remedy), known.message) }
}
