//! Every service fails in every way that it can, at every request of a first issue: the same end is reached, and no more
//! is minted than the fault excuses.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keywright_sandbox::{
    KUBERNETES, Rule,
    azure::{self, GRAPH, Lag, TOKEN},
    faults::{Action, Point, When},
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::{
    federation::{declared_without_pods, ends_in_use, federated, with_waiting_pods},
    town::{Course, KEEPING, MINTING, RESOURCE, Town, chain, condition, in_lanes, insist, read, same},
};

/// What befalls a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Throttled,
    /// As Entra does it, where nothing in the answer is JSON.
    ThrottledInPlainText,
    Broken,
    Hanging,
    CutBefore,
    CutAfter,
}

impl Fault {
    const ALL: [Self; 6] =
        [Self::Throttled, Self::ThrottledInPlainText, Self::Broken, Self::Hanging, Self::CutBefore, Self::CutAfter];

    fn at(self, point: &Point) -> Rule {
        let point = point.clone();
        let (second, words) = (Duration::from_secs(1), "Too Many Requests".to_owned());
        match self {
            Self::Throttled => point.throttle(429, second),
            Self::ThrottledInPlainText => {
                point.then(Action::Answer { status: 429, retry_after: Some(second), body: Some(words) })
            }
            Self::Broken => point.answer(500),
            Self::Hanging => point.hang(),
            Self::CutBefore => point.cut_before(),
            Self::CutAfter => point.cut_after(),
        }
    }

    /// Whether a scenario can wait for the end of it: what is said of plain text holds for Azure; a list that hangs is given
    /// up after minutes only, and a watch lasts for ever.
    fn fits(self, point: &Point) -> bool {
        let is_read_by_a_watch = point.verb() == "watch" || point.verb() == "list" && point.when() == When::Nth(1);
        match self {
            Self::ThrottledInPlainText => point.service() != KUBERNETES,
            Self::Hanging => point.service() != KUBERNETES || !is_read_by_a_watch,
            _ => true,
        }
    }
}

pub async fn every_fault_at_every_request_ends_the_same(town: Town) -> Result<(), Failed> {
    let calm = town.course("fair").await?;
    let operator = calm.operator().await?;
    calm.told(RESOURCE, "Published").await?;
    let points = calm.points();
    operator.kill().await.map_err(chain)?;

    let cases = points.iter().enumerate().flat_map(|(number, point)| {
        let faults = Fault::ALL.into_iter().filter(|fault| fault.fits(point));
        faults.map(move |fault| (format!("foul-{number}-{}", fault as u8), (point.clone(), fault)))
    });
    let met = in_lanes(cases, |name, (point, fault)| befallen(&town, name, point, fault)).await?;
    let unmet: Vec<String> = met.into_iter().flatten().collect();
    insist(unmet.len() <= 12, format!("too much was never met: {}", unmet.join("; ")))
}

/// One run with one fault. What comes back is the point, if it was never reached.
async fn befallen(town: &Town, name: String, point: Point, fault: Fault) -> Result<Option<String>, Failed> {
    let course = town.course(&name).await?;
    let added = course.faults_at(&point).add(fault.at(&point));
    let operator = course.operator().await?;
    // An answer that was lost is the one thing for which a second credential may be minted.
    let minted = if point.verb() == "addPassword" && fault == Fault::CutAfter { 2 } else { 1 };
    let ended = course.ends_published(&operator, minted..=minted).await;
    ended.map_err(|failed| format!("{point}, {fault:?}: {}", failed.message().unwrap_or_default()))?;
    Ok((added.applied() == 0).then(|| format!("{point}, {fault:?}")))
}

pub async fn replicas_that_lag_and_flap_are_waited_for(town: Town) -> Result<(), Failed> {
    let options = azure::Options { scale: 0.1, replicas: 5, ..azure::Options::default() };
    let mut course = town.undeclared_with("lagging", options).await?;
    course.args = ["--time-scale", "0.1"].map(str::to_owned).into();
    course.azure.set_weather(course.payments.tenant, |weather| weather.noise = 0.02).map_err(chain)?;
    let eight = json!({"spec": {"verification": {"consecutiveSuccesses": 8}}});
    course.declare(&eight).await?;
    course.deploy("web", 2, RESOURCE).await?;
    let operator = course.operator().await?;
    course.told(RESOURCE, "Published").await?;
    course.pods_sign_in(2).await?;
    course.pods_sign_in_again(100).await?;
    course.ends_published(&operator, 1..=1).await
}

