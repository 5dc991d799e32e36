//! Answering commands: the owner of a shard listens to what people and workers ask of it.

use std::fmt::Display;

use async_nats::{Client, HeaderValue, Message, Subscriber};
use domain::{Ask, Shard};
use futures::StreamExt;
use futures::stream::{SelectAll, select_all};
use serde::Serialize;
use store::writer::{Accepted, Refusal};
use tracing::Span;

use crate::ask::Request;
use crate::{Error, subject, trace};

/// A command to be answered.
#[derive(Debug)]
pub struct Incoming {
    client: Client,
    message: Message,
}

/// The commands asked of one shard. Subscribed plainly, without a queue group: a former owner that is frozen then takes
/// nothing away from the present one.
#[derive(Debug)]
pub struct Serving {
    client: Client,
    incoming: SelectAll<Subscriber>,
}

impl Serving {
    /// Listens to a shard.
    ///
    /// # Errors
    /// When the bus cannot be listened to.
    pub async fn start(client: Client, shard: Shard) -> Result<Self, Error> {
        let people = client.subscribe(subject::commands(shard)).await.map_err(Error::from_any)?;
        let workers = client.subscribe(subject::internal_commands(shard)).await.map_err(Error::from_any)?;
        Ok(Self { client, incoming: select_all([people, workers]) })
    }

    /// Listens no more: what was asked before is still given out, what comes after is told at once that nobody listens.
    pub async fn stop(&mut self) {
        for subscription in &mut self.incoming {
            // Without a connection there is nothing to be given out either.
            let _ = subscription.drain().await;
        }
    }

    /// The next command; none when the connection has ended, or after [`Self::stop`] when there is none left.
    pub async fn next(&mut self) -> Option<Incoming> {
        let message = self.incoming.next().await?;
        Some(Incoming { client: self.client.clone(), message })
    }
}

impl Incoming {
    /// The type of the aggregate that something is asked of.
    pub fn aggregate(&self) -> Option<&str> {
        self.message.subject.as_str().split('.').nth(2)
    }

    /// The command, if it reads like one and came on the subject where such a one may come: only our own workers can
    /// publish to `internal.>`, so nothing else may carry what they ask, nor may theirs carry what people ask.
    pub fn request<C: Ask>(&self) -> Option<Request<C>> {
        let request: Request<C> = serde_json::from_slice(&self.message.payload).ok()?;
        let asker = &request.asked.asker;
        let is_named = self.aggregate() == Some(C::TYPE)
            && self.message.subject.as_str().rsplit('.').next() == Some(request.id.to_string().as_str());
        let may_ask = self.is_internal() == asker.actor.user().is_none() && C::may_ask(&request.id, asker);
        (is_named && may_ask).then_some(request)
    }

    /// Whether it came on the subject of our own workers.
    fn is_internal(&self) -> bool {
        self.message.subject.as_str().starts_with("internal.")
    }

    /// A span for the work upon it, in the trace that it belongs to; none when it belongs to none.
    pub fn span(&self) -> Span {
        let traceparent = self.message.headers.as_ref().and_then(|headers| headers.get(trace::HEADER));
        let subject = if self.is_internal() { subject::INTERNAL_COMMAND } else { subject::COMMAND };
        trace::following(traceparent.map(HeaderValue::as_str), || {
            tracing::info_span!(
                target: trace::TARGET,
                "command.process",
                otel.kind = "consumer",
                messaging.system = "nats",
                messaging.operation.name = "process",
                messaging.operation.type = "process",
                messaging.destination.template = subject,
            )
        })
    }

    /// Answers.
    pub async fn answer<E: Display + Serialize>(self, outcome: &Result<Accepted, Refusal<E>>) {
        let (Some(reply), Ok(body)) = (self.message.reply, serde_json::to_vec(outcome)) else { return };
        // Whoever asked asks again if the answer is lost.
        let _ = self.client.publish(reply, body.into()).await;
    }
}
