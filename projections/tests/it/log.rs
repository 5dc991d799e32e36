//! A test's own database, and events in its log.

use domain::ConversationId;
use domain::conversation::Event;
use sqlx::{ConnectOptions, PgPool};
use store::Role;

/// Migrated, with that many shards; as a projector reaches it.
pub(crate) async fn migrated(owner: &PgPool, shards: u16) -> PgPool {
    store::migrate(owner, Some(shards), shards).await.unwrap();
    store::connect(owner.connect_options().to_url_lossy().as_str(), Role::Projector, 8).unwrap()
}

/// Appends an event.
pub(crate) async fn append(owner: &PgPool, id: ConversationId, sequence: u64, event: &Event) {
    append_payload(owner, id, sequence, event.name(), &serde_json::to_value(event).unwrap()).await;
}

/// Appends an event that nobody can read.
pub(crate) async fn poison(owner: &PgPool, id: ConversationId, sequence: u64) {
    append_payload(owner, id, sequence, "Poison", &serde_json::json!({ "type": "Poison" })).await;
}

async fn append_payload(owner: &PgPool, id: ConversationId, sequence: u64, name: &str, payload: &serde_json::Value) {
    let sql = "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, tenant)
               values ('conversation', $1, $2, $3, '1.0', $4, $5, 'acme')";
    let sequence = i64::try_from(sequence).unwrap();
    let metadata = serde_json::json!({ "actor": "user:ann", "command": id, "digest": "" });
    let row = sqlx::query(sql).bind(id.to_string()).bind(sequence).bind(name).bind(payload).bind(metadata);
    row.execute(owner).await.unwrap();
}

/// What of conversations is gone when they are deleted.
pub(crate) const CONTENT: &[&str] =
    &["conversation_list.conversations", "conversation_list.members", "transcript.messages"];
/// What they spent.
pub(crate) const USAGE: &[&str] = &["usage.replies", "usage.spending"];

/// Everything in the views of conversations, as text: equal views are equal texts.
pub(crate) async fn dump(pool: &PgPool) -> String {
    dump_of(pool, CONTENT).await + &dump_of(pool, USAGE).await
}

/// The same of some tables.
pub(crate) async fn dump_of(pool: &PgPool, tables: &[&str]) -> String {
    let mut all = String::new();
    for table in tables {
        let sql = format!("select coalesce(string_agg(t::text, e'\\n' order by t::text), '') from {table} t");
        all += &sqlx::query_scalar::<_, String>(&sql).fetch_one(pool).await.unwrap();
        all.push('\n');
    }
    all
}

/// Whether all views have taken in every shard to its end.
pub(crate) async fn caught_up(pool: &PgPool) -> bool {
    let sql = "select not exists (select from heads s, unnest($1::text[]) as v(name) where s.head > coalesce(
                   (select c.pos from checkpoints c where c.projection = v.name and c.shard = s.shard), 0))";
    sqlx::query_scalar(sql).bind(projections::NAMES).fetch_one(pool).await.unwrap()
}
