//! Tokens of `ServiceAccounts`, by which is proven that Entra takes them. Each is for one audience and as short-lived as
//! Kubernetes makes them; it is handed on and kept nowhere.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Client, Resource, api::PostParams, core::Request};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::{Error, call::ask, connect::Connection, stored::bytes, trouble::trouble};
use crate::{
    api::Reason,
    facts::{Exchange, Trouble, Verdict},
};

/// For how long a token is asked for, in seconds: Kubernetes makes none for less.
const LIFE: i64 = 600;

/// The tokens of this cluster's `ServiceAccounts`.
#[derive(Clone)]
pub struct AccountTokens {
    client: Client,
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoToken {
    /// The operator may not ask for one.
    NotAllowed(Trouble),
    /// There is no such account.
    NoAccount(Trouble),
    /// Nobody knows: the API server could not be asked, or could not answer.
    Unheard(Trouble),
}

impl From<NoToken> for Exchange {
    fn from(no: NoToken) -> Self {
        match no {
            NoToken::NotAllowed(trouble) => Self::NotAllowed(trouble),
            NoToken::NoAccount(trouble) => Self::NoAccount(trouble),
            NoToken::Unheard(trouble) => Self::Judged(Verdict::Unheard(trouble)),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    status: Issued,
}

#[derive(Deserialize)]
struct Issued {
    token: String,
}

impl AccountTokens {
    /// The tokens of a cluster.
    #[must_use]
    pub fn new(cluster: &Connection) -> Self {
        // Asking twice brings two tokens and changes nothing.
        Self { client: cluster.client.clone() }
    }

    /// A token of an account, for one audience.
    pub async fn issue(&self, namespace: &str, account: &str, audience: &str) -> Result<SecretString, NoToken> {
        let doing = || format!("get a token of ServiceAccount {namespace}/{account} for {audience}");
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": LIFE},
        });
        let accounts = Request::new(ServiceAccount::url_path(&(), Some(namespace)));
        let asked = accounts.create_subresource("token", account, &PostParams::default(), bytes(&body));
        let answer: Answer = ask(&self.client, doing, asked).await.map_err(no_token)?;
        Ok(answer.status.token.into())
    }
}

fn no_token(error: Error) -> NoToken {
    let (code, is_gone) = (error.status().map(|status| status.code), error.is_gone());
    let known = Trouble::from(error);
    let meaning = |reason, remedy| {
        let told = trouble((reason, known.effect, remedy), known.message.clone());
        Trouble { code: known.code.clone(), ..told }
    };
    match code {
        Some(403) if known.message.contains("cannot create resource") => NoToken::NotAllowed(meaning(
            Reason::TokenNotAllowed,
            "Set federation.allowTokenRequests of the chart to true, if the operator may prove federated credentials by \
             tokens of the ServiceAccounts themselves.",
        )),
        // An admission policy has said no; what to do about that is known already.
        Some(403 | 422) if known.reason == Reason::ClusterRefused => NoToken::NotAllowed(known),
        Some(404) if is_gone => NoToken::NoAccount(meaning(
            Reason::AccountMissing,
            "Create the ServiceAccount, or name in spec.federated.identities the one that the pods run as.",
        )),
        _ => NoToken::Unheard(known),
    }
}
