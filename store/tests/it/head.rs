//! Where a shard's head is, and what an append leaves alone.

use sqlx::PgPool;

use crate::check;
use crate::database::Database;
use crate::tally::{Command, ask};

/// A row that every append updates has ever more versions to pass over while a transaction anywhere on the server is open.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_append_writes_no_new_version_of_its_shards_row(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let version =
        async || sqlx::query_scalar::<_, String>("select ctid::text from shards").fetch_one(&database.pool).await;
    let before = version().await.unwrap();
    let writer = database.writer(0);
    for _ in 0..3 {
        writer.execute(ask("a", Command::Add(1))).await.unwrap();
    }
    assert_eq!(version().await.unwrap(), before);
    check::shard(&database.pool, 0).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn nothing_is_appended_behind_a_gap(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    for id in ["a", "b"] {
        writer.execute(ask(id, Command::Add(1))).await.unwrap();
    }
    // As when a standby takes over that had not got everything.
    sqlx::query("delete from events where pos = 2").execute(&database.owner).await.unwrap();
    let appended = writer.execute(ask("c", Command::Add(1))).await.unwrap();
    assert_eq!(appended.position.pos, 2);
    check::shard(&database.pool, 0).await;
}
