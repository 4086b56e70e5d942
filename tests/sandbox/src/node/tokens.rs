//! The ServiceAccount tokens of a pod: issued through the `TokenRequest` API for its volumes, bound to the pod, and
//! issued anew when four fifths of their life are over. When that is, is pure.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::kubernetes::Kubernetes;
use super::volumes::{self, Issued, TokenAsked};

/// The tokens that a pod asks for, and those that it has.
pub(crate) struct Tokens {
    tokens: BTreeMap<TokenAsked, Option<Token>>,
    are_new: bool,
}

struct Token {
    value: Bytes,
    renew_at: Timestamp,
}

impl Tokens {
    pub(crate) fn of(pod: &Pod) -> Self {
        let tokens = volumes::tokens(pod).into_iter().map(|asked| (asked, None)).collect();
        Self { tokens, are_new: false }
    }

    /// All that there are, after those that are due were issued; and why one could not be. An old one stays meanwhile.
    pub(crate) async fn renewed(&mut self, kubernetes: &Kubernetes, pod: &Pod) -> (Issued, Option<String>) {
        let (now, mut failure) = (Timestamp::now(), None);
        self.are_new = false;
        for (asked, token) in &mut self.tokens {
            if token.as_ref().is_some_and(|token| now < token.renew_at) {
                continue;
            }
            match kubernetes.issue(pod, asked).await {
                Ok((value, expires)) => {
                    *token = Some(Token { value: value.into(), renew_at: renewal(now, expires) });
                    self.are_new = true;
                }
                Err(error) => failure = Some(format!(": {error}")),
            }
        }
        let there =
            self.tokens.iter().filter_map(|(asked, token)| Some((asked.clone(), token.as_ref()?.value.clone())));
        (there.collect(), failure)
    }

    /// Whether the last look at them brought a new one.
    pub(crate) const fn are_new(&self) -> bool {
        self.are_new
    }
}

fn renewal(issued: Timestamp, expires: Timestamp) -> Timestamp {
    issued + expires.duration_since(issued) * 4 / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_after_four_fifths_of_its_life() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(renewal(at(1000), at(4600)), at(3880));
    }
}
