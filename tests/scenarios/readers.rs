//! Those who do not read the published Secret: they read a copy that another tool makes, the vault itself, a Secret under
//! an earlier name, or nothing that is secret. Each is waited for as it has to be, and restarted only when that helps.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::{
    Azure,
    azure::{SecretChange, SecretWhat, Seeded},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    manifests::merged,
    rollouts::was_restarted,
    rotation::{demand, ends, published},
    town::{Firm, RESOURCE, Town, chain, change, in_lanes, insist, read, same},
};

/// What another tool makes.
const COPY: &str = "from-vault";

/// Another tool, which copies what is in the vault into a Secret; it stops when it is dropped.
struct Copying {
    may: watch::Sender<bool>,
    _task: AbortOnDropHandle<()>,
}

impl Copying {
    /// Copy from now on, with what pods need beside it.
    fn begin(firm: &Firm) -> Self {
        let (may, is_allowed) = watch::channel(true);
        let (azure, payments, secrets) = (firm.azure.clone(), firm.payments, firm.secrets());
        let task = tokio::spawn(async move {
            let mut rounds = tokio::time::interval(Duration::from_millis(100));
            loop {
                rounds.tick().await;
                if let Some(value) = in_vault(&azure, &payments).filter(|_| *is_allowed.borrow()) {
                    // What does not succeed now is done with the next round.
                    drop(copy(&secrets, &payments, &value).await);
                }
            }
        });
        Self { may, _task: AbortOnDropHandle::new(task) }
    }
}

/// The value of the entry in the vault.
fn in_vault(azure: &Azure, application: &Seeded) -> Option<String> {
    let stored = |change: SecretChange| match change.what {
        SecretWhat::Stored { fingerprint, .. } if change.name == RESOURCE => Some(fingerprint),
        _ => None,
    };
    let last = azure.secret_changes(application.tenant).into_iter().filter_map(stored).next_back()?;
    let passwords = azure.passwords(application).ok()?;
    passwords.into_iter().find(|one| one.fingerprint == last).map(|one| one.value)
}

async fn copy(secrets: &Api<Secret>, application: &Seeded, value: &str) -> kube::Result<Secret> {
    let copy = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": COPY},
        "stringData": {
            "AZURE_TENANT_ID": application.tenant, "AZURE_CLIENT_ID": application.client_id,
            "AZURE_CLIENT_SECRET": value,
        },
    });
    secrets.patch(COPY, &PatchParams::apply("another-tool").force(), &Patch::Apply(copy)).await
}

/// What is published in the vault alone.
fn in_vault_only(firm: &Firm, consumers: &Value) -> Value {
    let entry = json!({"vaultUrl": firm.vault, "name": RESOURCE});
    json!({"spec": {"publish": {"keyVaults": [entry]}, "consumers": consumers}})
}

/// How often workloads were restarted.
fn restarts(firm: &Firm) -> usize {
    firm.proxy.journal().count(|entry| entry.verb == "patch" && entry.path.starts_with("/apis/apps/"))
}

pub async fn who_reads_a_copy_is_restarted_when_the_copy_has_the_new_one(town: Town) -> Result<(), Failed> {
    let firm = town.firm("copies").await?;
    let operator = firm.operator().await?;
    let copying = Copying::begin(&firm);
    firm.deploy("web", 2, COPY).await?;
    let copy = json!({"name": COPY, "key": "AZURE_CLIENT_SECRET"});
    published(&firm, &in_vault_only(&firm, &json!({"syncedSecrets": [copy]}))).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    firm.pods_sign_in(2).await?;
    let before = restarts(&firm);
    for number in 2..=3 {
        copying.may.send_replace(false);
        demand(&firm).await?;
        firm.condition_says("Rotating", "CopyBehind", COPY).await?;
        firm.pods_sign_in_again(20).await?;
        same("restarts before the copy has it", restarts(&firm), before + number - 2)?;
        same("valid", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 2)?;
        copying.may.send_replace(true);
        ends(&firm, i64::try_from(number)?).await?;
        same("restarts", restarts(&firm), before + number - 1)?;
    }
    firm.pods_sign_in_again(20).await?;
    firm.ends_clean(&operator).await
}

