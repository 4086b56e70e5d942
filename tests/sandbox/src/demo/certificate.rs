//! Another story: certificates. They are in a list that is only written whole, in which somebody else has one, too, and
//! which somebody else's tool writes over; all the while pods sign in with what was published.

use std::time::Instant;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::azure::{Certificate, Draft, GRAPH, SelfSigned, TOKEN, X509};
use keywright_sandbox::journal::Entry;
use keywright_sandbox::node::{READS_AT, USER_AGENT};
use kube::Api;
use kube::core::DynamicObject;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::PATIENCE;
use super::rotation::SOON;
use super::screen::Screen;
use super::stage::{Stage, at, condition, object, reason, secs, text};
use super::story::RESOURCE;

/// The Deployments: their names, how many pods they have, and whether these read what they mount only when they start.
const WORKLOADS: [(&str, usize, bool); 2] = [("web", 2, true), ("worker", 1, false)];
/// The pods of all of them.
const PODS: usize = 3;
/// Where they mount what is published.
const MOUNTED: &str = "/var/run/secrets/entra";
/// What is published.
const KEYS: [&str; 3] = ["tls.crt", "tls.key", "credential.pem"];
/// How many sign-ins in a row are a proof.
const SIGN_INS: usize = 3;

impl Stage {
    /// Tells every chapter; ends with an error at the first that does not go as it should, and at once when a pod is
    /// refused.
    pub(super) async fn keep_certificates(&self, screen: &Screen) -> anyhow::Result<()> {
        self.with_nobody_refused(self.tell_of_certificates(screen)).await
    }

    async fn tell_of_certificates(&self, screen: &Screen) -> anyhow::Result<()> {
        self.open_the_tenant(&["Certificate"]).await?;
        screen.chapter("Team payments has a certificate made, beside one that somebody has made by hand")?;
        let by_hand = self.somebodys(screen)?;
        let first = self.first_certificate(screen).await?;
        screen.chapter("Another one is demanded, while one Deployment reads its files at its start, one each time")?;
        let second = self.replace(screen, &first, &by_hand).await?;
        screen.chapter(
            "Once more, but somebody else's tool has read the list before, and writes it whole when ours is there",
        )?;
        let last = self.written_over(screen, &second, &by_hand).await?;
        screen.chapter("What is left, and what the pods have seen all the while")?;
        self.what_is_left(screen, &last).await
    }

    fn somebodys(&self, screen: &Screen) -> anyhow::Result<Certificate> {
        let made = SelfSigned::for_days("payments", 365)?;
        let by_hand = self.azure.seed_certificate(&self.payments, made.entry("by hand"))?;
        screen.done("by hand", &format!("{}, of which Keywright knows nothing", by_hand.key_id))?;
        Ok(by_hand)
    }

    async fn first_certificate(&self, screen: &Screen) -> anyhow::Result<Certificate> {
        let began = Instant::now();
        for (name, replicas, reads_once) in WORKLOADS {
            self.run_certified(name, replicas, reads_once).await?;
        }
        self.azure.journal().keep_bodies(true);
        let proof = json!({"consecutiveSuccesses": SIGN_INS, "interval": "1s", "timeout": "1m", "minAge": "5s"});
        let spec = json!({
            "clientId": self.payments.client_id, "certificate": {"generate": {}}, "verification": proof,
            "retirement": {"minOverlap": "3s"},
        });
        self.declare(RESOURCE, &spec).await?;
        let kept = self.wait(RESOURCE, |object| !at(object, "/status/next/credential/thumbprint").is_null()).await?;
        let there = self.azure.certificates(&self.payments)?.len();
        screen.done("opened", "a record, before anything was made")?;
        screen.done("made", &format!("RSA 2048, {}", short(&text(&kept, "/status/next/credential/thumbprint"))))?;
        screen.done("kept", &format!("with its key, in the record; certificates on the application: {there}"))?;
        let added = self.added_after(0, &[]).await?;
        let there = self.azure.certificates(&self.payments)?.len();
        let told = format!("{}, once reads of the list agree; certificates on the application: {there}", added.key_id);
        screen.done("added", &told)?;

        let proving = Instant::now();
        let published = self.wait(RESOURCE, |object| reason(object) == "Published").await?;
        self.azure.journal().keep_bodies(false);
        let proofs = self.azure.journal().count(|entry| self.is_a_proof(entry));
        anyhow::ensure!(proofs >= SIGN_INS, "there were {proofs} sign-ins by a statement signed with PS256");
        let told = format!("{proofs} statements signed with PS256 were accepted, in {:.1} s", secs(proving));
        screen.done("proven", &told)?;
        self.show_what_is_published(screen, &published, &added).await?;
        self.signs_in(added.x509.fingerprint(), PODS).await?;
        screen.done("pods", &format!("{PODS} sign in with it, {:.1} s after it was declared", secs(began)))?;
        Ok(added)
    }

