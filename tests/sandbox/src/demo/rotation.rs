//! The second half of the story: a secret is rotated under workloads that sign in without pause, and one of them stalls.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt};
use keywright_sandbox::witness::Testimonies;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};

use super::PATIENCE;
use super::screen::Screen;
use super::stage::{Stage, at, condition, object, secs, text};
use super::story::RESOURCE;

/// The workloads that use the secret: kind, name, and how many pods.
const WORKLOADS: [(&str, &str, i64); 3] =
    [("Deployment", "web", 2), ("StatefulSet", "queue", 2), ("DaemonSet", "agent", 1)];

/// How often it is looked whether something is over that nothing tells of.
pub(super) const SOON: Duration = Duration::from_millis(100);

impl Stage {
    /// Everything that uses the secret.
    pub(super) async fn deploy(&self) -> anyhow::Result<()> {
        for (kind, name, replicas) in WORKLOADS {
            let container =
                json!({"name": "app", "image": "example.org/app", "envFrom": [{"secretRef": {"name": RESOURCE}}]});
            let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}});
            let mut spec = json!({"selector": {"matchLabels": {"app": name}}, "template": template});
            if kind != "DaemonSet" {
                spec["replicas"] = replicas.into();
            }
            let metadata = json!({"name": name, "namespace": "payments"});
            self.apply(object("apps/v1", kind, json!({"metadata": metadata, "spec": spec}))?).await?;
        }
        Ok(())
    }

    /// Waits until every pod signs in.
    pub(super) async fn everybody_signs_in(&self) -> anyhow::Result<()> {
        let all: i64 = WORKLOADS.iter().map(|(.., pods)| pods).sum();
        let all = usize::try_from(all)?;
        let signing_in = |seen: &Testimonies| seen.held().filter(|one| one.accepted > 5).count() >= all;
        self.nodes.witnesses().wait_for(signing_in, PATIENCE).await.map(drop)
    }

    /// Rotates twice; each stage is shown as the status tells of it.
    pub(super) async fn rotate_twice(&self, screen: &Screen) -> anyhow::Result<()> {
        for number in 2..=3 {
            let (began, before) = (Instant::now(), self.sign_ins());
            self.demand().await?;
            self.show_stages(screen, number).await?;
            self.old_secret_goes().await?;
            let after = self.sign_ins();
            anyhow::ensure!(after.1 == before.1, "{} sign-ins of pods were refused", after.1 - before.1);
            let during = after.0 - before.0;
            let valid = self.azure.passwords(&self.payments)?.len();
            let told = format!(
                "secret {number} after {:.1} s; {during} sign-ins meanwhile, 0 refused; left: {valid}",
                secs(began)
            );
            screen.done("rotated", &told)?;
        }
        Ok(())
    }

    /// A workload does not become well: the next ones are not touched, and the old secret stays.
    pub(super) async fn stall(&self, screen: &Screen) -> anyhow::Result<()> {
        let place =
            |node: Value| json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": node}}}}});
        self.change_web(&place(json!("nowhere"))).await?;
        self.demand().await?;
        let stalled = self.wait(RESOURCE, |object| stage(object) == "RolloutStalled").await?;
        screen.told("stalled", &condition(&stalled, "Rotating", "message"))?;
        let before = self.sign_ins();
        self.everybody_signs_in().await?;
        anyhow::ensure!(self.sign_ins().1 == before.1, "sign-ins of pods were refused");
        let ready = condition(&stalled, "Ready", "status");
        let valid = self.azure.passwords(&self.payments)?.len();
        screen.done("meanwhile", &format!("Ready is {ready}, {valid} secrets are valid, nobody else was restarted"))?;
        self.change_web(&place(Value::Null)).await?;
        self.show_stages(screen, 4).await?;
        self.old_secret_goes().await?;
        screen.done("mended", "web can start again, so the rotation went on by itself, to its end")
    }

    /// Demands another secret, as a pull request would.
    pub(super) async fn demand(&self) -> anyhow::Result<()> {
        let now = jiff::Timestamp::now().to_string();
        let demand = Patch::Merge(json!({"spec": {"rotation": {"issuedAfter": now}}}));
        self.resources()?.patch(RESOURCE, &PatchParams::default(), &demand).await?;
        Ok(())
    }

    async fn change_web(&self, patch: &Value) -> anyhow::Result<()> {
        let web = object("apps/v1", "Deployment", json!({"metadata": {"name": "web", "namespace": "payments"}}))?;
        self.api(&web)?.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Shows the stages of a rotation until everybody has what is new.
    pub(super) async fn show_stages(&self, screen: &Screen, number: i64) -> anyhow::Result<()> {
        let one = watcher::Config::default().fields(&format!("metadata.name={RESOURCE}"));
        let mut changes = watcher(self.resources()?, one).touched_objects().boxed();
        let mut shown = String::new();
        let told = async {
            while let Some(object) = changes.try_next().await? {
                let stage = stage(&object);
                if stage != shown && at(&object, "/status/next/credential/sequence") == &json!(number) {
                    Self::show(screen, &object, &stage)?;
                    shown = stage;
                }
                let current = at(&object, "/status/current/sequence") == &json!(number);
                if current && condition(&object, "RolledOut", "status") == "True" {
                    return Ok(());
                }
            }
            anyhow::bail!("{RESOURCE} can be watched no more")
        };
        tokio::time::timeout(PATIENCE, told).await.context("the rotation takes too long")??;
        let progress = self.resources()?.get(RESOURCE).await?;
        let total = at(&progress, "/status/consumers/total");
        screen.done("RolledOut", &format!("{total} workloads have it, as their pods show"))
    }

    async fn old_secret_goes(&self) -> anyhow::Result<()> {
        let alone = async {
            while self.azure.passwords(&self.payments)?.len() > 1 {
                tokio::time::sleep(SOON).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, alone).await.context("the old secret is not removed")?
    }

    fn show(screen: &Screen, object: &DynamicObject, stage: &str) -> anyhow::Result<()> {
        let waiting_for = condition(object, "Rotating", "message");
        let told = match stage {
            "Opening" | "Minting" | "Keeping" | "Maturing" | "Publishing" => return Ok(()),
            "Proving" => text(object, "/status/next/credential/keyId"),
            _ => waiting_for,
        };
        screen.done(stage, &told)
    }
}

/// How far a rotation is.
fn stage(object: &DynamicObject) -> String {
    condition(object, "Rotating", "reason")
}
