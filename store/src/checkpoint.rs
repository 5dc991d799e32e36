//! How far a reader of the log has come, kept in the transaction that writes what it read.

use std::ops::RangeInclusive;

use domain::Shard;
use sqlx::{PgExecutor, PgTransaction};

use crate::Error;
use crate::log::{signed, unsigned};

/// The position up to which `reader` has taken in `shard`; 0 at the start.
///
/// # Errors
/// When Postgres does not answer.
pub async fn read(db: impl PgExecutor<'_>, reader: &str, shard: Shard) -> Result<u64, Error> {
    let pos: Option<i64> = sqlx::query_scalar("select pos from checkpoints where projection = $1 and shard = $2")
        .bind(reader)
        .bind(i32::from(shard))
        .fetch_optional(db)
        .await?;
    Ok(pos.map_or(0, unsigned))
}

/// Reads the checkpoint and keeps every other process from moving it until the transaction ends.
///
/// # Errors
/// When Postgres does not answer.
pub async fn lock(tx: &mut PgTransaction<'_>, reader: &str, shard: Shard) -> Result<u64, Error> {
    let pos: i64 = sqlx::query_scalar(
        "insert into checkpoints as c (projection, shard) values ($1, $2)
         on conflict (projection, shard) do update set pos = c.pos returning pos",
    )
    .bind(reader)
    .bind(i32::from(shard))
    .fetch_one(&mut **tx)
    .await?;
    Ok(unsigned(pos))
}

/// Moves the checkpoint over positions at which there was nothing to take in. One statement, and nothing is flushed: what is
/// lost is passed over again. False when the checkpoint is not there yet, and has not moved.
///
/// # Errors
/// When Postgres does not answer.
pub async fn pass(
    db: impl PgExecutor<'_>,
    reader: &str,
    shard: Shard,
    positions: RangeInclusive<u64>,
) -> Result<bool, Error> {
    let there = sqlx::query(
        "with unflushed as (select set_config('synchronous_commit', 'off', true))
         update checkpoints set pos = greatest(pos, $4) from unflushed
         where projection = $1 and shard = $2 and pos >= $3 - 1",
    )
    .bind(reader)
    .bind(i32::from(shard))
    .bind(signed(*positions.start()))
    .bind(signed(*positions.end()))
    .execute(db)
    .await?;
    Ok(there.rows_affected() > 0)
}

/// Moves the checkpoint forward; never back.
///
/// # Errors
/// When Postgres does not answer.
pub async fn advance(tx: &mut PgTransaction<'_>, reader: &str, shard: Shard, pos: u64) -> Result<(), Error> {
    sqlx::query(
        "insert into checkpoints as c (projection, shard, pos) values ($1, $2, $3)
         on conflict (projection, shard) do update set pos = greatest(c.pos, excluded.pos)",
    )
    .bind(reader)
    .bind(i32::from(shard))
    .bind(signed(pos))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
