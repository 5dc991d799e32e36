//! Events that a consumer could not take in: kept where a person sees them, retried when a person says so.

use chrono::{DateTime, Utc};
use domain::Shard;
use sqlx::{PgExecutor, PgPool, Row};

use crate::log::{Position, signed, unsigned};
use crate::{Error, Recorded};

/// A parked event.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The consumer that could not take it in: a worker role or a projection.
    pub consumer: String,
    /// Where it is in the log.
    pub position: Position,
    /// The aggregate's type.
    pub aggregate_type: String,
    /// The aggregate.
    pub aggregate_id: String,
    /// The event's sequence there.
    pub sequence: u64,
    /// The event's type.
    pub event_type: String,
    /// Why it was parked.
    pub error: String,
    /// When it was parked.
    pub parked_at: DateTime<Utc>,
    /// When a person asked for a retry, if one is waiting.
    pub retry_at: Option<DateTime<Utc>>,
}

/// Parks an event; parked already, it stays parked, with the newer error.
///
/// # Errors
/// When Postgres does not answer.
pub async fn park(db: impl PgExecutor<'_>, consumer: &str, event: &Recorded, error: &str) -> Result<(), Error> {
    sqlx::query(
        "insert into dead_letters
             (consumer, aggregate_type, aggregate_id, shard, pos, sequence, event_type, error)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (consumer, shard, pos) do update set error = excluded.error, retry_at = null",
    )
    .bind(consumer)
    .bind(&event.aggregate_type)
    .bind(&event.aggregate_id)
    .bind(i32::from(event.shard))
    .bind(signed(event.pos))
    .bind(signed(event.sequence))
    .bind(&event.event_type)
    .bind(error)
    .execute(db)
    .await?;
    Ok(())
}

/// Every parked event, oldest first.
///
/// # Errors
/// When Postgres does not answer.
pub async fn list(pool: &PgPool) -> Result<Vec<DeadLetter>, Error> {
    let rows = sqlx::query("select * from dead_letters order by parked_at limit 1000").fetch_all(pool).await?;
    rows.iter().map(dead_letter).collect()
}

/// Asks the consumer to take the event in again; says whether it was parked.
///
/// # Errors
/// When Postgres does not answer.
pub async fn ask_retry(pool: &PgPool, consumer: &str, position: Position) -> Result<bool, Error> {
    let asked = sqlx::query("update dead_letters set retry_at = now() where consumer = $1 and shard = $2 and pos = $3")
        .bind(consumer)
        .bind(i32::from(position.shard))
        .bind(signed(position.pos))
        .execute(pool)
        .await?;
    Ok(asked.rows_affected() > 0)
}

/// Those of a consumer's parked events in a shard that a person wants retried.
///
/// # Errors
/// When Postgres does not answer.
pub async fn asked_for(db: impl PgExecutor<'_>, consumer: &str, shard: Shard) -> Result<Vec<DeadLetter>, Error> {
    let rows = sqlx::query(
        "select * from dead_letters where consumer = $1 and shard = $2 and retry_at is not null order by pos limit 100",
    )
    .bind(consumer)
    .bind(i32::from(shard))
    .fetch_all(db)
    .await?;
    rows.iter().map(dead_letter).collect()
}

/// Takes up the retries that were asked of a consumer: each is given to one caller, and stays parked until
/// [`remove`] says that it went well.
///
/// # Errors
/// When Postgres does not answer.
pub async fn take_up(pool: &PgPool, consumer: &str) -> Result<Vec<DeadLetter>, Error> {
    let rows =
        sqlx::query("update dead_letters set retry_at = null where consumer = $1 and retry_at is not null returning *")
            .bind(consumer)
            .fetch_all(pool)
            .await?;
    rows.iter().map(dead_letter).collect()
}

/// Forgets a parked event: it was taken in.
///
/// # Errors
/// When Postgres does not answer.
pub async fn remove(db: impl PgExecutor<'_>, consumer: &str, position: Position) -> Result<(), Error> {
    sqlx::query("delete from dead_letters where consumer = $1 and shard = $2 and pos = $3")
        .bind(consumer)
        .bind(i32::from(position.shard))
        .bind(signed(position.pos))
        .execute(db)
        .await?;
    Ok(())
}

fn dead_letter(row: &sqlx::postgres::PgRow) -> Result<DeadLetter, Error> {
    let shard: i32 = row.try_get("shard")?;
    Ok(DeadLetter {
        consumer: row.try_get("consumer")?,
        position: Position { shard: Shard::try_from(shard).unwrap_or(Shard::MAX), pos: unsigned(row.try_get("pos")?) },
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: unsigned(row.try_get("sequence")?),
        event_type: row.try_get("event_type")?,
        error: row.try_get("error")?,
        parked_at: row.try_get("parked_at")?,
        retry_at: row.try_get("retry_at")?,
    })
}
