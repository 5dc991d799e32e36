//! How far everything has come: for people who run it. Only numbers, nothing of anyone's.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sqlx::Row;

use super::identity::Caller;
use crate::edge::Edge;
use crate::error::Problem;

#[derive(Serialize)]
pub(super) struct Status {
    version: &'static str,
    shards: Vec<ShardStatus>,
    /// Events that a consumer could not take in and that wait for a person: `bestchat dead-letters`.
    dead_letters: i64,
}

#[derive(Serialize)]
struct ShardStatus {
    shard: i32,
    /// The position of the last event.
    head: i64,
    /// Whether a process serves its commands.
    owned: bool,
    /// How many events the slowest view has yet to take in.
    lag: i64,
}

/// `GET /api/status`
pub(super) async fn status(State(edge): State<Arc<Edge>>, _: Caller) -> Result<Json<Status>, Problem> {
    let rows = sqlx::query(
        "select s.shard, s.head,
                exists (select from leases l where l.role = 'commands' and l.shard = s.shard and l.expires_at > now()) as owned,
                s.head - coalesce((select min(coalesce(c.pos, 0)) from unnest($1::text[]) as view(name)
                                   left join checkpoints c on c.projection = view.name and c.shard = s.shard), 0) as lag
         from heads s order by s.shard",
    )
    .bind(projections::NAMES)
    .fetch_all(&edge.pool)
    .await?;
    let shards = rows
        .iter()
        .map(|row| {
            Ok(ShardStatus {
                shard: row.try_get("shard")?,
                head: row.try_get("head")?,
                owned: row.try_get("owned")?,
                lag: row.try_get("lag")?,
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    let dead_letters = sqlx::query_scalar("select count(*) from dead_letters").fetch_one(&edge.pool).await?;
    Ok(Json(Status { version: env!("CARGO_PKG_VERSION"), shards, dead_letters }))
}
