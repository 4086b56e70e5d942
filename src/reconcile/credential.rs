//! One look at an `EntraAppCredential`.

use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::controller::Action;

use super::{Context, Error};
use crate::{
    api::{Declared, EntraAppCredential},
    plan::{plan, report::report},
};

/// Observe, plan, report.
pub async fn look(resource: Arc<Declared<EntraAppCredential>>, context: Arc<Context>) -> Result<Action, Error> {
    let seen = context.world.observe(&resource).await?;
    let decision = plan(&seen);
    let report = report(&seen, decision, Timestamp::now());
    context.speaker.say(&*resource, resource.status.as_ref(), report).await
}