    /// A plain rotation.
    async fn replace(&self, screen: &Screen, old: &Certificate, by_hand: &Certificate) -> anyhow::Result<Certificate> {
        let (began, before, mark) = (Instant::now(), self.unrefused()?, self.azure.journal().len());
        self.demand().await?;
        let new = self.added_after(mark, &[old]).await?;
        screen.done("added", &format!("{} beside the others", new.key_id))?;
        self.show_stages(screen, 2).await?;
        self.old_certificate_goes(screen, old, &new).await?;
        let left = self.azure.certificates(&self.payments)?;
        anyhow::ensure!(left.iter().any(|one| one.key_id == by_hand.key_id), "somebody else's certificate is gone");
        let during = self.unrefused()? - before;
        let told = format!("{during} sign-ins in {:.1} s, 0 refused; that of somebody else is there", secs(began));
        screen.done("meanwhile", &told)?;
        Ok(new)
    }

    /// Whoever writes the list as it was before ours was added takes ours away.
    async fn written_over(
        &self,
        screen: &Screen,
        old: &Certificate,
        by_hand: &Certificate,
    ) -> anyhow::Result<Certificate> {
        let theirs = SelfSigned::for_days("theirs", 365)?;
        let draft = self.draft_of_the_truth().await?;
        screen.done("read", &format!("by the tool: {} certificates", draft.key_ids().len()))?;
        let (before, mark) = (self.unrefused()?, self.azure.journal().len());
        self.demand().await?;
        let new = self.added_after(mark, &[old]).await?;
        screen.done("added", &format!("{}, which the tool has not read", new.key_id))?;
        draft.with(theirs.entry("theirs")).write().await?;
        let mark = self.azure.journal().len();
        let all = self.azure.certificates(&self.payments)?;
        anyhow::ensure!(all.iter().all(|one| one.key_id != new.key_id), "what the tool wrote has not dropped ours");
        screen.done("written over", &format!("certificates: {}; theirs is new, and ours is dropped", all.len()))?;
        let again = self.added_after(mark, &[old]).await?;
        anyhow::ensure!(again.key_id == new.key_id, "another one was added: {}", again.key_id);
        let given = self.nodes.witnesses().read(|seen| seen.holders_of(new.x509.fingerprint()).count());
        anyhow::ensure!(given == 0, "{given} pods had it already");
        screen.done("added again", "the same, before anybody was given it; theirs stays")?;
        self.show_stages(screen, 3).await?;
        self.old_certificate_goes(screen, old, &new).await?;
        let left = self.azure.certificates(&self.payments)?;
        let is_there = |der: &[u8]| left.iter().any(|one| one.x509.der() == der);
        let survived = [by_hand.x509.der(), theirs.der(), new.x509.der()].into_iter().all(is_there);
        anyhow::ensure!(survived && left.len() == 3, "there are {left:?}");
        let during = self.unrefused()? - before;
        screen.done("meanwhile", &format!("{during} sign-ins, 0 refused; left: by hand, theirs and ours"))?;
        Ok(new)
    }

    /// Fails if anybody was refused, or if the ledger has anything to say.
    async fn what_is_left(&self, screen: &Screen, last: &Certificate) -> anyhow::Result<()> {
        let settled = self.wait(RESOURCE, |object| condition(object, "Rotating", "status") == "False").await?;
        screen.done("Ready", &condition(&settled, "Ready", "message"))?;
        self.goes_on(last.x509.fingerprint()).await?;
        self.signs_in(last.x509.fingerprint(), PODS).await?;
        let accepted = self.unrefused()?;
        screen.done("sign-ins", &format!("{accepted} accepted, 0 refused"))?;
        self.azure.ledger(self.payments.tenant, self.nodes.witnesses())?.assert_clean()?;
        screen
            .done("ledger", "something was valid at any moment, nothing went while a pod held it, nothing is left over")
    }

