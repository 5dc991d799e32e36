//! The log as readers see it: by shard and position, or by aggregate and sequence.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use domain::{CommandId, Metadata, Shard};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use uuid::Uuid;

use crate::Error;

/// A place in the log: a shard, and the number of an event in it, from 1 without a gap in commit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position {
    /// The shard.
    pub shard: Shard,
    /// The event's number in the shard; 0 is before the first.
    pub pos: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.shard, self.pos)
    }
}

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (shard, pos) = text.split_once(':')?;
            Some(Self { shard: shard.parse().ok()?, pos: pos.parse().ok()? })
        };
        parse().ok_or("a position is written shard:number")
    }
}

impl TryFrom<String> for Position {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

/// An event as recorded; also its form on the bus.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recorded {
    /// The shard.
    pub shard: Shard,
    /// Its number in the shard.
    pub pos: u64,
    /// The tenant that the aggregate belongs to.
    pub tenant: String,
    /// The aggregate's type.
    pub aggregate_type: String,
    /// The aggregate.
    pub aggregate_id: String,
    /// Its number in the aggregate, from 1 without a gap.
    pub sequence: u64,
    /// Its type.
    pub event_type: String,
    /// The version of its type.
    pub event_version: String,
    /// Its id.
    pub event_id: Uuid,
    /// The command, on the command's first event only.
    pub command_id: Option<CommandId>,
    /// When it was recorded: database time.
    pub recorded_at: DateTime<Utc>,
    /// Who asked, by which command; unreadable when someone else wrote the row.
    pub metadata: Box<RawValue>,
    /// What happened, as [`crate::codec`] wrote it.
    pub payload: Box<RawValue>,
}

impl Recorded {
    /// Its place in the log.
    pub fn position(&self) -> Position {
        Position { shard: self.shard, pos: self.pos }
    }

    /// The metadata, if we wrote it.
    pub fn metadata(&self) -> Option<Metadata> {
        serde_json::from_str(self.metadata.get()).ok()
    }
}

/// The most bytes of payloads in a page, but for the event that goes over it: events are large at times, and readers many.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Events in order, as many as were asked for or fit into a page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    events: Vec<Recorded>,
    /// Whether it ended because it was full; otherwise there were no more at that moment.
    pub full: bool,
}

impl Deref for Page {
    type Target = [Recorded];

    fn deref(&self) -> &[Recorded] {
        &self.events
    }
}

impl IntoIterator for Page {
    type Item = Recorded;
    type IntoIter = std::vec::IntoIter<Recorded>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.into_iter()
    }
}

impl<'a> IntoIterator for &'a Page {
    type Item = &'a Recorded;
    type IntoIter = std::slice::Iter<'a, Recorded>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.iter()
    }
}

impl From<Page> for Vec<Recorded> {
    fn from(page: Page) -> Self {
        page.events
    }
}

impl Page {
    async fn collect(mut rows: BoxStream<'_, Result<PgRow, sqlx::Error>>, limit: u32) -> Result<Self, Error> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.try_next().await? {
            let event = recorded(&row)?;
            bytes += event.payload.get().len();
            events.push(event);
            if bytes >= MAX_PAGE_BYTES || events.len() >= limit as usize {
                return Ok(Self { events, full: true });
            }
        }
        Ok(Self { events, full: false })
    }
}

const COLUMNS: &str = "shard, pos, tenant, aggregate_type, aggregate_id, sequence, event_type, event_version, event_id, \
                       command_id, recorded_at, metadata::text as metadata, payload::text as payload";

/// The events of a shard after a position, oldest first, at most `limit` and a page.
///
/// # Errors
/// When Postgres does not answer.
pub async fn read(db: impl PgExecutor<'_>, shard: Shard, after: u64, limit: u32) -> Result<Page, Error> {
    let sql = format!("select {COLUMNS} from events where shard = $1 and pos > $2 order by pos limit $3");
    let rows = sqlx::query(&sql).bind(i32::from(shard)).bind(signed(after)).bind(i64::from(limit)).fetch(db);
    Page::collect(rows, limit).await
}

