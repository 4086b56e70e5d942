//! Another story: a workload goes from a secret to no secret at all, while its pods sign in without pause.

use std::time::Instant;

use anyhow::Context;
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use keywright_sandbox::azure::GRAPH;
use keywright_sandbox::journal::Entry;
use keywright_sandbox::ledger::Leak;
use keywright_sandbox::webhook::{CLIENT_ID, Defaults, USE};
use keywright_sandbox::witness::{Fingerprint, Testimonies};
use keywright_sandbox::{Plane, Webhook};
use kube::api::{DeleteParams, ListParams};
use kube::core::DynamicObject;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::PATIENCE;
use super::screen::Screen;
use super::stage::{Stage, at, condition, object, reason, secs, text};
use super::story::RESOURCE;

/// The resource that does without a secret.
const FEDERATED: &str = "payments-federated";
/// Whose tokens are accepted.
const ACCOUNT: &str = "payments-api";
/// The pods of the Deployment.
const PODS: usize = 3;
/// The pod that nothing restarts.
const NIGHT: &str = "night-batch";

/// How many exchanges in a row are a proof, a second apart: when the last is made, every server here has heard of it.
const EXCHANGES: usize = 8;

/// What a pod shows when it signs in: with the secret, and with a token.
struct Shown {
    secret: Fingerprint,
    token: Fingerprint,
}

impl Stage {
    /// Tells every chapter; ends with an error at the first that does not go as it should. Returns the webhook that gives
    /// pods their tokens.
    pub(super) async fn do_without(&self, screen: &Screen, plane: &Plane) -> anyhow::Result<Webhook> {
        self.azure.trust_issuers(&plane.ca_pem())?;
        let webhook = Webhook::start(plane).await?;
        webhook.serve("payments", &Defaults::public(self.payments.tenant.to_string())).await?;
        screen.done("webhook", "of workload identity, which gives labelled pods a token, as on AKS")?;
        self.open_the_tenant(&["ClientSecret", "Federated"]).await?;
        screen.chapter(
            "Team payments signs in with a client secret: three pods of a Deployment, and one that works at night",
        )?;
        let shown = self.begin_with_a_secret(screen, &plane.url()).await?;
        screen.chapter("It declares the same application again, federated, for a ServiceAccount of its own")?;
        self.set_up(screen).await?;
        screen.chapter("A pull request has the Deployment run as that ServiceAccount, without the Secret")?;
        self.move_over(screen, &shown).await?;
        screen.chapter(
            "The first resource is deleted, with deletionPolicy Revoke, while the pod of the night is still at work",
        )?;
        self.delete_too_early(screen, &shown).await?;
        screen.chapter("The pod of the night has done its work")?;
        self.revoke(screen).await?;
        screen.chapter("What is left, and what the pods have seen all the while")?;
        self.nothing_is_left(screen, &shown).await?;
        Ok(webhook)
    }

    async fn begin_with_a_secret(&self, screen: &Screen, issuer: &str) -> anyhow::Result<Shown> {
        let began = Instant::now();
        let container =
            json!({"name": "app", "image": "example.org/app", "envFrom": [{"secretRef": {"name": RESOURCE}}]});
        let pod = json!({"containers": [container]});
        self.run(json!({}), &pod).await?;
        let metadata = json!({"name": NIGHT, "namespace": "payments"});
        self.apply(object("v1", "Pod", json!({"metadata": metadata, "spec": pod}))?).await?;
        let proof = json!({"consecutiveSuccesses": 3, "interval": "1s", "timeout": "1m", "minAge": "5s"});
        let spec = json!({
            "clientId": self.payments.client_id, "clientSecret": {}, "verification": proof,
            "deletionPolicy": "Revoke", "publish": {"secret": {"deletionPolicy": "Delete"}},
        });
        self.declare(RESOURCE, &spec).await?;
        let published = self.wait(RESOURCE, |object| reason(object) == "Published").await?;
        let key = text(&published, "/status/current/keyId");
        screen.done("published", &format!("secret/{RESOURCE}, with {key}"))?;

        let minted = self.azure.passwords(&self.payments)?.pop().context("there is no secret on the application")?;
        let subject = format!("system:serviceaccount:payments:{ACCOUNT}");
        let client = self.payments.client_id.to_string();
        let token = Fingerprint::of_federated(&client, issuer, &subject, "api://AzureADTokenExchange");
        let shown = Shown { secret: Fingerprint::of(&minted.value), token };
        self.signs_in(shown.secret, PODS + 1).await?;
        screen.done("pods", &format!("{} sign in with it, {:.1} s after it was declared", PODS + 1, secs(began)))?;
        Ok(shown)
    }

