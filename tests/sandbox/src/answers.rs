//! The answers that a proxy gives: those of the API server, streamed or cut short, and those that a fault makes up,
//! in the form that the API server gives its own errors. It decides nothing.

use std::fmt;
use std::time::Duration;

use futures::stream::try_unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Response, header};
use serde_json::json;

/// A body on its way through the proxy.
pub(crate) type Body = UnsyncBoxBody<Bytes, Failure>;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A connection that ends without an answer, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut(pub(crate) &'static str);

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut {}", self.0)
    }
}

impl std::error::Error for Cut {}

/// A body that is passed on as it comes.
pub(crate) fn streamed(body: Incoming) -> Body {
    body.map_err(Failure::from).boxed_unsync()
}

/// A body that is known.
pub(crate) fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// A body that breaks off after so many bytes; a shorter one arrives whole.
pub(crate) fn truncated(body: Body, bytes: usize) -> Body {
    let frames = try_unfold((body, bytes), |(mut body, left)| async move {
        if left == 0 {
            // An error drops what is not flushed yet, and hyper flushes when there is nothing to send at the moment.
            tokio::task::yield_now().await;
            return Err(Failure::from(Cut("in the middle of the answer")));
        }
        let Some(frame) = body.frame().await else { return Ok(None) };
        let Ok(data) = frame?.into_data() else { return Ok(None) };
        let passed = data.len().min(left);
        Ok(Some((Frame::data(data.slice(..passed)), (body, left - passed))))
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

/// An answer that the API server never gave: by default a `Status`, which every client understands.
pub(crate) fn made_up(status: u16, retry_after: Option<Duration>, body: Option<String>) -> Result<Response<Body>, Cut> {
    let seconds = retry_after.map(|time| time.as_secs());
    let body = body.unwrap_or_else(|| {
        let object = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "a fault of the sandbox",
            "reason": reason(status),
            "details": {"retryAfterSeconds": seconds.unwrap_or_default()},
            "code": status,
        });
        object.to_string()
    });
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    let response =
        seconds.into_iter().fold(response, |response, seconds| response.header(header::RETRY_AFTER, seconds));
    response.body(whole(body.into())).map_err(|_| Cut("since no answer can have this status"))
}

/// The API server's word for a status.
const fn reason(status: u16) -> &'static str {
    match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    }
}