    /// What is published holds together: the certificate is the one that was added, and the key is its own.
    async fn show_what_is_published(
        &self,
        screen: &Screen,
        published: &DynamicObject,
        added: &Certificate,
    ) -> anyhow::Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), "payments");
        let data = secrets.get(RESOURCE).await?.data.unwrap_or_default();
        let [certificate, key, both] = KEYS.map(|key| data.get(key).map(|ByteString(bytes)| bytes.as_slice()));
        let thumbprint = text(published, "/status/current/thumbprint");
        let is_added = |pem: Option<&[u8]>| {
            let all = pem.map(String::from_utf8_lossy).map(|pem| X509::all_in(&pem)).unwrap_or_default();
            all.first().is_some_and(|one| *one == *added.x509) && thumbprint == added.x509.fingerprint().to_string()
        };
        let is_its_key = |pem: Option<&[u8]>| {
            let key = pem.and_then(|pem| PrivateKeyDer::from_pem_slice(pem).ok());
            key.is_some_and(|key| added.x509.belongs_to(key.secret_der()))
        };
        let fits = is_added(certificate) && is_added(both) && is_its_key(key) && is_its_key(both);
        anyhow::ensure!(fits, "what is published is not what was added: {}", added.key_id);
        screen.done("published", &format!("secret/{RESOURCE}: {}", KEYS.join(", ")))?;
        screen.done("thumbprint", &thumbprint)
    }

    /// Waits until one of ours has been added besides these, by a request after this one.
    async fn added_after(&self, mark: usize, known: &[&Certificate]) -> anyhow::Result<Certificate> {
        let mut from = mark;
        loop {
            let written = |entry: &Entry| {
                entry.number >= from
                    && (entry.service.as_str(), entry.verb.as_str()) == (GRAPH, "patchApplication")
                    && entry.status == Some(204)
            };
            from = self.azure.journal().wait_for(written, PATIENCE).await?.number + 1;
            let mut now = self.azure.certificates(&self.payments)?;
            now.retain(|one| is_ours(one) && known.iter().all(|known| known.key_id != one.key_id));
            if let Some(added) = now.pop() {
                return Ok(added);
            }
        }
    }

    /// What a tool has read that knows all that is so.
    async fn draft_of_the_truth(&self) -> anyhow::Result<Draft> {
        let read = async {
            loop {
                let draft = self.azure.draft_certificates(&self.payments)?;
                let truth = self.azure.certificates(&self.payments)?;
                if truth.iter().map(|one| one.key_id).eq(draft.key_ids()) {
                    return anyhow::Ok(draft);
                }
                tokio::time::sleep(SOON).await;
            }
        };
        tokio::time::timeout(PATIENCE, read).await.context("the list is not known everywhere")?
    }

    async fn old_certificate_goes(&self, screen: &Screen, old: &Certificate, new: &Certificate) -> anyhow::Result<()> {
        let gone = async {
            while self.azure.certificates(&self.payments)?.iter().any(|one| one.key_id == old.key_id) {
                tokio::time::sleep(SOON).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, gone).await.context("the old certificate stays on the application")??;
        let holders = self.nodes.witnesses().read(|seen| seen.holders_of(old.x509.fingerprint()).count());
        anyhow::ensure!(holders == 0, "{holders} pods hold what has gone");
        self.signs_in(new.x509.fingerprint(), PODS).await?;
        screen.done("removed", &format!("{}, which no pod holds any more; {PODS} sign in with the new one", old.key_id))
    }

    /// Whether Keywright has signed in by this with a statement of the newer form, as this application.
    fn is_a_proof(&self, entry: &Entry) -> bool {
        let is_accepted = entry.service == TOKEN && entry.user_agent != USER_AGENT && entry.status == Some(200);
        let body = entry.body.as_deref().unwrap_or_default();
        is_accepted
            && body.contains(&self.payments.client_id.to_string())
            && algorithm(body).as_deref() == Some("PS256")
    }

    /// A Deployment whose pods mount what is published, and wait for it.
    async fn run_certified(&self, name: &str, replicas: usize, reads_once: bool) -> anyhow::Result<()> {
        let variables = json!([
            {"name": "AZURE_TENANT_ID", "value": self.payments.tenant},
            {"name": "AZURE_CLIENT_ID", "value": self.payments.client_id},
            {"name": "AZURE_CLIENT_CERTIFICATE_PATH", "value": format!("{MOUNTED}/credential.pem")},
        ]);
        let mounts = json!([{"name": "entra", "mountPath": MOUNTED, "readOnly": true}]);
        let container = json!({"name": "app", "image": "example.org/app", "env": variables, "volumeMounts": mounts});
        let volumes = json!([{"name": "entra", "secret": {"secretName": RESOURCE}}]);
        let pod = json!({"containers": [container], "volumes": volumes});
        let mut template = json!({"metadata": {"labels": {"app": name}}, "spec": pod});
        if reads_once {
            // Not an empty map otherwise: whoever applies one owns all annotations, and Keywright's would be a conflict.
            template["metadata"]["annotations"] = json!({READS_AT: "start"});
        }
        let spec = json!({"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template});
        let metadata = json!({"name": name, "namespace": "payments"});
        self.apply(object("apps/v1", "Deployment", json!({"metadata": metadata, "spec": spec}))?).await.map(drop)
    }
}

/// Whether a certificate has a mark of Keywright's in its name.
fn is_ours(one: &Certificate) -> bool {
    one.display_name.as_ref().is_some_and(|name| name.starts_with("kw1:"))
}

/// What a statement is signed with that is sent in a form.
fn algorithm(form: &str) -> Option<String> {
    let statement = form.split('&').find_map(|field| field.strip_prefix("client_assertion="))?;
    let head = URL_SAFE_NO_PAD.decode(statement.split('.').next()?).ok()?;
    let head: Value = serde_json::from_slice(&head).ok()?;
    Some(head["alg"].as_str()?.to_owned())
}

/// The beginning of a thumbprint.
fn short(thumbprint: &str) -> String {
    format!("{}…", thumbprint.chars().take(16).collect::<String>())
}
