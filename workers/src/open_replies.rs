//! The table of replies that have not ended. The reaper of each shard keeps it from the shard's events, and what they spent
//! with it; workers renew their leases in it and find waiting replies there. It may lag behind the log: the aggregate's fence decides what counts.

use std::time::Duration;

use domain::conversation::{Event, Spent};
use domain::{AccountId, ConversationId, MessageId, Shard};
use sqlx::{PgPool, PgTransaction, Row};
use store::{Position, Recorded};
use uuid::Uuid;

use crate::ledger;
use crate::reply::Person;

/// How long a waiting reply is left to the bus's wake-up before workers look for it themselves.
const PENDING_GRACE: Duration = Duration::from_secs(2);
/// How long a reply waits after its first failed attempt; doubled for each further one.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// How long a worker that shall stop has to say what it had; its lease is not renewed any more.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// The most overdue attempts read at a time.
const MAX_OVERDUE: i64 = 100;

/// A reply that has not ended, and the last attempt begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenReply {
    pub(crate) conversation: ConversationId,
    pub(crate) reply: MessageId,
    pub(crate) attempt: u32,
}

/// How an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It runs.
    Running,
    /// It shall stop.
    Stopping,
    /// It no longer counts.
    Superseded,
    /// The table does not know of it: not yet, or no longer.
    Unknown,
}

/// Takes an event in.
pub(crate) async fn take_in(
    tx: &mut PgTransaction<'_>,
    recorded: &Recorded,
    conversation: ConversationId,
    event: &Event,
) -> Result<(), sqlx::Error> {
    if let Some((reply, attempt, spent)) = ended(event) {
        let ended = OpenReply { conversation, reply, attempt };
        ledger::settle(tx, ended, recorded.recorded_at, spent).await?;
    }
    match event {
        Event::ReplyRequested { reply, .. } => open(tx, recorded, conversation, *reply).await,
        Event::ReplyAttemptStarted { reply, attempt, lease_ms, .. } => {
            let lease = Duration::from_millis(*lease_ms);
            set(tx, (conversation, *reply), "running", Some(*attempt), Some(lease)).await
        }
        Event::ReplyAttemptFailed { reply, attempt, switch, retry_after_ms, .. } => {
            let pause = pause(*attempt, *switch, *retry_after_ms);
            set(tx, (conversation, *reply), "pending", None, Some(pause)).await
        }
        Event::ReplyAttemptExpired { reply, .. } => {
            set(tx, (conversation, *reply), "pending", None, Some(Duration::ZERO)).await
        }
        Event::ReplyStopRequested { reply } => {
            set(tx, (conversation, *reply), "stopping", None, Some(STOP_GRACE)).await
        }
        Event::ReplyCompleted { reply, .. } | Event::ReplyStopped { reply, .. } | Event::ReplyFailed { reply, .. } => {
            close(tx, conversation, *reply).await
        }
        _ => Ok(()),
    }
}

/// The attempt that an event ends, and what it spent.
fn ended(event: &Event) -> Option<(MessageId, u32, Option<&Spent>)> {
    match event {
        Event::ReplyAttemptFailed { reply, attempt, spent, .. }
        | Event::ReplyAttemptExpired { reply, attempt, spent, .. }
        | Event::ReplyCompleted { reply, attempt, spent, .. }
        | Event::ReplyStopped { reply, attempt, spent, .. }
        | Event::ReplyFailed { reply, attempt, spent, .. } => Some((*reply, *attempt, spent.as_ref())),
        _ => None,
    }
}

/// How long a reply waits after a failed attempt before anyone may take it.
fn pause(attempt: u32, switch: bool, retry_after_ms: Option<u64>) -> Duration {
    if switch {
        // The worker that failed goes on at once; should it be lost, others do.
        return PENDING_GRACE;
    }
    let usual = FAILED_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(6));
    retry_after_ms.map_or(usual, |wait| usual.max(Duration::from_millis(wait)))
}

async fn open(
    tx: &mut PgTransaction<'_>,
    recorded: &Recorded,
    conversation: ConversationId,
    reply: MessageId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into open_replies (conversation, reply, shard, pos, attempt, state, expires_at, account)
         values ($1, $2, $3, $4, 0, 'pending', now() + make_interval(secs => $5), $6) on conflict do nothing",
    )
    .bind(conversation.0)
    .bind(reply.0)
    .bind(i32::from(recorded.shard))
    .bind(store::log::signed(recorded.pos))
    .bind(PENDING_GRACE.as_secs_f64())
    .bind(Person::who_asked_for(recorded).map(|person| person.account().0))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Sets the state, and what else is given.
