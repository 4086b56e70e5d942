//! The control plane itself fails, under a first issue or after it: the API server goes away, or etcd is restored from a
//! backup, so that what was written since then is forgotten, and nobody in the cluster knows what has happened.
//!
//! Each scenario has a plane of its own, with several firms on it that all meet the same.

use std::time::Duration;

use keywright::api::EntraAppCredential;
use keywright_sandbox::Operator;
use kube::{Api, api::ListParams};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    federation::{accepts, declared},
    town::{
        Course, Firm, KEEPING, NOTING, PATIENCE, RESOURCE, STAGES, Stage, Town, chain, in_lanes, insist, read, same,
    },
};

/// As long as a request is held up until all firms have come as far.
const A_WHILE: Duration = Duration::from_secs(6);

pub async fn an_api_server_that_is_killed_at_any_stage_costs_nothing(_: Town) -> Result<(), Failed> {
    let town = Town::build().await?;
    let cases = STAGES.map(|stage| (format!("cut-{}", stage.name), stage));
    let under_way = in_lanes(cases, async |name, stage: Stage| {
        let course = town.course(&name).await?;
        course.hold(&stage, A_WHILE);
        let operator = course.operator().await?;
        course.is_held(&stage).await?;
        Ok((name, (course, operator)))
    });
    let under_way = under_way.await?;
    town.plane().kill_api().await.map_err(chain)?;
    town.plane().start_api().await.map_err(chain)?;
    in_lanes(under_way, async |_, (course, operator)| course.ends_published(&operator, 1..=1).await).await?;
    town.end().await.map_err(chain)
}

/// A firm whose cluster forgets.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// Whether the credential is in a vault as well, which forgets nothing.
    has_a_vault: bool,
    /// Whether the operator lives through it, or another comes after it.
    operator_stays: bool,
}

const CASES: [Case; 4] = [
    Case { name: "vault-stays", has_a_vault: true, operator_stays: true },
    Case { name: "vault-new", has_a_vault: true, operator_stays: false },
    Case { name: "secret-stays", has_a_vault: false, operator_stays: true },
    Case { name: "secret-new", has_a_vault: false, operator_stays: false },
];

/// A firm at the moment to which its cluster will go back.
struct Restored {
    case: Case,
    course: Course,
    operator: Option<Operator>,
}

impl Restored {
    /// A firm in which a credential is declared and a pod waits for it.
    async fn declared(town: &Town, name: &str, case: Case) -> Result<Self, Failed> {
        let course = town.undeclared(name).await?;
        let vaults = if case.has_a_vault { json!({}) } else { json!({"spec": {"publish": {"keyVaults": null}}}) };
        course.declare(&vaults).await?;
        course.deploy("web", 1, RESOURCE).await?;
        course.pods_wait(1).await?;
        Ok(Self { case, course, operator: None })
    }

    /// Published, and in the hands of a pod, when the cluster is about to forget.
    async fn published(mut self) -> Result<Self, Failed> {
        let operator = match self.operator.take() {
            Some(operator) => operator,
            None => self.course.operator().await?,
        };
        self.course.told(RESOURCE, "Published").await?;
        self.course.pods_sign_in(1).await?;
        if self.case.operator_stays {
            self.operator = Some(operator);
        } else {
            operator.kill().await.map_err(chain)?;
        }
        Ok(self)
    }

    /// Published again, to pods that have been signing in all the time.
    async fn published_again(&mut self) -> Result<Operator, Failed> {
        let operator = match self.operator.take() {
            Some(operator) => operator,
            None => self.course.operator().await?,
        };
        self.course.told(RESOURCE, "Published").await?;
        self.course.pods_sign_in_again(20).await?;
        Ok(operator)
    }

    /// The credentials on the application, but for the one that was made by hand.
    fn left(&self) -> Result<Vec<Uuid>, Failed> {
        let all = self.course.azure.passwords(&self.course.payments).map_err(chain)?;
        Ok(all.iter().map(|one| one.key_id).filter(|key_id| *key_id != self.course.by_hand).collect())
    }
}

/// Every case, from a moment on a plane of its own, to which it goes back when everything is published.
async fn restored(
    name: &str,
    moment: impl AsyncFn(&mut Restored) -> Result<(), Failed>,
    ends: impl AsyncFn(Restored) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let town = Town::build().await?;
    let cases = CASES.map(|case| (format!("{name}-{}", case.name), case));
    let declared = in_lanes(cases, async |name, case| {
        let mut restored = Restored::declared(&town, &name, case).await?;
        moment(&mut restored).await?;
        Ok((name, restored))
    });
    let declared = declared.await?;
    town.plane().snapshot("then").await.map_err(chain)?;
    let published =
        in_lanes(declared, async |name, restored: Restored| Ok((name, restored.published().await?))).await?;
    town.plane().restore("then").await.map_err(chain)?;
    our_kinds_are_served(&town).await?;
    in_lanes(published, async |_, restored| ends(restored).await).await?;
    town.end().await.map_err(chain)
}

