//! Another story: a workload goes from a secret to no secret at all, while its pods sign in without pause. One resource is
//! about it from the beginning to the end; only its kind changes.

use std::time::{Duration, Instant};

use anyhow::Context;
use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use keywright_sandbox::azure::GRAPH;
use keywright_sandbox::journal::Entry;
use keywright_sandbox::ledger::Leak;
use keywright_sandbox::webhook::{CLIENT_ID, Defaults, USE};
use keywright_sandbox::witness::Fingerprint;
use keywright_sandbox::{Plane, Webhook};
use kube::api::{DeleteParams, ListParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::PATIENCE;
use super::screen::Screen;
use super::stage::{Stage, at, condition, object, reason, secs, text};
use super::story::RESOURCE;

/// Whose tokens are accepted.
const ACCOUNT: &str = "payments-api";
/// The pods of the Deployment.
const PODS: usize = 3;
/// The pod that nothing restarts.
const NIGHT: &str = "night-batch";

/// How many exchanges in a row are a proof, a second apart.
const EXCHANGES: usize = 3;
/// How old the federated credential is before a pod is told of it: the last server here hears of it after 6 s, and one that
/// was asked just before remembers for 3 s that it does not know it.
const MIN_AGE: &str = "12s";

/// The type of records.
const RECORD: &str = "keywright.dev/record";
/// How often it is looked whether a record is gone.
const SOON: Duration = Duration::from_millis(100);

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
        screen.chapter("A pull request has the same resource say federated, in place of clientSecret")?;
        self.set_up(screen).await?;
        self.still_read(screen, &shown).await?;
        screen
            .chapter("A pull request takes the Secret out of the Deployment, while the pod of the night is at work")?;
        self.move_over(screen, &shown).await?;
        screen.chapter("The pod of the night has done its work")?;
        self.take_back(screen).await?;
        screen.chapter("What is left, and what the pods have seen all the while")?;
        self.nothing_is_left(screen, &shown).await?;
        Ok(webhook)
    }

    async fn begin_with_a_secret(&self, screen: &Screen, issuer: &str) -> anyhow::Result<Shown> {
        let began = Instant::now();
        let metadata = json!({"name": ACCOUNT, "namespace": "payments"});
        self.apply(object("v1", "ServiceAccount", json!({"metadata": metadata}))?).await?;
        let container =
            json!({"name": "app", "image": "example.org/app", "envFrom": [{"secretRef": {"name": RESOURCE}}]});
        self.run(&container).await?;
        let metadata = json!({"name": NIGHT, "namespace": "payments"});
        self.apply(object("v1", "Pod", json!({"metadata": metadata, "spec": {"containers": [container]}}))?).await?;
        let proof = json!({"consecutiveSuccesses": 3, "interval": "1s", "timeout": "1m", "minAge": "5s"});
        let spec = json!({"clientId": self.payments.client_id, "clientSecret": {}, "verification": proof});
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

    /// The kind is another; the resource, its name and what it has published are the same.
    async fn set_up(&self, screen: &Screen) -> anyhow::Result<()> {
        let (began, refused) = (Instant::now(), self.azure.refused_sign_ins().len());
        let proof = json!({"consecutiveSuccesses": EXCHANGES, "interval": "1s", "timeout": "1m", "minAge": MIN_AGE});
        let identity = json!({"name": "api", "serviceAccount": {"name": ACCOUNT}});
        let spec = json!({
            "clientId": self.payments.client_id, "federated": {"identities": [identity]}, "verification": proof,
            "retirement": {"minOverlap": "1s"},
        });
        self.declare(RESOURCE, &spec).await?;
        let created = |entry: &Entry| entry.verb == "createFederated" && entry.status == Some(201);
        self.azure.journal().wait_for(created, PATIENCE).await?;
        let added = self.azure.federated(&self.payments)?.pop().context("there is no federated credential")?;
        screen
            .done("added", &format!("federated credential {}, for {}", added.id, added.subject.unwrap_or_default()))?;

        let is_proven = |object: &DynamicObject| text(object, "/status/identities/0/proof") == "Proven";
        let matures = |object: &DynamicObject| condition(object, "Rotating", "reason") == "Maturing";
        // Where servers hear of it very late, it is old enough before it is proven.
        let tried = self.wait(RESOURCE, |object| matures(object) || is_proven(object)).await?;
        let late = self.azure.refused_sign_ins().len() - refused;
        let told = format!(
            "{EXCHANGES} exchanges of its tokens in a row, after {:.1} s; refused before, by servers that heard of it \
             late: {late}",
            secs(began)
        );
        screen.done("proven", &told)?;
        if matures(&tried) {
            let until = condition(&tried, "Rotating", "message");
            screen.done("Maturing", &format!("{until} By then every server has heard of it."))?;
        }
        self.wait(RESOURCE, |object| is_proven(object) && reason(object) == "Published").await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), "payments");
        let account = accounts.get(ACCOUNT).await?;
        let client_id = account.annotations().get(CLIENT_ID).context("the ServiceAccount is not annotated")?;
        screen.done("annotated", &format!("serviceaccount/{ACCOUNT}: {CLIENT_ID}={client_id}"))
    }

    /// Pods that read the Secret sign in with it, token or not, as SDKs do; so it stays.
    async fn still_read(&self, screen: &Screen, shown: &Shown) -> anyhow::Result<()> {
        let before = self.unrefused()?;
        let waits = self.wait(RESOURCE, |object| is_in_the_way(object, "deployment/web")).await?;
        self.signs_in(shown.secret, PODS + 1).await?;
        screen.told("StillInUse", &condition(&waits, "Rotating", "message"))?;
        self.stays(screen, &format!("{} sign-ins with the secret", self.unrefused()? - before))
    }

    /// Git says nothing of the Secret any more, and whoever still uses it is told.
    async fn move_over(&self, screen: &Screen, shown: &Shown) -> anyhow::Result<()> {
        let began = Instant::now();
        self.run(&json!({"name": "app", "image": "example.org/app"})).await?;
        self.signs_in(shown.token, PODS).await?;
        self.signs_in(shown.secret, 1).await?;
        let told = format!("{PODS} pods sign in with a token of {ACCOUNT}, after {:.1} s; 0 refused", secs(began));
        screen.done("rolled", &told)?;
        let waits = self.wait(RESOURCE, |object| is_in_the_way(object, &format!("pod/{NIGHT}"))).await?;
        screen.told("StillInUse", &condition(&waits, "Rotating", "message"))?;
        self.goes_on(shown.secret).await?;
        self.stays(screen, &format!("{NIGHT} signs in with it"))
    }

    /// Nobody was refused, and the secret is where it was.
    fn stays(&self, screen: &Screen, meanwhile: &str) -> anyhow::Result<()> {
        self.unrefused()?;
        let valid = self.azure.passwords(&self.payments)?.len();
        anyhow::ensure!(valid == 1, "there are {valid} secrets on the application");
        screen.done("meanwhile", &format!("{meanwhile}, 0 refused; secrets on the application: {valid}"))
    }

    async fn take_back(&self, screen: &Screen) -> anyhow::Result<()> {
        let began = Instant::now();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), "payments");
        pods.delete(NIGHT, &DeleteParams::default()).await?;
        let removed =
            |entry: &Entry| entry.service == GRAPH && entry.verb == "removePassword" && entry.status == Some(204);
        self.azure.journal().wait_for(removed, PATIENCE).await?;
        screen.done("removed", &format!("its secret is off the application by itself, {:.1} s later", secs(began)))?;
        let is_rid_of_it = |object: &DynamicObject| {
            let nothing_leaves = at(object, "/status/retiring").as_array().is_none_or(Vec::is_empty);
            nothing_leaves && condition(object, "Rotating", "status") == "False"
        };
        let settled = self.wait(RESOURCE, is_rid_of_it).await?;
        screen.done("Ready", &condition(&settled, "Ready", "message"))?;
        let alone = async {
            while self.records().await?.len() > 1 {
                tokio::time::sleep(SOON).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, alone).await.context("the record of the secret stays")??;
        screen.done("records", &format!("that of the secret is gone, after {:.1} s", secs(began)))?;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "payments");
        secrets.delete(RESOURCE, &DeleteParams::default()).await.context("what was published is gone already")?;
        screen.done("Secret", &format!("kubectl delete secret {RESOURCE}: its value opens nothing any more"))
    }

    /// Fails if a secret is anywhere, if anybody was refused, or if the ledger has anything to say.
    async fn nothing_is_left(&self, screen: &Screen, shown: &Shown) -> anyhow::Result<()> {
        // Time enough for what nobody wants back to come back.
        self.goes_on(shown.token).await?;
        self.signs_in(shown.token, PODS).await?;
        let passwords = self.azure.passwords(&self.payments)?.len();
        let federated = self.azure.federated(&self.payments)?.len();
        let told = format!("passwords: {passwords}, federated credentials: {federated}");
        anyhow::ensure!((passwords, federated) == (0, 1), "on the application there are {told}");
        screen.done("application", &told)?;
        let records = self.records().await?;
        anyhow::ensure!(records == ["Federated"], "there are records of {records:?}");

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

    /// The kinds of the credentials of which there are records.
    async fn records(&self) -> anyhow::Result<Vec<String>> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "payments");
        let records = secrets.list(&ListParams::default().fields(&format!("type={RECORD}"))).await?;
        Ok(records.iter().map(|one| one.annotations().get("keywright.dev/kind").cloned().unwrap_or_default()).collect())
    }

    /// The Deployment, as Git has it, with this container.
    async fn run(&self, container: &Value) -> anyhow::Result<()> {
        let pod = json!({"serviceAccountName": ACCOUNT, "containers": [container]});
        let template = json!({"metadata": {"labels": {"app": "web", USE: "true"}}, "spec": pod});
        let spec = json!({"replicas": PODS, "selector": {"matchLabels": {"app": "web"}}, "template": template});
        let metadata = json!({"name": "web", "namespace": "payments"});
        self.apply(object("apps/v1", "Deployment", json!({"metadata": metadata, "spec": spec}))?).await.map(drop)
    }
}

/// Whether this is told to be in the way of the removal of the secret.
fn is_in_the_way(object: &DynamicObject, who: &str) -> bool {
    condition(object, "Rotating", "reason") == "StillInUse" && condition(object, "Rotating", "message").contains(who)
}
