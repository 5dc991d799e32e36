//! cqrs-es's `EventStore` over our table, for tools and tests that speak cqrs-es. Loading is the writer's; committing is
//! the same compare-and-set append, one command at a time. The running system executes through [`crate::writer`].

use std::collections::HashMap;

use cqrs_es::persist::PersistenceError;
use cqrs_es::{AggregateContext, AggregateError, DomainEvent, EventEnvelope, EventStore};
use domain::{Decide, Shard, shard_of};
use sqlx::PgPool;
use uuid::Uuid;

use crate::append::{AppendError, NewEvent, append};
use crate::load::{Loaded, load};
use crate::{Error, codec, log};

/// How often an append is tried when the shard's head moves under it.
const MAX_TRIES: u32 = 100;

/// The event store as cqrs-es knows it.
#[derive(Clone, Debug)]
pub struct PostgresEventStore {
    pool: PgPool,
    shards: Shard,
}

impl PostgresEventStore {
    /// Over a migrated database of that many shards.
    pub fn new(pool: PgPool, shards: Shard) -> Self {
        Self { pool, shards }
    }
}

/// An aggregate as loaded, with what `commit` needs to know of it.
#[derive(Debug)]
pub struct Context<A> {
    aggregate_id: String,
    loaded: Loaded<A>,
}

impl<A: Decide> AggregateContext<A> for Context<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.loaded.state
    }
}

impl<A: Decide> EventStore<A> for PostgresEventStore {
    type AC = Context<A>;

    async fn load_events(&self, aggregate_id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let mut recorded: Vec<crate::Recorded> = Vec::new();
        loop {
            let after = recorded.last().map_or(0, |last| last.sequence);
            let page = log::read_stream(&self.pool, A::TYPE, aggregate_id, after + 1..=u64::MAX, u32::MAX).await;
            let page = page.map_err(unexpected)?;
            let full = page.full;
            recorded.extend(page);
            if !full {
                break;
            }
        }
        let envelope = |recorded: &crate::Recorded| {
            Ok(EventEnvelope {
                aggregate_id: aggregate_id.to_owned(),
                sequence: usize::try_from(recorded.sequence).unwrap_or(usize::MAX),
                payload: codec::decode::<A>(recorded)?,
                metadata: serde_json::from_str(recorded.metadata.get()).unwrap_or_default(),
            })
        };
        recorded.iter().map(envelope).collect::<Result<_, Error>>().map_err(unexpected)
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Context<A>, AggregateError<A::Error>> {
        let loaded = load::<A>(&self.pool, aggregate_id).await.map_err(unexpected)?;
        Ok(Context { aggregate_id: aggregate_id.to_owned(), loaded })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Context<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let Context { aggregate_id, loaded } = context;
        let first = usize::try_from(loaded.sequence).unwrap_or(usize::MAX) + 1;
        let envelopes: Vec<EventEnvelope<A>> = events
            .into_iter()
            .zip(first..)
            .map(|(payload, sequence)| EventEnvelope {
                aggregate_id: aggregate_id.clone(),
                sequence,
                payload,
                metadata: metadata.clone(),
            })
            .collect();
        if envelopes.is_empty() {
            return Ok(envelopes);
        }
        let mut state = loaded.state;
        for envelope in &envelopes {
            state.apply(envelope.payload.clone());
        }
        let tenant = state.tenant().map(ToString::to_string).unwrap_or_default();
        let rows = envelopes.iter().map(|envelope| row(envelope, &tenant)).collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(unexpected)?;
        let shard = shard_of(&aggregate_id, self.shards);
        for _ in 0..MAX_TRIES {
            let head = log::head(&self.pool, shard).await.map_err(unexpected)?;
            match append(&self.pool, shard, head, rows.clone()).await {
                Ok(_) => return Ok(envelopes),
                Err(AppendError::HeadMoved) => {}
                Err(AppendError::AlreadyThere) => return Err(AggregateError::AggregateConflict),
                Err(AppendError::Unacceptable(error) | AppendError::Unknown(error)) => {
                    return Err(unexpected(error.into()));
                }
            }
        }
        Err(AggregateError::AggregateConflict)
    }
}

fn row<A: Decide>(envelope: &EventEnvelope<A>, tenant: &str) -> Result<NewEvent, Error> {
    Ok(NewEvent {
        aggregate_type: A::TYPE,
        aggregate_id: envelope.aggregate_id.clone(),
        sequence: envelope.sequence as u64,
        event_type: envelope.payload.event_type(),
        event_version: envelope.payload.event_version(),
        payload: codec::encode::<A>(&envelope.payload)?,
        metadata: serde_json::value::to_raw_value(&envelope.metadata).map_err(|e| Error::Unencodable(e.to_string()))?,
        tenant: tenant.to_owned(),
        event_id: Uuid::now_v7(),
        command_id: None,
    })
}

fn unexpected<E: std::error::Error>(error: Error) -> AggregateError<E> {
    PersistenceError::UnknownError(Box::new(error)).into()
}
