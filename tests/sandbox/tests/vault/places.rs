//! A vault to try things in: an operator that may do everything there, and a reader that may do nothing yet.

use hyper::Method;
use keywright_sandbox::Azure;
use keywright_sandbox::azure::{Grant, NewApplication, NewPassword, Options, Role, Seeded};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Client, Reply};

pub const VAULT: &str = "kv-payments";
pub const URL: &str = "https://kv-payments.vault.azure.net";
pub const AUDIENCE: &str = "https://vault.azure.net";

pub struct Place {
    pub azure: Azure,
    pub client: Client,
    pub tenant: Uuid,
    pub operator: Caller,
    pub reader: Caller,
}

/// An application, and what it signs in with.
pub struct Caller {
    pub application: Seeded,
    secret: String,
}

/// A place where everything is known at once.
pub async fn at_once() -> Place {
    let azure = Azure::start(Options { scale: 0.0, ..Options::default() }).await.unwrap();
    let tenant = azure.seed_tenant();
    azure.seed_vault(tenant, VAULT).unwrap();
    let (operator, reader) = (Caller::new(&azure, tenant, "keywright"), Caller::new(&azure, tenant, "reader"));
    let everything = Grant::role(operator.application.principal, Role::SecretsOfficer, None);
    azure.seed_grant(VAULT, everything).unwrap();
    let client = Client::of(&azure);
    Place { azure, client, tenant, operator, reader }
}

impl Caller {
    pub fn new(azure: &Azure, tenant: Uuid, name: &str) -> Self {
        let new = NewApplication { display_name: name.into(), ..NewApplication::default() };
        let application = azure.seed_application(tenant, new).unwrap();
        let secret = azure.seed_password(&application, NewPassword::default()).unwrap().value;
        Self { application, secret }
    }
}

impl Place {
    /// Somebody's token for a resource.
    pub async fn bearer(&self, caller: &Caller, resource: &str) -> String {
        let Seeded { tenant, client_id, .. } = caller.application;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &client_id.to_string())
            .append_pair("client_secret", &caller.secret)
            .append_pair("scope", &format!("{resource}/.default"))
            .finish();
        let url = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token");
        let reply = self.client.send(Method::POST, &url, &[], &form).await;
        format!("Bearer {}", reply.json()["access_token"].as_str().expect("a token"))
    }

    /// Asks the vault as somebody. The path has its query without the version of the interface.
    pub async fn ask_as(&self, caller: &Caller, method: Method, path: &str, body: &Value) -> Reply {
        let bearer = self.bearer(caller, AUDIENCE).await;
        let mark = if path.contains('?') { '&' } else { '?' };
        let url = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{URL}{path}{mark}api-version=2025-07-01")
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.client.send(method, &url, &headers, &body).await
    }

    /// Asks the vault as the operator.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.ask_as(&self.operator, method, path, body).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, &Value::Null).await
    }

    /// Puts a value, and returns its version.
    pub async fn put(&self, name: &str, value: &str) -> String {
        let reply = self.ask(Method::PUT, &format!("/secrets/{name}"), &json!({"value": value})).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        version(&reply.json())
    }
}

/// The version in an answer.
pub fn version(secret: &Value) -> String {
    secret["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// What a refusal is: its status, its code and its inner code.
pub fn refused(reply: &Reply) -> (u16, String, String) {
    let inner = reply.json()["error"]["innererror"]["code"].as_str().unwrap_or_default().to_owned();
    (reply.status, reply.code(), inner)
}

pub fn refusal(status: u16, code: &str, inner: &str) -> (u16, String, String) {
    (status, code.to_owned(), inner.to_owned())
}