async fn set(
    tx: &mut PgTransaction<'_>,
    (conversation, reply): (ConversationId, MessageId),
    state: &str,
    attempt: Option<u32>,
    expires_in: Option<Duration>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update open_replies set state = $3, attempt = coalesce($4, attempt),
             expires_at = coalesce(now() + make_interval(secs => $5), expires_at)
         where conversation = $1 and reply = $2",
    )
    .bind(conversation.0)
    .bind(reply.0)
    .bind(state)
    .bind(attempt.map(column))
    .bind(expires_in.map(|duration| duration.as_secs_f64()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn close(tx: &mut PgTransaction<'_>, conversation: ConversationId, reply: MessageId) -> Result<(), sqlx::Error> {
    sqlx::query("delete from open_replies where conversation = $1 and reply = $2")
        .bind(conversation.0)
        .bind(reply.0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Removes a conversation's replies and what they spent, to be taken in anew.
pub(crate) async fn forget(tx: &mut PgTransaction<'_>, conversation: ConversationId) -> Result<(), sqlx::Error> {
    ledger::forget(tx, conversation).await?;
    sqlx::query("delete from open_replies where conversation = $1").bind(conversation.0).execute(&mut **tx).await?;
    Ok(())
}

/// The attempts of a shard whose workers were not heard of in time.
pub(crate) async fn overdue(pool: &PgPool, shard: Shard) -> Result<Vec<OpenReply>, sqlx::Error> {
    let rows = sqlx::query(
        "select conversation, reply, attempt from open_replies
         where shard = $1 and state <> 'pending' and expires_at < now() order by expires_at limit $2",
    )
    .bind(i32::from(shard))
    .bind(MAX_OVERDUE)
    .fetch_all(pool)
    .await?;
    rows.iter().map(OpenReply::from_row).collect()
}

/// Waiting replies that no wake-up has brought to anyone, at most `most`, and none of these accounts; nobody else finds them for a
/// while.
pub(crate) async fn find_waiting(
    pool: &PgPool,
    most: usize,
    but_of: &[AccountId],
    found_for: Duration,
) -> Result<Vec<OpenReply>, sqlx::Error> {
    let rows = sqlx::query(
        "update open_replies set expires_at = now() + make_interval(secs => $1)
         where (conversation, reply) in (
             select conversation, reply from open_replies where state = 'pending' and expires_at < now()
             and (account is null or account <> all($3)) order by expires_at limit $2 for update skip locked
         )
         returning conversation, reply, attempt",
    )
    .bind(found_for.as_secs_f64())
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .bind(but_of.iter().map(|account| account.0).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    rows.iter().map(OpenReply::from_row).collect()
}

/// Where in the log a reply was requested, if it is open.
pub(crate) async fn requested_at(pool: &PgPool, found: OpenReply) -> Result<Option<Position>, sqlx::Error> {
    let row: Option<(i32, i64)> =
        sqlx::query_as("select shard, pos from open_replies where conversation = $1 and reply = $2")
            .bind(found.conversation.0)
            .bind(found.reply.0)
            .fetch_optional(pool)
            .await?;
    let position =
        |(shard, pos)| Some(Position { shard: Shard::try_from(shard).ok()?, pos: store::log::unsigned(pos) });
    Ok(row.and_then(position))
}

/// Leaves an attempt that could not be expired alone for a while.
pub(crate) async fn postpone(pool: &PgPool, open: OpenReply, pause: Duration) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update open_replies set expires_at = now() + make_interval(secs => $3)
         where conversation = $1 and reply = $2 and expires_at < now()",
    )
    .bind(open.conversation.0)
    .bind(open.reply.0)
    .bind(pause.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// Renews an attempt's lease and tells how it stands.
pub(crate) async fn renew(
    pool: &PgPool,
    OpenReply { conversation, reply, attempt }: OpenReply,
    lease: Duration,
) -> Result<Standing, sqlx::Error> {
    let row = sqlx::query(
        "with renewed as (
             update open_replies set expires_at = now() + make_interval(secs => $4)
             where conversation = $1 and reply = $2 and attempt = $3 and state = 'running'
         )
         select attempt, state from open_replies where conversation = $1 and reply = $2",
    )
    .bind(conversation.0)
    .bind(reply.0)
    .bind(column(attempt))
    .bind(lease.as_secs_f64())
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(Standing::Unknown) };
    let (current, state): (i32, String) = (row.try_get("attempt")?, row.try_get("state")?);
    Ok(match (current.cmp(&column(attempt)), state.as_str()) {
        (std::cmp::Ordering::Less, _) => Standing::Unknown,
        (std::cmp::Ordering::Equal, "running") => Standing::Running,
        (std::cmp::Ordering::Equal, "stopping") => Standing::Stopping,
        // A later one has begun, or this one has failed or expired.
        _ => Standing::Superseded,
    })
}

impl OpenReply {
    fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        let attempt: i32 = row.try_get("attempt")?;
        Ok(Self {
            conversation: ConversationId(row.try_get::<Uuid, _>("conversation")?),
            reply: MessageId(row.try_get("reply")?),
            attempt: u32::try_from(attempt).unwrap_or(0),
        })
    }
}

/// An attempt's number as Postgres holds it.
pub(crate) fn column(attempt: u32) -> i32 {
    i32::try_from(attempt).unwrap_or(i32::MAX)
}
