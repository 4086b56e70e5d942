//! The two kinds of targets fail each on its own: what can be published is, what cannot be is told with what to do about it,
//! and when that is done both are as declared.

use jiff::SignedDuration;
use keywright_sandbox::{
    Rule,
    azure::{Access, Grant, Lag, Network, Role, SecretEdit, VAULT},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    policy::Policy,
    town::{Course, PATIENCE, RESOURCE, Town, chain, in_lanes, insist, read, same},
};

/// What the status tells of a target of a kind: that it carries the first credential, or its problem.
async fn target(course: &Course, kind: &str) -> Result<Value, Failed> {
    let targets: Vec<Value> = read(&course.read(RESOURCE).await?, "/status/targets").unwrap_or_default();
    let of_kind = |target: &&Value| target["target"].as_str().is_some_and(|name| name.starts_with(kind));
    targets.iter().find(of_kind).cloned().ok_or_else(|| format!("no target {kind} among {targets:?}").into())
}

/// Whether one kind of targets carries the credential while the other has a problem, of which these words are told.
async fn one_without_the_other(course: &Course, good: &str, bad: &str, words: &[&str]) -> Result<(), Failed> {
    course
        .until(|| async {
            let (good, bad) = (target(course, good).await, target(course, bad).await);
            let (Ok(good), Ok(bad)) = (good, bad) else { return Ok(Err("the targets are not told yet".to_owned())) };
            let problem = bad["problem"].as_str().unwrap_or_default();
            let is_so =
                good["sequence"] == 1 && good["problem"].is_null() && words.iter().all(|word| problem.contains(word));
            Ok(if is_so { Ok(()) } else { Err(format!("the targets are {good} and {bad}")) })
        })
        .await
}

/// `Ready` gives this reason, with all these words, and so does what failed last.
async fn is_told(course: &Course, reason: &str, words: &[&str]) -> Result<(), Failed> {
    let ready = course.told(RESOURCE, reason).await?;
    same("Ready", ready.status.as_str(), "False")?;
    insist(words.iter().all(|word| ready.message.contains(word)), format!("{words:?} are not in: {}", ready.message))
}