    async fn set_up(&self, screen: &Screen) -> anyhow::Result<()> {
        let (began, before, refused) = (Instant::now(), self.unrefused()?, self.azure.refused_sign_ins().len());
        let metadata = json!({"name": ACCOUNT, "namespace": "payments"});
        self.apply(object("v1", "ServiceAccount", json!({"metadata": metadata}))?).await?;
        let proof = json!({"consecutiveSuccesses": EXCHANGES, "interval": "1s", "timeout": "1m"});
        let identity = json!({"name": "api", "serviceAccount": {"name": ACCOUNT}});
        let spec = json!({
            "clientId": self.payments.client_id, "federated": {"identities": [identity]}, "verification": proof,
        });
        self.declare(FEDERATED, &spec).await?;
        let created = |entry: &Entry| entry.verb == "createFederated" && entry.status == Some(201);
        self.azure.journal().wait_for(created, PATIENCE).await?;
        let added = self.azure.federated(&self.payments)?.pop().context("there is no federated credential")?;
        screen
            .done("added", &format!("federated credential {}, for {}", added.id, added.subject.unwrap_or_default()))?;
        let is_proven = |object: &DynamicObject| text(object, "/status/identities/0/proof") == "Proven";
        self.wait(FEDERATED, is_proven).await?;
        let late = self.azure.refused_sign_ins().len() - refused;
        let told = format!(
            "{EXCHANGES} exchanges of its tokens in a row, {:.1} s after it was declared; before, {late} were refused by \
             servers that heard of it late",
            secs(began)
        );
        screen.done("proven", &told)?;
        self.wait(FEDERATED, |object| reason(object) == "Published").await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), "payments");
        let account = accounts.get(ACCOUNT).await?;
        let client_id = account.annotations().get(CLIENT_ID).context("the ServiceAccount is not annotated")?;
        screen.done("annotated", &format!("serviceaccount/{ACCOUNT}: {CLIENT_ID}={client_id}"))?;
        let during = self.unrefused()? - before;
        screen.done("meanwhile", &format!("{during} sign-ins with the secret, 0 refused"))
    }

    /// The Deployment runs as the account; Git says nothing of the Secret any more.
    async fn move_over(&self, screen: &Screen, shown: &Shown) -> anyhow::Result<()> {
        let began = Instant::now();
        let container = json!({"name": "app", "image": "example.org/app"});
        self.run(json!({USE: "true"}), &json!({"serviceAccountName": ACCOUNT, "containers": [container]})).await?;
        self.signs_in(shown.token, PODS).await?;
        self.signs_in(shown.secret, 1).await?;
        self.unrefused()?;
        let told = format!("{PODS} pods sign in with a token of {ACCOUNT}, after {:.1} s; 0 refused", secs(began));
        screen.done("rolled", &told)?;
        let everybody = |object: &DynamicObject| {
            at(object, "/status/consumers/total") == &json!(1) && condition(object, "RolledOut", "status") == "True"
        };
        let rolled_out = self.wait(FEDERATED, everybody).await?;
        screen.done("RolledOut", &condition(&rolled_out, "RolledOut", "message"))
    }

    /// Whoever still uses the secret is in the way, and is told.
    async fn delete_too_early(&self, screen: &Screen, shown: &Shown) -> anyhow::Result<()> {
        self.resources()?.delete(RESOURCE, &DeleteParams::default()).await?;
        let waits = self.wait(RESOURCE, |object| reason(object) == "StillInUse").await?;
        screen.told("StillInUse", &condition(&waits, "Ready", "message"))?;
        let before = self.accepted(shown.secret);
        let more = |seen: &Testimonies| accepted(seen, shown.secret) >= before + 10;
        self.nodes.witnesses().wait_for(more, PATIENCE).await?;
        self.unrefused()?;
        let valid = self.azure.passwords(&self.payments)?.len();
        screen.done("meanwhile", &format!("{NIGHT} signs in with it; secrets on the application: {valid}"))
    }

    async fn revoke(&self, screen: &Screen) -> anyhow::Result<()> {
        let began = Instant::now();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), "payments");
        pods.delete(NIGHT, &DeleteParams::default()).await?;
        let removed =
            |entry: &Entry| entry.service == GRAPH && entry.verb == "removePassword" && entry.status == Some(204);
        self.azure.journal().wait_for(removed, PATIENCE).await?;
        screen.done("revoked", &format!("its secret is off the application, {:.1} s later", secs(began)))?;
        let gone = await_condition(self.resources()?, RESOURCE, |object: Option<&DynamicObject>| object.is_none());
        tokio::time::timeout(PATIENCE, gone).await.with_context(|| format!("{RESOURCE} does not go"))??;
        screen.done("gone", &format!("eac/{RESOURCE}, after {:.1} s", secs(began)))
    }

    /// Fails if a secret is anywhere, if anybody was refused, or if the ledger has anything to say.
    async fn nothing_is_left(&self, screen: &Screen, shown: &Shown) -> anyhow::Result<()> {
        self.signs_in(shown.token, PODS).await?;
        let passwords = self.azure.passwords(&self.payments)?.len();
        let federated = self.azure.federated(&self.payments)?.len();
        let told = format!("passwords: {passwords}, federated credentials: {federated}");
        anyhow::ensure!((passwords, federated) == (0, 1), "on the application there are {told}");
        screen.done("application", &told)?;

        let ledger = self.azure.ledger(self.payments.tenant, self.nodes.witnesses())?;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "payments");
        let secrets = secrets.list(&ListParams::default()).await?;
        let texts = secrets.iter().map(|one| Ok((format!("secret/{}", one.name_any()), serde_json::to_string(one)?)));
        let found = ledger.leaks(texts.collect::<anyhow::Result<Vec<_>>>()?);
        let found: Vec<String> = found.iter().map(Leak::to_string).collect();
        anyhow::ensure!(found.is_empty(), "a secret is left: {}", found.join(", "));
        screen.done(
            "namespace",
            "no Secret in it has a value that Entra ever gave out; neither a published one, nor a record",
        )?;

        let all = self.unrefused()?;
        let with_secret = self.accepted(shown.secret);
        let by_token = all - with_secret;
        let told = format!("{all} accepted ({with_secret} with the secret, {by_token} by token), 0 refused");
        screen.done("sign-ins", &told)?;
        ledger.assert_clean()?;
        screen
            .done("ledger", "something was valid at any moment, nothing went while a pod held it, nothing is left over")
    }

    /// How many sign-ins of pods were accepted so far; none may have been refused.
    fn unrefused(&self) -> anyhow::Result<u64> {
        let (accepted, refused) = self.sign_ins();
        let first = self.nodes.witnesses().read(|seen| seen.refusals.first().map(ToString::to_string));
        anyhow::ensure!(refused == 0, "{refused} sign-ins of pods were refused; {}", first.unwrap_or_default());
        Ok(accepted)
    }

    /// The Deployment, as Git has it.
    async fn run(&self, mut labels: Value, pod: &Value) -> anyhow::Result<()> {
        labels["app"] = json!("web");
        let template = json!({"metadata": {"labels": labels}, "spec": pod});
        let spec = json!({"replicas": PODS, "selector": {"matchLabels": {"app": "web"}}, "template": template});
        let metadata = json!({"name": "web", "namespace": "payments"});
        self.apply(object("apps/v1", "Deployment", json!({"metadata": metadata, "spec": spec}))?).await.map(drop)
    }

    /// Waits until so many pods sign in with this, and no others hold it.
    async fn signs_in(&self, shown: Fingerprint, pods: usize) -> anyhow::Result<()> {
        let sign_in = |seen: &Testimonies| {
            let (all, well) = (seen.holders_of(shown), seen.holders_of(shown).filter(|one| one.accepted > 5));
            all.count() == pods && well.count() == pods
        };
        self.nodes.witnesses().wait_for(sign_in, PATIENCE).await
    }

    fn accepted(&self, shown: Fingerprint) -> u64 {
        self.nodes.witnesses().read(|seen| accepted(seen, shown))
    }
}

/// How many sign-ins with this were accepted.
fn accepted(seen: &Testimonies, shown: Fingerprint) -> u64 {
    seen.holdings.iter().filter(|one| one.what.fingerprint == shown).map(|one| one.accepted).sum()
}