pub async fn a_federated_credential_that_servers_hear_of_late_is_proven_and_noise_changes_nothing_afterwards(
    town: Town,
) -> Result<(), Failed> {
    let options = azure::Options { scale: 0.1, ..azure::Options::default() };
    let mut firm = with_waiting_pods(town.federating_with("fed-lagging", true, options).await?).await?;
    firm.args = ["--time-scale", "0.1"].map(str::to_owned).into();
    firm.azure.set_weather(firm.payments.tenant, |weather| weather.noise = 0.02).map_err(chain)?;
    let operator = firm.operator().await?;
    let since = firm.told(RESOURCE, "Published").await?.last_transition_time;
    firm.pods_federate("api", 2).await?;
    firm.pods_sign_in_again(200).await?;
    let ready = condition(Some(&firm.read(RESOURCE).await?), "Ready").ok_or("no Ready")?;
    same("Ready", (ready.status.as_str(), ready.last_transition_time), ("True", since))?;
    ends_in_use(&firm, &operator, 2).await
}

/// Much longer than the quiet start, on a busy machine too: a server that is asked meanwhile remembers that it knew nothing,
/// for so long that some server is certain to be asked while it does.
pub async fn servers_that_were_asked_too_early_are_asked_until_they_have_forgotten_it(
    town: Town,
) -> Result<(), Failed> {
    let firm = declared_without_pods(&town, "fed-early").await?;
    let late = Lag { least: SignedDuration::from_secs(8), most: SignedDuration::from_secs(9) };
    let change =
        |weather: &mut azure::Weather| (weather.federated, weather.memory) = (late, SignedDuration::from_secs(12));
    firm.azure.set_weather(firm.payments.tenant, change).map_err(chain)?;
    let operator = firm.operator().await?;
    firm.told(RESOURCE, "Published").await?;
    let remembered = firm.azure.refused_sign_ins().iter().any(|refused| refused.cause == azure::Cause::Remembered);
    let proof: String = read(&firm.read(RESOURCE).await?, "/status/identities/0/proof").unwrap_or_default();
    insist(remembered, format!("no server was asked too early: {proof}"))?;
    ends_in_use(&firm, &operator, 0).await
}

pub async fn every_fault_at_what_federates_ends_the_same(town: Town) -> Result<(), Failed> {
    let credentials = "/v1.0/applications*/federatedIdentityCredentials";
    let points = [
        Rule::at(GRAPH, "createFederated", credentials).nth(1),
        Rule::at(GRAPH, "listFederated", credentials).nth(1),
        Rule::at(KUBERNETES, "create", "/api/v1/namespaces/*/serviceaccounts/*/token").nth(1),
        // The operator itself has signed in to Graph before.
        Rule::at(TOKEN, "signIn", "/*/oauth2/v2.0/token").nth(2),
    ];
    let cases = points.iter().enumerate().flat_map(|(number, point)| {
        let faults = Fault::ALL.into_iter().filter(|fault| fault.fits(point));
        faults.map(move |fault| (format!("fed-foul-{number}-{}", fault as u8), (point.clone(), fault)))
    });
    in_lanes(cases, async |name, (point, fault)| {
        let firm = declared_without_pods(&town, &name).await?;
        let added = firm.faults_at(&point).add(fault.at(&point));
        let operator = firm.operator().await?;
        let ended = ends_in_use(&firm, &operator, 0).await;
        ended.map_err(|failed| format!("{point}, {fault:?}: {}", failed.message().unwrap_or_default()))?;
        insist(added.applied() > 0, format!("{point}, {fault:?}: it was never met"))
    })
    .await?;
    Ok(())
}

pub async fn noise_that_pods_hear_leaves_a_federated_credential_alone(town: Town) -> Result<(), Failed> {
    let (firm, operator) = federated(&town, "fed-noise").await?;
    firm.told(RESOURCE, "Published").await?;
    firm.pods_federate("api", 2).await?;
    let since = firm.told(RESOURCE, "Published").await?.last_transition_time;
    firm.azure.set_weather(firm.payments.tenant, |weather| weather.noise = 0.02).map_err(chain)?;
    firm.pods_sign_in_again(200).await?;
    firm.settled("marker").await?;
    let ready = condition(Some(&firm.read(RESOURCE).await?), "Ready").ok_or("no Ready")?;
    same("Ready", (ready.status.as_str(), ready.last_transition_time), ("True", since))?;
    ends_in_use(&firm, &operator, 2).await
}

