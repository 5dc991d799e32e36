//! Every reply ends: the reaper of a shard keeps the table of open replies and acts on those that are overdue.
//!
//! It runs beside the shard's owner, follows the shard's events into `open_replies`, and asks for `ExpireAttempt` where
//! an attempt's lease has run out by database time. Waiting replies that no worker took are the workers' to find (see
//! `reply::pending`). The table may lag behind the log or be rebuilt from it: the aggregate's fence decides what counts.

use std::time::Duration;

use domain::conversation::{self, Command, Conversation, Event, Part};
use domain::{Actor, Asked, Asker, CommandId, ConversationId, MessageId, Shard};
use nats::ask::{Asking, Request};
use nats::live::{self, ReplyKey};
use nats::tail::Tail;
use sqlx::{PgPool, PgTransaction, Row};
use store::{Recorded, codec};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often overdue attempts are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long a waiting reply is left to the bus's wake-up before workers look for it themselves.
const PENDING_GRACE: Duration = Duration::from_secs(2);
/// How long a reply waits after its first failed attempt; doubled for each further one.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// The most overdue attempts handled at a time.
const MAX_OVERDUE: i64 = 100;
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
        let mut tail = Tail::start(self.client.clone(), self.pool.clone(), self.shard, after)
            .await
            .map_err(|e| e.to_string())?;
        loop {
            let batch = tail.next().await.map_err(|e| e.to_string())?;
            self.take_in(&batch).await.map_err(|e| e.to_string())?;
        }
    }

    async fn take_in(&self, batch: &[Recorded]) -> Result<(), store::Error> {
        let Some(last) = batch.last() else { return Ok(()) };
        let mut tx = self.pool.begin().await?;
        // The row and the checkpoint are lost together if at all, and then taken in again.
        sqlx::query("set local synchronous_commit = off").execute(&mut *tx).await?;
        // A former owner that was frozen over a batch finds it taken in by the present one.
        let done = store::checkpoint::lock(&mut tx, NAME, self.shard).await?;
        for event in batch.iter().filter(|event| event.pos > done) {
            take_in(&mut tx, event).await?;
        }
        store::checkpoint::advance(&mut tx, NAME, self.shard, last.pos).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn expire(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.overdue().await {
                Ok(overdue) => {
                    futures::future::join_all(overdue.into_iter().map(|attempt| self.expire_attempt(attempt))).await;
                }
                Err(error) => tracing::warn!(shard = self.shard, %error, "overdue attempts could not be looked for"),
            }
        }
    }

    async fn overdue(&self) -> Result<Vec<Attempt>, sqlx::Error> {
        let rows = sqlx::query(
            "select reply, conversation, attempt from open_replies
             where shard = $1 and state <> 'pending' and expires_at < now() order by expires_at limit $2",
        )
        .bind(i32::from(self.shard))
        .bind(MAX_OVERDUE)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(Attempt::from_row).collect()
    }

    async fn expire_attempt(&self, attempt: Attempt) {
        let Attempt { reply, conversation, attempt } = attempt;
        tracing::warn!(%conversation, %reply, attempt, "the worker of an attempt was not heard of in time");
        let key = ReplyKey { shard: self.shard, conversation, reply };
        let request = Request {
            command_id: CommandId(conversation.0).derive(&format!("{reply}:expire:{attempt}")).into(),
            conversation,
            expected_sequence: None,
            asked: Asked {
                asker: Asker { tenant: None, actor: Actor::Worker("reaper".to_owned()) },
                command: Command::ExpireAttempt { reply, attempt, parts: self.last_seen(key, attempt).await },
            },
        };
        if let Err(refusal) = self.asking.ask(&request).await {
            tracing::debug!(%reply, attempt, %refusal, "the attempt ended meanwhile, or will be tried again");
        }
    }

    /// What the attempt was last seen to have said. The text is kept in NATS and may be gone.
    async fn last_seen(&self, key: ReplyKey, attempt: u32) -> Vec<Part> {
        match live::kept(&nats::relay::jetstream(&self.client), key).await {
            Ok(Some(kept)) if kept.attempt == attempt && !kept.text.is_empty() => vec![Part::Text { text: kept.text }],
            _ => Vec::new(),
        }
    }
}

/// An attempt that has a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) reply: MessageId,
    pub(crate) conversation: ConversationId,
    pub(crate) attempt: u32,
}

impl Attempt {
    pub(crate) fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        let attempt: i32 = row.try_get("attempt")?;
        Ok(Self {
            reply: MessageId(row.try_get("reply")?),
            conversation: ConversationId(row.try_get("conversation")?),
            attempt: u32::try_from(attempt).unwrap_or(0),
        })
    }
}

