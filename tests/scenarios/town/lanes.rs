//! Many cases of one scenario at once: they mostly wait.

use std::future::Future;

use futures::{StreamExt, stream};
use libtest_mimic::Failed;

/// How many cases run at once.
const LANES: usize = 12;

/// Run all cases, and fail with what each of those said that failed.
pub async fn in_lanes<C, F, T>(
    cases: impl IntoIterator<Item = (String, C)>,
    run: impl Fn(String, C) -> F,
) -> Result<Vec<T>, Failed>
where
    F: Future<Output = Result<T, Failed>>,
{
    let run = &run;
    let one = |(name, case): (String, C)| async move {
        let ended = run(name.clone(), case).await;
        ended.map_err(|failed| format!("{name}: {}", failed.message().unwrap_or("it failed")))
    };
    let all: Vec<Result<T, String>> = stream::iter(cases).map(one).buffer_unordered(LANES).collect().await;
    let count = all.len();
    let (good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    let told: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
    if told.is_empty() {
        return Ok(good.into_iter().filter_map(Result::ok).collect());
    }
    Err(format!("{} of {count} cases failed:\n{}", told.len(), told.join("\n")).into())
}
