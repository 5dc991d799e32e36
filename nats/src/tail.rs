//! Following a shard: every event once, in order, from any position on.
//!
//! Events come from the bus while they come without a gap, and from the log whenever they do not: at the start, after a
//! reconnect, when the bus dropped some. The log is also looked at once a second, so that a silent bus costs a second and
//! never an event. A core subscription sees publications that the stream refused too; they are never the next position.

use std::time::Duration;

use async_nats::{Client, Subscriber};
use domain::Shard;
use futures::{FutureExt, StreamExt};
use sqlx::PgPool;
use store::{Recorded, log};
use tokio::time::Instant;

use crate::{Error, subject};

/// The most events handed out at a time.
pub const MAX_BATCH: u32 = 1_000;
/// How long the log may take to answer.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// How often the log is looked at while the bus is silent.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A reader of a shard.
#[derive(Debug)]
pub struct Tail {
    client: Client,
    pool: PgPool,
    shard: Shard,
    after: u64,
    subscription: Subscriber,
    /// Whether the log may hold what the bus has not brought.
    behind: bool,
    /// How long events gather between two batches.
    gather: Duration,
    /// When the next batch may be handed out, if it has to wait.
    next_at: Option<Instant>,
}

impl Tail {
    /// Follows `shard` from the event after position `after`.
    ///
    /// # Errors
    /// When the bus cannot be listened to.
    pub async fn start(client: Client, pool: PgPool, shard: Shard, after: u64) -> Result<Self, Error> {
        let subscription = client.subscribe(subject::events(shard)).await.map_err(Error::from_any)?;
        Ok(Self { client, pool, shard, after, subscription, behind: true, gather: Duration::ZERO, next_at: None })
    }

    /// Hands a batch out no sooner than `gather` after the one before, unless that one was full.
    #[must_use]
    pub fn gathering(self, gather: Duration) -> Self {
        Self { gather, ..self }
    }

    /// The next events, at least one, as soon as there are some.
    ///
    /// # Errors
    /// When the log cannot be read; the same call may be made again.
    pub async fn next(&mut self) -> Result<Vec<Recorded>, Error> {
        if let Some(next_at) = self.next_at {
            tokio::time::sleep_until(next_at).await;
        }
        let batch = self.batch().await?;
        let waits = !self.gather.is_zero() && !self.behind && batch.len() < MAX_BATCH as usize;
        self.next_at = waits.then(|| Instant::now() + self.gather);
        Ok(batch)
    }

    async fn batch(&mut self) -> Result<Vec<Recorded>, Error> {
        loop {
            if self.behind {
                let page = self.read_log().await?;
                self.behind = page.full;
                if let Some(last) = page.last() {
                    self.after = last.pos;
                    return Ok(page.into());
                }
            }
            let mut news = Vec::new();
            match tokio::time::timeout(LOOK_EVERY, self.subscription.next()).await {
                Err(_silent) => self.behind = true,
                Ok(None) => self.resubscribe().await?,
                Ok(Some(message)) => self.take(&message, &mut news),
            }
            while !self.behind
                && news.len() < MAX_BATCH as usize
                && let Some(Some(message)) = self.subscription.next().now_or_never()
            {
                self.take(&message, &mut news);
            }
            if !news.is_empty() {
                return Ok(news);
            }
        }
    }

    /// A connection that died without a word must not hold the reader up for ever.
    async fn read_log(&self) -> Result<log::Page, Error> {
        let reading = log::read(&self.pool, self.shard, self.after, MAX_BATCH);
        tokio::time::timeout(READ_DEADLINE, reading).await.map_err(Error::from_any)?.map_err(Error::from_any)
    }

    fn take(&mut self, message: &async_nats::Message, news: &mut Vec<Recorded>) {
        match serde_json::from_slice::<Recorded>(&message.payload) {
            Ok(event) if event.pos == self.after + 1 => {
                self.after = event.pos;
                news.push(event);
            }
            Ok(event) if event.pos <= self.after => {}
            // A gap, or something that is no event: the log knows.
            _ => self.behind = true,
        }
    }

    async fn resubscribe(&mut self) -> Result<(), Error> {
        self.subscription = self.client.subscribe(subject::events(self.shard)).await.map_err(Error::from_any)?;
        self.behind = true;
        Ok(())
    }
}
