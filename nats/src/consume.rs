//! Waking workers: a durable pull consumer per (role, shard), shared by every process of the role.
//!
//! A delivery is a wake-up, no more: what a worker does ends in a command, and the command's fence decides whether it
//! counts. While a worker is at it, progress acknowledgements keep the delivery its own; a failure that may pass comes
//! back after a growing pause; one that does not pass, or passes too slowly, is parked as a dead letter. Pull streams end
//! and stall, and a wiped server forgets consumers: whatever happens, it is all made anew.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::Context;
use async_nats::jetstream::{AckKind, Message};
use domain::Shard;
use futures::{FutureExt, StreamExt};
use sqlx::PgPool;
use store::{Recorded, codec, dead_letter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Error, metrics, streams, subject};

/// How many signs of progress a worker gives within the time that a delivery is its own without one.
const SIGNS: u32 = 3;
/// The most deliveries of a consumer that may be under way at once, over all processes.
const MAX_UNDER_WAY: i64 = 1_024;
/// The pauses before a delivery comes back; after the last it is parked.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_mins(2)];
/// How often a pull is renewed.
const PULL_EXPIRES: Duration = Duration::from_secs(10);
/// How often the server says that a pull is known to it; silence for twice as long means that the consumer is gone.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// The pause before a consumer is made anew.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Why a worker could not do what an event asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may pass.
    #[error("{0}")]
    Retry(String),
    /// It will not.
    #[error("{0}")]
    Fatal(String),
}

/// Which events wake which role.
#[derive(Clone, Copy, Debug)]
pub struct Wake {
    /// The role; also its name among the dead letters.
    pub role: &'static str,
    /// The aggregate's type.
    pub aggregate: &'static str,
    /// The events' types.
    pub event_types: &'static [&'static str],
    /// How long a delivery is a worker's own without a sign of progress.
    pub ack_wait: Duration,
}

/// One wake-up: the event, and the right to say what became of it.
#[derive(Debug)]
pub struct Delivery {
    /// The event.
    pub event: Recorded,
    message: Message,
    wake: Wake,
    pool: PgPool,
    _slot: OwnedSemaphorePermit,
}

