//! An aggregate's state from the log.

use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use domain::Decide;
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;

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
    load(pool, aggregate_id).await.map(|loaded| loaded.state)
}

async fn from_start<A: Decide>(pool: &PgPool, aggregate_id: &str) -> Result<Loaded<A>, Error> {
    let repository = PostgresEventRepository::new(pool.clone());
    let events = repository
        .get_events::<A>(aggregate_id)
        .await
        .map_err(|e| sqlx::Error::Protocol(format!("postgres-es: {e}")))?;
    let mut loaded = Loaded { state: A::default(), sequence: 0, snapshot: 0, bytes: 0 };
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
