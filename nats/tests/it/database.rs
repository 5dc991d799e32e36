//! A test's own database, with one shard.

use sqlx::{ConnectOptions, PgPool};
use store::Role;

/// Migrated, and reached as in production.
pub(crate) async fn migrated(pool: &PgPool) -> PgPool {
    store::migrate(pool, Some(1), 1).await.unwrap();
    store::connect(pool.connect_options().to_url_lossy().as_str(), Role::Worker, 8).unwrap()
}

/// An event that someone else commits, of whom no writer and no relay hears.
pub(crate) async fn foreign_event(pool: &PgPool, id: &str, sequence: i64) {
    foreign_title(pool, id, sequence, &format!("title {sequence}")).await;
}

/// The same with a title of any length.
pub(crate) async fn foreign_title(pool: &PgPool, id: &str, sequence: i64, title: &str) {
    let sql =
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
               values ('conversation', $1, $2, 'ConversationRenamed', '1.0', $3, '{}')";
    let payload = serde_json::json!({ "type": "ConversationRenamed", "title": title });
    sqlx::query(sql).bind(id).bind(sequence).bind(payload).execute(pool).await.unwrap();
}
