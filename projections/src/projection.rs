//! What a projection is, and how one takes a batch in.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{Ask, Shard, Tenant, UserId};
use nats::signal::ListChange;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{PgPool, PgTransaction};
use store::{Recorded, checkpoint, codec, dead_letter};

/// An event of the aggregate that a `C` is asked of, as projections take it in.
#[derive(Clone, Debug)]
pub(crate) struct Happened<'a, C: Ask> {
    pub(crate) id: C::Id,
    pub(crate) sequence: u64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) event: C::Event,
    /// As the log has it, with what is seldom asked for.
    pub(crate) recorded: &'a Recorded,
}

/// News for a person's clients.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) tenant: Tenant,
    pub(crate) user: UserId,
    pub(crate) change: ListChange,
}

/// A read model; the value is the rows that one batch touches. Statements name tables without their schema: the
/// transaction's search path says whether the live view is meant or one being rebuilt.
pub(crate) trait Projection: Sized + Send {
    /// Its name: its schema, its checkpoints', and its name among the dead letters.
    const NAME: &'static str;
    /// What is asked of the aggregates that it is about.
    type Of: Ask;
    /// Its tables.
    const TABLES: &'static [&'static str];
    /// Types of events that change nothing in it: they are not even read.
    const PASSED_OVER: &'static [&'static str] = &[];

    /// The rows that the events touch, as they stand.
    fn load(
        tx: &mut PgTransaction<'_>,
        batch: &[Happened<'_, Self::Of>],
    ) -> impl Future<Output = Result<Self, sqlx::Error>> + Send;

    /// Folds an event over them.
    fn apply(&mut self, happened: &Happened<'_, Self::Of>);

    /// Writes them back, and tells what is news to whom.
    fn save(self, tx: &mut PgTransaction<'_>) -> impl Future<Output = Result<Vec<News>, sqlx::Error>> + Send;

    /// Removes an aggregate's rows.
    fn clear(
        tx: &mut PgTransaction<'_>,
        id: <Self::Of as Ask>::Id,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// Begins a transaction upon the view in `schema`.
pub(crate) async fn begin(pool: &PgPool, schema: &str) -> Result<PgTransaction<'static>, sqlx::Error> {
    let mut tx = store::begin(pool).await?;
    // Rows and checkpoint are lost together if at all, and then taken in again: no flush is needed.
    sqlx::query("select set_config('synchronous_commit', 'off', true), set_config('search_path', $1, true)")
        .bind(search_path(schema))
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// Lets the transaction's statements mean the tables of `schema`.
pub(crate) async fn search(tx: &mut PgTransaction<'_>, schema: &str) -> Result<(), sqlx::Error> {
    let path = search_path(schema);
    sqlx::query("select set_config('search_path', $1, true)").bind(path).execute(&mut **tx).await?;
    Ok(())
}

/// Whether an event is one that the view takes in.
pub(crate) fn concerns<P: Projection>(recorded: &Recorded) -> bool {
    recorded.aggregate_type == P::Of::TYPE && !P::PASSED_OVER.contains(&recorded.event_type.as_str())
}

/// Passes over a batch that does not concern the view, which costs one statement in place of a transaction. False when it
/// is to be taken in: it concerns the view, or the checkpoint is elsewhere.
pub(crate) async fn pass_over<P: Projection>(
    pool: &PgPool,
    shard: Shard,
    batch: &[Recorded],
) -> Result<bool, store::Error> {
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(true) };
    Ok(!batch.iter().any(concerns::<P>) && checkpoint::pass(pool, P::NAME, shard, first.pos..=last.pos).await?)
}

fn search_path(schema: &str) -> String {
    format!("{schema}, public")
}

/// Takes a batch of a shard into the view called `name`, from its checkpoint on; the caller commits.
///
/// An aggregate with an event that cannot be read is halted: the event is parked, and nothing more of the aggregate is
/// taken in until a person has it retried. The others go on.
pub(crate) async fn take_in<P: Projection>(
    tx: &mut PgTransaction<'_>,
    name: &str,
    shard: Shard,
    batch: &[Recorded],
) -> Result<Vec<News>, store::Error> {
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(Vec::new()) };
    let done = checkpoint::lock(tx, name, shard).await?;
    if first.pos > done + 1 {
        return Err(store::Error::Gap { checkpoint: done, begins: first.pos });
    }
    let mut halted = halted(tx, name, shard).await?;
    let mut happened = Vec::with_capacity(batch.len());
    for recorded in batch.iter().filter(|recorded| recorded.pos > done) {
        if !concerns::<P>(recorded) || halted.contains(&recorded.aggregate_id) {
            continue;
        }
        match read::<P::Of>(recorded) {
            Ok(event) => happened.push(event),
            Err(reason) => {
                tracing::error!(projection = name, position = %recorded.position(), reason, "an aggregate is halted");
                dead_letter::park(&mut **tx, name, recorded, &reason).await?;
                halted.insert(recorded.aggregate_id.clone());
            }
        }
    }
    let news = if happened.is_empty() { Vec::new() } else { fold::<P>(tx, &happened).await? };
    checkpoint::advance(tx, name, shard, last.pos).await?;
    Ok(news)
}

/// Folds events over the rows that they touch.
pub(crate) async fn fold<P: Projection>(
    tx: &mut PgTransaction<'_>,
    happened: &[Happened<'_, P::Of>],
) -> Result<Vec<News>, sqlx::Error> {
    let mut rows = P::load(tx, happened).await?;
    for event in happened {
        rows.apply(event);
    }
    rows.save(tx).await
}

/// The event; else why it is none.
pub(crate) fn read<C: Ask>(recorded: &Recorded) -> Result<Happened<'_, C>, String> {
    let id = recorded.aggregate_id.parse().map_err(|_| "the aggregate's id is no uuid".to_owned())?;
    let event = codec::decode::<C::Aggregate>(recorded).map_err(|error| error.to_string())?;
    Ok(Happened { id, sequence: recorded.sequence, at: recorded.recorded_at, event, recorded })
}

async fn halted(tx: &mut PgTransaction<'_>, name: &str, shard: Shard) -> Result<HashSet<String>, sqlx::Error> {
    let ids: Vec<String> =
        sqlx::query_scalar("select distinct aggregate_id from dead_letters where consumer = $1 and shard = $2")
            .bind(name)
            .bind(i32::from(shard))
            .fetch_all(&mut **tx)
            .await?;
    Ok(ids.into_iter().collect())
}

/// A row from the JSON that Postgres makes of it. Why it is none goes into logs, which hold nothing that anyone said.
pub(crate) fn from_json<T: DeserializeOwned>(row: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(row).map_err(|error| sqlx::Error::Decode(codec::reason(&error).into()))
}

/// Rows as the JSON that Postgres makes them of.
pub(crate) fn to_json<T: Serialize>(rows: &[T]) -> Result<String, sqlx::Error> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::from_json;

    #[test]
    fn why_a_row_does_not_read_quotes_nothing_of_it() {
        let error = from_json::<u32>(r#""a secret""#).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