/// After a restore the API server serves our kinds a moment later than its own, and nothing tells when.
async fn our_kinds_are_served(town: &Town) -> Result<(), Failed> {
    let resources: Api<EntraAppCredential> = Api::all(town.admin());
    let served = async {
        while resources.list_metadata(&ListParams::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    Ok(tokio::time::timeout(PATIENCE, served).await?)
}

pub async fn an_etcd_from_before_the_first_issue_costs_nothing_that_is_in_use(_: Town) -> Result<(), Failed> {
    let ends = async |mut restored: Restored| {
        let operator = restored.published_again().await?;
        if restored.case.has_a_vault {
            return restored.course.ends_published(&operator, 1..=1).await;
        }
        // Nobody knows the value any more but the pods, so another is minted; the one that they hold stays, and is told.
        let minted = restored.course.minted().await?;
        same("minted", minted.len(), 2)?;
        same("left", restored.left()?.len(), 2)?;
        let first = minted[0].key_id.to_string();
        let told: Vec<Value> = read(&restored.course.read(RESOURCE).await?, "/status/retiring").unwrap_or_default();
        insist(told.iter().any(|one| one["keyId"] == first), format!("{first} is not among {told:?}"))?;
        restored.course.ends_clean(&operator).await
    };
    restored("before", async |_| Ok(()), ends).await
}

pub async fn an_etcd_from_between_mint_and_keep_costs_nothing_that_is_in_use(_: Town) -> Result<(), Failed> {
    let between = async |restored: &mut Restored| {
        restored.course.hold(&KEEPING, A_WHILE);
        restored.operator = Some(restored.course.operator().await?);
        restored.course.is_held(&KEEPING).await
    };
    let ends = async |mut restored: Restored| {
        let operator = restored.published_again().await?;
        if restored.case.has_a_vault {
            return restored.course.ends_published(&operator, 1..=1).await;
        }
        // The record knows the attempt, but not its value: another is minted, and the first looks as if nobody had it. The
        // ledger says whether it goes before the last pod that holds it.
        same("minted", restored.course.minted().await?.len(), 2)?;
        restored
            .course
            .until(|| async {
                Ok(if restored.left()?.len() == 1 { Ok(()) } else { Err("the first stays".to_owned()) })
            })
            .await?;
        restored.course.pods_sign_in_again(20).await?;
        restored.course.ends_clean(&operator).await
    };
    restored("between", between, ends).await
}

/// A firm whose cluster forgets that a federated credential was set up: from before it, or from between its creation and the
/// note of it.
#[derive(Clone, Copy)]
struct Forgets {
    between: bool,
    operator_stays: bool,
}

pub async fn an_etcd_from_before_or_amid_a_set_up_of_federation_takes_nothing_from_anybody(
    _: Town,
) -> Result<(), Failed> {
    let town = Town::build().await?;
    let cases = [("before", false), ("between", true)].into_iter().flat_map(|(name, between)| {
        let both = [("stays", true), ("new", false)];
        both.map(|(who, operator_stays)| (format!("fed-{name}-{who}"), Forgets { between, operator_stays }))
    });
    let declared = in_lanes(cases, async |name, case: Forgets| {
        let firm = declared(&town, &name).await?;
        if !case.between {
            return Ok((name, (case, firm, None)));
        }
        firm.hold(&NOTING, A_WHILE);
        let operator = firm.operator().await?;
        firm.is_held(&NOTING).await?;
        Ok((name, (case, firm, Some(operator))))
    });
    let declared = declared.await?;
    town.plane().snapshot("then").await.map_err(chain)?;
    let in_use = in_lanes(declared, async |name, (case, firm, operator): (Forgets, Firm, Option<Operator>)| {
        let operator = match operator {
            Some(operator) => operator,
            None => firm.operator().await?,
        };
        firm.told(RESOURCE, "Published").await?;
        firm.pods_federate("api", 2).await?;
        let id = accepts(&firm)?.first().map(|one| one.id);
        let operator = if case.operator_stays {
            Some(operator)
        } else {
            operator.kill().await.map_err(chain)?;
            None
        };
        Ok((name, (firm, operator, id)))
    });
    let in_use = in_use.await?;
    town.plane().restore("then").await.map_err(chain)?;
    our_kinds_are_served(&town).await?;
    in_lanes(in_use, async |_, (firm, operator, id): (Firm, Option<Operator>, Option<Uuid>)| {
        let operator = match operator {
            Some(operator) => operator,
            None => firm.operator().await?,
        };
        firm.told(RESOURCE, "Published").await?;
        firm.condition_told("RolledOut", "RolledOut").await?;
        firm.pods_federate("api", 2).await?;
        firm.comes_to_rest().await?;
        same("accepted", accepts(&firm)?.iter().map(|one| Some(one.id)).collect::<Vec<_>>(), vec![id])?;
        same("added", firm.minted().await?.len(), 1)?;
        firm.ends_clean(&operator).await
    })
    .await?;
    town.end().await.map_err(chain)
}