pub async fn a_vault_that_is_down_holds_back_nothing_else(town: Town) -> Result<(), Failed> {
    let down = Rule::at(VAULT, "**", "**").answer(503);
    let mute = Rule::at(VAULT, "**", "**").cut_before();
    let takes_nothing = Rule::at(VAULT, "setSecret", "**").answer(500);
    let cases = [("vault-down", down), ("vault-mute", mute), ("vault-full", takes_nothing)];
    in_lanes(cases.map(|(name, rule)| (name.to_owned(), rule)), async |name, rule| {
        let course = town.course(&name).await?;
        let fault = course.azure.faults().add(rule);
        course.deploy("web", 1, RESOURCE).await?;
        let operator = course.operator().await?;
        course.pods_sign_in(1).await?;
        one_without_the_other(&course, "secret/", "https://", &["could not ", &course.vault]).await?;
        is_told(&course, "Unreachable", &[&course.vault]).await?;
        fault.lift();
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}

pub async fn a_secret_that_a_policy_refuses_holds_back_nothing_else(town: Town) -> Result<(), Failed> {
    let course = town.course("secret-refused").await?;
    let refusing = format!("object.metadata.name != '{RESOURCE}'");
    let policy = Policy::put(&course, &refusing, RESOURCE).await?;
    let operator = course.operator().await?;
    one_without_the_other(&course, "https://", "secret/", &["could not ", RESOURCE, "ValidatingAdmissionPolicy"])
        .await?;
    is_told(&course, "ClusterRefused", &["ValidatingAdmissionPolicy", "Ask whoever keeps the admission policy"])
        .await?;
    policy.lift().await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_target_that_refuses_is_asked_less_and_less(town: Town) -> Result<(), Failed> {
    let course = town.course("less-and-less").await?;
    let reader = Grant::role(course.keywright.principal, Role::SecretsUser, None);
    course.azure.edit_vault(&course.vault_name(), |settings| settings.role_lag = Lag::NONE).map_err(chain)?;
    course.azure.revoke(&course.vault_name(), course.keywright.principal).map_err(chain)?;
    course.azure.grant(&course.vault_name(), reader).map_err(chain)?;
    let operator = course.operator().await?;
    let writes = || -> Vec<_> {
        let entries = course.azure.journal().entries();
        entries.into_iter().filter(|entry| entry.verb == "setSecret").map(|entry| entry.time).collect()
    };
    course
        .until(|| async { Ok(if writes().len() >= 8 { Ok(()) } else { Err("it is not tried again".into()) }) })
        .await?;
    let times = writes();
    let pauses: Vec<_> = times.windows(2).map(|two| two[1].duration_since(two[0])).collect();
    // The seventh is sixty-four times as long as the first.
    insist(pauses[6] >= SignedDuration::from_secs(1), format!("the pauses are {pauses:?}"))?;
    is_told(&course, "VaultForbidden", &["Key Vault Secrets Officer"]).await?;
    let officer = Grant::role(course.keywright.principal, Role::SecretsOfficer, None);
    course.azure.grant(&course.vault_name(), officer).map_err(chain)?;
    course.ends_published(&operator, 1..=1).await
}

/// A vault in which there is something under the name of the resource that was deleted.
async fn with_something_deleted(town: &Town, name: &str) -> Result<Course, Failed> {
    let course = town.course(name).await?;
    let vault = course.vault_name();
    course.azure.put_secret(&vault, RESOURCE, "by hand", SecretEdit::default()).map_err(chain)?;
    course.azure.delete_secret(&vault, RESOURCE).map_err(chain)?;
    Ok(course)
}

/// It is told that the name is taken, and what to do, and nothing is recovered unasked.
async fn waits_for_the_deleted(course: &Course) -> Result<(), Failed> {
    is_told(
        course,
        "VaultEntryDeleted",
        &["its name is taken", "Recover it (az keyvault secret recover), or purge it"],
    )
    .await?;
    one_without_the_other(course, "secret/", "https://", &["its name is taken"]).await?;
    let recovered = course
        .azure
        .journal()
        .count(|entry| entry.verb == "recoverDeletedSecret" || entry.verb == "purgeDeletedSecret");
    same("recoveries that nobody asked for", recovered, 0)
}

pub async fn a_name_that_was_deleted_in_a_vault_is_neither_recovered_nor_purged(town: Town) -> Result<(), Failed> {
    let purged = async |course: &Course| course.azure.purge_secret(&course.vault_name(), RESOURCE).map_err(chain);
    let course = with_something_deleted(&town, "deleted-purged").await?;
    let operator = course.operator().await?;
    waits_for_the_deleted(&course).await?;
    purged(&course).await?;
    course.ends_published(&operator, 1..=1).await?;

    let course = with_something_deleted(&town, "deleted-recovered").await?;
    let operator = course.operator().await?;
    waits_for_the_deleted(&course).await?;
    course.azure.recover_secret(&course.vault_name(), RESOURCE).map_err(chain)?;
    is_told(&course, "VaultEntryNotOurs", &["creationPolicy to Adopt"]).await?;
    let adopting = crate::manifests::merged(course.entry(RESOURCE), &json!({"creationPolicy": "Adopt"}));
    course.declare(&json!({"spec": {"publish": {"keyVaults": [adopting]}}})).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn an_entry_of_ours_that_was_deleted_is_told_and_goes_on_when_it_is_recovered(
    town: Town,
) -> Result<(), Failed> {
    let course = town.course("ours-deleted").await?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "Published").await?;
    course.azure.delete_secret(&course.vault_name(), RESOURCE).map_err(chain)?;
    waits_for_the_deleted(&course).await?;
    course.azure.recover_secret(&course.vault_name(), RESOURCE).map_err(chain)?;
    course.ends_published(&operator, 1..=1).await
}

/// Why a vault does not let the operator in.
#[derive(Clone, Copy)]
enum Closed {
    Rbac,
    Policy,
    Firewall,
    Connection,
}

impl Closed {
    fn close(self, course: &Course) -> Result<(), Failed> {
        let (azure, vault) = (&course.azure, course.vault_name());
        match self {
            // It is so of old: everybody knows.
            Self::Rbac => {
                let mut lag = Lag::NONE;
                azure
                    .edit_vault(&vault, |settings| std::mem::swap(&mut lag, &mut settings.role_lag))
                    .and_then(|()| azure.revoke(&vault, course.keywright.principal))
                    .and_then(|()| azure.edit_vault(&vault, |settings| settings.role_lag = lag))
            }
            Self::Policy => azure
                .edit_vault(&vault, |settings| settings.access = Access::Policies)
                .and_then(|()| azure.revoke(&vault, course.keywright.principal)),
            Self::Firewall => azure.edit_vault(&vault, |settings| settings.network = Network::Firewall),
            Self::Connection => azure.edit_vault(&vault, |settings| settings.network = Network::Private),
        }
        .map_err(chain)
    }

    fn mend(self, course: &Course) -> Result<(), Failed> {
        let (azure, vault) = (&course.azure, course.vault_name());
        match self {
            Self::Rbac | Self::Policy => {
                azure.grant(&vault, Grant::role(course.keywright.principal, Role::SecretsOfficer, None))
            }
            Self::Firewall | Self::Connection => azure.edit_vault(&vault, |settings| settings.network = Network::Open),
        }
        .map_err(chain)
    }

    /// The reason, and the remedy.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Rbac => ("VaultForbidden", "Assign the role \"Key Vault Secrets Officer\""),
            Self::Policy => ("VaultForbidden", "secret permissions Get, List and Set"),
            Self::Firewall => ("VaultUnreachable", "in the vault's firewall"),
            Self::Connection => ("VaultUnreachable", "private endpoints only"),
        }
    }

    /// Whether a vault refuses with this code.
    fn is_code(self, code: &str) -> bool {
        match self {
            Self::Rbac => code == "ForbiddenByRbac",
            Self::Policy => ["ForbiddenByPolicy", "AccessDenied"].contains(&code),
            Self::Firewall => code == "ForbiddenByFirewall",
            Self::Connection => code == "ForbiddenByConnection",
        }
    }
}

const CLOSED: [(&str, Closed); 4] = [
    ("rbac", Closed::Rbac),
    ("policy", Closed::Policy),
    ("firewall", Closed::Firewall),
    ("connection", Closed::Connection),
];

pub async fn a_vault_that_is_closed_is_told_with_its_remedy_and_written_when_it_is_open(
    town: Town,
) -> Result<(), Failed> {
    in_lanes(CLOSED.map(|(name, closed)| (format!("by-{name}"), closed)), async |name, closed| {
        let course = town.course(&name).await?;
        closed.close(&course)?;
        let operator = course.operator().await?;
        let (reason, remedy) = closed.words();
        one_without_the_other(&course, "secret/", "https://", &["403"]).await?;
        is_told(&course, reason, &["403", remedy, &course.vault]).await?;
        let failure: Value = read(&course.read(RESOURCE).await?, "/status/lastFailure").ok_or("nothing has failed")?;
        let [code, advice] = ["code", "remedy"].map(|field| failure[field].as_str().unwrap_or_default());
        insist(closed.is_code(code) && advice.contains(remedy), format!("{failure}"))?;
        closed.mend(&course)?;
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}

pub async fn a_credential_that_could_be_published_nowhere_is_not_minted(town: Town) -> Result<(), Failed> {
    in_lanes(CLOSED.map(|(name, closed)| (format!("only-{name}"), closed)), async |name, closed| {
        let course = town.undeclared(&name).await?;
        closed.close(&course)?;
        course.declare(&json!({"spec": {"publish": {"secret": null}}})).await?;
        let operator = course.operator().await?;
        let (reason, remedy) = closed.words();
        is_told(&course, reason, &[remedy]).await?;
        // It has been tried again, and still nothing is minted.
        let tried = course.azure.journal().len();
        course
            .azure
            .journal()
            .wait_for(|entry| entry.number >= tried && entry.service == VAULT, PATIENCE)
            .await
            .map_err(chain)?;
        insist(
            course.minted().await?.is_empty() && course.records().await?.is_empty(),
            "something was minted for nothing",
        )?;
        closed.mend(&course)?;
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}
