//! Why one of Argo's Rollouts pauses amid a change, and whether it goes on by itself: a pause that has an end is a part of
//! its course, and any other waits for somebody.

use serde::{Deserialize, de::IgnoredAny};

/// How a Rollout replaces its pods, read no further than its pauses need.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Strategy {
    blue_green: Option<BlueGreen>,
    canary: Option<Canary>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlueGreen {
    auto_promotion_seconds: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
struct Canary {
    steps: Option<Vec<Step>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Step {
    pause: Option<StepPause>,
}

#[derive(Debug, Clone, Deserialize)]
struct StepPause {
    /// A number, or a text with a unit.
    duration: Option<IgnoredAny>,
}

/// A reason for which a Rollout pauses.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pause {
    reason: Option<String>,
}

impl Strategy {
    /// Whether every one of these pauses ends by itself; none is one that nobody knows the end of.
    pub(super) fn resumes(&self, pauses: &[Pause], step: Option<usize>) -> bool {
        let ends = |pause: &Pause| match pause.reason.as_deref() {
            Some("BlueGreenPause") => self.promotes(),
            Some("CanaryPauseStep") => step.is_some_and(|step| self.passes(step)),
            _ => false,
        };
        !pauses.is_empty() && pauses.iter().all(ends)
    }

    fn promotes(&self) -> bool {
        let after = self.blue_green.as_ref().and_then(|strategy| strategy.auto_promotion_seconds);
        after.is_some_and(|seconds| seconds > 0)
    }

    fn passes(&self, step: usize) -> bool {
        let steps = self.canary.as_ref().and_then(|strategy| strategy.steps.as_deref()).unwrap_or_default();
        let pause = steps.get(step).and_then(|step| step.pause.as_ref());
        pause.is_some_and(|pause| pause.duration.is_some())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resumes(strategy: &Value, step: usize, reasons: &[&str]) -> bool {
        let pauses = reasons.iter().map(|reason| Pause { reason: Some((*reason).to_owned()) });
        let strategy: Strategy = serde_json::from_value(strategy.clone()).unwrap();
        strategy.resumes(&pauses.collect::<Vec<_>>(), Some(step))
    }

    #[test]
    fn a_step_of_a_canary_goes_on_by_itself_when_its_pause_has_an_end() {
        let steps =
            json!([{"pause": {"duration": 600}}, {"pause": {"duration": "1h"}}, {"pause": {}}, {"setWeight": 5}]);
        let canary = json!({"canary": {"steps": steps}});
        let on_its_own = |step| resumes(&canary, step, &["CanaryPauseStep"]);
        assert_eq!([0, 1, 2, 3, 4].map(on_its_own), [true, true, false, false, false]);
        assert!(!resumes(&canary, 0, &["CanaryPauseStep", "InconclusiveAnalysisRun"]));
        assert!(!resumes(&canary, 0, &[]));
    }

    #[test]
    fn blue_is_promoted_by_itself_after_so_many_seconds_only() {
        let blue_green = |seconds: i64| json!({"blueGreen": {"autoPromotionSeconds": seconds}});
        assert!(resumes(&blue_green(30), 0, &["BlueGreenPause"]));
        assert!(!resumes(&blue_green(0), 0, &["BlueGreenPause"]));
        assert!(!resumes(&json!({"blueGreen": {}}), 0, &["BlueGreenPause"]));
    }
}
