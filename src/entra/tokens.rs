//! The operator's token for one tenant: asked for when there is none, kept until it is nearly over, dropped when Graph
//! does not take it. The SDK's own credentials keep a token whatever Graph says of it, and while they ask for another
//! everybody waits without limit; so this stands before them. A refusal stands for a while too: a thousand resources with
//! one wrong secret make one request, not a thousand.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    time::OffsetDateTime,
};
use tokio::time::{Instant, timeout};

use super::{
    Cloud, Identity,
    no_token::{self, SignIn},
};
use crate::{
    api::{Reason, TenantId},
    facts::{Effect, Service, Trouble},
    wire::{self, Scope, Way},
};

/// A token that is over sooner is replaced.
const EARLY: Duration = Duration::from_mins(5);
/// One that is over sooner is not used, even if there is no other.
const LATE: Duration = Duration::from_secs(30);
/// How long a refusal stands, unless the service says for how long; and how long a failure that may have passed.
const REFUSAL_STANDS: Duration = Duration::from_secs(10);
const FAILURE_STANDS: Duration = Duration::from_secs(1);

const OPERATION: &str = "operator_sign_in";

/// The operator's tokens for Graph in one tenant.
pub(super) struct Tokens {
    wire: wire::Client,
    tenant: TenantId,
    cloud: Cloud,
    identity: Identity,
    scope: String,
    known: Mutex<Known>,
    /// Whoever asks for a token holds this; the others wait for what they bring.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    credential: Option<Arc<dyn TokenCredential>>,
    token: Option<AccessToken>,
    /// What was said last, if it was no, and until when it stands.
    refused: Option<(Instant, Trouble)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Tokens({:?} in {})", self.identity, self.tenant)
    }
}

impl Tokens {
    /// Asks for nothing yet, but says at once if the identity cannot be used at all.
    pub(super) fn new(wire: wire::Client, tenant: TenantId, cloud: Cloud, identity: Identity) -> Result<Self, Trouble> {
        let scope = cloud.proof_scope();
        let (known, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        let tokens = Self { wire, tenant, cloud, identity, scope, known, asking };
        tokens.credential()?;
        Ok(tokens)
    }

    /// The tenant that they are for.
    pub(super) const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Comes back when there is a token.
    pub(super) async fn ready(&self) -> Result<(), Trouble> {
        self.get().await.map(drop)
    }

    /// The service does not take the token. The SDK's credential remembers it as well, so it goes too.
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }

    async fn get(&self) -> Result<AccessToken, Trouble> {
        if let Some(settled) = self.settled() {
            return settled;
        }
        let asked = timeout(self.wire.patience().token, async {
            let _turn = match self.asking.try_lock() {
                Ok(turn) => turn,
                Err(_) if self.lasting(LATE).is_some() => return None,
                Err(_) => self.asking.lock().await,
            };
            Some(match self.settled() {
                Some(settled) => settled,
                None => self.ask().await,
            })
        });
        let got = match asked.await {
            Ok(Some(got)) => got,
            Ok(None) => self.lasting(LATE).ok_or_else(|| self.timed_out()),
            Err(_) => {
                let trouble = self.timed_out();
                self.wire.metrics().unanswered(Service::Token, OPERATION, Effect::Unknown);
                self.stands(&trouble);
                Err(trouble)
            }
        };
        got.or_else(|trouble| self.lasting(LATE).ok_or(trouble))
    }

    /// What needs no asking: a token that lasts, or a refusal that stands.
    fn settled(&self) -> Option<Result<AccessToken, Trouble>> {
        if let Some(token) = self.lasting(EARLY) {
            return Some(Ok(token));
        }
        let standing = self.known().refused.clone().filter(|(until, _)| Instant::now() < *until);
        standing.map(|(_, trouble)| self.lasting(LATE).ok_or(trouble))
    }

    /// The token, if it lasts so long.
    fn lasting(&self, time: Duration) -> Option<AccessToken> {
        let over = |token: &AccessToken| token.expires_on <= OffsetDateTime::now_utc() + time;
        self.known().token.clone().filter(|token| !over(token))
    }

    async fn ask(&self) -> Result<AccessToken, Trouble> {
        let passage = self.wire.ways().go(Way::Tokens(self.tenant), &self.sign_in().doing())?;
        let scope = Scope::TokenRequests(self.tenant, self.identity.client_id());
        self.wire.quotas().take(Service::Token, &self.sign_in().doing(), &[scope])?;
        let credential = self.credential()?;
        let metrics = self.wire.metrics();
        match credential.get_token(&[&self.scope], None).await {
            Ok(token) => {
                passage.answered();
                metrics.answered(Service::Token, OPERATION, 200);
                let mut known = self.known();
                known.token = Some(token.clone());
                known.refused = None;
                Ok(token)
            }
            Err(error) => {
                match no_token::answer_in(&error) {
                    Some(answer) => {
                        passage.answered();
                        metrics.answered(Service::Token, OPERATION, answer.status);
                    }
                    None => metrics.unanswered(Service::Token, OPERATION, wire::effect::of_error(&error)),
                }
                let trouble = no_token::of_sign_in(&self.sign_in(), &error);
                self.stands(&trouble);
                Err(trouble)
            }
        }
    }

    fn credential(&self) -> Result<Arc<dyn TokenCredential>, Trouble> {
        if let Some(credential) = &self.known().credential {
            return Ok(Arc::clone(credential));
        }
        let made = self.identity.credential(&self.wire, self.tenant, &self.cloud);
        let credential = made.map_err(|unusable| no_token::of_identity(&self.sign_in(), &unusable))?;
        self.known().credential = Some(Arc::clone(&credential));
        Ok(credential)
    }

    fn stands(&self, trouble: &Trouble) {
        let least = if trouble.reason == Reason::OperatorCannotSignIn { REFUSAL_STANDS } else { FAILURE_STANDS };
        let until = Instant::now() + trouble.retry_after.unwrap_or_default().max(least);
        self.known().refused = Some((until, trouble.clone()));
    }

    fn timed_out(&self) -> Trouble {
        no_token::sign_in_timed_out(&self.sign_in(), self.wire.patience().token)
    }

    fn sign_in(&self) -> SignIn<'_> {
        SignIn { tenant: self.tenant, cloud: &self.cloud, identity: &self.identity }
    }

    /// What is known is whole at any moment, so a panic elsewhere does not spoil it.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenCredential for Tokens {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let failed = |trouble: Trouble| azure_core::Error::with_message(ErrorKind::Credential, trouble.message);
        self.get().await.map_err(failed)
    }
}
