//! What each role may do in the log, whatever its programs try.

use sqlx::PgPool;
use store::{Role, log};

use crate::database::Database;
use crate::tally::{Command, ask};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn only_workers_append_and_no_one_rewrites(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    database.writer(0).execute(ask("a", Command::Add(1))).await.unwrap();
    let append =
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                  values ('tally', 'a', 2, 'Added', '1.0', '\"Added\"', '{}')";
    let rewrite = "update events set payload = '{}'";
    for (role, sql, may) in [
        (Role::Worker, append, true),
        (Role::Worker, rewrite, false),
        (Role::Worker, "delete from events", false),
        (Role::Projector, append, false),
        (Role::Projector, rewrite, false),
        (Role::Edge, append, false),
        (Role::Edge, rewrite, false),
        (Role::Edge, "update shards set shard = shard", false),
        (Role::Edge, "delete from leases", false),
    ] {
        let done = sqlx::query(sql).execute(&database.connect_as(role)).await;
        assert_eq!(done.is_ok(), may, "{role:?}: {sql}: {done:?}");
    }
    for role in [Role::Worker, Role::Projector, Role::Edge] {
        assert_eq!(log::read(&database.connect_as(role), 0, 0, 10).await.unwrap().len(), 2);
    }
}