pub async fn who_is_named_reads_the_vault_when_it_is_restarted(town: Town) -> Result<(), Failed> {
    let firm = town.firm("vault-only").await?;
    let operator = firm.operator().await?;
    // Stands for what the workload reads in the vault when it starts; nobody has declared it.
    let _reading = Copying::begin(&firm);
    firm.deploy("worker", 2, COPY).await?;
    let named = |name: &str| json!({"kind": "Deployment", "name": name});
    let consumers = json!({"workloads": [named("worker"), named("not-there")]});
    published(&firm, &in_vault_only(&firm, &consumers)).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    firm.pods_sign_in(2).await?;
    demand(&firm).await?;
    ends(&firm, 2).await?;
    insist(was_restarted(&firm.deployments().get("worker").await?), "the worker was not restarted")?;
    firm.pods_sign_in_again(20).await?;
    firm.ends_clean(&operator).await
}

pub async fn who_reads_an_earlier_name_is_told_until_it_reads_the_new_one(town: Town) -> Result<(), Failed> {
    let firm = town.firm("renamed").await?;
    let operator = firm.operator().await?;
    firm.deploy("web", 2, RESOURCE).await?;
    published(&firm, &json!({})).await?;
    firm.condition_told("RolledOut", "RolledOut").await?;
    firm.pods_sign_in(2).await?;
    let now = json!({"spec": {"publish": {"secret": {"name": "renamed"}}}});
    change(&firm.resources(), RESOURCE, &now).await?;
    demand(&firm).await?;
    let words = format!("reads secret/{RESOURCE}, where nothing new is published (now it is secret/renamed)");
    firm.condition_says("Rotating", "StragglersRemain", &words).await?;
    firm.pods_sign_in_again(20).await?;
    same("valid", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 2)?;
    same("restarts", restarts(&firm), 0)?;
    let moved = json!({"spec": {"template": {"spec": firm.reader("renamed")}}});
    change(&firm.deployments(), "web", &moved).await?;
    // What is not declared any more is nobody's to write or to delete, and whoever starts may read it.
    let words = format!("secret/{RESOURCE} to carry another credential");
    firm.condition_says("Rotating", "Retiring", &words).await?;
    firm.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    ends(&firm, 2).await?;
    firm.pods_sign_in_again(20).await?;
    firm.ends_clean(&operator).await
}

pub async fn who_reads_nothing_secret_is_left_alone(town: Town) -> Result<(), Failed> {
    let client = |by: Value| merged(json!({"name": "app"}), &by);
    let of_secret = json!({"name": RESOURCE, "key": "AZURE_CLIENT_ID"});
    let by_variable = client(json!({"env": [{"name": "CLIENT", "valueFrom": {"secretKeyRef": of_secret}}]}));
    let items = json!([{"key": "AZURE_CLIENT_ID", "path": "id"}]);
    let volume = json!({"name": "id", "secret": {"secretName": RESOURCE, "items": items}});
    let by_file = client(json!({"volumeMounts": [{"name": "id", "mountPath": "/id"}]}));
    let cases = [
        ("public-variable", json!({"containers": [by_variable]})),
        ("public-file", json!({"containers": [by_file], "volumes": [volume]})),
    ];
    let cases = cases.map(|(name, spec)| (name.to_owned(), spec));
    in_lanes(cases, async |name, spec| {
        let firm = town.firm(&name).await?;
        let operator = firm.operator().await?;
        firm.deploy("web", 1, RESOURCE).await?;
        firm.run_with("Deployment", "public", 1, &json!({"spec": {"template": {"spec": spec}}})).await?;
        published(&firm, &json!({})).await?;
        firm.pods_sign_in(1).await?;
        demand(&firm).await?;
        ends(&firm, 2).await?;
        let restarted = ["web", "public"].map(async |name| firm.deployments().get(name).await);
        let restarted = futures::future::try_join_all(restarted).await?;
        let told: BTreeSet<_> = restarted.iter().map(|one| (one.metadata.name.clone(), was_restarted(one))).collect();
        let expected = [(Some("public".to_owned()), false), (Some("web".to_owned()), true)];
        same("restarted", told, expected.into())?;
        same("consumers", read(&firm.read(RESOURCE).await?, "/status/consumers/total"), Some(1))?;
        firm.ends_clean(&operator).await
    })
    .await?;
    Ok(())
}
