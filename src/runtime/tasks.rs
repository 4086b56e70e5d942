//! How many tasks there are. Nothing that waits has a task of its own, so their number follows the work and not the
//! resources; this is how anybody can see that.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
};
use tokio::runtime::Handle;

/// The tasks of a runtime, counted when somebody asks.
#[derive(Debug)]
pub struct Tasks(Handle);

impl Tasks {
    /// Of the runtime that this is called in.
    #[must_use]
    pub fn here() -> Self {
        Self(Handle::current())
    }
}

impl Collector for Tasks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let alive = i64::try_from(self.0.metrics().num_alive_tasks()).unwrap_or(i64::MAX);
        let gauge = ConstGauge::new(alive);
        let help = "Tasks that are alive: those at work, not those that wait for their time";
        gauge.encode(encoder.encode_descriptor("tasks_alive", help, None, gauge.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[tokio::test]
    async fn a_task_is_counted_while_it_lives() {
        let mut registry = Registry::with_prefix("keywright");
        registry.register_collector(Box::new(Tasks::here()));
        let told = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text.lines().find_map(|line| line.strip_prefix("keywright_tasks_alive ")?.parse::<usize>().ok()).unwrap()
        };
        let before = told();
        let task = tokio::spawn(std::future::pending::<()>());
        assert_eq!(told(), before + 1);
        task.abort();
        assert!(task.await.is_err());
        assert_eq!(told(), before);
    }
}
