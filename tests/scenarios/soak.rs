//! Weather for a long time: applications whose secrets are rotated again and again while services fail, the operator is
//! killed or stands still, and people meddle; all of it from a seed. After each rotation the promises are looked at.

use std::{
    env, fmt,
    io::{Write, stdout},
    str::FromStr,
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures::future::try_join_all;
use jiff::Timestamp;
use keywright_sandbox::{
    KUBERNETES, Operator, Rule,
    azure::{GRAPH, TOKEN, VAULT},
    faults::{Action, Added, Point},
    journal::Entry,
    node::USER_AGENT,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::DynamicObject,
    runtime::wait::await_condition,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    rotation::demand,
    town::{Firm, RESOURCE, Town, chain, change, condition, read},
};

/// How many rotations there are unless `KEYWRIGHT_SOAK_ROTATIONS` says so.
const ROTATIONS: usize = 2_000;

/// How many applications they are spread over, each with an Azure and an operator of its own.
const FIRMS: usize = 12;

/// How long a rotation may take in the worst weather: pauses between mints that fail double.
const PATIENCE: Duration = Duration::from_mins(4);

/// How many requests of a rotation are told when it ends badly, the last ones.
const TOLD: usize = 80;

pub async fn seeded_weather_over_many_rotations(town: Town) -> Result<(), Failed> {
    let seed = setting("KEYWRIGHT_SOAK_SEED", Timestamp::now().as_second().unsigned_abs());
    let rotations = setting("KEYWRIGHT_SOAK_ROTATIONS", ROTATIONS);
    let began = Instant::now();
    writeln!(stdout(), "KEYWRIGHT_SOAK_SEED={seed}, {rotations} rotations")?;
    let firms = FIRMS.min(rotations);
    let each = (0..firms).map(|firm| {
        let share = rotations / firms + usize::from(firm < rotations % firms);
        let dice = Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(firm as u64));
        let town = town.clone();
        async move {
            let name = format!("soak-{firm}");
            let ended = live(&town, &name, share, dice).await;
            ended.map_err(|failed| {
                Failed::from(format!("seed {seed}, {name}: {}", failed.message().unwrap_or_default()))
            })
        }
    });
    let lives = try_join_all(each).await?;
    let all = lives.iter().fold(Life::default(), Life::and);
    writeln!(stdout(), "{all} in {} s", began.elapsed().as_secs())?;
    Ok(())
}

fn setting<T: FromStr>(name: &str, otherwise: T) -> T {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// What an application has gone through.
#[derive(Clone, Copy, Default)]
struct Life {
    rotations: usize,
    faults: usize,
    operators: usize,
    accepted: u64,
}

impl Life {
    fn and(self, other: &Self) -> Self {
        Self {
            rotations: self.rotations + other.rotations,
            faults: self.faults + other.faults,
            operators: self.operators + other.operators,
            accepted: self.accepted + other.accepted,
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rotations, faults, operators, accepted } = self;
        write!(
            out,
            "{rotations} rotations, {faults} faults, {operators} operators, {accepted} sign-ins of pods accepted"
        )
    }
}

/// One application, from its first issue through so many rotations.
async fn live(town: &Town, name: &str, rotations: usize, mut dice: Rng) -> Result<Life, Failed> {
    let firm = town.firm(name).await?;
    let mut operator = firm.operator().await?;
    firm.run("Deployment", "web", 2, RESOURCE).await?;
    firm.run("StatefulSet", "queue", 1, RESOURCE).await?;
    firm.tenant(&json!({})).await?;
    let both = json!({"secret": {}, "keyVaults": [{"vaultUrl": firm.vault, "name": RESOURCE}]});
    firm.resource(RESOURCE, &json!({"spec": {"retirement": {"minOverlap": "1s"}, "publish": both}})).await?;
    firm.told(RESOURCE, "Published").await?;
    firm.pods_sign_in(3).await?;
    let mut life = Life { operators: 1, ..Life::default() };
    for number in 1..=rotations {
        let storm = Storm::from(&mut dice);
        let since = (firm.azure.journal().len(), firm.proxy.journal().len());
        let weathered = storm.pass_over(&firm, &mut operator, &mut life).await;
        weathered.map_err(|failed| {
            let why = failed.message().unwrap_or_default();
            format!("rotation {number}, with {storm:?}: {why}\n{}", requests(&firm, since))
        })?;
        life.rotations += 1;
    }
    firm.comes_to_rest().await?;
    firm.ends_clean(&operator).await?;
    life.accepted = firm.ledger().await?.verdict().accepted;
    Ok(life)
}

/// What somebody does during a rotation.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Nothing,
    KillTheOperator,
    StopTheOperatorFor(Duration),
    DeleteTheSecret,
    ScribbleOnTheSecret,
    DeleteAPod,
    ScaleTo(u64),
    WipeTheStatus,
    DemandAnother,
}

