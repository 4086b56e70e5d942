//! Pods of a firm that sign in with a token of their ServiceAccount, which the webhook of workload identity gives them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use keywright_sandbox::{
    Webhook,
    azure::{self, OutsideIssuer},
    node::USER_AGENT,
    webhook::{CLIENT_ID, Defaults, USE},
    witness::{Fingerprint, Testimonies},
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, ObjectMeta, PostParams},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Firm, PATIENCE, RESOURCE, Town, chain};

/// Whom tokens for federation are for.
pub const AUDIENCE: &str = "api://AzureADTokenExchange";

impl Town {
    /// Its webhook, opened for the first who needs it; until then a label changes no pod.
    async fn webhook(&self) -> Result<&Webhook, Failed> {
        self.webhook.get_or_try_init(|| Webhook::start(&self.plane)).await.map_err(chain)
    }
}

impl Town {
    /// A firm in whose tenant the tokens of this cluster can be accepted, and identities outside; its operator may ask for
    /// tokens of the firm's ServiceAccounts, if it is let.
    pub async fn federating(&self, name: &str, is_let: bool) -> Result<Firm, Failed> {
        self.federating_with(name, is_let, azure::Options { scale: 0.02, ..azure::Options::default() }).await
    }

    /// The same with an Azure like this.
    pub async fn federating_with(&self, name: &str, is_let: bool, options: azure::Options) -> Result<Firm, Failed> {
        let values = json!({"watchNamespaces": [name], "federation": {"allowTokenRequests": is_let}});
        let place = self.place_with(name, &values).await?;
        let mut firm = self.firm_in(place, options).await?;
        // So many that hardly a server of Entra that is late is missed: pods would not forgive it.
        firm.asking =
            super::merged(firm.asking.clone(), &json!({"spec": {"verification": {"consecutiveSuccesses": 16}}}));
        firm.azure.trust_issuers(&self.plane.ca_pem()).map_err(chain)?;
        firm.grant_federation(&["https://token.actions.githubusercontent.com"]).await?;
        Ok(firm)
    }
}

impl Firm {
    /// Grant federation, also with repositories of contoso by these issuers outside.
    pub async fn grant_federation(&self, issuers: &[&str]) -> Result<(), Failed> {
        let outside = json!({"externalIssuers": issuers, "externalSubjects": ["repo:contoso/*"]});
        let outside = if issuers.is_empty() { Value::Null } else { outside };
        let grant = super::merged(self.grant(), &json!({"kinds": ["Federated"], "federation": outside}));
        self.tenant(&json!({"spec": {"grants": [grant]}})).await
    }

    /// Declare these identities.
    pub async fn federate(&self, identities: &[Value], patch: &Value) -> Result<(), Failed> {
        let asked = json!({"spec": {"clientSecret": null, "federated": {"identities": identities}}});
        self.resource(RESOURCE, &super::merged(asked, patch)).await
    }

    /// What a token of a ServiceAccount of this firm shows.
    pub fn shown_by(&self, account: &str) -> Fingerprint {
        let subject = format!("system:serviceaccount:{}:{account}", self.name);
        Fingerprint::of_federated(&self.payments.client_id.to_string(), &self.town.plane.url(), &subject, AUDIENCE)
    }

    /// What is told to the pods of its ServiceAccounts, and since when: the federated credentials that are to be used.
    pub(super) async fn told_to_accounts(&self) -> Result<Vec<(Fingerprint, Timestamp)>, Failed> {
        let told = |account: &ServiceAccount| {
            let is_ours = account.annotations().get(CLIENT_ID) == Some(&self.payments.client_id.to_string());
            let written =
                account.managed_fields().iter().filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max();
            is_ours.then(|| (self.shown_by(&account.name_any()), written.unwrap_or(Timestamp::UNIX_EPOCH)))
        };
        Ok(self.service_accounts().list(&ListParams::default()).await?.iter().filter_map(told).collect())
    }

    /// What comes of a token that an issuer outside gives to a subject: 200, or whatever else Entra answers. Whoever was let
    /// in is somebody to whom it was told that he may.
    pub async fn signs_in_from_outside(&self, issuer: &OutsideIssuer, subject: &str) -> Result<u16, Failed> {
        let assertion = issuer.mint(subject, AUDIENCE).map_err(chain)?;
        let form = [
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ];
        let status = self.signs_in_outside(&form).await?;
        if status == 200 {
            let id = self.payments.client_id.to_string();
            let shown = Fingerprint::of_federated(&id, issuer.url(), subject, AUDIENCE);
            super::ending::locked(&self.outsiders).push((shown, Timestamp::now()));
        }
        Ok(status)
    }

