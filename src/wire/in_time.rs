//! What is sent in time or not at all. What a change was decided on grows old while there is no token yet; so it is asked
//! once more at the last moment, after everything that can take long, whether it may still be sent.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{
        Context, Request,
        policies::{Policy, PolicyResult},
    },
};

/// Whether something may still be sent. It goes along with a request in its context.
#[derive(Clone)]
pub struct InTime(Arc<dyn Fn() -> bool + Send + Sync>);

impl InTime {
    /// As long as this holds.
    pub fn so_long_as(holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }

    /// Whenever it is.
    #[must_use]
    pub fn always() -> Self {
        Self::so_long_as(|| true)
    }
}

impl fmt::Debug for InTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "InTime({})", self.0())
    }
}

/// It was too late, and nothing was sent.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("what it was decided on had become too old before there was a token")]
pub struct TooLate;

/// The last thing before a request is sent.
#[derive(Debug, Clone, Copy)]
pub struct OnlyInTime;

#[async_trait]
impl Policy for OnlyInTime {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        if context.value::<InTime>().is_some_and(|in_time| !in_time.0()) {
            return Err(azure_core::Error::new(ErrorKind::Other, TooLate));
        }
        let Some((first, rest)) = next.split_first() else {
            let message = "a pipeline that ends with the time sends nothing";
            return Err(azure_core::Error::with_message(ErrorKind::Other, message));
        };
        first.send(context, request, rest).await
    }
}