/// Renews the lease of a running attempt; says whether it still runs and whether it shall stop. None when the table
/// knows no such attempt: not yet, or no longer.
pub(crate) async fn renew(
    pool: &PgPool,
    conversation: ConversationId,
    reply: MessageId,
    attempt: u32,
    lease: Duration,
) -> Result<Option<Renewed>, sqlx::Error> {
    let row = sqlx::query(
        "with current as (select attempt, state from open_replies where conversation = $4 and reply = $1),
         renewed as (
             update open_replies set expires_at = now() + make_interval(secs => $3)
             where conversation = $4 and reply = $1 and attempt = $2
         )
         select attempt, state from current",
    )
    .bind(reply.0)
    .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
    .bind(lease.as_secs_f64())
    .bind(conversation.0)
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (current, state): (i32, String) = (row.try_get("attempt")?, row.try_get("state")?);
    Ok(match u32::try_from(current) {
        Ok(current) if current == attempt && state == "running" => Some(Renewed::Running),
        Ok(current) if current == attempt && state == "stopping" => Some(Renewed::Stopping),
        Ok(current) if current > attempt => Some(Renewed::Superseded),
        _ => None,
    })
}

/// How an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// It runs.
    Running,
    /// It shall stop.
    Stopping,
    /// A later attempt has begun.
    Superseded,
}

async fn take_in(tx: &mut PgTransaction<'_>, recorded: &Recorded) -> Result<(), store::Error> {
    if recorded.aggregate_type != conversation::TYPE {
        return Ok(());
    }
    match codec::decode::<Conversation>(recorded) {
        Ok(event) => Ok(take_in_event(tx, recorded, &event).await?),
        // Parked where a person sees it; the projections halt the conversation, and its replies wait or expire.
        Err(error) => store::dead_letter::park(&mut **tx, NAME, recorded, &error.to_string()).await,
    }
}

async fn take_in_event(tx: &mut PgTransaction<'_>, recorded: &Recorded, event: &Event) -> Result<(), sqlx::Error> {
    let Ok(conversation) = recorded.aggregate_id.parse::<Uuid>() else { return Ok(()) };
    let set = |reply: &MessageId, state: &'static str, expires_in: Duration| {
        sqlx::query(
            "update open_replies set state = $2, expires_at = now() + make_interval(secs => $3)
             where conversation = $4 and reply = $1",
        )
        .bind(reply.0)
        .bind(state)
        .bind(expires_in.as_secs_f64())
        .bind(conversation)
    };
    match event {
        Event::ReplyRequested { reply, .. } => {
            sqlx::query(
                "insert into open_replies (reply, shard, conversation, pos, attempt, state, expires_at)
                 values ($1, $2, $3, $4, 0, 'pending', now() + make_interval(secs => $5)) on conflict do nothing",
            )
            .bind(reply.0)
            .bind(i32::from(recorded.shard))
            .bind(conversation)
            .bind(store::log::signed(recorded.pos))
            .bind(PENDING_GRACE.as_secs_f64())
            .execute(&mut **tx)
            .await?;
        }
        Event::ReplyAttemptStarted { reply, attempt, lease_ms, .. } => {
            sqlx::query("update open_replies set attempt = $2 where conversation = $3 and reply = $1")
                .bind(reply.0)
                .bind(i32::try_from(*attempt).unwrap_or(i32::MAX))
                .bind(conversation)
                .execute(&mut **tx)
                .await?;
            set(reply, "running", Duration::from_millis(*lease_ms)).execute(&mut **tx).await?;
        }
        Event::ReplyAttemptFailed { reply, attempt, .. } => {
            let pause = FAILED_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(6));
            set(reply, "pending", pause).execute(&mut **tx).await?;
        }
        Event::ReplyAttemptExpired { reply, .. } => {
            set(reply, "pending", Duration::ZERO).execute(&mut **tx).await?;
        }
        Event::ReplyStopRequested { reply } => {
            sqlx::query("update open_replies set state = 'stopping' where conversation = $2 and reply = $1")
                .bind(reply.0)
                .bind(conversation)
                .execute(&mut **tx)
                .await?;
        }
        Event::ReplyCompleted { reply, .. } | Event::ReplyStopped { reply, .. } | Event::ReplyFailed { reply, .. } => {
            sqlx::query("delete from open_replies where conversation = $2 and reply = $1")
                .bind(reply.0)
                .bind(conversation)
                .execute(&mut **tx)
                .await?;
        }
        _ => {}
    }
    Ok(())
}
