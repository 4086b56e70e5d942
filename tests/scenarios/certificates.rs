//! Certificates: made or taken, added to a list that is only written whole, proven, published and replaced, while pods sign
//! in with what they were given.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use keywright_sandbox::{
    azure::{Certificate, Policies, SelfSigned},
    ledger::Offence,
};
use kube::{api::DeleteParams, core::DynamicObject};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    manifests::merged,
    rotation::demand,
    town::{Firm, RESOURCE, Reads, Town, chain, change, condition, insist, read, same},
};

/// The Secret that somebody else keeps.
const SOURCE: &str = "payments-tls";

/// What pods mount of what is published.
pub const PUBLISHED: (&str, &str) = (RESOURCE, "credential.pem");

/// A resource that has a certificate made, in place of a secret.
pub fn generated() -> Value {
    json!({"spec": {"clientSecret": null, "certificate": {"generate": {}}, "retirement": {"minOverlap": "1s"}}})
}

/// The same that takes it from a Secret.
fn taken() -> Value {
    let certificate = json!({"generate": null, "secretRef": {"name": SOURCE}});
    merged(generated(), &json!({"spec": {"certificate": certificate}}))
}

fn made() -> Result<SelfSigned, Failed> {
    SelfSigned::for_days("payments", 90).map_err(chain)
}

/// The certificates on the application that are of this resource.
fn ours(firm: &Firm) -> Result<Vec<Certificate>, Failed> {
    let mut all = firm.azure.certificates(&firm.payments).map_err(chain)?;
    all.retain(|one| one.display_name.as_ref().is_some_and(|name| name.starts_with("kw1:")));
    Ok(all)
}

/// Wait until the certificate of this number is with everybody and is the only one of ours.
pub async fn ends(firm: &Firm, number: i64) -> Result<(), Failed> {
    firm.until(|| async {
        let object = firm.read(RESOURCE).await?;
        let current: Option<i64> = read(&object, "/status/current/sequence");
        let retiring: Option<Value> = read(&object, "/status/retiring");
        let everybody = condition(Some(&object), "RolledOut").is_some_and(|one| one.status == "True");
        let idle = condition(Some(&object), "Rotating").is_some_and(|one| one.status == "False");
        let there = ours(firm)?.len();
        let ended = current == Some(number) && retiring.is_none() && everybody && idle && there == 1;
        Ok(if ended { Ok(()) } else { Err(format!("{number} is not alone yet: {there} are there, {}", object.data)) })
    })
    .await
}

async fn declared(firm: &Firm, patch: &Value) -> Result<(), Failed> {
    firm.tenant(&json!({})).await?;
    firm.resource(RESOURCE, patch).await?;
    firm.told(RESOURCE, "Published").await?;
    Ok(())
}

/// A firm in which a certificate is declared, and a pod waits for it, before there is any operator.
pub async fn with_pod(town: &Town, name: &str) -> Result<Firm, Failed> {
    let mut firm = town.firm(name).await?;
    firm.sign_in_every = Duration::from_secs(1);
    firm.run_certificate("web", 1, PUBLISHED, Reads::AtStart).await?;
    firm.tenant(&json!({})).await?;
    firm.resource(RESOURCE, &generated()).await?;
    Ok(firm)
}

/// Wait until it has a certificate that everybody has, and after that another one, and is rid of all others.
pub async fn is_issued_and_rotated(firm: &Firm) -> Result<(), Failed> {
    firm.condition_told("RolledOut", "RolledOut").await?;
    let object = firm.read(RESOURCE).await?;
    if read::<Value>(&object, "/spec/rotation").is_none() {
        demand(firm).await?;
    }
    let first: Option<i64> = read(&object, "/status/current/sequence").filter(|_| !was_rotated(&object));
    firm.until(|| async {
        let object = firm.read(RESOURCE).await?;
        let current: Option<i64> = read(&object, "/status/current/sequence");
        let retiring: Option<Value> = read(&object, "/status/retiring");
        let everybody = condition(Some(&object), "RolledOut").is_some_and(|one| one.status == "True");
        let (there, records) = (ours(firm)?.len(), firm.records().await?.len());
        let ended = current > first && retiring.is_none() && everybody && (there, records) == (1, 1);
        Ok(if ended { Ok(()) } else { Err(format!("{there} certificates, {records} records, {}", object.data)) })
    })
    .await
}

