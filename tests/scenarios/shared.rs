//! The town that scenarios share, and how one becomes a test in it.

use std::{future::Future, sync::Arc};

use libtest_mimic::{Failed, Trial};
use tokio::{runtime::Runtime, sync::OnceCell};

use crate::town::Town;

/// The town that scenarios share, built when the first of them asks for it.
pub struct Shared {
    pub runtime: Runtime,
    pub town: OnceCell<Town>,
}

/// One that takes so long that it has a command of its own.
pub fn on_request_only(trial: Trial) -> Trial {
    trial.with_ignored_flag(true)
}

/// A scenario in the shared town.
pub fn in_town<F>(shared: &Arc<Shared>, name: &str, scenario: impl Fn(Town) -> F + Send + 'static) -> Trial
where
    F: Future<Output = Result<(), Failed>>,
{
    let shared = Arc::clone(shared);
    Trial::test(name, move || {
        shared.runtime.block_on(async {
            let town = shared.town.get_or_try_init(Town::build).await?;
            scenario(town.clone()).await
        })
    })
}
