//! What a room starts from: the views, brought up to the log's end by the events that they lack.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ConversationId, MessageId, Shard, Tenant, UserId, conversation};
use projections::transcript;
use sqlx::{PgPool, PgTransaction};
use store::{Recorded, log};

use crate::error::Problem;
use crate::standing::{self, Standing};

/// The most events that a room is loaded with; the views are never that far behind while projectors run.
const MAX_EVENTS: u32 = 4_000;

/// A conversation at `sequence`, and the events after it.
pub(super) struct Loaded {
    pub(super) tenant: Tenant,
    pub(super) participants: BTreeSet<UserId>,
    pub(super) sequence: u64,
    pub(super) events: Vec<Recorded>,
    /// The replies that have not ended, and their newest attempts.
    pub(super) running: BTreeMap<MessageId, u32>,
}

/// Every event after `sequence`.
async fn events_after(
    tx: &mut PgTransaction<'_>,
    id: ConversationId,
    mut sequence: u64,
) -> Result<Vec<Recorded>, Problem> {
    let (id, mut events) = (id.to_string(), Vec::new());
    // An empty page is the end: one may be shorter than asked for because its events are large.
    loop {
        let page = log::read_stream(&mut **tx, conversation::TYPE, &id, sequence + 1..=u64::MAX, MAX_EVENTS).await?;
        let Some(last) = page.last() else { return Ok(events) };
        sequence = last.sequence;
        events.extend(page);
        if events.len() >= MAX_EVENTS as usize {
            tracing::warn!(conversation = id, "the views are too far behind to follow this conversation");
            return Err(Problem::unavailable());
        }
    }
}

pub(super) async fn load(pool: &PgPool, shard: Shard, id: ConversationId) -> Result<Loaded, Problem> {
    let mut tx = standing::begin(pool).await?;
    let (tenant, participants, sequence) = match standing::read(&mut tx, shard, id).await? {
        Standing::Known { tenant, view, sequence } => (Some(tenant), view.participants.into_iter().collect(), sequence),
        Standing::NotYet => (None, BTreeSet::new(), 0),
        Standing::Gone => return Err(Problem::not_found()),
    };
    let events = events_after(&mut tx, id, sequence).await?;
    // A conversation that is younger than the views is told of by its first event.
    let begins = events.first().filter(|event| event.sequence == 1);
    let tenant = match (tenant, begins) {
        (Some(tenant), _) => tenant,
        (None, Some(first)) => first.tenant.parse().map_err(|_| Problem::not_found())?,
        (None, None) => return Err(Problem::not_found()),
    };
    // As of the transcript, which may be further than `sequence`: what the events say comes on top.
    let running = transcript::open_replies(&mut *tx, id).await?.into_iter().collect();
    Ok(Loaded { tenant, participants, sequence, events, running })
}
