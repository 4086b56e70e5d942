//! The ServiceAccount tokens of a pod: issued through the `TokenRequest` API for its volumes, bound to the pod, and
//! issued anew when four fifths of their life are over. When that is, is pure.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::body::Bytes;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::kubernetes::Kubernetes;
use super::volumes::{self, Issued, TokenAsked};

/// The API server refuses to issue a token for less.
const LEAST_SECONDS: i64 = 600;

/// The tokens that a pod asks for, and those that it has.
pub(crate) struct Tokens {
    issued: BTreeMap<TokenAsked, Option<Token>>,
    are_new: bool,
    /// How long they live at most, whatever the pod asks for.
    life: Option<Duration>,
}

struct Token {
    value: Bytes,
    renew_at: Timestamp,
}

impl Tokens {
    pub(crate) fn of(pod: &Pod, life: Option<Duration>) -> Self {
        let issued = volumes::tokens(pod).into_iter().map(|asked| (asked, None)).collect();
        Self { issued, are_new: false, life }
    }

    /// All that there are, after those that are due were issued; and why one could not be. An old one stays meanwhile.
    pub(crate) async fn renewed(&mut self, kubernetes: &Kubernetes, pod: &Pod) -> (Issued, Option<String>) {
        let (now, mut failure) = (Timestamp::now(), None);
        self.are_new = false;
        for (asked, token) in &mut self.issued {
            if token.as_ref().is_some_and(|token| now < token.renew_at) {
                continue;
            }
            match kubernetes.issue(pod, &shortened(asked, self.life)).await {
                Ok((value, expires)) => {
                    *token = Some(Token { value: value.into(), renew_at: renewal(now, expires, self.life) });
                    self.are_new = true;
                }
                Err(error) => failure = Some(format!(": {error}")),
            }
        }
        let there =
            self.issued.iter().filter_map(|(asked, token)| Some((asked.clone(), token.as_ref()?.value.clone())));
        (there.collect(), failure)
    }

    /// Whether the last look at them brought a new one.
    pub(crate) const fn are_new(&self) -> bool {
        self.are_new
    }
}

/// What the API server is asked for.
fn shortened(asked: &TokenAsked, life: Option<Duration>) -> TokenAsked {
    let most = life.map_or(i64::MAX, |life| i64::try_from(life.as_secs()).unwrap_or(i64::MAX).max(LEAST_SECONDS));
    TokenAsked { seconds: asked.seconds.min(most), ..asked.clone() }
}

fn renewal(issued: Timestamp, expires: Timestamp, life: Option<Duration>) -> Timestamp {
    let granted = expires.duration_since(issued);
    let life = life.and_then(|life| life.try_into().ok()).map_or(granted, |life| granted.min(life));
    issued + life * 4 / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_after_four_fifths_of_its_life() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(renewal(at(1000), at(4600), None), at(3880));
        assert_eq!(renewal(at(1000), at(4600), Some(Duration::from_hours(2))), at(3880));
    }

    #[test]
    fn a_shorter_life_is_asked_for_as_far_as_the_api_server_goes() {
        let seconds = |asked, life: u64| {
            shortened(&TokenAsked { audience: None, seconds: asked }, Some(Duration::from_secs(life))).seconds
        };
        assert_eq!([seconds(3600, 700), seconds(3600, 5), seconds(650, 700)], [700, 600, 650]);
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(renewal(at(1000), at(1600), Some(Duration::from_secs(5))), at(1004));
    }
}