/// The events of an aggregate with `from <= sequence <= to`, oldest first, at most `limit` and a page.
///
/// # Errors
/// When Postgres does not answer.
pub async fn read_stream(
    db: impl PgExecutor<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
    sequences: std::ops::RangeInclusive<u64>,
    limit: u32,
) -> Result<Page, Error> {
    let sql = format!(
        "select {COLUMNS} from events where aggregate_type = $1 and aggregate_id = $2 and sequence between $3 and $4 \
         order by sequence limit $5"
    );
    let rows = sqlx::query(&sql)
        .bind(aggregate_type)
        .bind(aggregate_id)
        .bind(signed(*sequences.start()))
        .bind(signed(*sequences.end()))
        .bind(i64::from(limit))
        .fetch(db);
    Page::collect(rows, limit).await
}

/// The position of the last event of a shard, 0 when it has none.
///
/// # Errors
/// When Postgres does not answer, or knows no such shard.
pub async fn head(db: impl PgExecutor<'_>, shard: Shard) -> Result<u64, Error> {
    let head: i64 =
        sqlx::query_scalar("select head from heads where shard = $1").bind(i32::from(shard)).fetch_one(db).await?;
    Ok(unsigned(head))
}

/// The sequence of the last event of an aggregate, 0 when it has none.
///
/// # Errors
/// When Postgres does not answer.
pub async fn last_sequence(db: impl PgExecutor<'_>, aggregate_type: &str, aggregate_id: &str) -> Result<u64, Error> {
    let last: Option<i64> = sqlx::query_scalar(
        "select sequence from events where aggregate_type = $1 and aggregate_id = $2 order by sequence desc limit 1",
    )
    .bind(aggregate_type)
    .bind(aggregate_id)
    .fetch_optional(db)
    .await?;
    Ok(last.map_or(0, unsigned))
}

/// The aggregates of a type, by id, from the one after `after` on; at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
pub async fn aggregates(
    db: impl PgExecutor<'_>,
    aggregate_type: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<String>, Error> {
    let ids = sqlx::query_scalar(
        "select aggregate_id from events where aggregate_type = $1 and aggregate_id > $2 and sequence = 1
         order by aggregate_id limit $3",
    )
    .bind(aggregate_type)
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    Ok(ids)
}

/// The sequence that an aggregate stands at once its shard has been read up to position `pos`.
///
/// # Errors
/// When Postgres does not answer.
pub async fn sequence_at(
    db: impl PgExecutor<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
    pos: u64,
) -> Result<u64, Error> {
    let last: Option<i64> = sqlx::query_scalar(
        "select sequence from events where aggregate_type = $1 and aggregate_id = $2 and pos <= $3
         order by sequence desc limit 1",
    )
    .bind(aggregate_type)
    .bind(aggregate_id)
    .bind(signed(pos))
    .fetch_optional(db)
    .await?;
    Ok(last.map_or(0, unsigned))
}

fn recorded(row: &PgRow) -> Result<Recorded, Error> {
    let raw = |column: &str| -> Result<Box<RawValue>, Error> {
        let text: String = row.try_get(column)?;
        RawValue::from_string(text).map_err(|e| sqlx::Error::Decode(e.into()).into())
    };
    let shard: i32 = row.try_get("shard")?;
    Ok(Recorded {
        shard: Shard::try_from(shard).map_err(|e| sqlx::Error::Decode(e.into()))?,
        pos: unsigned(row.try_get("pos")?),
        tenant: row.try_get("tenant")?,
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: unsigned(row.try_get("sequence")?),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        event_id: row.try_get("event_id")?,
        command_id: row.try_get::<Option<Uuid>, _>("command_id")?.map(CommandId),
        recorded_at: row.try_get("recorded_at")?,
        metadata: raw("metadata")?,
        payload: raw("payload")?,
    })
}

/// A count as Postgres holds it. Counts start at 0 and never reach the sign bit.
pub fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as Postgres gave it; the schema keeps it from being negative.
pub fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