/// Hands every wake-up of a shard to `deliveries` once one of `slots` is free for it; while it waits for that, it stays this
/// process's own.
pub async fn run(
    jetstream: Context,
    pool: PgPool,
    wake: Wake,
    shard: Shard,
    slots: Arc<Semaphore>,
    deliveries: mpsc::Sender<Delivery>,
    cancelled: CancellationToken,
) {
    loop {
        let messages = tokio::select! {
            () = cancelled.cancelled() => return,
            messages = pull(&jetstream, wake, shard) => messages,
        };
        let delivered = match messages {
            Ok(messages) => deliver(messages, &pool, wake, &slots, &deliveries, &cancelled).await,
            Err(error) => Err(error),
        };
        match delivered {
            Ok(()) => return,
            Err(error) => tracing::debug!(role = wake.role, shard, %error, "the consumer is made anew"),
        }
        tokio::select! {
            () = cancelled.cancelled() => return,
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
}

fn config(wake: Wake, shard: Shard) -> pull::Config {
    pull::Config {
        durable_name: Some(durable(wake.role, shard)),
        ack_policy: AckPolicy::Explicit,
        ack_wait: wake.ack_wait,
        deliver_policy: DeliverPolicy::All,
        // Bounded here, by the pauses, so that the last failure is parked and not merely forgotten by the server.
        max_deliver: -1,
        max_ack_pending: MAX_UNDER_WAY,
        filter_subjects: wake
            .event_types
            .iter()
            .map(|name| subject::events_of_type(shard, wake.aggregate, name))
            .collect(),
        ..pull::Config::default()
    }
}

async fn pull(jetstream: &Context, wake: Wake, shard: Shard) -> Result<pull::Stream, Error> {
    let stream = jetstream.get_stream_no_info(streams::events_name(shard)).await.map_err(Error::from_any)?;
    // Made, or changed: a newer version of a role may wake on more events than the one that made it.
    let consumer = stream.create_consumer(config(wake, shard)).await.map_err(Error::from_any)?;
    consumer
        .stream()
        // One at a time, so that a busy worker holds back no more than one wake-up from an idle one.
        .max_messages_per_batch(1)
        .expires(PULL_EXPIRES)
        .heartbeat(HEARTBEAT_EVERY)
        .messages()
        .await
        .map_err(Error::from_any)
}

/// Hands wake-ups over until cancelled; what nobody here will take any more goes back at once, to someone else.
async fn deliver(
    mut messages: pull::Stream,
    pool: &PgPool,
    wake: Wake,
    slots: &Arc<Semaphore>,
    deliveries: &mpsc::Sender<Delivery>,
    cancelled: &CancellationToken,
) -> Result<(), Error> {
    loop {
        let message = tokio::select! {
            () = cancelled.cancelled() => break,
            message = messages.next() => message.ok_or_else(|| Error("the pull stream ended".to_owned()))?,
        };
        let message = message.map_err(Error::from_any)?;
        let Some(event) = read(&message, wake).await? else { continue };
        let slot = tokio::select! {
            slot = keep_alive(&message, wake, Arc::clone(slots).acquire_owned()) => slot.map_err(Error::from_any)?,
            () = cancelled.cancelled() => {
                give_back(&message, wake).await;
                break;
            }
        };
        let delivery = Delivery { event, message, wake, pool: pool.clone(), _slot: slot };
        tokio::select! {
            biased;
            () = cancelled.cancelled() => {
                delivery.give_back().await;
                break;
            }
            room = deliveries.reserve() => room.map_err(Error::from_any)?.send(delivery),
        }
    }
    while let Some(Some(Ok(message))) = messages.next().now_or_never() {
        give_back(&message, wake).await;
    }
    Ok(())
}

/// The event of a message; none when it is no event.
async fn read(message: &Message, wake: Wake) -> Result<Option<Recorded>, Error> {
    match serde_json::from_slice(&message.payload) {
        Ok(event) => Ok(Some(event)),
        Err(error) => {
            tracing::error!(role = wake.role, reason = codec::reason(&error), "a message on the bus is no event");
            message.ack_with(AckKind::Term).await.map_err(Error::from_any)?;
            Ok(None)
        }
    }
}

/// Leaves a wake-up to another process at once.
async fn give_back(message: &Message, wake: Wake) {
    metrics::delivered(wake.role, "given_back");
    if let Err(error) = message.ack_with(AckKind::Nak(None)).await {
        tracing::debug!(role = wake.role, %error, "a wake-up was not given back; it comes again");
    }
}

/// The name of a role's consumer of a shard.
pub(crate) fn durable(role: &str, shard: Shard) -> String {
    format!("{role}_{shard}")
}

impl Delivery {
    /// Runs `work` upon the event and says what became of it.
    pub async fn work_on<F>(self, work: F)
    where
        F: Future<Output = Result<(), Failure>>,
    {
        let done = keep_alive(&self.message, self.wake, work).await;
        let (pause, role) = (self.pause(), self.wake.role);
        let said = match (&done, pause) {
            (Ok(()), _) => {
                metrics::delivered(role, "done");
                self.message.ack().await
            }
            (Err(Failure::Retry(_)), Some(pause)) => {
                metrics::delivered(role, "retried");
                self.message.ack_with(AckKind::Nak(Some(pause))).await
            }
            (Err(Failure::Retry(reason) | Failure::Fatal(reason)), _) => {
                metrics::delivered(role, "parked");
                self.park(reason).await
            }
        };
        if let Err(error) = said {
            tracing::debug!(role = self.wake.role, %error, "an acknowledgement was lost; the event comes again");
        }
    }

    /// Leaves it to another process at once: nothing was begun.
    pub async fn give_back(self) {
        give_back(&self.message, self.wake).await;
    }

    /// How often it was delivered, with this time.
    pub fn delivered(&self) -> i64 {
        self.message.info().map_or(1, |info| info.delivered)
    }

    fn pause(&self) -> Option<Duration> {
        usize::try_from(self.delivered() - 1).ok().and_then(|nth| PAUSES.get(nth)).copied()
    }

    async fn park(&self, reason: &str) -> Result<(), async_nats::Error> {
        tracing::error!(role = self.wake.role, position = %self.event.position(), reason, "an event is parked");
        if let Err(error) = dead_letter::park(&self.pool, self.wake.role, &self.event, reason).await {
            tracing::warn!(%error, "an event could not be parked; it comes again");
            return self.message.ack_with(AckKind::Nak(Some(PAUSES[0]))).await;
        }
        self.message.ack_with(AckKind::Term).await
    }
}

/// Keeps a delivery this process's own until `work` is done.
async fn keep_alive<F: Future>(message: &Message, wake: Wake, work: F) -> F::Output {
    let every = wake.ack_wait / SIGNS;
    let mut work = std::pin::pin!(work);
    let mut progress = tokio::time::interval_at(Instant::now() + every, every);
    loop {
        tokio::select! {
            output = &mut work => return output,
            _ = progress.tick() => {
                let _ = message.ack_with(AckKind::Progress).await;
            }
        }
    }
}
