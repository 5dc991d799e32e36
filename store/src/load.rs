//! An aggregate's state from the log.

use std::collections::HashSet;

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use domain::Decide;
use postgres_es::PostgresEventRepository;
use sqlx::{PgExecutor, PgPool};

use crate::log::unsigned;
use crate::writer::Key;
use crate::{Error, log, snapshot};

/// How many events are read at a time behind a snapshot.
const PAGE: u32 = 1_000;
/// How many events are read before a snapshot is looked for: there is none of less, and most whose state is asked for once
/// have fewer, so that one look is enough.
const FIRST: u32 = 100;

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
pub(crate) async fn begun(
    db: impl PgExecutor<'_>,
    asked: impl Iterator<Item = &Key> + Clone,
) -> Result<HashSet<Key>, Error> {
    let types: Vec<&'static str> = asked.clone().map(|key| key.aggregate).collect();
    let ids: Vec<&str> = asked.clone().map(|key| key.id.as_str()).collect();
    let begun: Vec<i64> = sqlx::query_scalar(
        // With a limit and the index's order, so that it is looked up id by id: as a plain `exists` it was planned on an empty
        // table as a join that reads the whole table, and stayed so while the table grew.
        "select asked.nth from unnest($1::text[], $2::text[]) with ordinality as asked(type, id, nth) cross join lateral (
             select e.sequence from events e where e.aggregate_type = asked.type and e.aggregate_id = asked.id
             order by e.aggregate_type, e.aggregate_id, e.sequence limit 1) first",
    )
    .bind(types)
    .bind(ids)
    .fetch_all(db)
    .await?;
    let begun: HashSet<u64> = begun.into_iter().map(unsigned).collect();
    Ok(asked.zip(1..).filter(|(_, nth)| begun.contains(nth)).map(|(key, _)| key.clone()).collect())
}

/// Loads an aggregate: from its snapshot and the events behind it, else, through postgres-es, from all its events.
pub(crate) async fn load<A: Decide>(pool: &PgPool, aggregate_id: &str) -> Result<Loaded<A>, Error> {
    match snapshot::read::<A>(pool, aggregate_id).await? {
        Some(loaded) => behind_snapshot(pool, aggregate_id, loaded).await,
        None => from_start(pool, aggregate_id).await,
    }
}

/// An aggregate's state as the log has it by now; one that there is not stands as it begins.
///
/// # Errors
/// When Postgres does not answer, or an event cannot be read.
pub async fn state<A: Decide>(pool: &PgPool, aggregate_id: &str) -> Result<A, Error> {
    let first = log::read_stream(pool, A::TYPE, aggregate_id, 1..=u64::MAX, FIRST).await?;
    if first.full {
        return load(pool, aggregate_id).await.map(|loaded| loaded.state);
    }
    let mut state = A::default();
    for recorded in &first {
        state.apply(crate::codec::decode::<A>(recorded)?);
    }
    Ok(state)
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
