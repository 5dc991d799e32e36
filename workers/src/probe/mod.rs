//! Trying providers out for people, as edges ask it on `probe.>`: does one answer, and which models does it have?
//!
//! A provider is called as the person has configured it, else as the installation has it, in the very way in which a reply
//! would call it. What a model says is told to nobody, so that this is no way to have one's questions answered.

mod allowance;
mod target;

use std::sync::Arc;
use std::time::Duration;

use domain::AccountId;
use futures::StreamExt;
use futures::stream::BoxStream;
use nats::model_lists::ModelLists;
use nats::probe::{self, Answer, Model, Outcome, Question, Refusal};
use sqlx::PgPool;
use store::sealing::Sealing;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::provider::{Catalog, Chunk, Deadline, Error, ErrorKind, LIST_DEADLINE, PromptMessage, Request, Role};
use crate::reply::Person;
use allowance::{Allowances, Turn};
use target::Target;

/// How long a provider has to answer: with the time that its list may take before, less than whoever asks waits for, so that
/// they learn what went wrong.
const ANSWER_DEADLINE: Duration = Duration::from_secs(18);
/// How many providers a process has called at a time.
const CALLS_AT_ONCE: usize = 16;
/// How long a call waits for its place among them before it is refused.
const PLACE_WAIT: Duration = Duration::from_millis(500);
const _: () = assert!(
    ANSWER_DEADLINE.as_millis() + LIST_DEADLINE.as_millis() + 2 * PLACE_WAIT.as_millis() < probe::DEADLINE.as_millis()
);
/// What a model is asked for. A few tokens, not one: Responses refuses fewer, and models that think would have none left. Of
/// the first one the provider is hung up on.
const MAX_OUTPUT: u64 = 16;
const QUESTION: &str = "Are you there? Answer with one word.";

/// What is needed to try providers out.
#[derive(Clone)]
pub struct Probes {
    /// Postgres, as a worker.
    pub pool: PgPool,
    /// NATS, inside CORE.
    pub client: nats::Client,
    /// The installation's providers.
    pub catalog: Arc<Catalog>,
    /// What people's keys are sealed with, where there are any.
    pub sealing: Option<Arc<Sealing>>,
}

impl Probes {
    /// Answers edges until cancelled.
    pub async fn run(self, cancelled: CancellationToken) {
        let client = self.client.clone();
        let lists = ModelLists::new(&client);
        let (allowances, places) = (Allowances::default(), Arc::new(Semaphore::new(CALLS_AT_ONCE)));
        let prober = Arc::new(Prober { probes: self, lists, allowances, places });
        let answer = move |request| {
            let prober = Arc::clone(&prober);
            async move { prober.answer(request).await }
        };
        nats::probe::serve(client, answer, cancelled).await;
    }
}

struct Prober {
    probes: Probes,
    lists: ModelLists,
    allowances: Allowances,
    places: Arc<Semaphore>,
}

impl Prober {
    async fn answer(&self, request: probe::Request) -> Outcome {
        let person = Person { tenant: request.tenant, user: request.user };
        let target = Target::of(&self.probes, &person, request.provider).await?;
        match request.question {
            Question::Models => self.models(&target).await.map(|models| Answer::Models { models }),
            Question::Answers { model } => {
                let model = match model.or_else(|| target.first_model()) {
                    Some(model) => model,
                    None => self.first_listed(&target).await?,
                };
                self.try_out(&target, model).await
            }
        }
    }

    /// Asks a model for as good as nothing.
    async fn try_out(&self, target: &Target, model: String) -> Outcome {
        let provider = target.for_model(&model)?;
        let _turn = self.begin(target.account).await?;
        let messages = vec![PromptMessage::text(Role::User, QUESTION)];
        let request = Request { model: model.clone(), messages, max_output: Some(MAX_OUTPUT), ..Request::default() };
        let began = Instant::now();
        match timeout(ANSWER_DEADLINE, first_said(provider.stream(request))).await {
            Ok(Some(Ok(_))) => {
                let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                Ok(Answer::Answered { model, took_ms })
            }
            Ok(Some(Err(error))) => Err(failed(error)),
            Ok(None) => Err(failed(target.error(ErrorKind::Interrupted, "there was no answer"))),
            Err(_) => {
                let late = format!("the answer did not begin within {ANSWER_DEADLINE:?}");
                Err(failed(target.error(ErrorKind::Timeout(Deadline::FirstToken), &late)))
            }
        }
    }

    /// The provider's models: as they were told in the last day, else as it tells them now.
    async fn models(&self, target: &Target) -> Result<Vec<Model>, Refusal> {
        match self.lists.get(&target.credential).await {
            Ok(Some(models)) => return Ok(models),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the kept lists of models cannot be read"),
        }
        let turn = self.begin(target.account).await?;
        let models = target.provider().models().await.map_err(failed)?;
        drop(turn);
        let usable = models.into_iter().filter(|model| target.reference(&model.id).is_some());
        let models: Vec<_> = usable.map(|model| Model { id: model.id, context_window: model.context_window }).collect();
        // One without any soon has some: a server of one's own that has just begun.
        if !models.is_empty()
            && let Err(error) = self.lists.put(&target.credential, &models).await
        {
            tracing::debug!(%error, "a list of models is not kept");
        }
        Ok(models)
    }

    async fn first_listed(&self, target: &Target) -> Result<String, Refusal> {
        let none = || failed(target.error(ErrorKind::UnknownModel, "the provider has no model"));
        self.models(target).await?.into_iter().next().map(|model| model.id).ok_or_else(none)
    }

    /// Begins a call to a provider: with a place for it, which what is known already does not wait for.
    async fn begin(&self, account: AccountId) -> Result<(OwnedSemaphorePermit, Turn), Refusal> {
        let place = timeout(PLACE_WAIT, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(Refusal::Busy) };
        let refused =
            |wait: Duration| Refusal::TooMany { wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) };
        Ok((place, self.allowances.begin(account, Instant::now()).map_err(refused)?))
    }
}

/// The first that a model says or does, or the end of an answer without any. That its provider has counted the prompt does not
/// say that the model answers.
async fn first_said(mut answer: BoxStream<'static, Result<Chunk, Error>>) -> Option<Result<Chunk, Error>> {
    loop {
        match answer.next().await {
            Some(Ok(Chunk::Usage(_) | Chunk::ReasoningSignature(_))) => {}
            said => return said,
        }
    }
}

/// Tells what went wrong as a failed reply would.
fn failed(error: Error) -> Refusal {
    Refusal::Failed { code: error.code().to_owned(), message: error.message }
}

#[cfg(test)]
mod tests {
    use domain::conversation::{Finish, Usage};
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_count_of_the_prompt_is_no_answer() {
        let counted = || Ok(Chunk::Usage(Usage { input: Some(9), ..Usage::default() }));
        let overloaded = || Err(Error::new(ErrorKind::Overload, "no room"));
        let text = || Ok(Chunk::Text("Yes".to_owned()));
        let finished = || Ok(Chunk::Finished { finish: Finish::Stop, usage: Usage::default() });
        let first = async |pieces: Vec<Result<Chunk, Error>>| first_said(stream::iter(pieces).boxed()).await;
        assert_eq!(first(vec![counted(), overloaded()]).await, Some(overloaded()));
        assert_eq!(first(vec![counted(), counted(), text(), overloaded()]).await, Some(text()));
        assert_eq!(first(vec![counted(), finished()]).await, Some(finished()));
        assert_eq!(first(vec![counted()]).await, None);
    }
}
