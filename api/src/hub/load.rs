//! What a room starts from: the views, brought up to the log's end by the events that they lack.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ConversationId, MessageId, Tenant, UserId, conversation};
use projections::{MessageStatus, conversation_list, transcript};
use sqlx::PgPool;
use store::{Recorded, log};

use crate::error::Problem;

/// The most events that a room is loaded with; the views are never that far behind while projectors run.
const MAX_EVENTS: u32 = 4_000;
/// Among how many of the newest messages running replies are looked for.
const NEWEST: u32 = 64;

/// A conversation at `sequence`, and the events after it.
pub(super) struct Loaded {
    pub(super) tenant: Tenant,
    pub(super) participants: BTreeSet<UserId>,
    pub(super) sequence: u64,
    pub(super) events: Vec<Recorded>,
    /// The replies that have not ended, and their newest attempts.
    pub(super) running: BTreeMap<MessageId, u32>,
}

pub(super) async fn load(pool: &PgPool, id: ConversationId) -> Result<Loaded, Problem> {
    let (tenant, participants, sequence) = match conversation_list::get(pool, id).await? {
        Some((tenant, view)) => (Some(tenant), view.participants.into_iter().collect(), view.sequence),
        None => (None, BTreeSet::new(), 0),
    };
    let events =
        log::read_stream(pool, conversation::TYPE, &id.to_string(), sequence + 1..=u64::MAX, MAX_EVENTS).await?;
    if events.len() >= MAX_EVENTS as usize {
        tracing::warn!(conversation = %id, "the views are too far behind to follow this conversation");
        return Err(Problem::unavailable());
    }
    // A conversation that is older than the views is told of by its first event.
    let begins = || events.first().is_some_and(|event| event.sequence == 1);
    let tenant = match tenant {
        Some(tenant) => tenant,
        None if begins() => events[0].tenant.parse().map_err(|_| Problem::not_found())?,
        None => return Err(Problem::not_found()),
    };
    let newest = transcript::page(pool, id, None, NEWEST).await?;
    let open = |status| matches!(status, MessageStatus::Pending | MessageStatus::Running | MessageStatus::Stopping);
    let running = newest.iter().filter(|message| open(message.status)).map(|m| (m.id, m.attempt)).collect();
    Ok(Loaded { tenant, participants, sequence, events, running })
}
