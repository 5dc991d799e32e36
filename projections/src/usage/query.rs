//! Reading a person's usage, added up as it is asked for.

use chrono::NaiveDate;
use domain::{AccountId, ConversationId, ModelRef};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use super::Figures;
use crate::projection::from_json;

/// The most rows of an answer.
pub const MAX_ROWS: usize = 1_000;

/// What is asked of a person's usage.
#[derive(Clone, Debug)]
pub struct Question {
    /// Whose.
    pub account: AccountId,
    /// From which day on.
    pub from: NaiveDate,
    /// To which day, that one among them.
    pub to: NaiveDate,
    /// What rows are told apart by.
    pub by: Vec<By>,
}

/// What usage is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The day of UTC on which attempts ended.
    Day,
    /// The provider asked.
    Provider,
    /// The model asked.
    Model,
    /// The conversation, which may have been deleted since.
    Conversation,
}

/// A person's usage over some days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct UsageView {
    /// By day in the order of days, else those that cost most first.
    pub rows: Vec<UsageRow>,
    /// All together, whatever rows there are.
    pub total: Figures,
    /// Whether there are further rows.
    pub more: bool,
}

/// What was used of one kind. It says what it was asked to tell apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct UsageRow {
    /// On this day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string")]
    pub day: Option<NaiveDate>,
    /// Of this provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string")]
    pub provider: Option<String>,
    /// Of this model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string")]
    pub model: Option<ModelRef>,
    /// In this conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string")]
    pub conversation: Option<ConversationId>,
    /// What it came to.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What a person used.
///
/// # Errors
/// When Postgres does not answer.
pub async fn read(db: impl PgExecutor<'_>, question: &Question) -> Result<UsageView, sqlx::Error> {
    let sql = sql();
    let by = |by: By| question.by.contains(&by);
    // The whole, and one more than wanted, which tells whether there are others.
    let limit = i64::try_from(MAX_ROWS).unwrap_or(i64::MAX).saturating_add(2);
    let found: Vec<(bool, String)> = sqlx::query_as(&sql)
        .bind(question.account.0)
        .bind(question.from)
        .bind(question.to)
        .bind(by(By::Day))
        .bind(by(By::Provider))
        .bind(by(By::Model))
        .bind(by(By::Conversation))
        .bind(limit)
        .fetch_all(db)
        .await?;
    let (mut total, mut rows) = (Figures::default(), Vec::with_capacity(found.len()));
    for (whole, row) in found {
        if whole {
            total = from_json(&row)?;
        } else {
            rows.push(from_json(&row)?);
        }
    }
    let more = rows.len() > MAX_ROWS;
    rows.truncate(MAX_ROWS);
    Ok(UsageView { rows, total, more })
}

/// The whole and its rows, told apart by the columns that are asked for.
fn sql() -> String {
    let sums =
        Figures::COLUMNS.map(|name| format!("least(coalesce(sum({name}), 0), {})::bigint as {name}", Figures::MOST));
    format!(
        "with told as (
             select case when $4 then s.day end as day, case when $5 then split_part(model, '/', 1) end as provider,
                 case when $6 then model end as model, case when $7 then conversation end as conversation, {figures}
             from usage.spending s where account = $1 and s.day between $2 and $3),
         summed as (
             select day, provider, model, conversation, grouping(day) = 1 as whole, {sums} from told
             group by grouping sets ((day, provider, model, conversation), ()))
         select whole, to_json(summed)::text from summed
         order by whole desc, day, micro_usd desc, input + output desc, provider, model, conversation limit $8",
        figures = Figures::COLUMNS.join(", "),
        sums = sums.join(", "),
    )
}
