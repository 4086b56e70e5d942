//! One object's trouble stays its own: a look that fails or panics is logged, counted and tried again later, and no
//! other object notices.

use std::{future::Future, sync::Arc, time::Instant};

use kube::{
    Resource, ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::{Again, Context, DEBOUNCE, Error, blast::Key, waiting::Waiting};
use crate::{api::Reason, plan::report::Announcement};

/// A look at an object that cannot take anything else down with it, and when to look at it again.
pub(super) async fn guarded<K, F>(
    object: Arc<K>,
    context: Arc<Context>,
    look: fn(Arc<K>, Arc<Context>) -> F,
    waiting: Waiting,
) -> Result<Action, Error>
where
    K: Resource<DynamicType = ()> + Send + Sync + 'static,
    F: Future<Output = Result<Again, Error>> + Send + 'static,
{
    let (began, kind) = (Instant::now(), K::kind(&()));
    let due = waiting.no_more(&whose(&*object)).unwrap_or(began);
    context.metrics.looks(&kind);
    // Looks are large; from here on only a pointer is moved.
    let looked = unpanicked(Box::pin(look(object.clone(), context.clone()))).await;
    let result = looked.as_ref().map_or_else(Error::label, |_| "ok");
    context.metrics.looked(&kind, result, began.elapsed());
    if matches!(looked, Ok(Again::NotYet(_))) {
        waiting.due(whose(&*object), due);
    } else {
        context.metrics.waited(&kind, began.saturating_duration_since(due));
    }
    match looked {
        Ok(looked) => {
            context.retries.forget(&key(&*object));
            Ok(scheduled(looked, &whose(&*object), &waiting))
        }
        Err(error) => {
            tracing::error!(kind = %K::kind(&()), namespace = object.namespace(), name = object.name_any(), %error, "trying again later");
            if matches!(error, Error::Panicked | Error::Restless) {
                let news = Announcement { reason: Reason::InternalError, note: error.to_string(), warning: true };
                context.speaker.announce(&*object, &news).await;
            }
            Err(error)
        }
    }
}

/// What the scheduler is told, and what is remembered of it, since it does not say what it has.
fn scheduled(again: Again, key: &Key, waiting: &Waiting) -> Action {
    match again {
        Again::OnChange => Action::await_change(),
        Again::NotYet(time) => Action::requeue(time),
        Again::After(time) => {
            // A time that no clock tells never comes.
            if let Some(due) = Instant::now().checked_add(time.saturating_add(DEBOUNCE)) {
                waiting.due(key.clone(), due);
            }
            Action::requeue(time)
        }
    }
}

/// A look as a task of its own: looks run in parallel, and a panic ends only this one.
async fn unpanicked<F>(look: F) -> Result<Again, Error>
where
    F: Future<Output = Result<Again, Error>> + Send + 'static,
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
pub(super) fn try_again<K>(object: &K, context: &Context, waiting: &Waiting) -> Action
where
    K: Resource<DynamicType = ()> + 'static,
{
    scheduled(Again::After(context.retries.next(key(object))), &whose(object), waiting)
}

/// Under which name an object waits.
fn whose<K: Resource<DynamicType = ()>>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
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
