//! plan → act → fold, again and again, until there is something to wait for.

use std::time::Duration;

use jiff::Timestamp;
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

/// How long a process that is to end goes on trying to keep a value that is only in its memory.
const LAST_TRIES: Duration = Duration::from_secs(15);

/// Between two of these tries.
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// Do what is planned until there is something to wait for. Nothing, if the process is to end.
pub(super) async fn drive(
    hands: &Hands,
    seen: &mut Observation,
    values: &mut Values,
    stop: &CancellationToken,
) -> Result<Option<(Decision, Moment)>, Error> {
    let mut ending_since = None;
    for _ in 0..MOST_STEPS {
        let moment = hands.moment();
        let decision = plan(seen, &hands.timing, &moment);
        if stop.is_cancelled() {
            let since = *ending_since.get_or_insert_with(tokio::time::Instant::now);
            if !holds_a_value(seen) || since.elapsed() > LAST_TRIES {
                return Ok(None);
            }
            if !keeps_a_value(&decision.next) {
                tokio::time::sleep(LAST_PAUSE).await;
                continue;
            }
        }
        let Next::Do(next) = &decision.next else { return Ok(Some((decision, moment))) };
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
    let Ok(spec) = &seen.resource.spec else { return Outcome::Expired };
    let spec: &EntraAppCredentialSpec = spec;
    let act = Act {
        hands,
        seen,
        spec,
        namespace: seen.resource.metadata.namespace.as_deref().unwrap_or_default(),
        scope: decision.effective.as_ref().map(|policy| &policy.verification.scope),
        until: plan::valid_until(seen, step, &hands.timing),
    };
    act.carry_out(step, values).await
}

/// Whether a step serves to keep a value that is only in memory.
const fn keeps_a_value(next: &Next) -> bool {
    matches!(next, Next::Do(Step::Keep { .. } | Step::Settle { .. } | Step::ReadRecords))
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

/// How long until the next look at the latest.
pub(super) fn wake_up(decision: &Decision, now: Timestamp) -> Option<Duration> {
    let Next::Wait(waits) = &decision.next else { return None };
    let until = waits.iter().filter_map(|wait| wait.until).min()?;
    // Not before it is time: a look that comes a moment early finds nothing to do.
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default() + Duration::from_millis(10))
}
