//! Every reply ends: the reaper of a shard keeps the table of open replies and acts on those that are overdue.
//!
//! It runs beside the shard's owner, follows the shard's events into `open_replies`, and asks for `ExpireAttempt` where
//! an attempt's lease has run out by database time. Waiting replies that no worker took are the workers' to find (see
//! `reply::pending`). The table may lag behind the log or be rebuilt from it: the aggregate's fence decides what counts.

use std::time::Duration;

use domain::conversation::{self, Command, Conversation, Part, Spent};
use domain::{Actor, Asked, Asker, CommandId, Shard};
use nats::ask::{Asking, Request};
use nats::live::{self, Kept, ReplyKey};
use nats::tail::Tail;
use sqlx::{PgPool, PgTransaction};
use store::{Recorded, codec, dead_letter, log};
use tokio_util::sync::CancellationToken;

use crate::open_replies::{self, OpenReply};
use crate::reply::continuation;
use crate::reply::spending::{self, Lost};
use crate::{ledger, metrics};

/// How often overdue attempts are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long events gather before the next batch is taken in: a batch costs Postgres about the same whatever it holds, and
/// leases are counted in seconds.
const GATHER: Duration = Duration::from_millis(20);
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How often retries that a person has asked for are looked for.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked for what is set aside for attempts that are over, which hardly ever happens.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How long the look for what an attempt was last seen to have said may hold its expiry up.
const LAST_SEEN_DEADLINE: Duration = Duration::from_secs(2);
/// How long an attempt that could not be expired is left alone.
const POSTPONED_FOR: Duration = Duration::from_secs(5);
/// How many events are read at a time.
const PAGE: u32 = 1_000;
/// The name of the reaper's checkpoint and of its dead letters.
const NAME: &str = "open_replies";

/// A shard's reaper.
#[derive(Clone, Debug)]
pub struct Reaper {
    /// Postgres, as a worker.
    pub pool: PgPool,
    /// NATS, inside CORE.
    pub client: nats::Client,
    /// How it asks for commands.
    pub asking: Asking,
    /// The shard.
    pub shard: Shard,
}