/// Whether another one than the first is current that was asked for.
fn was_rotated(object: &DynamicObject) -> bool {
    let history: Vec<Value> = read(object, "/status/history").unwrap_or_default();
    history.iter().any(|one| one["reason"] == "IssuedAfter")
}

pub async fn every_pod_gets_the_new_certificate_before_the_old_one_goes(town: Town) -> Result<(), Failed> {
    let firm = town.firm("certificates").await?;
    let operator = firm.operator().await?;
    let foreign = firm.azure.seed_certificate(&firm.payments, made()?.entry("CN=by-hand")).map_err(chain)?;
    firm.run_certificate("library", 2, PUBLISHED, Reads::AtStart).await?;
    firm.run_certificate("follower", 1, PUBLISHED, Reads::EachTime).await?;
    declared(&firm, &generated()).await?;
    firm.pods_sign_in(3).await?;
    let current: Value = read(&firm.read(RESOURCE).await?, "/status/current").ok_or("no current credential")?;
    let [first] = &ours(&firm)?[..] else { return Err("there is not one certificate of ours".into()) };
    same("key ID", current["keyId"].as_str(), Some(first.key_id.to_string().as_str()))?;
    let thumbprint = first.x509.fingerprint();
    insist(current["thumbprint"].as_str().is_some_and(|one| one.len() == 64), format!("{current} of {thumbprint:?}"))?;
    for number in 2..=3 {
        demand(&firm).await?;
        ends(&firm, number).await?;
        firm.pods_sign_in_again(20).await?;
    }
    let all = firm.azure.certificates(&firm.payments).map_err(chain)?;
    insist(all.iter().any(|one| one.key_id == foreign.key_id), "somebody else's is gone")?;
    firm.ends_clean(&operator).await
}

pub async fn a_certificate_of_a_secret_follows_its_renewals(town: Town) -> Result<(), Failed> {
    let firm = town.firm("renewed").await?;
    let operator = firm.operator().await?;
    let [first, second] = [made()?, made()?];
    firm.tenant(&json!({})).await?;
    firm.resource(RESOURCE, &taken()).await?;
    let told = firm.told(RESOURCE, "SourceMissing").await?;
    insist(told.message.contains(SOURCE), told.message)?;
    firm.provide(SOURCE, &first, &first).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.run_certificate("web", 2, PUBLISHED, Reads::AtStart).await?;
    firm.pods_sign_in(2).await?;
    firm.provide(SOURCE, &second, &second).await?;
    ends(&firm, 2).await?;
    firm.pods_sign_in_again(20).await?;
    let [now] = &ours(&firm)?[..] else { return Err("there is not one certificate of ours".into()) };
    same("the certificate", now.x509.der(), second.der())?;
    let history: Vec<Value> = read(&firm.read(RESOURCE).await?, "/status/history").unwrap_or_default();
    same("why", history[0]["reason"].as_str(), Some("SourceRenewed"))?;
    firm.ends_clean(&operator).await
}

/// With the controllers that people have: they write the Secret whenever they renew it, key and certificate at once.
pub async fn what_cert_manager_renews_is_with_everybody_before_the_old_one_goes(town: Town) -> Result<(), Failed> {
    let firm = town.firm_with_cert_manager("cert-manager").await?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    firm.resource(RESOURCE, &taken()).await?;
    firm.told(RESOURCE, "SourceMissing").await?;
    firm.ask_cert_manager_for(SOURCE).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.run_certificate("web", 2, PUBLISHED, Reads::AtStart).await?;
    firm.pods_sign_in(2).await?;
    for number in 2..=3 {
        firm.have_renewed(SOURCE).await?;
        ends(&firm, number).await?;
        firm.pods_sign_in_again(20).await?;
    }
    firm.ends_clean(&operator).await
}

pub async fn what_is_in_the_secret_is_looked_at_before_it_is_used(town: Town) -> Result<(), Failed> {
    let firm = town.firm("unsuited").await?;
    let operator = firm.operator().await?;
    let [fit, other] = [made()?, made()?];
    let now = Timestamp::now();
    let hours = SignedDuration::from_hours;
    let expired = SelfSigned::new("payments", now - hours(48), now - hours(24)).map_err(chain)?;
    firm.provide(SOURCE, &fit, &other).await?;
    firm.tenant(&json!({})).await?;
    firm.resource(RESOURCE, &taken()).await?;
    for (certificate, words) in [(None, "not that of the certificate"), (Some(&expired), "has expired")] {
        if let Some(certificate) = certificate {
            firm.provide(SOURCE, certificate, certificate).await?;
        }
        firm.until(|| async {
            let told = condition(Some(&firm.read(RESOURCE).await?), "Ready");
            let is_it = |one: &Condition| one.reason == "SourceUnsuited" && one.message.contains(words);
            Ok(if told.as_ref().is_some_and(is_it) { Ok(()) } else { Err(format!("{told:?}")) })
        })
        .await?;
    }
    same("certificates of ours", ours(&firm)?.len(), 0)?;
    firm.provide(SOURCE, &fit, &fit).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.ends_clean(&operator).await
}

