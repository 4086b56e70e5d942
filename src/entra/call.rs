//! One call of Graph: a token first, room in the quotas, then the request, sent once and waited for no longer than our
//! patience allows. What its end means is said in `refusal`.

use std::sync::Arc;

use azure_core::{
    Uuid,
    error::ErrorKind,
    http::{
        ClientOptions, Context, Pipeline, PipelineSendOptions, Request, RetryOptions, Transport,
        policies::{ClientRequestIdPolicy, auth::BearerTokenAuthorizationPolicy},
    },
};
use tokio::time::timeout;

use super::{
    Cloud,
    refusal::{self, Answer, Asked, End, Failure},
    tokens::Tokens,
};
use crate::{
    facts::Service,
    wire::{self, InTime, Way, in_time::OnlyInTime},
};

/// The name under which Graph wants the ID that a client gives a request, and under which it tells it again.
const REQUEST_ID: &str = "client-request-id";

/// Graph, as the operator speaks to it in one tenant.
#[derive(Debug)]
pub(super) struct Caller {
    wire: wire::Client,
    tokens: Arc<Tokens>,
    pipeline: Pipeline,
}

impl Caller {
    pub(super) fn new(wire: wire::Client, cloud: &Cloud, tokens: Tokens) -> Self {
        let tokens = Arc::new(tokens);
        let options = ClientOptions {
            // By default a request is sent up to nine times, and a Retry-After of an hour is slept through.
            retry: RetryOptions::none(),
            transport: Some(Transport::new(Arc::new(wire.http().clone()))),
            ..Default::default()
        };
        let pipeline = Pipeline::new(
            Some(env!("CARGO_PKG_NAME")),
            Some(env!("CARGO_PKG_VERSION")),
            options,
            vec![Arc::new(ClientRequestIdPolicy::with_header_name(REQUEST_ID))],
            vec![
                Arc::new(BearerTokenAuthorizationPolicy::new(Arc::clone(&tokens) as _, [cloud.proof_scope()])),
                Arc::new(OnlyInTime), // asked when there is a token, which can take long
            ],
            None,
        );
        Self { wire, tokens, pipeline }
    }

    /// Sends a request, once, if that is still in time when there is a token.
    pub(super) async fn send(&self, asked: &Asked, mut request: Request, in_time: InTime) -> Result<Answer, Failure> {
        // Before the clock of the request runs: a slow sign-in must not make its outcome unknown.
        self.tokens.ready().await?;
        let passage = self.wire.ways().go(Way::Directory(self.tokens.tenant()), &asked.doing)?;
        self.wire.quotas().take(Service::Graph, &asked.doing, &asked.counts)?;
        let id = Uuid::new_v4().to_string();
        request.insert_header(REQUEST_ID, id.clone());
        let patience = self.wire.patience();
        let limit = if asked.changes() { patience.effect } else { patience.read };
        let context = Context::new().with_value(in_time);
        // Refusals are read by ourselves: the SDK knows neither our codes nor when an answer is not Graph's.
        let options = PipelineSendOptions { skip_checks: true, ..Default::default() };
        let answered = match timeout(limit, self.pipeline.send(&context, &mut request, Some(options))).await {
            Ok(Ok(answer)) => {
                passage.answered();
                Ok(Answer::of(answer, Some(id)))
            }
            Ok(Err(error)) => Err(self.unanswered(asked, &id, error).await),
            Err(_) => Err(refusal::unanswered(asked, &id, &End::TimeUp(limit)).into()),
        };
        self.count(asked, &answered);
        let answer = answered?;
        if answer.status == 401 {
            self.tokens.forget();
        }
        if wire::effect::of_status(answer.status).is_none() {
            return Ok(answer);
        }
        Err(Failure { status: Some(answer.status), trouble: refusal::refused(asked, &answer) })
    }

    /// The token may have been over between `ready` and the request, and no other to be had: then nothing was sent.
    async fn unanswered(&self, asked: &Asked, id: &str, error: azure_core::Error) -> Failure {
        if *error.kind() == ErrorKind::Credential
            && let Err(trouble) = self.tokens.ready().await
        {
            return trouble.into();
        }
        refusal::unanswered(asked, id, &End::Error(&error)).into()
    }

    fn count(&self, asked: &Asked, answered: &Result<Answer, Failure>) {
        let metrics = self.wire.metrics();
        match answered {
            Ok(answer) => metrics.answered(Service::Graph, asked.operation, answer.status),
            // The sign-in before it was counted as what it is.
            Err(failure) if failure.trouble.service == Service::Token => {}
            Err(failure) => metrics.unanswered(Service::Graph, asked.operation, failure.trouble.effect),
        }
    }
}
