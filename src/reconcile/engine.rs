//! plan → act → fold, again and again, until there is something to wait for.

use jiff::Timestamp;
use kube::runtime::controller::Action;
use tokio_util::sync::CancellationToken;

use super::{
    Error,
    act::{Act, Values},
    hands::Hands,
};
use crate::{
    api::EntraAppCredentialSpec,
    facts::{Fate, Observation},
    plan::{self, Decision, Moment, Next, Outcome, Step, plan},
};

/// More steps in a row than any resource has. A plan that wants more goes round in circles.
const MOST_STEPS: usize = 200;

/// Do what is planned until there is something to wait for.
pub(super) async fn drive(
    hands: &Hands,
    seen: &mut Observation,
    values: &mut Values,
    stop: &CancellationToken,
) -> Result<(Decision, Moment), Error> {
    for _ in 0..MOST_STEPS {
        let moment = hands.moment();
        let decision = plan(seen, &hands.timing, &moment);
        let Next::Do(next) = &decision.next else { return Ok((decision, moment)) };
        if stop.is_cancelled() && !holds_a_value(seen) {
            return Ok((Decision { next: Next::Wait(vec![]), ..decision }, moment));
        }
        let begun_at = hands.now();
        let outcome = carry_out(hands, &decision, next, seen, values).await;
        log(seen, next, &outcome);
        hands.metrics.stepped(next, &outcome);
        plan::fold::fold(seen, next, outcome, begun_at, hands.now());
    }
    Err(Error::Restless)
}

async fn carry_out(
    hands: &Hands,
    decision: &Decision,
    step: &Step,
    seen: &Observation,
    values: &mut Values,
) -> Outcome {
    let (Ok(spec), Some(policy)) = (&seen.resource.spec, &decision.effective) else { return Outcome::Expired };
    let spec: &EntraAppCredentialSpec = spec;
    let act = Act {
        hands,
        seen,
        spec,
        namespace: seen.resource.metadata.namespace.as_deref().unwrap_or_default(),
        scope: &policy.verification.scope,
        until: plan::valid_until(seen, step, &hands.timing),
    };
    act.carry_out(step, values).await
}

/// A value that is only in memory is still kept when the process is to end.
fn holds_a_value(seen: &Observation) -> bool {
    seen.mine.attempts.iter().any(|own| matches!(own.fate, Fate::Held { .. }))
}

fn log(seen: &Observation, step: &Step, outcome: &Outcome) {
    let metadata = &seen.resource.metadata;
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    match outcome {
        Outcome::Failed(trouble) => {
            tracing::warn!(namespace, name, %step, reason = %trouble.reason, "{}", trouble.message);
        }
        _ if step.has_effect() => tracing::info!(namespace, name, outcome = outcome.as_str(), "{step}"),
        _ => tracing::debug!(namespace, name, outcome = outcome.as_str(), "{step}"),
    }
}

/// When to look again at the latest.
pub(super) fn wake_up(decision: &Decision, now: Timestamp) -> Action {
    let Next::Wait(waits) = &decision.next else { return Action::await_change() };
    match waits.iter().filter_map(|wait| wait.until).min() {
        // Not before it is time: a look that comes a moment early finds nothing to do.
        Some(until) => {
            let left = std::time::Duration::try_from(until.duration_since(now)).unwrap_or_default();
            Action::requeue(left + std::time::Duration::from_millis(10))
        }
        None => Action::await_change(),
    }
}
