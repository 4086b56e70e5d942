//! Whether a call that did not bring what it was to bring has had its effect. Only two ends are certain: what never got
//! a connection, or was too late for one, was not sent, and what the service said no to was refused. Everything else is unknown, since the service
//! may have done it, or still do it. Pure.

use std::{error::Error, iter};

use azure_core::error::ErrorKind;

use super::in_time::TooLate;
use crate::facts::Effect;

/// What an answer with this status says; nothing where it brings what was asked for.
#[must_use]
pub const fn of_status(status: u16) -> Option<Effect> {
    match status {
        200..=299 => None,
        // The service gave up waiting for a request that it may have had whole.
        408 => Some(Effect::Unknown),
        400..=499 => Some(Effect::Refused),
        _ => Some(Effect::Unknown),
    }
}

/// What an error instead of an answer says.
#[must_use]
pub fn of_error(error: &(dyn Error + 'static)) -> Effect {
    let unsent = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect)
            || error.downcast_ref::<azure_core::Error>().is_some_and(|error| *error.kind() == ErrorKind::Connection)
            || error.is::<TooLate>()
    };
    if chain(error).any(unsent) { Effect::NotSent } else { Effect::Unknown }
}

/// What is at the bottom of an error, without the address that the layers above it repeat.
#[must_use]
pub fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// What caused an error, from the outside in, on one line; the error itself if nothing did. What stands outside has an
/// address in it, which the message has said already.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<String> = chain(error).skip(1).map(ToString::to_string).collect();
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

/// An error and what caused it, from the outside in.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| Error::source(*error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_no_is_a_no() {
        for status in [400, 401, 403, 404, 409, 423, 429] {
            assert_eq!(of_status(status), Some(Effect::Refused), "{status}");
        }
        for status in [302, 408, 500, 502, 503, 504, 999] {
            assert_eq!(of_status(status), Some(Effect::Unknown), "{status}");
        }
        for status in [200, 201, 204] {
            assert_eq!(of_status(status), None, "{status}");
        }
    }

    #[tokio::test]
    async fn what_found_nobody_was_not_sent() {
        // Nobody listens at the port once its listener is gone.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let error = client.get(format!("https://127.0.0.1:{port}/secret")).send().await.unwrap_err();
        assert_eq!(of_error(&error), Effect::NotSent);
        assert!(!root_cause(&error).contains("127.0.0.1"), "{}", root_cause(&error));
        let carried = azure_core::Error::new(ErrorKind::Connection, error);
        let told = azure_core::Error::with_error(ErrorKind::Credential, carried, "could not sign in");
        assert_eq!(of_error(&told), Effect::NotSent);
    }

    #[test]
    fn what_broke_on_the_way_is_unknown() {
        let error = azure_core::Error::with_message(ErrorKind::Io, "the connection broke");
        assert_eq!(of_error(&error), Effect::Unknown);
    }
}
