//! Trying a provider out for a person: does it answer, and which models does it have?
//!
//! CORE answers, for it alone may open keys and reach providers; an edge may ask. Nothing of the key travels, and what went
//! wrong comes back as a code and words for people, never as what the provider said.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, Subject};
use domain::{AccountId, ProviderId, Tenant, UserId};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Error, subject};

/// How long an edge waits for an answer: longer than a provider may take over its first token is of no use to a person.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How many probes a process has under way, whatever they wait for; while there are as many, further ones are refused.
const AT_ONCE: usize = 256;
/// How long probes that are under way may go on when the process stops.
const FINISH_GRACE: Duration = Duration::from_secs(5);
/// How long the bus may take then to bring what was asked before.
const DRAIN_DEADLINE: Duration = Duration::from_millis(500);
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What is to be tried out, for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The person's tenant.
    pub tenant: Tenant,
    /// The person, verified by the edge.
    pub user: UserId,
    /// The provider, as the person has configured it, else as the catalogue has it.
    pub provider: ProviderId,
    /// What is to be found out.
    pub question: Question,
}

/// What is to be found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Question {
    /// Whether it answers: a call for one token.
    Answers {
        /// The model to be asked; none means the first that it offers.
        model: Option<String>,
    },
    /// Which models it has.
    Models,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    /// It answers.
    Answered {
        /// The model that did.
        model: String,
        /// How long it took until the first token, in milliseconds.
        took_ms: u64,
    },
    /// It has these models.
    Models {
        /// The models.
        models: Vec<Model>,
    },
}

/// A model that a provider has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name at the provider.
    pub id: String,
    /// How many tokens it can take in, if known.
    pub context_window: Option<u64>,
}

/// Why nothing was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Refusal {
    /// The workers of this version cannot try providers out.
    #[error("providers cannot be tried out here")]
    NotAvailable,
    /// There is no such provider, neither the person's nor the installation's.
    #[error("this provider is configured neither here nor by you")]
    UnknownProvider,
    /// The person has had providers called too often.
    #[error("providers are tried out too often; try again in {} s", wait_ms.div_ceil(1_000))]
    TooMany {
        /// How long they have to wait, in milliseconds.
        wait_ms: u64,
    },
    /// The workers have as many providers called as they may.
    #[error("too many providers are tried out just now; try again in a moment")]
    Busy,
    /// The worker could not so much as ask.
    #[error("this cannot be done just now; try again")]
    Unavailable,
    /// The provider was asked, and it went wrong.
    #[error("{message}")]
    Failed {
        /// The kind, as a failed reply has it: `auth`, `quota`, `network`, …
        code: String,
        /// The same for people.
        message: String,
    },
}

/// What became of a probe.
pub type Outcome = Result<Answer, Refusal>;

/// Has a provider tried out.
///
/// # Errors
/// When nobody answers in time: no worker is there.
pub async fn ask(client: &Client, request: &Request) -> Result<Outcome, Error> {
    let subject = subject::probe(AccountId::of(&request.tenant, &request.user));
    let body = serde_json::to_vec(request).map_err(Error::from_any)?;
    let asking = async_nats::client::Request::new().payload(body.into()).timeout(Some(DEADLINE));
    let message = client.send_request(subject, asking).await.map_err(Error::from_any)?;
    serde_json::from_slice(&message.payload).map_err(|error| Error::unreadable(&error))
}

/// Answers edges until cancelled, each probe by what `answer` gives, and none later for another's sake. Processes share the
/// probes. Then nobody is left without an answer: what is under way may end, what is not over by then and what was not begun
/// is refused.
pub async fn serve<F, A>(client: Client, answer: F, cancelled: CancellationToken)
where
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    let (slots, tasks, over) = (Arc::new(Semaphore::new(AT_ONCE)), TaskTracker::new(), CancellationToken::new());
    let service = Service { client, answer: Arc::new(answer), slots, tasks, over };
    while let Err(error) = service.listen(&cancelled).await {
        tracing::warn!(%error, "the probe service starts over");
        tokio::select! {
            () = cancelled.cancelled() => break,
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
    service.tasks.close();
    if tokio::time::timeout(FINISH_GRACE, service.tasks.wait()).await.is_err() {
        service.over.cancel();
        service.tasks.wait().await;
    }
}

/// A process that answers.
struct Service<F> {
    client: Client,
    answer: Arc<F>,
    slots: Arc<Semaphore>,
    /// The probes under way.
    tasks: TaskTracker,
    /// They are waited for no longer.
    over: CancellationToken,
}

impl<F, A> Service<F>
where
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Outcome> + Send + 'static,
{
    /// Takes probes until cancelled.
    async fn listen(&self, cancelled: &CancellationToken) -> Result<(), Error> {
        let queue = "probe".to_owned();
        let mut asked = self.client.queue_subscribe(subject::PROBES, queue).await.map_err(Error::from_any)?;
        loop {
            let message = tokio::select! {
                // Nothing is begun any more once it is.
                biased;
                () = cancelled.cancelled() => break,
                message = asked.next() => message.ok_or_else(|| Error("the subscription ended".to_owned()))?,
            };
            match Arc::clone(&self.slots).try_acquire_owned() {
                Ok(slot) => self.begin(message, slot),
                Err(_) => tell(&self.client, message.reply, &Err(Refusal::Busy)).await,
            }
        }
        let refused = async {
            // Without a connection nothing comes any more either.
            let _ = asked.drain().await;
            while let Some(message) = asked.next().await {
                tell(&self.client, message.reply, &Err(Refusal::Unavailable)).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN_DEADLINE, refused).await;
        Ok(())
    }

    fn begin(&self, message: Message, slot: OwnedSemaphorePermit) {
        let (client, answer, over) = (self.client.clone(), Arc::clone(&self.answer), self.over.clone());
        self.tasks.spawn(async move {
            answer_one(&client, message, answer.as_ref(), &over).await;
            drop(slot);
        });
    }
}

async fn answer_one<F, A>(client: &Client, message: Message, answer: &F, over: &CancellationToken)
where
    F: Fn(Request) -> A,
    A: Future<Output = Outcome>,
{
    let (Ok(request), reply @ Some(_)) = (serde_json::from_slice::<Request>(&message.payload), message.reply) else {
        return;
    };
    // Only for the account that the subject names.
    if message.subject.as_str() != subject::probe(AccountId::of(&request.tenant, &request.user)) {
        return;
    }
    let outcome = tokio::select! {
        () = over.cancelled() => Err(Refusal::Unavailable),
        outcome = tokio::time::timeout(DEADLINE, answer(request)) => match outcome {
            Ok(outcome) => outcome,
            // Nobody waits for it any more.
            Err(_) => return,
        },
    };
    tell(client, reply, &outcome).await;
}

/// Answers whoever asked. If that is lost, they run out of time and ask again.
async fn tell(client: &Client, reply: Option<Subject>, outcome: &Outcome) {
    let (Some(reply), Ok(body)) = (reply, serde_json::to_vec(outcome)) else { return };
    let _ = client.publish(reply, body.into()).await;
}
