//! How what a rule says is done to a request, whichever service it is for: before its effect, instead of it, or after it.
//! What is to be done has been decided already, and the effect is the service's own.

use std::time::Duration;

use hyper::Response;

use crate::answers::{self, Body, Cut};
use crate::faults::Action;
use crate::journal::Open;

/// An answer, or the end of the connection.
pub(crate) type Answered = Result<Response<Body>, Cut>;

/// Carries a request out as `action` has it. `effect` has the service do it; `made_up` is an answer in the service's own
/// form that it never gave.
pub(crate) async fn carry_out(
    action: Option<Action>,
    entry: &Open,
    effect: impl Future<Output = Answered> + Send + 'static,
    made_up: impl FnOnce(u16, Option<Duration>, Option<String>) -> Answered,
) -> Answered {
    if let Some(action) = &action {
        entry.faulted(action);
    }
    match action {
        None => effect.await,
        Some(Action::Answer { status, retry_after, body }) => {
            entry.answered(status);
            made_up(status, retry_after, body)
        }
        Some(Action::Delay(time)) => {
            // What is under way arrives, whether or not its sender still waits for an answer.
            let late = tokio::spawn(async move {
                tokio::time::sleep(time).await;
                effect.await
            });
            late.await.unwrap_or(Err(Cut("while it was under way")))
        }
        // The future is dropped when the client gives up and closes its connection.
        Some(Action::Hang) => std::future::pending().await,
        Some(Action::CutBefore) => Err(Cut("before the effect")),
        Some(Action::CutAfter) => {
            effect.await?;
            Err(Cut("after the effect"))
        }
        Some(Action::Truncate(bytes)) => Ok(effect.await?.map(|body| answers::truncated(body, bytes))),
        Some(Action::KillBefore(switch)) => {
            switch.kill().await;
            Err(Cut("with the process, before the effect"))
        }
        Some(Action::KillAfter(switch)) => {
            effect.await?;
            switch.kill().await;
            Err(Cut("with the process, after the effect"))
        }
    }
}
