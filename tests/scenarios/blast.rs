//! How much may go wrong at once in a tenant: so many rotations are under way at the same time, and after failures in a
//! row none begins any more until a person says so.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use futures::{StreamExt, TryStreamExt, future::try_join_all};
use k8s_openapi::api::core::v1::Secret;
use keywright_sandbox::{
    KUBERNETES, Operator,
    azure::{GRAPH, NewPassword, Seeded, TOKEN},
    journal::Entry,
};
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    manifests::merged,
    rotation::{demand_of, has_ended},
    town::{Firm, PATIENCE, Town, chain, change, condition, insist, locked, same},
};

/// So many fail at once, each with an application of its own: as many as a small machine bears beside other scenarios.
const MANY: usize = 60;

/// As many as are seen on request.
const VERY_MANY: usize = 200;

/// As many applications as a grant may list.
const OF_A_GRANT: usize = 64;

/// Counts the rotations that touch workloads, from the records: from the moment at which one counts as published until
/// everybody has it.
struct UnderWay {
    most: Arc<Mutex<usize>>,
    _watch: AbortOnDropHandle<()>,
}

impl UnderWay {
    /// Count from now on the second credentials of all resources.
    fn watch(secrets: Api<Secret>) -> Self {
        let most = Arc::<Mutex<usize>>::default();
        let told = Arc::clone(&most);
        let watch = tokio::spawn(async move {
            let records = watcher::Config::default().fields("type=keywright.dev/record");
            let mut changes = watcher(secrets, records).applied_objects().boxed();
            let mut now = BTreeSet::new();
            while let Ok(Some(record)) = changes.try_next().await {
                let says = |key: &str| record.annotations().get(&format!("keywright.dev/{key}")).map(String::as_str);
                let is_begun = says("stage") == Some("publishing") && says("sequence") == Some("2");
                if is_begun && says("proven-at").is_none() {
                    now.insert(record.name_any());
                } else {
                    now.remove(&record.name_any());
                }
                let mut most = locked(&told);
                *most = now.len().max(*most);
            }
        });
        Self { most, _watch: AbortOnDropHandle::new(watch) }
    }

    fn most(&self) -> usize {
        *locked(&self.most)
    }
}

pub async fn no_more_rotations_are_under_way_than_a_tenant_allows(town: Town) -> Result<(), Failed> {
    let firm = town.firm("in-flight").await?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({"spec": {"limits": {"maxInFlight": 2}}})).await?;
    let names: Vec<String> = (0..6).map(|number| format!("api-{number}")).collect();
    for name in &names {
        firm.deploy(name, 1, name).await?;
        firm.resource(name, &json!({"spec": {"retirement": {"minOverlap": "1s"}}})).await?;
    }
    try_join_all(names.iter().map(|name| firm.told(name, "Published"))).await?;
    firm.pods_sign_in(6).await?;
    let under_way = UnderWay::watch(firm.secrets());
    try_join_all(names.iter().map(|name| demand_of(&firm, name))).await?;
    try_join_all(names.iter().map(|name| firm.until(|| has_ended(&firm, name, &firm.payments, 2)))).await?;
    same("under way at once, at the most", under_way.most(), 2)?;
    firm.ends_clean(&operator).await
}

/// A firm that has paused itself, since its application is blocked, with what was minted before that gone again.
async fn paused(town: &Town, name: &str, resources: usize) -> Result<(Firm, Operator, Vec<String>), Failed> {
    let mut firm = town.firm(name).await?;
    let proof = json!({"consecutiveSuccesses": 3, "interval": "0s", "timeout": "5s", "minAge": "0s"});
    firm.asking = json!({"spec": {"verification": proof}});
    // So that the application is never without one that works.
    firm.azure.seed_password(&firm.payments, NewPassword::default()).map_err(chain)?;
    firm.azure.set_principal(&firm.payments, |principal| principal.blocked = true).map_err(chain)?;
    let operator = firm.operator().await?;
    firm.tenant(&json!({})).await?;
    let names: Vec<String> = (0..resources).map(|number| format!("api-{number}")).collect();
    try_join_all(names.iter().map(async |name| firm.resource(name, &json!({})).await)).await?;
    let told = firm.tenant_condition_told("Paused", "TenantPaused").await?;
    insist(told.message.contains("keywright.dev/resume"), told.message)?;
    for name in &names {
        firm.told(name, "TenantPaused").await?;
    }
    firm.until(|| async {
        let left = firm.azure.passwords(&firm.payments).map_err(chain)?.len();
        let finalized = firm.records().await?.iter().filter(|record| !record.finalizers().is_empty()).count();
        let is_over = left == 1 && finalized == 0;
        Ok(if is_over { Ok(()) } else { Err(format!("{left} credentials and {finalized} finalizers are left")) })
    })
    .await?;
    Ok((firm, operator, names))
}

