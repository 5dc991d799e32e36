//! States of aggregates kept to load them sooner. A snapshot is written from committed state only, read only when its
//! version is the code's, and never needed: whatever is wrong with one, the log is read instead.

use domain::Decide;
use sqlx::{PgPool, Row};

use crate::Error;
use crate::load::Loaded;
use crate::log::{signed, unsigned};

/// A snapshot is due when an aggregate has this many events more than its last one.
pub(crate) const EVERY: u64 = 256;

/// The newest usable snapshot.
pub(crate) async fn read<A: Decide>(pool: &PgPool, aggregate_id: &str) -> Result<Option<Loaded<A>>, Error> {
    let row = sqlx::query(
        "select sequence, state::text as state from snapshots
         where aggregate_type = $1 and aggregate_id = $2 and state_version = $3",
    )
    .bind(A::TYPE)
    .bind(aggregate_id)
    .bind(A::STATE_VERSION)
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (sequence, state): (i64, String) = (row.try_get("sequence")?, row.try_get("state")?);
    let (sequence, bytes) = (unsigned(sequence), state.len());
    Ok(serde_json::from_str(&state).ok().map(|state| Loaded { state, sequence, snapshot: sequence, bytes }))
}

/// Keeps `state` as the snapshot at `sequence`, unless a newer one is there.
pub(crate) async fn write<A: Decide>(pool: &PgPool, aggregate_id: &str, sequence: u64, state: &A) -> Result<(), Error> {
    let state = serde_json::to_string(state).map_err(|e| Error::Unencodable(e.to_string()))?;
    sqlx::query(
        "insert into snapshots (aggregate_type, aggregate_id, sequence, state_version, state)
         values ($1, $2, $3, $4, $5::jsonb)
         on conflict (aggregate_type, aggregate_id) do update
         set sequence = excluded.sequence, state_version = excluded.state_version, state = excluded.state
         where snapshots.sequence < excluded.sequence or snapshots.state_version <> excluded.state_version",
    )
    .bind(A::TYPE)
    .bind(aggregate_id)
    .bind(signed(sequence))
    .bind(A::STATE_VERSION)
    .bind(state)
    .execute(pool)
    .await?;
    Ok(())
}
