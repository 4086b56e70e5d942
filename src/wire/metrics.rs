//! Figures about calls outside. Labels are words of ours, never a tenant's or an application's name.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{
        Context, Method, Request,
        policies::{Policy, PolicyResult},
    },
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::facts::{Effect, Service};

/// A call and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    service: &'static str,
    operation: &'static str,
    status: String,
}

/// Who has asked to be left alone: the service, or our own quota before the service had to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Throttling {
    service: &'static str,
    by: &'static str,
}

/// The counters, shared by all who call.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    calls: Family<Call, Counter>,
    throttled: Family<Throttling, Counter>,
}

impl Metrics {
    /// Counters that a registry shows.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "calls",
            "Calls outside, by service, operation, and the status of the answer, or `not_sent` or `unanswered`",
            metrics.calls.clone(),
        );
        registry.register("throttled", "Calls that were too many, by who said so", metrics.throttled.clone());
        metrics
    }

    /// A call was answered with this status.
    pub fn answered(&self, service: Service, operation: &'static str, status: u16) {
        self.called(service, operation, status.to_string());
        if status == 429 {
            self.throttled.get_or_create(&Throttling { service: service.as_str(), by: "service" }).inc();
        }
    }

    /// A call ended without an answer.
    pub fn unanswered(&self, service: Service, operation: &'static str, effect: Effect) {
        let status = if effect == Effect::NotSent { "not_sent" } else { "unanswered" };
        self.called(service, operation, status.to_owned());
    }

    /// Something that counts every call of a pipeline of the SDK, by its method.
    #[must_use]
    pub fn counting(&self, service: Service) -> Arc<dyn Policy> {
        Arc::new(Counting { metrics: self.clone(), service })
    }

    /// A call was not made, because a quota of ours is used up.
    pub(super) fn held_back(&self, service: Service) {
        self.throttled.get_or_create(&Throttling { service: service.as_str(), by: "quota" }).inc();
    }

    fn called(&self, service: Service, operation: &'static str, status: String) {
        self.calls.get_or_create(&Call { service: service.as_str(), operation, status }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_how_they_ended() {
        let mut registry = Registry::with_prefix("keywright");
        let metrics = Metrics::register(&mut registry);
        metrics.answered(Service::Graph, "add_password", 200);
        metrics.answered(Service::Graph, "add_password", 429);
        metrics.unanswered(Service::Graph, "add_password", Effect::Unknown);
        metrics.held_back(Service::KeyVault);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"keywright_calls_total{service="graph",operation="add_password",status="200"} 1"#,
            r#"keywright_calls_total{service="graph",operation="add_password",status="unanswered"} 1"#,
            r#"keywright_throttled_total{service="graph",by="service"} 1"#,
            r#"keywright_throttled_total{service="keyvault",by="quota"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}

/// Counts the calls of a pipeline.
#[derive(Debug)]
struct Counting {
    metrics: Metrics,
    service: Service,
}

#[async_trait]
impl Policy for Counting {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let operation = match request.method() {
            Method::Get => "get",
            Method::Put => "put",
            Method::Patch => "patch",
            Method::Delete => "delete",
            _ => "post",
        };
        let Some((first, rest)) = next.split_first() else {
            let message = "a pipeline that ends with counting sends nothing";
            return Err(azure_core::Error::with_message(ErrorKind::Other, message));
        };
        let answer = first.send(context, request, rest).await;
        match &answer {
            Ok(answer) => self.metrics.answered(self.service, operation, answer.status().into()),
            Err(error) => self.metrics.unanswered(self.service, operation, super::effect::of_error(error)),
        }
        answer
    }
}
