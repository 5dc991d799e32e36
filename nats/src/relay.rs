//! From the log to the bus: a shard's stream holds at sequence n the event at position n.
//!
//! The owner of a shard publishes what it has just committed from memory, many at a time, each with the expectation that
//! the stream's last sequence is its position minus one. So the server itself refuses whatever would break the mirror:
//! an event twice, an event out of order, a former owner's late one. A refusal, a lost answer or a gap in what the writer
//! hands over are all handled alike: look at the stream's last sequence, and publish from the log what comes after it. A
//! stream that is gone is made anew, its first sequence set so that the equality holds again; one that is ahead of the
//! log, or ends in something else than the log has there, mirrors some other log and is made anew too.

use std::time::Duration;

use async_nats::jetstream::context::{Context, PublishAckFuture};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Stream;
use domain::Shard;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt};
use sqlx::PgPool;
use store::{Recorded, log};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Error, metrics, streams, subject};

/// The most publications whose answers are outstanding.
const IN_FLIGHT: usize = 1_024;
/// How many events are read from the log at a time when catching up.
const PAGE: u32 = 500;
/// How often the stream is compared with the log.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long the server may take to answer: a publication whose answer is lost holds the relay up for as long.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The most bytes of an event on the bus, well below what the server takes in one message. In the place of a larger one goes
/// an empty message, for which whoever follows reads the log.
const MAX_BYTES: usize = 1024 * 1024;

