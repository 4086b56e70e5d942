//! The story that the demo tells: a first secret, and what becomes of it when things are broken. It reads what kubectl
//! would read.

use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::azure::GRAPH;
use keywright_sandbox::journal::Entry;
use keywright_sandbox::{Operator, Rule};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::screen::Screen;
use super::stage::{Stage, at, reason, secs, text};
use super::{Operators, PATIENCE};

/// The name of the resource, and of what it publishes.
pub(super) const RESOURCE: &str = "payments-api";

impl Stage {
    /// Tells every chapter; ends with an error at the first that does not go as it should. Returns the operator that is
    /// alive in the end.
    pub(super) async fn tell(
        &self,
        screen: &Screen,
        operators: &Operators,
        operator: Operator,
    ) -> anyhow::Result<Operator> {
        screen.chapter("The platform team opens tenant default to namespace payments, for two applications")?;
        self.open_the_tenant(&["ClientSecret"]).await?;
        self.mistakes(screen).await?;
        screen.chapter("Team payments declares a client secret; the pods that will use it wait")?;
        self.first_issue(screen).await?;
        screen.chapter("Somebody deletes the Secret, then edits the value in it, then wipes the status")?;
        self.break_the_secret(screen).await?;
        screen
            .chapter("The operator is killed just after Entra has minted another secret, before it has heard of it")?;
        let operator = self.kill(screen, operators, operator).await?;
        screen.chapter(
            "Twice somebody demands another secret, while a Deployment, a StatefulSet and a DaemonSet sign in",
        )?;
        self.rotate_twice(screen).await?;
        screen.chapter("Once more, but the pods of one of them cannot start any more")?;
        self.stall(screen).await?;
        screen.chapter("What the pods have seen all the while")?;
        self.verdict(screen)?;
        Ok(operator)
    }

    /// What is wrong is refused as early as it can be.
    async fn mistakes(&self, screen: &Screen) -> anyhow::Result<()> {
        let words = ["exactly one of clientSecret, certificate and federated", "must be a GUID in lower case"];
        let manifests: Vec<DynamicObject> = serde_saphyr::from_multiple(include_str!("../../demo/wrong.yaml"))?;
        for (manifest, expected) in manifests.into_iter().zip(words) {
            let name = manifest.name_any();
            let answer = match self.apply(manifest).await {
                Ok(_) => anyhow::bail!("{name} should have been refused by the API server, and was not"),
                Err(error) => format!("{:#}", error.root_cause()),
            };
            anyhow::ensure!(answer.contains(expected), "{name} was refused, but not with {expected:?}: {answer}");
            screen.refused(&name, &answer)?;
        }
        Ok(())
    }

    async fn first_issue(&self, screen: &Screen) -> anyhow::Result<()> {
        let began = Instant::now();
        self.deploy().await?;
        self.declare_secret(RESOURCE, self.payments.client_id.to_string(), true).await?;
        let kept = self.wait(RESOURCE, |object| !at(object, "/status/next/credential/keyId").is_null()).await?;
        let key = text(&kept, "/status/next/credential/keyId");
        screen.done("opened", "a record, before anything was minted")?;
        screen.done("minted", &format!("{key}, with the mark of its record in its name"))?;
        screen.done("kept", "its value is in the record, and cannot change any more")?;
        let proving = Instant::now();
        let published = self.wait(RESOURCE, |object| reason(object) == "Published").await?;
        screen.done(
            "proven",
            &format!("3 sign-ins in a row, each on a connection of its own, in {:.1} s", secs(proving)),
        )?;
        let targets = at(&published, "/status/targets").as_array().cloned().unwrap_or_default();
        let targets: Vec<&str> = targets.iter().filter_map(|target| target["target"].as_str()).collect();
        screen.done("published", &targets.join("   "))?;
        self.everybody_signs_in().await?;
        screen.done("pods", &format!("all sign in with it, {:.1} s after it was declared", secs(began)))
    }