impl Deed {
    fn from(dice: &mut Rng) -> Self {
        match dice.u8(0..12) {
            0 | 1 => Self::KillTheOperator,
            2 => Self::StopTheOperatorFor(Duration::from_millis(dice.u64(100..4_000))),
            3 => Self::DeleteTheSecret,
            4 => Self::ScribbleOnTheSecret,
            5 => Self::DeleteAPod,
            6 => Self::ScaleTo(dice.u64(1..4)),
            7 => Self::WipeTheStatus,
            8 => Self::DemandAnother,
            _ => Self::Nothing,
        }
    }

    async fn done(self, firm: &Firm, operator: &mut Operator, life: &mut Life) -> Result<(), Failed> {
        match self {
            Self::Nothing => {}
            Self::KillTheOperator => {
                operator.kill().await.map_err(chain)?;
                *operator = firm.starting_operator().await?;
                life.operators += 1;
            }
            Self::StopTheOperatorFor(time) => {
                operator.pause();
                tokio::time::sleep(time).await;
                operator.resume();
            }
            Self::DeleteTheSecret => drop(firm.secrets().delete(RESOURCE, &DeleteParams::default()).await),
            Self::ScribbleOnTheSecret => {
                let scribble =
                    json!({"metadata": {"annotations": {"keywright.dev/key-id": "mine", "keywright.dev/nonce": null}}});
                // It may just be away.
                drop(change(&firm.secrets(), RESOURCE, &scribble).await);
            }
            Self::DeleteAPod => {
                let pods = firm.pods().list(&ListParams::default().labels("app=web")).await?;
                if let Some(pod) = pods.items.first() {
                    drop(firm.pods().delete(&pod.name_any(), &DeleteParams::default()).await);
                }
            }
            Self::ScaleTo(replicas) => {
                change(&firm.deployments(), "web", &json!({"spec": {"replicas": replicas}})).await?;
            }
            Self::WipeTheStatus => {
                let wipe = Patch::Merge(json!({"status": null}));
                firm.resources().patch_status(RESOURCE, &PatchParams::default(), &wipe).await?;
            }
            Self::DemandAnother => demand(firm).await?,
        }
        Ok(())
    }
}

/// What befalls some of the requests of a kind.
#[derive(Clone, Debug)]
struct Fault {
    point: Point,
    action: Action,
}

