//! One look at an `EntraAppCredential`.

use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::controller::Action;

use super::{Context, Error};
use crate::{
    api::{Declared, EntraAppCredential},
    facts::Nonce,
    plan::{Moment, Timing, plan, report::report},
};

/// Observe, plan, report.
pub async fn look(resource: Arc<Declared<EntraAppCredential>>, context: Arc<Context>) -> Result<Action, Error> {
    let seen = context.world.observe(&resource).await?;
    let moment = Moment { now: Timestamp::now(), chance: Nonce::of([0; 10]) };
    let decision = plan(&seen, &Timing::REAL, &moment);
    let report = report(&seen, &decision, &Timing::REAL, &moment);
    context.speaker.say(&*resource, resource.status.as_ref(), report).await
}