    async fn break_the_secret(&self, screen: &Screen) -> anyhow::Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "payments");
        let before = secrets.get(RESOURCE).await?;
        let (uid, value) = (before.uid(), value(&before));
        let began = Instant::now();
        secrets.delete(RESOURCE, &DeleteParams::default()).await?;
        let back = move |secret: Option<&Secret>| secret.is_some_and(|secret| secret.uid() != uid);
        tokio::time::timeout(PATIENCE, await_condition(secrets.clone(), RESOURCE, back)).await??;
        screen
            .done("deleted", &format!("back after {:.1} s; secrets minted so far: {}", secs(began), self.minted()))?;

        let began = Instant::now();
        let edit = json!({"stringData": {"AZURE_CLIENT_SECRET": "pasted by hand"}});
        secrets.patch(RESOURCE, &PatchParams::default(), &Patch::Merge(edit)).await?;
        let right = move |secret: Option<&Secret>| secret.is_some_and(|secret| self::value(secret) == value);
        tokio::time::timeout(PATIENCE, await_condition(secrets, RESOURCE, right)).await??;
        screen.done("edited", &format!("right again after {:.1} s; minted so far: {}", secs(began), self.minted()))?;

        let api = self.resources()?;
        let mut object = api.get(RESOURCE).await?;
        object.data["status"] = json!({});
        api.replace_status(RESOURCE, &PostParams::default(), &object).await?;
        self.wait(RESOURCE, |object| reason(object) == "Published").await?;
        screen.done("status wiped", &format!("written again from what is so; minted so far: {}", self.minted()))
    }

    async fn kill(&self, screen: &Screen, operators: &Operators, operator: Operator) -> anyhow::Result<Operator> {
        let minting = Rule::at(GRAPH, "addPassword", "**").kill_after(operator.kill_switch());
        let added = self.azure.faults().add(minting);
        self.declare_secret("billing-api", self.billing.client_id.to_string(), false).await?;
        operator.exited(PATIENCE).await?;
        added.lift();
        screen.done(
            "killed",
            &format!("application billing has {} secret, whose value nobody has", self.on_billing()?),
        )?;
        let operator = operators.start(&self.azure).await?;
        self.wait("billing-api", |object| reason(object) == "Published").await?;
        screen.done("started again", "another attempt, with a mark of its own, was minted, proven and published")?;
        let removed = |entry: &Entry| entry.verb == "removePassword" && entry.status == Some(204);
        self.azure.journal().wait_for(removed, PATIENCE).await?;
        screen
            .done("taken back", &format!("what was left behind; secrets on the application: {}", self.on_billing()?))?;
        Ok(operator)
    }

    fn verdict(&self, screen: &Screen) -> anyhow::Result<()> {
        let (accepted, refused) = self.sign_ins();
        anyhow::ensure!(refused == 0, "{refused} sign-ins of pods were refused");
        screen.done("sign-ins", &format!("{accepted} accepted, {refused} refused"))
    }

    fn minted(&self) -> usize {
        self.azure.journal().count(|entry| entry.service == GRAPH && entry.verb == "addPassword")
    }

    fn on_billing(&self) -> anyhow::Result<usize> {
        Ok(self.azure.passwords(&self.billing)?.len())
    }

    async fn declare_secret(&self, name: &str, client_id: String, vault: bool) -> anyhow::Result<()> {
        let proof = json!({"consecutiveSuccesses": 3, "interval": "1s", "timeout": "1m", "minAge": "5s"});
        let mut spec = json!({
            "clientId": client_id, "clientSecret": {}, "verification": proof, "retirement": {"minOverlap": "3s"},
            "consumers": {"rollout": {"timeout": "8s"}},
        });
        if vault {
            let entry = json!({"vaultUrl": "https://kv-payments.vault.azure.net", "name": name});
            spec["publish"] = json!({"secret": {}, "keyVaults": [entry]});
        }
        self.declare(name, &spec).await
    }
}

/// The value that a Secret carries.
fn value(secret: &Secret) -> Option<Vec<u8>> {
    Some(secret.data.as_ref()?.get("AZURE_CLIENT_SECRET")?.0.clone())
}