pub async fn certificates_of_others_survive_a_rival_who_writes_the_whole_list(town: Town) -> Result<(), Failed> {
    let firm = town.firm("rivals-list").await?;
    let operator = firm.operator().await?;
    let draft = || firm.azure.draft_certificates(&firm.payments).map_err(chain);
    firm.run_certificate("web", 2, PUBLISHED, Reads::AtStart).await?;
    // Whoever has read the list before ours was added writes it after.
    let (before, theirs) = (draft()?, made()?);
    firm.tenant(&json!({})).await?;
    firm.resource(RESOURCE, &generated()).await?;
    firm.until(|| async { Ok(if ours(&firm)?.is_empty() { Err("not added yet".to_owned()) } else { Ok(()) }) }).await?;
    before.with(theirs.entry("CN=theirs")).write().await.map_err(chain)?;
    firm.told(RESOURCE, "Published").await?;
    firm.pods_sign_in(2).await?;
    let all = firm.azure.certificates(&firm.payments).map_err(chain)?;
    let there = |der: &[u8]| all.iter().any(|one| one.x509.der() == der);
    insist(there(theirs.der()) && all.len() == 2, format!("there are {all:?}"))?;
    demand(&firm).await?;
    ends(&firm, 2).await?;
    firm.ends_clean(&operator).await
}

pub async fn one_that_somebody_removed_is_replaced_at_once(town: Town) -> Result<(), Failed> {
    let firm = town.firm("removed-list").await?;
    let operator = firm.operator().await?;
    declared(&firm, &generated()).await?;
    // Nobody signs in with it, so that nobody is refused by what a person does.
    let [first] = &ours(&firm)?[..] else { return Err("there is not one certificate of ours".into()) };
    firm.azure.remove_certificate(&firm.payments, first.key_id).map_err(chain)?;
    firm.until(|| async {
        let current: Option<i64> = read(&firm.read(RESOURCE).await?, "/status/current/sequence");
        Ok(if current == Some(2) { Ok(()) } else { Err(format!("{current:?}")) })
    })
    .await?;
    firm.told(RESOURCE, "Published").await?;
    let history: Option<String> = read(&firm.read(RESOURCE).await?, "/status/next/reason");
    insist(history.is_none_or(|reason| reason == "KeyAbsent"), "another reason")?;
    firm.ends_with(&operator, &[Offence::NoneValid]).await
}

pub async fn a_vault_has_it_as_text(town: Town) -> Result<(), Failed> {
    let firm = town.firm("vaulted").await?;
    let operator = firm.operator().await?;
    let entry = json!({"vaultUrl": firm.vault, "name": RESOURCE});
    let both = json!({"spec": {"publish": {"secret": {}, "keyVaults": [entry]}}});
    declared(&firm, &merged(generated(), &both)).await?;
    let object = firm.read(RESOURCE).await?;
    let targets: Vec<Value> = read(&object, "/status/targets").ok_or("no targets")?;
    insist(
        targets.len() == 2 && targets.iter().all(|one| one["sequence"] == 1 && one["problem"].is_null()),
        format!("{targets:?}"),
    )?;
    firm.ends_clean(&operator).await
}

