//! A tenant to try things in: an operator that may write what it owns, and an application that it owns.

use hyper::Method;
use keywright_sandbox::Azure;
use keywright_sandbox::azure::{NewApplication, NewPassword, Options, Password, Seeded};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Client, Reply};

pub const GRAPH: &str = "https://graph.microsoft.com/v1.0";
pub const LOGIN: &str = "https://login.microsoftonline.com";
pub const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";

pub struct Place {
    pub azure: Azure,
    pub client: Client,
    pub tenant: Uuid,
    pub operator: Seeded,
    pub operators_secret: Password,
    pub payments: Seeded,
    pub payments_secret: Password,
}

/// A place where everything is known at once.
pub async fn at_once() -> Place {
    place(Options { scale: 0.0, ..Options::default() }, "Application.ReadWrite.OwnedBy").await
}

pub async fn place(options: Options, role: &str) -> Place {
    let azure = Azure::start(options).await.unwrap();
    let tenant = azure.seed_tenant();
    let new = |name: &str, owners: Vec<Uuid>, roles: Vec<String>| NewApplication {
        display_name: name.into(),
        owners,
        roles,
        ..NewApplication::default()
    };
    let operator = azure.seed_application(tenant, new("keywright", vec![], vec![role.into()])).unwrap();
    let payments = azure.seed_application(tenant, new("payments", vec![operator.principal], vec![])).unwrap();
    let operators_secret = azure.seed_password(&operator, NewPassword::default()).unwrap();
    let by_hand = NewPassword { display_name: Some("by hand".into()), ..NewPassword::default() };
    let payments_secret = azure.seed_password(&payments, by_hand).unwrap();
    let client = Client::of(&azure);
    Place { azure, client, tenant, operator, operators_secret, payments, payments_secret }
}

pub fn form(client_id: Uuid, secret: &str, scope: &str) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &client_id.to_string())
        .append_pair("client_secret", secret)
        .append_pair("scope", scope)
        .finish()
}

impl Place {
    pub fn token_url(&self) -> String {
        format!("{LOGIN}/{}/oauth2/v2.0/token", self.tenant)
    }

    pub async fn post_form(&self, url: &str, body: &str) -> Reply {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.client.send(Method::POST, url, &headers, body).await
    }

    /// Signs in as `payments`.
    pub async fn sign_in(&self, secret: &str) -> Reply {
        self.post_form(&self.token_url(), &form(self.payments.client_id, secret, GRAPH_SCOPE)).await
    }

    /// The operator's token for Graph.
    pub async fn bearer(&self) -> String {
        let form = form(self.operator.client_id, &self.operators_secret.value, GRAPH_SCOPE);
        let reply = self.post_form(&self.token_url(), &form).await;
        format!("Bearer {}", reply.json()["access_token"].as_str().expect("a token"))
    }

    /// Asks Graph as the operator.
    pub async fn graph(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.graph_with(method, path, &[], body).await
    }

    /// Asks Graph as the operator, with headers of one's own.
    pub async fn graph_with(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let bearer = self.bearer().await;
        let usual = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let headers: Vec<(&str, &str)> = usual.into_iter().chain(headers.iter().copied()).collect();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let url = if path.starts_with("https://") { path.to_owned() } else { format!("{GRAPH}{path}") };
        self.client.send(method, &url, &headers, &body).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.graph(Method::GET, path, &Value::Null).await
    }

    /// Does something to a secret of `payments`: `addPassword`, `removePassword`.
    pub async fn act(&self, action: &str, body: &Value) -> Reply {
        self.graph(Method::POST, &format!("/applications/{}/{action}", self.payments.object_id), body).await
    }

    pub async fn add(&self, name: &str) -> Value {
        let reply = self.act("addPassword", &json!({"passwordCredential": {"displayName": name}})).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }
}
