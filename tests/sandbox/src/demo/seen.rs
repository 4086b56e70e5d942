//! What the pods of a story have seen. Whatever is waited for, it ends at once when one of them is refused.

use std::future::Future;
use std::time::Duration;

use keywright_sandbox::witness::{Fingerprint, Testimonies};

use super::PATIENCE;
use super::stage::Stage;

impl Stage {
    /// A story that ends at once, and badly, when a pod is refused.
    pub(super) async fn with_nobody_refused(
        &self,
        story: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        tokio::select! {
            told = story => told,
            _ = self.nodes.witnesses().wait_for(|seen| !seen.refusals.is_empty(), Duration::MAX) => {
                self.unrefused().map(drop)
            }
        }
    }

    /// How many sign-ins of pods were accepted so far; none may have been refused.
    pub(super) fn unrefused(&self) -> anyhow::Result<u64> {
        let (accepted, refused) = self.sign_ins();
        let first = self.nodes.witnesses().read(|seen| seen.refusals.first().map(ToString::to_string));
        anyhow::ensure!(refused == 0, "{refused} sign-ins of pods were refused; {}", first.unwrap_or_default());
        Ok(accepted)
    }

    /// Waits until so many pods sign in with this, and no others hold it.
    pub(super) async fn signs_in(&self, shown: Fingerprint, pods: usize) -> anyhow::Result<()> {
        let sign_in = |seen: &Testimonies| {
            let (all, well) = (seen.holders_of(shown), seen.holders_of(shown).filter(|one| one.accepted > 5));
            all.count() == pods && well.count() == pods
        };
        self.see(sign_in).await
    }

    /// Waits until this was accepted some more times.
    pub(super) async fn goes_on(&self, shown: Fingerprint) -> anyhow::Result<()> {
        let before = self.accepted(shown);
        self.see(|seen| accepted(seen, shown) >= before + 10).await
    }

    /// Waits until pods have seen this; fails at once if one of them was refused.
    pub(super) async fn see(&self, is_so: impl Fn(&Testimonies) -> bool) -> anyhow::Result<()> {
        self.nodes.witnesses().wait_for(|seen| is_so(seen) || !seen.refusals.is_empty(), PATIENCE).await?;
        self.unrefused().map(drop)
    }

    pub(super) fn accepted(&self, shown: Fingerprint) -> u64 {
        self.nodes.witnesses().read(|seen| accepted(seen, shown))
    }
}

/// How many sign-ins with this were accepted.
fn accepted(seen: &Testimonies, shown: Fingerprint) -> u64 {
    seen.holdings.iter().filter(|one| one.what.fingerprint == shown).map(|one| one.accepted).sum()
}