pub async fn from_a_secret_to_a_certificate_and_back(town: Town) -> Result<(), Failed> {
    let firm = town.firm("kinds").await?;
    let operator = firm.operator().await?;
    let overlap = json!({"minOverlap": "1s"});
    let secret = json!({"spec": {"clientSecret": {}, "certificate": null, "publish": null, "retirement": overlap}});
    let named = json!({"secret": {"name": "payments-certificate"}});
    let certificate = json!({"spec": {"clientSecret": null, "certificate": {"generate": {}}, "publish": named}});
    firm.deploy("web", 1, RESOURCE).await?;
    declared(&firm, &secret).await?;
    firm.pods_sign_in(1).await?;
    change(&firm.resources(), RESOURCE, &certificate).await?;
    firm.told(RESOURCE, "Published").await?;
    // Git has the workload read the one, and no more the other.
    let reading = ("payments-certificate", "credential.pem");
    firm.run_certificate("new-web", 1, reading, Reads::AtStart).await?;
    firm.pods_sign_in(2).await?;
    same("secrets while somebody has one", firm.azure.passwords(&firm.payments).map_err(chain)?.len(), 1)?;
    firm.deployments().delete("web", &DeleteParams::default()).await?;
    firm.until(|| async {
        let there = (firm.azure.passwords(&firm.payments).map_err(chain)?.len(), ours(&firm)?.len());
        let told = firm.read(RESOURCE).await?.data;
        Ok(if there == (0, 1) { Ok(()) } else { Err(format!("secrets and certificates: {there:?}, {told}")) })
    })
    .await?;
    // What the former Secret still has opens nothing any more.
    firm.secrets().delete(RESOURCE, &DeleteParams::default()).await?;
    change(&firm.resources(), RESOURCE, &secret).await?;
    firm.deploy("web", 1, RESOURCE).await?;
    firm.deployments().delete("new-web", &DeleteParams::default()).await?;
    firm.until(|| async {
        let there = (firm.azure.passwords(&firm.payments).map_err(chain)?.len(), ours(&firm)?.len());
        let told = firm.read(RESOURCE).await?.data;
        Ok(if there == (1, 0) { Ok(()) } else { Err(format!("secrets and certificates: {there:?}, {told}")) })
    })
    .await?;
    firm.ends_clean(&operator).await
}

pub async fn one_made_by_hand_is_adopted_and_goes_with_the_first_rotation(town: Town) -> Result<(), Failed> {
    let firm = town.firm("adopted-key").await?;
    let by_hand = made()?;
    let listed = firm.azure.seed_certificate(&firm.payments, by_hand.entry("CN=by-hand")).map_err(chain)?;
    firm.provide("by-hand", &by_hand, &by_hand).await?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({"spec": {"grants": [merged(firm.grant(), &json!({"allow": ["RetireForeign"]}))]}})).await?;
    let from = json!({"secretKeyRef": {"name": "by-hand", "key": "tls-combined.pem"}});
    let adopt = |key_id: Uuid| json!({"spec": {"adopt": {"keyId": key_id, "valueFrom": from}}});
    let other = firm.azure.seed_certificate(&firm.payments, made()?.entry("CN=other")).map_err(chain)?;
    firm.resource(RESOURCE, &merged(generated(), &adopt(other.key_id))).await?;
    let told = firm.told(RESOURCE, "AdoptionRefused").await?;
    insist(told.message.contains("not the one that Entra shows"), told.message)?;
    change(&firm.resources(), RESOURCE, &adopt(listed.key_id)).await?;
    firm.told(RESOURCE, "Published").await?;
    same("made", ours(&firm)?.len(), 0)?;
    firm.run_certificate("web", 2, PUBLISHED, Reads::AtStart).await?;
    firm.pods_sign_in(2).await?;
    demand(&firm).await?;
    ends(&firm, 2).await?;
    firm.pods_sign_in_again(20).await?;
    let all = firm.azure.certificates(&firm.payments).map_err(chain)?;
    same("what is left", all.iter().any(|one| one.key_id == listed.key_id), false)?;
    firm.ends_with(&operator, &[Offence::ForeignRemoved]).await
}

pub async fn a_policy_that_forbids_its_lifetime_is_told_and_nothing_is_left(town: Town) -> Result<(), Failed> {
    let firm = town.firm("policed-key").await?;
    let operator = firm.operator().await?;
    let of_days = |days: i64| Policies {
        longest_certificate_life: Some(SignedDuration::from_hours(24 * days)),
        ..Policies::default()
    };
    firm.azure.set_policies(firm.payments.tenant, of_days(30)).map_err(chain)?;
    firm.tenant(&json!({})).await?;
    firm.resource(RESOURCE, &generated()).await?;
    firm.told(RESOURCE, "LifetimeForbidden").await?;
    same("certificates", ours(&firm)?.len(), 0)?;
    firm.azure.set_policies(firm.payments.tenant, of_days(90)).map_err(chain)?;
    firm.told(RESOURCE, "Published").await?;
    firm.ends_clean(&operator).await
}
