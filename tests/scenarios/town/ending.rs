//! The end of a scenario in a firm: what the ledger says of its tenant, and whether a value of a secret is anywhere but
//! in the data of Secrets.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::{
    Ledger, Operator,
    azure::{Actor, SecretWhat, X509},
    ledger::{Credential, Leak, Offence},
    witness::Fingerprint,
};
use kube::{
    Api, Resource, ResourceExt,
    api::ListParams,
    core::DynamicObject,
    discovery::{ApiGroup, Discovery, Scope, verbs},
    runtime::{WatchStreamExt, watcher},
};
use libtest_mimic::Failed;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{Firm, chain, insist};
use crate::lifecycle::Admin;

/// What keeps a credential before it is published, which is for nobody to take it from.
const RECORD: &str = "keywright.dev/record";

/// By what cert-manager marks the Secrets that it keeps.
const CERT_MANAGER: &str = "cert-manager.io/certificate-name";

/// Everything that was ever in the Secrets of a namespace: when, and what, and whether it was for others to take.
pub struct Published {
    secrets: Api<Secret>,
    not_offered: Arc<Mutex<BTreeSet<String>>>,
    seen: Arc<Mutex<Vec<Text>>>,
    _watch: AbortOnDropHandle<()>,
}

/// What was in a Secret.
#[derive(Clone)]
struct Text {
    time: Timestamp,
    is_for_others: bool,
    said: String,
}

impl Published {
    /// Watch the Secrets of a namespace from now on; the operator's own is for nobody else.
    pub fn watch(secrets: Api<Secret>, identity: &str) -> Self {
        let seen: Arc<Mutex<Vec<Text>>> = Arc::default();
        let not_offered = Arc::new(Mutex::new(BTreeSet::from([identity.to_owned()])));
        let (watched, told, without) = (secrets.clone(), Arc::clone(&seen), Arc::clone(&not_offered));
        let watch = tokio::spawn(async move {
            let mut changes = watcher(watched, watcher::Config::default()).applied_objects().boxed();
            loop {
                // An error is told, and the watch begun again.
                if let Ok(Some(secret)) = changes.try_next().await {
                    let text = read(&secret, &locked(&without));
                    locked(&told).push(text);
                }
            }
        });
        Self { secrets, not_offered, seen, _watch: AbortOnDropHandle::new(watch) }
    }

    /// A Secret is where others give the operator something: what it has is not published by that.
    pub(super) fn is_a_source(&self, name: &str) {
        locked(&self.not_offered).insert(name.to_owned());
    }

    /// Everything until now.
    async fn so_far(&self) -> Result<Vec<Text>, Failed> {
        // A watch may not have told of the last change yet.
        let now = self.secrets.list(&ListParams::default()).await?;
        let before = locked(&self.seen).clone();
        let without = locked(&self.not_offered).clone();
        Ok(before.into_iter().chain(now.iter().map(|secret| read(secret, &without))).collect())
    }

    /// What of it was for others to take.
    async fn offered(&self) -> Result<Vec<(Timestamp, String)>, Failed> {
        let offered = self.so_far().await?.into_iter().filter(|text| text.is_for_others);
        Ok(offered.map(|Text { time, said, .. }| (time, said)).collect())
    }
}

fn read(secret: &Secret, without: &BTreeSet<String>) -> Text {
    let is_kept_by_another = secret.annotations().contains_key(CERT_MANAGER);
    let is_for_others =
        secret.type_.as_deref() != Some(RECORD) && !without.contains(&secret.name_any()) && !is_kept_by_another;
    let data = secret.data.iter().flatten().map(|(_, value)| String::from_utf8_lossy(&value.0).into_owned());
    Text { time: Timestamp::now(), is_for_others, said: data.collect::<Vec<_>>().join("\n") }
}