pub async fn a_tenant_in_which_every_sign_in_is_blocked_pauses_itself(town: Town) -> Result<(), Failed> {
    let (firm, operator, names) = paused(&town, "blocked", 20).await?;
    firm.settled("marker").await?;
    let minted = firm.minted().await?.len();
    insist(minted <= names.len() + 5, format!("{minted} were minted for {} resources", names.len()))?;
    let before = spent_at_rest(&firm).await?;
    for name in &names {
        let events = firm.events(name).await?;
        let told: Vec<&String> =
            events.iter().filter(|(reason, _)| reason == "TenantPaused").map(|(_, note)| note).collect();
        insist(told.len() == 1, format!("{name} was told {} times that its tenant is paused: {told:#?}", told.len()))?;
    }
    firm.rounds(3).await?;
    let while_paused: Vec<String> = spent(&firm).into_iter().filter(|one| !before.contains(one)).collect();
    insist(while_paused.is_empty(), format!("while it is paused there were {while_paused:#?}"))?;

    firm.azure.set_principal(&firm.payments, |principal| principal.blocked = false).map_err(chain)?;
    // So many at once need longer to be proven than the seconds in which they were to fail.
    let patient = json!({"spec": {"verification": {"timeout": "2m"}}});
    try_join_all(names.iter().map(async |name| change(&firm.resources(), name, &patient).await)).await?;
    let resumed = json!({"metadata": {"annotations": {"keywright.dev/resume": jiff::Timestamp::now().to_string()}}});
    change(&firm.tenants(), &firm.name, &resumed).await?;
    try_join_all(names.iter().map(|name| firm.told(name, "Published"))).await?;
    firm.until(|| async {
        let tenant = firm.tenants().get(&firm.name).await?;
        let paused = condition(Some(&tenant), "Paused").is_some();
        let there = firm.azure.passwords(&firm.payments).map_err(chain)?.len();
        let goes_on = !paused && there == names.len() + 1;
        Ok(if goes_on { Ok(()) } else { Err(format!("{there} are there; paused: {paused}")) })
    })
    .await?;
    firm.ends_clean(&operator).await
}

/// A firm with as many applications that nobody may sign in as, and a resource for each.
async fn where_all_are_blocked(mut firm: Firm, many: usize) -> Result<(Firm, Operator, Vec<Seeded>), Failed> {
    firm.args = ["--time-scale", "0.01"].map(str::to_owned).into();
    let proof = json!({"consecutiveSuccesses": 3, "interval": "0s", "timeout": "5s", "minAge": "0s"});
    firm.asking = json!({"spec": {"verification": proof}});
    let applications: Vec<Seeded> =
        (0..many).map(|number| firm.application(&format!("application-{number}"))).collect::<Result<_, _>>()?;
    for application in &applications {
        // So that none is ever without one that works.
        firm.azure.seed_password(application, NewPassword::default()).map_err(chain)?;
        firm.azure.set_principal(application, |principal| principal.blocked = true).map_err(chain)?;
    }
    let grants = applications.chunks(OF_A_GRANT).enumerate().map(|(number, some)| {
        let client_ids: Vec<_> = some.iter().map(|one| one.client_id).collect();
        merged(firm.grant(), &json!({"name": format!("some-{number}"), "clientIds": client_ids}))
    });
    let operator = firm.operator().await?;
    firm.tenant(&json!({"spec": {"grants": grants.collect::<Vec<Value>>()}})).await?;
    let declared = applications.iter().enumerate().map(async |(number, application)| {
        firm.resource(&format!("api-{number}"), &json!({"spec": {"clientId": application.client_id}})).await
    });
    try_join_all(declared).await?;
    Ok((firm, operator, applications))
}

/// Wait until `Ready` of so many resources gives this reason, as one watch of them all tells; longer than for a few.
async fn are_told(firm: &Firm, count: usize, reason: &str) -> Result<(), Failed> {
    let told = async {
        let mut changes = watcher(firm.resources(), watcher::Config::default()).applied_objects().boxed();
        let mut told = BTreeSet::new();
        while told.len() < count {
            let resource = changes.try_next().await?.ok_or("the resources can be watched no more")?;
            match condition(Some(&resource), "Ready").filter(|ready| ready.reason == reason) {
                Some(_) => told.insert(resource.name_any()),
                None => told.remove(&resource.name_any()),
            };
        }
        Ok::<(), Failed>(())
    };
    tokio::time::timeout(3 * PATIENCE, told).await.map_err(|_| format!("not {count} are told {reason}"))?
}

pub async fn many_that_fail_at_once_pause_their_tenant_and_cost_little(town: Town) -> Result<(), Failed> {
    fail_at_once(town.firm("many-fail").await?, MANY).await
}

