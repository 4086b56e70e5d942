//! Many cases of one scenario at once: they mostly wait.

use std::future::Future;

use futures::future::join_all;
use libtest_mimic::Failed;
use tokio::sync::Semaphore;

/// How many cases run at once, of all scenarios together: each has operators of its own, and the machine has two cores.
static LANES: Semaphore = Semaphore::const_new(12);

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
        let _lane = LANES.acquire().await.map_err(|_| format!("{name}: there are no lanes any more"))?;
        let ended = run(name.clone(), case).await;
        ended.map_err(|failed| format!("{name}: {}", failed.message().unwrap_or("it failed")))
    };
    let all: Vec<Result<T, String>> = join_all(cases.into_iter().map(one)).await;
    let count = all.len();
    let (good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    let told: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
    if told.is_empty() {
        return Ok(good.into_iter().filter_map(Result::ok).collect());
    }
    Err(format!("{} of {count} cases failed:\n{}", told.len(), told.join("\n")).into())
}
