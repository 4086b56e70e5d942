//! One object's trouble stays its own: a look that fails or panics is logged, counted and tried again later, and no
//! other object notices.

use std::{future::Future, sync::Arc, time::Instant};

use kube::{
    Resource, ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::{Context, Error};
use crate::{api::Reason, plan::report::Announcement};

/// A look at an object that cannot take anything else down with it.
pub(super) async fn guarded<K, F>(
    object: Arc<K>,
    context: Arc<Context>,
    look: fn(Arc<K>, Arc<Context>) -> F,
) -> Result<Action, Error>
where
    K: Resource<DynamicType = ()> + Send + Sync + 'static,
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    let began = Instant::now();
    context.metrics.looks(&K::kind(&()));
    // Looks are large; from here on only a pointer is moved.
    let looked = unpanicked(Box::pin(look(object.clone(), context.clone()))).await;
    let result = looked.as_ref().map_or_else(Error::label, |_| "ok");
    context.metrics.looked(&K::kind(&()), result, began.elapsed());
    match &looked {
        Ok(_) => context.retries.forget(&key(&*object)),
        Err(error) => {
            tracing::error!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), %error, "trying again later");
            if matches!(error, Error::Panicked | Error::Restless) {
                let news = Announcement { reason: Reason::InternalError, note: error.to_string(), warning: true };
                context.speaker.announce(&*object, &news).await;
            }
        }
    }
    looked
}

/// A look as a task of its own: looks run in parallel, and a panic ends only this one.
async fn unpanicked<F>(look: F) -> Result<Action, Error>
where
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    let task = tokio::spawn(look.in_current_span());
    let _aborted_with_us = AbortOnDrop(task.abort_handle());
    task.await.unwrap_or(Err(Error::Panicked))
}

/// A task goes on when nobody waits for it any more; a look must not.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// When to look again at an object whose last look failed.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the controller asks for")]
pub(super) fn try_again<K: Resource<DynamicType = ()> + 'static>(
    object: Arc<K>,
    _: &Error,
    context: Arc<Context>,
) -> Action {
    Action::requeue(context.retries.next(key(&*object)))
}

/// Under which name failures of an object are remembered.
fn key<K: Resource<DynamicType = ()> + 'static>(object: &K) -> String {
    ObjectRef::from_obj(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_of_one_look() {
        let looked = unpanicked(async { panic!("a mistake") }).await;
        assert!(matches!(looked, Err(Error::Panicked)));
    }
}