/// A text is added whole, so a panic elsewhere does not spoil the others.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Firm {
    /// The ledger of its tenant, with what its pods have seen, and what was published in its vault and its Secrets. It
    /// knows of every private key that was ever in any of them.
    pub async fn ledger(&self) -> Result<Ledger, Failed> {
        let texts = self.published.so_far().await?;
        let ledger = self.azure.ledger(self.payments.tenant, &self.witnesses()).map_err(chain)?;
        let keys: BTreeSet<&str> =
            texts.iter().map(|text| text.said.as_str()).filter(|text| text.contains("PRIVATE KEY")).collect();
        let ledger = keys.into_iter().fold(ledger, Ledger::knowing_keys_in);
        let published: Vec<(Timestamp, String)> =
            texts.into_iter().filter(|text| text.is_for_others).map(|text| (text.time, text.said)).collect();
        let certificates: Vec<(Fingerprint, Timestamp)> = published
            .iter()
            .flat_map(|(time, text)| X509::all_in(text).into_iter().map(|x509| (x509.fingerprint(), *time)))
            .collect();
        let credentials = ledger.verdict().credentials;
        let of_key = |key_id| credentials.iter().find(|one| one.key_id == key_id).map(|one| one.fingerprint);
        let found = published.into_iter().flat_map(|(time, text)| {
            ledger.leaks([("", text)]).into_iter().filter_map(move |found| Some((of_key(found.key_id)?, time)))
        });
        let outsiders = locked(&self.outsiders).clone();
        let found: Vec<_> = found.chain(certificates).chain(self.told_to_accounts().await?).chain(outsiders).collect();
        Ok(found.into_iter().fold(ledger, |ledger, (fingerprint, time)| ledger.published(fingerprint, time)))
    }

    /// The credentials that the operator has minted, whatever became of them.
    pub async fn minted(&self) -> Result<Vec<Credential>, Failed> {
        let by = Actor::Application(self.keywright.client_id);
        Ok(self.ledger().await?.verdict().credentials.into_iter().filter(|one| one.by == by).collect())
    }

    /// Those that were ever anywhere for others to take.
    pub async fn ever_published(&self) -> Result<BTreeSet<Uuid>, Failed> {
        let credentials = self.ledger().await?.verdict().credentials;
        let stored =
            self.azure.secret_changes(self.payments.tenant).into_iter().filter_map(|change| match change.what {
                SecretWhat::Stored { fingerprint, .. } => Some(fingerprint),
                _ => None,
            });
        let of_value = |fingerprint| credentials.iter().find(|one| one.fingerprint == fingerprint);
        let in_vault = stored.filter_map(of_value).map(|one| one.key_id);
        let texts = self.published.offered().await?;
        let certificates = texts.iter().flat_map(|(_, text)| X509::all_in(text));
        let certified = certificates.filter_map(|x509| of_value(x509.fingerprint())).map(|one| one.key_id);
        let leaks = self.ledger().await?.leaks(texts.iter().map(|(_, text)| ("", text)));
        let in_secrets = leaks.into_iter().map(|found| found.key_id);
        Ok(in_vault.chain(in_secrets).chain(certified).collect())
    }

    /// The records of this place.
    pub async fn records(&self) -> Result<Vec<Secret>, Failed> {
        Ok(self.secrets().list(&ListParams::default().fields(&format!("type={RECORD}"))).await?.items)
    }

    /// Wait until nothing is left to be done: every credential is published or gone, and there is a record of nothing but
    /// what is published.
    pub async fn comes_to_rest(&self) -> Result<(), Failed> {
        self.until(|| async {
            let orphans = self.ledger().await?.verdict().orphans;
            let records = self.records().await?;
            let at_rest = |record: &Secret| {
                let stage = record.annotations().get("keywright.dev/stage");
                stage.is_some_and(|stage| stage == "publishing") && record.finalizers().is_empty()
            };
            let restless: Vec<String> = records.iter().filter(|one| !at_rest(one)).map(ResourceExt::name_any).collect();
            let rests = orphans.is_empty() && restless.is_empty();
            Ok(if rests { Ok(()) } else { Err(format!("left over are {orphans:?} and the records {restless:?}")) })
        })
        .await
    }

    /// The end of a scenario: nothing is wrong in the ledger, and no value anywhere where it must not be.
    pub async fn ends_clean(&self, operator: &Operator) -> Result<(), Failed> {
        self.ends_with(operator, &[]).await
    }

    /// The end of a scenario whose point is that something goes wrong: this, and nothing else.
    pub async fn ends_with(&self, operator: &Operator, expected: &[Offence]) -> Result<(), Failed> {
        self.ledger().await?.expect(expected).map_err(chain)?;
        let leaks = self.leaks(operator).await?;
        let told: Vec<String> = leaks.iter().map(Leak::to_string).collect();
        insist(leaks.is_empty(), format!("secrets have left their place:\n{}", told.join("\n")))
    }

    /// Every value of this tenant in anything that was written.
    pub async fn leaks(&self, operator: &Operator) -> Result<Vec<Leak>, Failed> {
        let mut written = self.objects().await?;
        for log in locked(&self.logs).iter() {
            written.push((format!("the log {}", log.display()), fs::read_to_string(log)?));
        }
        written.push(("the metrics".into(), Admin::of(operator).await?.get("/metrics").await?.1));
        let asked = self.proxy.journal().entries().into_iter().chain(self.azure.journal().entries());
        written.extend(asked.map(|entry| (format!("the request {} {}", entry.verb, entry.path), entry.to_string())));
        written.push(("what is told in the directory".into(), format!("{:#}", self.azure.inspect())));
        written.push(("what is told in the vault".into(), format!("{:#}", self.azure.inspect_vaults())));
        Ok(self.ledger().await?.leaks(written))
    }

    /// Every object of this place, and those that are in no place, without the data of Secrets.
    async fn objects(&self) -> Result<Vec<(String, String)>, Failed> {
        let client = self.town.admin();
        let discovery = Discovery::new(client.clone()).run_aggregated().await?;
        let kinds = discovery.groups().flat_map(ApiGroup::recommended_resources);
        let mut objects = vec![];
        for (kind, can) in kinds.filter(|(_, can)| can.supports_operation(verbs::LIST)) {
            let mut lists: Vec<Api<DynamicObject>> = match can.scope {
                Scope::Cluster => vec![Api::all_with(client.clone(), &kind)],
                Scope::Namespaced => vec![Api::namespaced_with(client.clone(), &self.name, &kind)],
            };
            if kind.kind == "Event" {
                // Those about the tenant.
                lists.push(Api::namespaced_with(client.clone(), "default", &kind));
            }
            for list in lists {
                for mut object in list.list(&ListParams::default()).await? {
                    if kind.kind == "Secret" {
                        object.data["data"] = "left out".into();
                    }
                    let text = serde_json::to_string_pretty(&object)?;
                    objects
                        .push((format!("{} {}", kind.kind, object.meta().name.as_deref().unwrap_or_default()), text));
                }
            }
        }
        Ok(objects)
    }
}
