//! Answers that a fault makes up: what each service says with a status, in its own form. They carry the IDs that a real
//! answer has, the client's own among them, so that a client cannot tell.

use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{self, Call, with};
use super::clouds::Service;
use crate::answers::{self, Cut};
use crate::weather::Answered;

/// Makes an answer to a call up. A given body is sent as it is: as text, if it is no JSON.
pub(super) fn answer(
    service: Service,
    call: &Call,
    id: Uuid,
    status: u16,
    retry_after: Option<Duration>,
    body: Option<String>,
) -> Answered {
    let status = StatusCode::from_u16(status).map_err(|_| Cut("since no answer can have this status"))?;
    let client = call.client_request_id().unwrap_or(id);
    let mut answer = call::json(status, &said(service, status, [id, client], Timestamp::now()));
    if let Some(body) = body {
        if serde_json::from_str::<Value>(&body).is_err() {
            answer = with(answer, "content-type", "text/plain");
        }
        *answer.body_mut() = Bytes::from(body);
    }
    let named = if service == Service::Graph { "request-id" } else { "x-ms-request-id" };
    answer = with(answer, named, &id.to_string());
    let echoed = match service {
        Service::Graph => Some(("client-request-id", client.to_string())),
        Service::Token => call.wants_its_id_back().then(|| ("client-request-id", client.to_string())),
        Service::Vault => call.header("x-ms-client-request-id").map(|id| ("x-ms-client-request-id", id.to_owned())),
    };
    answer = echoed.into_iter().fold(answer, |answer, (name, value)| with(answer, name, &value));
    if let Some(time) = retry_after {
        answer = with(answer, "retry-after", &time.as_secs().to_string());
    }
    Ok(answer.map(answers::whole))
}

fn said(service: Service, status: StatusCode, [id, client]: [Uuid; 2], now: Timestamp) -> Value {
    let message = status.canonical_reason().unwrap_or("Unknown");
    match service {
        Service::Token => {
            let (error, code) = match status.as_u16() {
                400..=428 => ("invalid_request", 90_023),
                429 => ("temporarily_unavailable", 90_055),
                _ => ("temporarily_unavailable", 90_033),
            };
            let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
            let description = format!(
                "AADSTS{code}: A transient error has occurred. Please try again. Trace ID: {id} Correlation ID: \
                 {client} Timestamp: {timestamp}"
            );
            json!({
                "error": error,
                "error_description": description,
                "error_codes": [code],
                "timestamp": timestamp,
                "trace_id": id,
                "correlation_id": client,
            })
        }
        Service::Graph => {
            let code = match status.as_u16() {
                403 => "Authorization_RequestDenied",
                404 => "Request_ResourceNotFound",
                409 => "Directory_ConcurrencyViolation",
                423 => "locked",
                429 => "TooManyRequests",
                503 => "serviceNotAvailable",
                504 => "gatewayTimeout",
                400..=499 => "Request_BadRequest",
                _ => "generalException",
            };
            let date = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            let inner = json!({"date": date, "request-id": id, "client-request-id": client});
            json!({"error": {"code": code, "message": message, "innerError": inner}})
        }
        Service::Vault => {
            let code = match status.as_u16() {
                401 => "Unauthorized",
                403 => "Forbidden",
                404 => "SecretNotFound",
                409 => "Conflict",
                429 => "Throttled",
                400..=499 => "BadParameter",
                _ => "InternalServerError",
            };
            json!({"error": {"code": code, "message": message}})
        }
    }
}
