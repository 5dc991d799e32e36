//! A conversation's messages, page by page from the newest back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use projections::{MessageView, transcript};
use serde::{Deserialize, Serialize};
use store::Position;

use super::conversations::ConversationPath;
use super::identity::Caller;
use crate::access;
use crate::edge::Edge;
use crate::error::Problem;

/// The most messages of a page.
const MAX_LIMIT: u32 = 500;
/// The most bytes that they say.
const MAX_PAGE_BYTES: u32 = 4 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Only messages made before this sequence.
    before: Option<u64>,
    limit: Option<u32>,
    min_position: Option<Position>,
}

#[derive(Serialize)]
pub(super) struct Page {
    /// The newest first.
    messages: Vec<MessageView>,
    more: bool,
}

/// `GET /api/conversations/{id}/messages`
pub(super) async fn page(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    ConversationPath(id): ConversationPath,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(query) = query.map_err(|error| Problem::malformed(error.body_text()))?;
    // The list, too: it says who may see the conversation.
    for view in [projections::conversation_list::NAME, transcript::NAME] {
        access::wait_for(&edge.pool, view, query.min_position).await?;
    }
    access::conversation(&edge.pool, &identity, id).await?;
    let limit = query.limit.unwrap_or(100).clamp(1, MAX_LIMIT);
    let limit = transcript::Limit { messages: limit, bytes: MAX_PAGE_BYTES };
    let transcript::Page { messages, more } = transcript::page(&edge.pool, id, query.before, limit).await?;
    Ok(Json(Page { messages, more }))
}