impl Fault {
    fn from(dice: &mut Rng) -> Self {
        let point = match dice.u8(0..6) {
            0 => Rule::at(GRAPH, "*", "**"),
            1 => Rule::at(TOKEN, "*", "**"),
            2 => Rule::at(VAULT, "*", "**"),
            3 => Rule::at(KUBERNETES, "get", "**"),
            4 => Rule::at(KUBERNETES, "watch", "**"),
            _ => Rule::at(KUBERNETES, ["create", "update", "patch", "list", "delete"][dice.usize(0..5)], "**"),
        };
        // Pods sign in for themselves: what befalls them is none of the operator's doing.
        let point = point.sparing(USER_AGENT);
        let point = if dice.bool() { point.nth(dice.usize(1..9)) } else { point.sometimes(dice.u16(50..500)) };
        let hangs = point.service() != KUBERNETES;
        let action = match dice.u8(0..10) {
            0..3 => Action::CutBefore,
            3..6 => Action::CutAfter,
            6 => Action::Answer { status: 429, retry_after: Some(Duration::from_secs(1)), body: None },
            7 => Action::Delay(Duration::from_millis(dice.u64(50..2_000))),
            8 if hangs => Action::Hang,
            _ => Action::Answer { status: [500, 502, 503][dice.usize(0..3)], retry_after: None, body: None },
        };
        Self { point, action }
    }
}

/// The weather of a rotation.
#[derive(Debug)]
struct Storm {
    faults: Vec<Fault>,
    deed: Deed,
    /// How long after it was demanded.
    after: Duration,
}

impl Storm {
    fn from(dice: &mut Rng) -> Self {
        let faults = (0..dice.usize(0..6)).map(|_| Fault::from(dice)).collect();
        let (deed, after) = (Deed::from(dice), Duration::from_millis(dice.u64(0..6_000)));
        Self { faults, deed, after }
    }

    /// Demand a rotation, let the weather pass over it, and see it end well when it has passed.
    async fn pass_over(&self, firm: &Firm, operator: &mut Operator, life: &mut Life) -> Result<(), Failed> {
        let before: i64 =
            read(&firm.read(RESOURCE).await?, "/status/current/sequence").ok_or("nothing is published")?;
        let add = |fault: &Fault| firm.faults_at(&fault.point).add(fault.point.clone().then(fault.action.clone()));
        let added: Vec<Added> = self.faults.iter().map(add).collect();
        demand(firm).await?;
        tokio::time::sleep(self.after).await;
        self.deed.done(firm, operator, life).await?;
        added.iter().for_each(Added::lift);
        life.faults += added.iter().map(Added::applied).sum::<usize>();
        ends_well(firm, before).await
    }
}

/// Wait until a later credential is with everybody and alone, and look at the promises.
async fn ends_well(firm: &Firm, before: i64) -> Result<(), Failed> {
    let ended = |object: Option<&DynamicObject>| {
        let Some(object) = object else { return false };
        let says = |type_, status| condition(Some(object), type_).is_some_and(|one| one.status == status);
        let retiring: Option<Value> = read(object, "/status/retiring");
        let current: Option<i64> = read(object, "/status/current/sequence");
        current > Some(before) && retiring.is_none() && says("RolledOut", "True") && says("Rotating", "False")
    };
    let waited = tokio::time::timeout(PATIENCE, await_condition(firm.resources(), RESOURCE, ended)).await;
    if waited.is_err() {
        return Err(format!("it has not ended: {}", firm.read(RESOURCE).await?.data["status"]).into());
    }
    firm.until(|| async {
        let there = firm.azure.passwords(&firm.payments).map_err(chain)?.len();
        Ok(if there == 1 { Ok(()) } else { Err(format!("{there} credentials are there")) })
    })
    .await?;
    firm.ledger().await?.assert_clean().map_err(chain)
}

/// The last requests since these places in the journals, in their order.
fn requests(firm: &Firm, (azures, ours): (usize, usize)) -> String {
    let since = |entries: Vec<Entry>, first: usize| entries.into_iter().filter(move |entry| entry.number >= first);
    let mut entries: Vec<Entry> = since(firm.azure.journal().entries(), azures).collect();
    entries.retain(|entry| entry.user_agent != USER_AGENT);
    entries.extend(since(firm.proxy.journal().entries(), ours).filter(|entry| !entry.path.ends_with("/events")));
    entries.sort_by_key(|entry| entry.time);
    let told: Vec<String> = entries.iter().rev().take(TOLD).rev().map(ToString::to_string).collect();
    told.join("\n")
}