    /// What comes of a secret that somebody outside has been given: 200, or whatever else Entra answers.
    pub async fn signs_in_with(&self, secret: &str) -> Result<u16, Failed> {
        self.signs_in_outside(&[("client_secret", secret)]).await
    }

    async fn signs_in_outside(&self, proof: &[(&str, &str)]) -> Result<u16, Failed> {
        let ca = reqwest::Certificate::from_pem(self.azure.ca_pem().as_bytes())?;
        let proxy = reqwest::Proxy::https(&self.azure.endpoints().proxy)?;
        let client = reqwest::Client::builder().proxy(proxy).tls_certs_only([ca]).user_agent(USER_AGENT).build()?;
        let url = format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", self.payments.tenant);
        let id = self.payments.client_id.to_string();
        let usual = [
            ("grant_type", "client_credentials"),
            ("client_id", &id),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let form: Vec<(&str, &str)> = usual.into_iter().chain(proof.iter().copied()).collect();
        Ok(client.post(url).form(&form).send().await?.status().as_u16())
    }

    /// Wait until so many pods of a ServiceAccount sign in by it, and have been accepted.
    pub async fn pods_federate(&self, account: &str, count: usize) -> Result<(), Failed> {
        let shown = self.shown_by(account);
        let accepted = |seen: &Testimonies| {
            let held: Vec<_> = seen.held().filter(|held| held.what.fingerprint == shown).collect();
            held.len() == count && held.iter().all(|held| held.accepted > 0)
        };
        self.witnesses().wait_for(accepted, PATIENCE).await.map_err(chain)
    }

    /// A ServiceAccount, whose pods are told this client ID; those of one without are told none.
    pub async fn service_account(&self, name: &str, client_id: Option<Uuid>) -> Result<(), Failed> {
        let annotations = client_id.map(|id| BTreeMap::from([(CLIENT_ID.to_owned(), id.to_string())]));
        let metadata = ObjectMeta { name: Some(name.to_owned()), annotations, ..ObjectMeta::default() };
        let account = ServiceAccount { metadata, ..ServiceAccount::default() };
        self.service_accounts().create(&PostParams::default(), &account).await?;
        Ok(())
    }

    /// Its ServiceAccounts.
    pub fn service_accounts(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.town.admin(), &self.name)
    }

    /// A workload of a kind of `apps/v1` whose pods have the webhook's label and this ServiceAccount, and nothing else to
    /// sign in with.
    pub async fn run_federated(
        &self,
        kind: &str,
        name: &str,
        replicas: usize,
        service_account: &str,
    ) -> Result<(), Failed> {
        self.run_federated_with(kind, name, replicas, service_account, &json!({})).await
    }

    /// The same with something else in its spec.
    pub async fn run_federated_with(
        &self,
        kind: &str,
        name: &str,
        replicas: usize,
        service_account: &str,
        patch: &Value,
    ) -> Result<(), Failed> {
        let defaults = Defaults::public(self.payments.tenant.to_string());
        self.town.webhook().await?.serve(&self.name, &defaults).await.map_err(chain)?;
        let template = json!({"metadata": {"labels": {USE: "true"}}, "spec": {"serviceAccountName": service_account}});
        let federated = json!({"spec": {"template": template}});
        self.run_with(kind, name, replicas, &super::merged(federated, patch)).await
    }

    /// Wait until so many pods have a file with a token that they know of, those that are being deleted left out.
    pub async fn pods_have_token(&self, count: usize) -> Result<(), Failed> {
        self.pods_are(count, "have a token", |pod| is_to_stay(pod) && has_token(pod)).await
    }

    /// Wait until so many have none, likewise.
    pub async fn pods_have_no_token(&self, count: usize) -> Result<(), Failed> {
        self.pods_are(count, "have no token", |pod| is_to_stay(pod) && !has_token(pod)).await
    }
}

fn is_to_stay(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
}

fn has_token(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut variables = containers.flat_map(|container| container.env.iter().flatten());
    variables.any(|variable| variable.name == "AZURE_FEDERATED_TOKEN_FILE")
}
