//! One call about objects that may hold secrets. kube's own way writes to the log what it cannot read, and its errors repeat
//! it; this one says where an answer stopped making sense, and nothing of what it was.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderValue, Request,
    header::{ACCEPT, RETRY_AFTER},
};
use kube::{Client, client::Body, core::Status};
use serde::{de::DeserializeOwned, de::Error as _};

use super::{Error, within};

const METADATA: HeaderValue = HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// A request, if it could be made.
pub(super) type Asked = Result<Request<Vec<u8>>, kube::core::request::Error>;

/// Ask for the metadata of an object only, whatever is done to it: the rest of it does not come back.
pub(super) fn for_metadata(asked: Asked) -> Asked {
    asked.map(|mut request| {
        request.headers_mut().insert(ACCEPT, METADATA);
        request
    })
}

/// Ask, and read the answer, within the time limit of a call.
pub(super) async fn ask<T: DeserializeOwned>(
    client: &Client,
    doing: impl Fn() -> String,
    asked: Asked,
) -> Result<T, Error> {
    within(doing, async {
        let request = asked.map_err(kube::Error::BuildRequest)?;
        let answer = client.send(request.map(Body::from)).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect_bytes().await?;
        if head.status.is_client_error() || head.status.is_server_error() {
            let wait = head.headers.get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
            return Err(kube::Error::Api(Box::new(refusal(head.status.as_u16(), wait, &body))));
        }
        serde_json::from_slice(&body).map_err(|error| kube::Error::SerdeError(without_content(&error)))
    })
    .await
}

/// What the API server, or whatever stands before it, said. The code is the one of HTTP: a body can lack it.
fn refusal(code: u16, wait: Option<u32>, body: &[u8]) -> Status {
    let said = serde_json::from_slice::<Status>(body).ok().filter(|status| !status.message.is_empty());
    let mut status = said.unwrap_or_else(|| Status::failure("no reason that could be read", ""));
    status.code = code;
    if let Some(wait) = wait {
        let mut details = status.details.unwrap_or_else(|| kube::core::response::StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![],
            retry_after_seconds: wait,
        });
        details.retry_after_seconds = wait;
        status.details = Some(details);
    }
    status
}

fn without_content(error: &serde_json::Error) -> serde_json::Error {
    serde_json::Error::custom(format_args!(
        "{:?} error in line {}, column {} of the answer",
        error.classify(),
        error.line(),
        error.column()
    ))
}

/// A text without values that it must not repeat: nobody knows what a webhook says when it refuses an object.
pub(super) fn hiding<'a>(text: String, values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().filter(|value| !value.is_empty()).fold(text, |text, value| {
        let coded = BASE64_STANDARD.encode(value);
        let coded = coded.trim_end_matches('=');
        [Cow::Borrowed(value), Cow::Owned(coded.to_owned())]
            .iter()
            .fold(text, |text, form| if text.contains(&**form) { text.replace(&**form, "[hidden]") } else { text })
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn an_answer_that_cannot_be_read_is_not_repeated() {
        #[derive(Deserialize)]
        struct Number {
            #[serde(rename = "value")]
            _value: u8,
        }
        let error = serde_json::from_str::<Number>(r#"{"value": "s3cret"}"#).err().unwrap();
        assert!(error.to_string().contains("s3cret"), "or else there is nothing to hide");
        assert_eq!(without_content(&error).to_string(), "Data error in line 1, column 18 of the answer");
    }

    #[test]
    fn a_webhook_that_repeats_a_value_is_not_repeated() {
        let said = "denied: c2VjcmV0IQ== is s3cret, and secret! has no digit".to_owned();
        assert_eq!(
            hiding(said, ["secret!", "s3cret", ""]),
            "denied: [hidden]== is [hidden], and [hidden] has no digit"
        );
    }

    #[test]
    fn a_refusal_has_the_code_of_http_and_how_long_to_wait() {
        for body in ["Too many requests", "{}", "", r#"{"status": "Failure", "message": "later", "code": 200}"#] {
            let status = refusal(429, Some(7), body.as_bytes());
            assert_eq!((status.code, status.details.unwrap().retry_after_seconds), (429, 7), "{body}");
        }
        assert_eq!(refusal(503, None, b"<html>busy</html>").message, "no reason that could be read");
    }
}
