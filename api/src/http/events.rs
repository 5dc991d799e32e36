//! A conversation's log as it was recorded, for replay and audit.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use domain::conversation;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Position, Recorded, log};

use super::conversations::ConversationPath;
use super::identity::Caller;
use crate::access;
use crate::edge::Edge;
use crate::error::Problem;

/// The most events of a page.
const MAX_LIMIT: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Only events after this sequence.
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
    min_position: Option<Position>,
}

#[derive(Serialize)]
pub(super) struct Page {
    /// The oldest first.
    events: Vec<RecordedEvent>,
    more: bool,
}

#[derive(Serialize)]
struct RecordedEvent {
    sequence: u64,
    position: Position,
    event_id: uuid::Uuid,
    event_type: String,
    event_version: String,
    recorded_at: chrono::DateTime<chrono::Utc>,
    metadata: Box<RawValue>,
    payload: Box<RawValue>,
}

impl From<Recorded> for RecordedEvent {
    fn from(recorded: Recorded) -> Self {
        Self {
            position: recorded.position(),
            sequence: recorded.sequence,
            event_id: recorded.event_id,
            event_type: recorded.event_type,
            event_version: recorded.event_version,
            recorded_at: recorded.recorded_at,
            metadata: recorded.metadata,
            payload: recorded.payload,
        }
    }
}

/// `GET /api/conversations/{id}/events`
pub(super) async fn page(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    ConversationPath(id): ConversationPath,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(query) = query.map_err(|error| Problem::malformed(error.body_text()))?;
    access::wait_for(&edge.pool, projections::conversation_list::NAME, query.min_position).await?;
    access::conversation(&edge.pool, &identity, id).await?;
    let limit = query.limit.unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT);
    let sequences = query.after.saturating_add(1)..=u64::MAX;
    let page = log::read_stream(&edge.pool, conversation::TYPE, &id.to_string(), sequences, limit).await?;
    let more = page.full;
    Ok(Json(Page { events: page.into_iter().map(RecordedEvent::from).collect(), more }))
}
