//! What a person used, and what it cost.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{Datelike, NaiveDate};
use projections::usage::{self, By, Question, UsageView};
use serde::Deserialize;
use store::Position;

use super::identity::Caller;
use crate::access;
use crate::edge::Edge;
use crate::error::Problem;

/// The most days of an answer: a whole year.
const MAX_DAYS: i64 = 366;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageQuery {
    from: NaiveDate,
    to: NaiveDate,
    /// Divided by commas.
    #[serde(default = "by_day")]
    by: String,
    min_position: Option<Position>,
}

fn by_day() -> String {
    "day".to_owned()
}

/// `GET /api/usage`
pub(super) async fn read(
    State(edge): State<Arc<Edge>>,
    Caller(identity): Caller,
    query: Result<Query<UsageQuery>, QueryRejection>,
) -> Result<Json<UsageView>, Problem> {
    let Query(UsageQuery { from, to, by, min_position }) =
        query.map_err(|error| Problem::malformed(error.body_text()))?;
    check_days(from, to)?;
    let by = by.split(',').map(told_apart).collect::<Result<_, _>>()?;
    access::wait_for(&edge.pool, usage::NAME, min_position).await?;
    let question = Question { account: access::account(&identity), from, to, by };
    Ok(Json(usage::read(&edge.pool, &question).await?))
}

fn check_days(from: NaiveDate, to: NaiveDate) -> Result<(), Problem> {
    let days = (to - from).num_days() + 1;
    if !(1970..=9999).contains(&from.year()) || !(1..=MAX_DAYS).contains(&days) {
        return Err(Problem::malformed(format!(
            "`from` and `to` are days (YYYY-MM-DD), `from` not after `to`, and no more than {MAX_DAYS} of them"
        )));
    }
    Ok(())
}

fn told_apart(by: &str) -> Result<By, Problem> {
    match by {
        "day" => Ok(By::Day),
        "provider" => Ok(By::Provider),
        "model" => Ok(By::Model),
        "conversation" => Ok(By::Conversation),
        _ => Err(Problem::malformed("`by` is some of day, provider, model, conversation, divided by commas")),
    }
}
