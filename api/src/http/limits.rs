//! How much a person may use.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use domain::account::{Command, Limits};
use projections::account;
use serde::Deserialize;

use super::account::{ReadQuery, Saved, ask, read};
use super::identity::Caller;
use crate::access;
use crate::edge::Edge;
use crate::error::Problem;

/// All limits; one that is left out is none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsBody {
    micro_usd_per_day: Option<u64>,
    micro_usd_per_month: Option<u64>,
    tokens_per_day: Option<u64>,
    tokens_per_month: Option<u64>,
    requests_per_minute: Option<u32>,
    concurrent_replies: Option<u32>,
}

impl From<LimitsBody> for Limits {
    fn from(body: LimitsBody) -> Self {
        Self {
            micro_usd_per_day: body.micro_usd_per_day,
            micro_usd_per_month: body.micro_usd_per_month,
            tokens_per_day: body.tokens_per_day,
            tokens_per_month: body.tokens_per_month,
            requests_per_minute: body.requests_per_minute,
            concurrent_replies: body.concurrent_replies,
        }
    }
}

/// `GET /api/limits`
pub(super) async fn get(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    query: Result<Query<ReadQuery>, QueryRejection>,
) -> Result<Json<Limits>, Problem> {
    let Query(query) = query.map_err(|error| Problem::malformed(error.body_text()))?;
    access::wait_for(&edge.pool, account::NAME, query.min_position).await?;
    let (_, limits) = account::settings(&edge.pool, access::account(&identity)).await?;
    Ok(Json(limits))
}

/// `PUT /api/limits`
pub(super) async fn set(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    body: Result<Json<LimitsBody>, JsonRejection>,
) -> Result<Json<Saved>, Problem> {
    let limits = read(body)?.into();
    ask(&edge, &identity, Command::SetLimits { limits }).await
}
