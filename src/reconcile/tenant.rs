//! One look at an `EntraTenant`.

use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::controller::Action;

use super::{Context, Error};
use crate::{
    api::{Declared, EntraTenant},
    plan::tenant::report,
};

/// Observe, plan, report.
pub async fn look(tenant: Arc<Declared<EntraTenant>>, context: Arc<Context>) -> Result<Action, Error> {
    let report = report(&context.world.observe_tenant(&tenant), Timestamp::now());
    context.speaker.say(&*tenant, tenant.status.as_ref(), report).await
}
