//! A request to one of Azure's services as it is handed to the service, and the parts of an answer that all of them
//! share. It does no I/O: the body is there already, and the answer is whole.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::Value;
use uuid::Uuid;

/// A request, whole.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// How the service was addressed: `https://kv-payments.vault.azure.net`, or at a free endpoint
    /// `https://127.0.0.1:40123/kv-payments` or `https://kv-payments.vault.localhost:40123`; without a slash at the end.
    /// What a service puts before the links that it answers with.
    pub origin: String,
    /// The host that was asked for, without a port: `kv-payments.vault.azure.net`. At a free endpoint, what stands for
    /// it: `kv-payments.vault.localhost`.
    pub host: String,
    /// The path, as the service knows it: percent-encoded, without what belongs to the origin.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A service's answer, whole.
pub type Answer = Response<Bytes>;

impl Call {
    /// A header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What follows `Bearer ` in the header `Authorization`; the scheme's case makes no difference.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// By what ID the client knows its request, if it says so.
    #[must_use]
    pub fn client_request_id(&self) -> Option<Uuid> {
        Uuid::try_parse(self.header("client-request-id")?).ok()
    }

    /// Whether the client wants that ID back in a header; the token endpoint has to be asked for it.
    #[must_use]
    pub fn wants_its_id_back(&self) -> bool {
        self.header("return-client-request-id").is_some_and(|wish| wish.eq_ignore_ascii_case("true"))
    }

    /// The query's parameters, decoded; of several with one name the last.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }
}

/// An answer in JSON.
#[must_use]
pub fn json(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    answer
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    answer
}

/// Adds a header; a value that no header can have is left out.
#[must_use]
pub fn with(mut answer: Answer, name: &'static str, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
    answer
}