pub async fn a_credential_whose_answer_was_lost_is_found_when_reads_show_it_late(town: Town) -> Result<(), Failed> {
    let course = town.course("seen-late").await?;
    let late = Lag { least: SignedDuration::from_secs(3), most: SignedDuration::from_secs(4) };
    course.azure.set_weather(course.payments.tenant, |weather| weather.reads = late).map_err(chain)?;
    course.azure.faults().add(MINTING.point().cut_after());
    let operator = course.operator().await?;
    course.ends_published(&operator, 2..=2).await
}

pub async fn a_value_that_can_be_kept_only_in_the_end_is_minted_once(town: Town) -> Result<(), Failed> {
    let keeping = || KEEPING.point();
    let refused = [403, 409, 422, 429].map(|status| (format!("keep-{status}"), keeping().answer(status)));
    let lost = [("keep-cut", keeping().cut_before()), ("keep-gone", keeping().cut_after())];
    let cases = refused.into_iter().chain(lost.map(|(name, rule)| (name.to_owned(), rule)));
    in_lanes(cases, async |name, rule| {
        let course = town.course(&name).await?;
        course.proxy.faults().add(rule);
        let operator = course.operator().await?;
        course.ends_published(&operator, 1..=1).await
    })
    .await?;
    Ok(())
}

/// How long a credential has to prove itself here, and the first pause after one that has not, as they are scaled.
const PROOF: SignedDuration = SignedDuration::from_secs(3);
const PAUSE: SignedDuration = SignedDuration::from_millis(1_200);

pub async fn a_credential_that_never_signs_in_is_given_up_and_another_tried_until_one_does(
    town: Town,
) -> Result<(), Failed> {
    let course = town.undeclared("never-valid").await?;
    let never = SignedDuration::from_hours(24);
    let tenant = course.payments.tenant;
    course.azure.set_weather(tenant, |weather| weather.sign_ins = Lag { least: never, most: never }).map_err(chain)?;
    course.declare(&json!({"spec": {"verification": {"timeout": "3s"}}})).await?;
    course.deploy("web", 1, RESOURCE).await?;
    let operator = course.operator().await?;
    course.pods_wait(1).await?;
    let told = course.told(RESOURCE, "NotProven").await?;
    same("Ready", told.status.as_str(), "False")?;
    failure_is_told(&course).await?;

    // It is tried again, each time after a longer pause, and what was given up goes meanwhile.
    course
        .until(|| async {
            let minted = course.minted().await?;
            let first_is_gone = minted.first().is_some_and(|first| first.removed.is_some());
            let enough = minted.len() >= 3 && first_is_gone;
            Ok(if enough {
                Ok(())
            } else {
                Err(format!("{} were minted, the first is gone: {first_is_gone}", minted.len()))
            })
        })
        .await?;
    let times: Vec<Timestamp> = course.minted().await?.iter().map(|one| one.minted).collect();
    for (number, pair) in (1_i32..).zip(times.windows(2)) {
        let least = PROOF + PAUSE * (1 << (number - 1)) - SignedDuration::from_secs(1); // times have a grain of a second
        insist(pair[1].duration_since(pair[0]) >= least, format!("mint {number} was followed too soon: {times:?}"))?;
    }
    insist(course.ever_published().await?.is_empty(), "what was not proven was published")?;
    insist(course.secrets().get_opt(RESOURCE).await?.is_none(), "there is a Secret before there is a credential")?;

    course.azure.set_weather(tenant, |weather| weather.sign_ins = Lag::NONE).map_err(chain)?;
    course.told(RESOURCE, "Published").await?;
    course.pods_sign_in(1).await?;
    course.ends_published(&operator, 3..=6).await
}

/// Whoever reads the status knows what failed, with whom, and what to do.
async fn failure_is_told(course: &Course) -> Result<(), Failed> {
    let failure: Value = read(&course.read(RESOURCE).await?, "/status/lastFailure").unwrap_or_default();
    let text = |field: &str| failure[field].as_str().unwrap_or_default().to_owned();
    same("stage and reason", (text("stage").as_str(), text("reason").as_str()), ("Proving", "CredentialUnknown"))?;
    same("code", text("code").as_str(), "AADSTS7000215")?;
    let (message, application) = (text("message"), course.payments);
    let named = [application.client_id, application.tenant].iter().all(|id| message.contains(&id.to_string()));
    insist(named, format!("application and tenant are not named: {message}"))?;
    for field in ["traceId", "correlationId", "remedy", "time"] {
        insist(!text(field).is_empty(), format!("{field} is missing: {failure}"))?;
    }
    Ok(())
}