pub async fn two_hundred_that_fail_at_once_pause_their_tenant_and_cost_little(town: Town) -> Result<(), Failed> {
    fail_at_once(town.firm("two-hundred-fail").await?, VERY_MANY).await
}

async fn fail_at_once(firm: Firm, many: usize) -> Result<(), Failed> {
    let (firm, operator, applications) = where_all_are_blocked(firm, many).await?;
    firm.tenant_condition_told("Paused", "TenantPaused").await?;
    are_told(&firm, many, "TenantPaused").await?;
    firm.until(|| async {
        let there = applications.iter().map(|one| firm.azure.passwords(one).map(|all| all.len()));
        let left = there.sum::<anyhow::Result<usize>>().map_err(chain)? - many;
        if left > 0 {
            return Ok(Err(format!("{left} credentials are left")));
        }
        let finalized = firm.records().await?.iter().filter(|record| !record.finalizers().is_empty()).count();
        Ok(if finalized == 0 { Ok(()) } else { Err(format!("{finalized} finalizers are left")) })
    })
    .await?;
    let before = spent_at_rest(&firm).await?;
    let cost = Cost::of(&firm);
    cost.is_little(many)?;
    firm.rounds(2).await?;
    same("spent while it is paused", spent(&firm).len(), before.len())?;

    for application in &applications {
        firm.azure.set_principal(application, |principal| principal.blocked = false).map_err(chain)?;
    }
    let patient = json!({"spec": {"verification": {"timeout": "2m"}}});
    let names = (0..many).map(|number| format!("api-{number}"));
    try_join_all(names.map(async |name| change(&firm.resources(), &name, &patient).await)).await?;
    let resumed = json!({"metadata": {"annotations": {"keywright.dev/resume": jiff::Timestamp::now().to_string()}}});
    change(&firm.tenants(), &firm.name, &resumed).await?;
    are_told(&firm, many, "Published").await?;
    same("minted after it was resumed", Cost::of(&firm).mints - cost.mints, many)?;
    firm.ends_clean(&operator).await
}

/// What a firm's operator has cost others, while all of them failed.
#[derive(Debug)]
struct Cost {
    mints: usize,
    sign_ins: usize,
    events: usize,
    of_tenant: usize,
    rounds: usize,
    writes: usize,
}

impl Cost {
    fn of(firm: &Firm) -> Self {
        let azure = |service: &str, verb: &str| {
            firm.azure.journal().count(|entry| entry.service == service && entry.verb == verb)
        };
        let kubernetes =
            |path: &str| firm.proxy.journal().count(|entry| is_a_write(entry) && entry.path.contains(path));
        Self {
            mints: azure(GRAPH, "addPassword"),
            sign_ins: azure(TOKEN, "signIn"),
            events: kubernetes("/events"),
            of_tenant: kubernetes("/entratenants/"),
            rounds: azure(GRAPH, "delta") + azure(GRAPH, "listApplications"),
            writes: kubernetes("/"),
        }
    }
}

impl Cost {
    /// Each of them is tried once at the most, with the pauses that there are between sign-ins, and all that is done is told
    /// once; their tenant tells no more than once a round how many have failed.
    fn is_little(&self, many: usize) -> Result<(), Failed> {
        let costs = [
            (self.mints, many),
            (self.sign_ins, 10 * many),
            (self.events, 5 * many),
            (self.of_tenant, self.rounds + 5),
            (self.writes, 16 * many),
        ];
        insist(costs.iter().all(|(cost, most)| cost <= most), format!("that is too much: {self:?}"))
    }
}

fn is_a_write(entry: &Entry) -> bool {
    ["create", "update", "patch", "delete"].contains(&entry.verb.as_str())
}

/// What was spent, when a whole round has passed in which nothing was.
async fn spent_at_rest(firm: &Firm) -> Result<Vec<String>, Failed> {
    let mut before = spent(firm);
    for _ in 0..5 {
        firm.rounds(1).await?;
        let now = spent(firm);
        if now == before {
            return Ok(now);
        }
        before = now;
    }
    Err(format!("it does not come to rest: {:?}", before.last()).into())
}

/// All sign-ins, mints, Events and other writes.
fn spent(firm: &Firm) -> Vec<String> {
    let is_dear = |entry: &Entry| match entry.service.as_str() {
        KUBERNETES => is_a_write(entry),
        service => [(TOKEN, "signIn"), (GRAPH, "addPassword")].contains(&(service, entry.verb.as_str())),
    };
    let all = firm.azure.journal().entries().into_iter().chain(firm.proxy.journal().entries());
    all.filter(is_dear).map(|entry| entry.to_string()).collect()
}
