//! Asking for a command to be carried out, wherever the owner of its shard is just now.

use std::time::Duration;

use async_nats::{Client, HeaderMap, client};
use domain::{Ask, Asked, CommandId, Shard, conversation, shard_of};
use serde::{Deserialize, Serialize};
use store::codec;
use store::writer::{self, Refusal};
use tokio::time::Instant;

use crate::{metrics, subject, trace};

/// How long one attempt waits for its answer: not much longer than an owner needs, since one that was killed over it never
/// answers, and the next may own the shard already.
const ATTEMPT_DEADLINE: Duration = Duration::from_millis(400);
/// How long a command is sent again while no one owns its shard or no answer comes.
const DEADLINE: Duration = Duration::from_secs(10);
/// The pause before it is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A command on the bus, of a conversation unless it says otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Request<C: Ask = conversation::Command> {
    /// Its id: sent again, it gets its first result again.
    pub command_id: CommandId,
    /// The aggregate that it is asked of.
    pub id: C::Id,
    /// The sequence that the aggregate must stand at, if the asker cares.
    pub expected_sequence: Option<u64>,
    /// What is asked, and by whom.
    pub asked: Asked<C>,
}

/// What became of it.
pub type Outcome<C = conversation::Command> = writer::Outcome<<C as Ask>::Aggregate>;

/// Asks on behalf of people (an edge) or of our own workers.
#[derive(Clone, Debug)]
pub struct Asking {
    client: Client,
    shards: Shard,
    /// Who asks, for the figures.
    asker: &'static str,
    subject: fn(Shard, &str, &str) -> String,
}

impl Asking {
    /// For people.
    pub fn for_people(client: Client, shards: Shard) -> Self {
        Self { client, shards, asker: "person", subject: subject::command }
    }

    /// For our own workers.
    pub fn for_workers(client: Client, shards: Shard) -> Self {
        Self { client, shards, asker: "worker", subject: subject::internal_command }
    }

    /// How many shards there are.
    pub fn shards(&self) -> Shard {
        self.shards
    }

    /// Has a command carried out. It is sent again, under the same id, until it is answered or the deadline passes.
    ///
    /// # Errors
    /// The refusal; [`Refusal::Unavailable`] when no answer came in time: the command may have been carried out all the
    /// same, and sending it again tells.
    pub async fn ask<C: Ask>(&self, request: &Request<C>) -> Outcome<C> {
        let began = Instant::now();
        let outcome = self.ask_until_answered(request).await;
        metrics::asked(self.asker, &outcome, began.elapsed());
        outcome
    }

    async fn ask_until_answered<C: Ask>(&self, request: &Request<C>) -> Outcome<C> {
        let id = request.id.to_string();
        let subject = (self.subject)(shard_of(&id, self.shards), C::TYPE, &id);
        let Ok(body) = serde_json::to_vec(request) else { return Err(Refusal::Unavailable) };
        let body = bytes::Bytes::from(body);
        let headers = headers();
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            let asking = client::Request::new().payload(body.clone());
            let asking = match &headers {
                Some(headers) => asking.headers(headers.clone()),
                None => asking,
            };
            let attempt = self.client.send_request(subject.clone(), asking);
            // Otherwise no one owns the shard just now, or the owner went away over it.
            if let Ok(Ok(message)) = tokio::time::timeout(ATTEMPT_DEADLINE, attempt).await {
                match serde_json::from_slice::<Outcome<C>>(&message.payload) {
                    Ok(Err(Refusal::Unavailable)) => {}
                    Ok(outcome) => return outcome,
                    Err(error) => {
                        tracing::error!(reason = codec::reason(&error), "an answer to a command cannot be read");
                        return Err(Refusal::Unavailable);
                    }
                }
            }
            metrics::asked_again(self.asker);
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        Err(Refusal::Unavailable)
    }
}

/// The trace that a command belongs to, if it does.
fn headers() -> Option<HeaderMap> {
    let traceparent = trace::of(&tracing::Span::current())?;
    let mut headers = HeaderMap::new();
    headers.insert(trace::HEADER, traceparent);
    Some(headers)
}