/// Relays a shard until cancelled. `committed` brings what its writer commits.
pub async fn run(
    jetstream: Context,
    pool: PgPool,
    shard: Shard,
    mut committed: mpsc::Receiver<Vec<Recorded>>,
    cancelled: CancellationToken,
) {
    let mut relay = Relay { jetstream, pool, shard, next: 0, in_flight: FuturesOrdered::new() };
    loop {
        let worked = tokio::select! {
            () = cancelled.cancelled() => return,
            worked = relay.catch_up_and_follow(&mut committed) => worked,
        };
        match worked {
            // The writer is gone, so nothing more will be committed here. Nor is it for this one to go on when its
            // publications are refused: another owner's relay is at it, or the next one's will be.
            Ok(()) => return,
            Err(error) if committed.is_closed() => {
                return tracing::info!(shard, %error, "the rest is left to the next owner");
            }
            Err(error) => {
                metrics::relay_restarted(shard);
                tracing::warn!(shard, %error, "the relay starts over");
            }
        }
        tokio::select! {
            () = cancelled.cancelled() => return,
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
}

struct Relay {
    jetstream: Context,
    pool: PgPool,
    shard: Shard,
    /// The position to be published next.
    next: u64,
    in_flight: FuturesOrdered<<PublishAckFuture as IntoFuture>::IntoFuture>,
}

impl Relay {
    async fn catch_up_and_follow(&mut self, committed: &mut mpsc::Receiver<Vec<Recorded>>) -> Result<(), Error> {
        self.in_flight.clear();
        self.next = self.first_missing().await?;
        self.publish_log().await?;
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                batch = committed.recv() => match batch {
                    Some(batch) => self.publish_batch(batch).await?,
                    None => return self.settle().await,
                },
                Some(ack) = self.in_flight.next() => { ack.map_err(Error::from_any)?; }
                _ = sweep.tick() => self.sweep().await?,
            }
        }
    }

    /// The position after the stream's last one; the stream is made, or made anew, if need be.
    async fn first_missing(&mut self) -> Result<u64, Error> {
        let found = streams::find_events(&self.jetstream, self.shard).await?;
        // Asked after the stream: the log only grows, so a stream that mirrors it cannot be seen ahead of it.
        let head = log::head(&self.pool, self.shard).await.map_err(Error::from_any)?;
        if let Some(stream) = found {
            let last = stream.cached_info().state.last_sequence;
            if last <= head && self.mirrors(&stream).await? {
                return Ok(last + 1);
            }
            tracing::error!(shard = self.shard, last, head, "the stream mirrors another log and is made anew");
            self.jetstream.delete_stream(streams::events_name(self.shard)).await.map_err(Error::from_any)?;
        }
        let stream = streams::create_events(&self.jetstream, self.shard, head).await?;
        Ok(stream.cached_info().state.last_sequence + 1)
    }

    /// Whether the stream's last message is the event that the log has at that position.
    async fn mirrors(&mut self, stream: &Stream) -> Result<bool, Error> {
        let last = stream.cached_info().state.last_sequence;
        if last == 0 {
            return Ok(true);
        }
        // It may be too old to be kept.
        let Some(message) = streams::message(stream, last).await? else { return Ok(true) };
        let page = log::read(&self.pool, self.shard, last - 1, 1).await.map_err(Error::from_any)?;
        if message.payload.is_empty() {
            return Ok(true);
        }
        let published = serde_json::from_slice::<Recorded>(&message.payload).ok();
        Ok(published.map(|event| event.event_id) == page.first().map(|event| event.event_id))
    }

    /// Publishes what the log has from `next` on.
    async fn publish_log(&mut self) -> Result<(), Error> {
        loop {
            let page = log::read(&self.pool, self.shard, self.next - 1, PAGE).await.map_err(Error::from_any)?;
            if page.is_empty() {
                return Ok(());
            }
            for event in page {
                self.publish(&event).await?;
            }
            // A refusal is heard after each page, however fast the log grows.
            while let Some(Some(ack)) = self.in_flight.next().now_or_never() {
                ack.map_err(Error::from_any)?;
            }
        }
    }

    async fn publish_batch(&mut self, batch: Vec<Recorded>) -> Result<(), Error> {
        if batch.first().is_some_and(|first| first.pos > self.next) {
            self.publish_log().await?;
        }
        for event in batch {
            if event.pos == self.next {
                self.publish(&event).await?;
            }
        }
        Ok(())
    }

    async fn publish(&mut self, event: &Recorded) -> Result<(), Error> {
        if event.pos != self.next {
            return Err(Error(format!("the log of shard {} lacks position {}", self.shard, self.next)));
        }
        if self.in_flight.len() >= IN_FLIGHT
            && let Some(ack) = self.in_flight.next().await
        {
            ack.map_err(Error::from_any)?;
        }
        let mut body = serde_json::to_vec(event).map_err(Error::from_any)?;
        if body.len() > MAX_BYTES {
            tracing::warn!(position = %event.position(), bytes = body.len(), "an event is too large for the bus");
            body.clear();
        }
        let message = PublishMessage::build().payload(body.into()).expected_last_sequence(event.pos - 1);
        let ack = self.jetstream.send_publish(subject::event(event), message).await.map_err(Error::from_any)?;
        self.in_flight.push_back(ack.into_future());
        self.next += 1;
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), Error> {
        while let Some(ack) = self.in_flight.next().await {
            ack.map_err(Error::from_any)?;
        }
        Ok(())
    }

    /// Finds what no refusal tells of: a stream that lost its end, or a commit by someone else.
    async fn sweep(&mut self) -> Result<(), Error> {
        if !self.in_flight.is_empty() {
            return Ok(());
        }
        let last = match streams::find_events(&self.jetstream, self.shard).await? {
            Some(stream) => stream.cached_info().state.last_sequence,
            None => return Err(Error(format!("the stream of shard {} is gone", self.shard))),
        };
        if last + 1 != self.next {
            return Err(Error(format!("the stream of shard {} ends at {last}, not before {}", self.shard, self.next)));
        }
        self.publish_log().await
    }
}

/// JetStream over a connection inside CORE.
pub fn jetstream(client: &async_nats::Client) -> Context {
    let mut jetstream = async_nats::jetstream::new(client.clone());
    jetstream.set_timeout(ANSWER_DEADLINE);
    jetstream
}