impl Reaper {
    /// Follows the shard and expires attempts until cancelled.
    pub async fn run(self, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.follow() => {}
            () = self.expire() => {}
            () = self.retry_parked() => {}
            () = self.sweep() => {}
        }
    }

    async fn follow(&self) {
        loop {
            if let Err(error) = self.follow_from_checkpoint().await {
                tracing::warn!(shard = self.shard, error, "the table of open replies starts over");
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn follow_from_checkpoint(&self) -> Result<(), String> {
        let after = store::checkpoint::read(&self.pool, NAME, self.shard).await.map_err(|e| e.to_string())?;
        let tail = Tail::start(self.client.clone(), self.pool.clone(), self.shard, after).await;
        let mut tail = tail.map_err(|e| e.to_string())?.gathering(GATHER);
        loop {
            let batch = tail.next().await.map_err(|e| e.to_string())?;
            self.take_in(&batch).await.map_err(|e| e.to_string())?;
        }
    }

    async fn take_in(&self, batch: &[Recorded]) -> Result<(), store::Error> {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(()) };
        let mut tx = store::begin(&self.pool).await?;
        // The row and the checkpoint are lost together if at all, and then taken in again.
        sqlx::query("set local synchronous_commit = off").execute(&mut *tx).await?;
        // A former owner that was frozen over a batch finds it taken in by the present one.
        let done = store::checkpoint::lock(&mut tx, NAME, self.shard).await?;
        // Postgres has lost what it had not flushed: begin again where the table stands.
        if first.pos > done + 1 {
            return Err(store::Error::Gap { checkpoint: done, begins: first.pos });
        }
        for event in batch.iter().filter(|event| event.pos > done) {
            take_in(&mut tx, event).await?;
        }
        store::checkpoint::advance(&mut tx, NAME, self.shard, last.pos).await?;
        tx.commit().await?;
        batch.iter().filter(|event| event.pos > done).for_each(metrics::heard);
        Ok(())
    }

    /// Takes conversations in anew whose parked events a person wants retried.
    async fn retry_parked(&self) {
        loop {
            tokio::time::sleep(RETRY_EVERY).await;
            if let Err(error) = self.retry_parked_once().await {
                tracing::warn!(shard = self.shard, %error, "parked events could not be retried");
            }
        }
    }

    async fn retry_parked_once(&self) -> Result<(), store::Error> {
        for parked in dead_letter::asked_for(&self.pool, NAME, self.shard).await? {
            let mut tx = store::begin(&self.pool).await?;
            let done = store::checkpoint::lock(&mut tx, NAME, self.shard).await?;
            dead_letter::remove(&mut *tx, NAME, parked.position).await?;
            if let Ok(conversation) = parked.aggregate_id.parse() {
                open_replies::forget(&mut tx, conversation).await?;
            }
            let mut after = 0;
            loop {
                let sequences = after + 1..=u64::MAX;
                let page =
                    log::read_stream(&mut *tx, conversation::TYPE, &parked.aggregate_id, sequences, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.sequence;
                for event in page.iter().filter(|event| event.pos <= done) {
                    take_in(&mut tx, event).await?;
                }
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Finds what is set aside for attempts that are over.
    async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            match ledger::sweep(&self.pool, NAME, self.shard).await {
                Ok(0) => {}
                Ok(swept) => {
                    tracing::info!(shard = self.shard, swept, "room was given back that no attempt needs");
                }
                Err(error) => tracing::warn!(shard = self.shard, %error, "what is set aside could not be looked at"),
            }
        }
    }

    async fn expire(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match open_replies::overdue(&self.pool, self.shard).await {
                Ok(overdue) => {
                    futures::future::join_all(overdue.into_iter().map(|attempt| self.expire_attempt(attempt))).await;
                }
                Err(error) => tracing::warn!(shard = self.shard, %error, "overdue attempts could not be looked for"),
            }
        }
    }

    async fn expire_attempt(&self, open: OpenReply) {
        let OpenReply { conversation, reply, attempt } = open;
        tracing::warn!(%conversation, %reply, attempt, "the worker of an attempt was not heard of in time");
        let Ok((parts, continuable, spent)) = self.came_to(open).await else { return self.postpone(open).await };
        let request = Request {
            command_id: CommandId(conversation.0).derive(&format!("{reply}:expire:{attempt}")).into(),
            id: conversation,
            expected_sequence: None,
            asked: Asked {
                asker: Asker { tenant: None, actor: Actor::Worker("reaper".to_owned()) },
                command: Command::ExpireAttempt { reply, attempt, parts, continuable, spent },
            },
        };
        if let Err(refusal) = self.asking.ask(&request).await {
            tracing::debug!(%reply, attempt, %refusal, "the attempt ended meanwhile, or will be tried again");
            self.postpone(open).await;
        }
    }

    async fn postpone(&self, open: OpenReply) {
        if let Err(error) = open_replies::postpone(&self.pool, open, POSTPONED_FOR).await {
            tracing::warn!(shard = self.shard, %error, "an attempt could not be postponed");
        }
    }

    /// What the attempt was last seen to have said, whether another can go on from that, and what it spent.
    ///
    /// # Errors
    /// When Postgres does not tell now what it spent.
    async fn came_to(&self, open: OpenReply) -> Result<(Vec<Part>, bool, Option<Spent>), store::Error> {
        let OpenReply { conversation, reply, attempt } = open;
        let (parts, only_text) = self.last_seen(ReplyKey { shard: self.shard, conversation, reply }, attempt).await;
        let Some(Lost { model, before, spent }) = self.lost(open, &parts).await? else {
            return Ok((parts, false, None));
        };
        let (parts, only_text) = match before {
            // It was lost before it could tell anyone what it went on from.
            Some(text) if parts.is_empty() => (vec![Part::Text { text }], true),
            _ => (parts, only_text),
        };
        let continuable = only_text && continuation::is_possible(&model, &parts);
        Ok((parts, continuable, Some(spent)))
    }

    /// What the attempt asked and spent. A log that cannot be read keeps no reply from going on; one that cannot be read now
    /// does, for a while.
    async fn lost(&self, open: OpenReply, seen: &[Part]) -> Result<Option<Lost>, store::Error> {
        let lost = tokio::time::timeout(LAST_SEEN_DEADLINE, spending::of_lost(&self.pool, open, seen)).await;
        match lost.unwrap_or(Err(store::Error::Silent)) {
            Err(error @ store::Error::Undecodable { .. }) => {
                tracing::warn!(reply = %open.reply, %error, "what a lost attempt spent cannot be told");
                Ok(None)
            }
            lost => lost,
        }
    }

    /// What the attempt was last seen to have said, and whether it had done nothing else. The text is kept in NATS and may be
    /// gone.
    async fn last_seen(&self, key: ReplyKey, attempt: u32) -> (Vec<Part>, bool) {
        let jetstream = nats::relay::jetstream(&self.client);
        let kept = tokio::time::timeout(LAST_SEEN_DEADLINE, live::kept(&jetstream, key)).await;
        match kept.unwrap_or(Ok(None)) {
            Ok(Some(Kept { whole, only_text })) if whole.attempt == attempt && !whole.text.is_empty() => {
                (vec![Part::Text { text: whole.text }], only_text)
            }
            _ => (Vec::new(), false),
        }
    }
}

async fn take_in(tx: &mut PgTransaction<'_>, recorded: &Recorded) -> Result<(), store::Error> {
    let Ok(conversation) = recorded.aggregate_id.parse() else { return Ok(()) };
    if recorded.aggregate_type != conversation::TYPE {
        return Ok(());
    }
    match codec::decode::<Conversation>(recorded) {
        Ok(event) => Ok(open_replies::take_in(tx, recorded, conversation, &event).await?),
        // Parked where a person sees it; the projections halt the conversation, and its replies wait or expire.
        Err(error) => dead_letter::park(&mut **tx, NAME, recorded, &error.to_string()).await,
    }
}
