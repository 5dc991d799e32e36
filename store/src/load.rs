//! An aggregate's state from the log.

use std::collections::HashSet;

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use domain::Decide;
use postgres_es::PostgresEventRepository;
use sqlx::{PgExecutor, PgPool};

use crate::{Error, log, snapshot};

/// How many events are read at a time behind a snapshot.
const PAGE: u32 = 1_000;

/// An aggregate's state, and the sequence that it stands at.
#[derive(Clone, Debug)]
pub(crate) struct Loaded<A> {
    pub(crate) state: A,
    pub(crate) sequence: u64,
    /// The sequence of the snapshot that it was loaded from, 0 without one.
    pub(crate) snapshot: u64,
    /// The bytes of what it was loaded from, which its state does not much exceed.
    pub(crate) bytes: usize,
}

/// An aggregate of which nothing happened yet.
impl<A: Default> Default for Loaded<A> {
    fn default() -> Self {
        Self { state: A::default(), sequence: 0, snapshot: 0, bytes: 0 }
    }
}

/// Those of the aggregates of which the log holds an event: one look for all, since most that are not in memory are new.
pub(crate) async fn begun<A: Decide>(db: impl PgExecutor<'_>, ids: &[String]) -> Result<HashSet<String>, Error> {
    let begun: Vec<String> = sqlx::query_scalar(
        // With a limit and the index's order, so that it is looked up id by id: as a plain `exists` it was planned on an empty
        // table as a join that reads the whole table, and stayed so while the table grew.
        "select asked.id from unnest($2::text[]) as asked(id) cross join lateral (
             select e.sequence from events e where e.aggregate_type = $1 and e.aggregate_id = asked.id
             order by e.aggregate_type, e.aggregate_id, e.sequence limit 1) first",
    )
    .bind(A::TYPE)
    .bind(ids)
    .fetch_all(db)
    .await?;
    Ok(begun.into_iter().collect())
}

/// Loads an aggregate: from its snapshot and the events behind it, else, through postgres-es, from all its events.
pub(crate) async fn load<A: Decide>(pool: &PgPool, aggregate_id: &str) -> Result<Loaded<A>, Error> {
    match snapshot::read::<A>(pool, aggregate_id).await? {
        Some(loaded) => behind_snapshot(pool, aggregate_id, loaded).await,
        None => from_start(pool, aggregate_id).await,
    }
}

async fn from_start<A: Decide>(pool: &PgPool, aggregate_id: &str) -> Result<Loaded<A>, Error> {
    let repository = PostgresEventRepository::new(pool.clone());
    let events = repository
        .get_events::<A>(aggregate_id)
        .await
        .map_err(|e| sqlx::Error::Protocol(format!("postgres-es: {e}")))?;
    let mut loaded = Loaded::<A>::default();
    for event in events {
        loaded.sequence = event.sequence as u64;
        loaded.bytes += event.payload.to_string().len();
        loaded.state.apply(decode::<A>(event)?);
    }
    Ok(loaded)
}

async fn behind_snapshot<A: Decide>(
    pool: &PgPool,
    aggregate_id: &str,
    mut loaded: Loaded<A>,
) -> Result<Loaded<A>, Error> {
    loop {
        // postgres-es writes the sequence into the statement's text here, a statement to prepare for each; ours binds it.
        let rest = log::read_stream(pool, A::TYPE, aggregate_id, loaded.sequence + 1..=u64::MAX, PAGE).await?;
        for recorded in &rest {
            loaded.sequence = recorded.sequence;
            loaded.bytes += recorded.payload.get().len();
            loaded.state.apply(crate::codec::decode::<A>(recorded)?);
        }
        if !rest.full {
            return Ok(loaded);
        }
    }
}

fn decode<A: Decide>(event: SerializedEvent) -> Result<A::Event, Error> {
    let SerializedEvent { aggregate_id, sequence, event_type, payload, .. } = event;
    crate::codec::decode_value::<A>(payload).map_err(|reason| Error::Undecodable {
        aggregate_id,
        sequence: sequence as u64,
        event_type,
        reason,
    })
}
