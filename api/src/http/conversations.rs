//! A person's conversations.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use domain::ConversationId;
use projections::{ConversationView, conversation_list};
use serde::{Deserialize, Serialize};
use store::Position;
use uuid::Uuid;

use super::identity::Caller;
use crate::access;
use crate::auth::Identity;
use crate::edge::Edge;
use crate::error::Problem;

/// The most conversations of a page.
const MAX_LIMIT: u32 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    archived: bool,
    /// `next` of the page before.
    before: Option<String>,
    limit: Option<u32>,
    min_position: Option<Position>,
}

#[derive(Serialize)]
pub(super) struct List {
    conversations: Vec<ConversationView>,
    /// Where the next page begins; null after the last.
    next: Option<String>,
}

/// `GET /api/conversations`
pub(super) async fn list(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<List>, Problem> {
    let Query(query) = query.map_err(|error| Problem::malformed(error.body_text()))?;
    access::wait_for(&edge.pool, conversation_list::NAME, query.min_position).await?;
    let limit = query.limit.unwrap_or(50).clamp(1, MAX_LIMIT);
    let before = query.before.map(|before| cursor(&before)).transpose()?;
    let Identity { user, tenant, .. } = identity;
    // One more than wanted, which tells whether there is a next page.
    let page = conversation_list::Page { user, tenant, archived: query.archived, before, limit: limit + 1 };
    let mut conversations = conversation_list::list(&edge.pool, &page).await?;
    let more = conversations.len() > limit as usize;
    conversations.truncate(limit as usize);
    let last = conversations.last().filter(|_| more);
    let next = last.map(|last| format!("{}_{}", last.updated_at.timestamp_micros(), last.id));
    Ok(Json(List { conversations, next }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GetQuery {
    min_position: Option<Position>,
}

/// `GET /api/conversations/{id}`
pub(super) async fn get(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    ConversationPath(id): ConversationPath,
    query: Result<Query<GetQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<ConversationView>, Problem> {
    let Query(query) = query.map_err(|error| Problem::malformed(error.body_text()))?;
    access::wait_for(&edge.pool, conversation_list::NAME, query.min_position).await?;
    access::conversation(&edge.pool, &identity, id).await.map(Json)
}

/// The id in a path; what is none names no conversation.
pub(super) struct ConversationPath(pub(super) ConversationId);

impl<S: Send + Sync> FromRequestParts<S> for ConversationPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok();
        id.and_then(|Path(id)| id.parse().ok()).map(Self).ok_or_else(Problem::not_found)
    }
}

fn cursor(before: &str) -> Result<(DateTime<Utc>, ConversationId), Problem> {
    let parse = || {
        let (micros, id) = before.split_once('_')?;
        let at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        Some((at, ConversationId(id.parse::<Uuid>().ok()?)))
    };
    parse().ok_or_else(|| Problem::malformed("`before` is the `next` of another page"))
}
