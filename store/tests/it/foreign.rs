//! Others at the same database: unmodified postgres-es on the same table, transactions held open, transactions rolled back.

use std::collections::HashMap;
use std::time::Duration;

use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateContext, AggregateError, CqrsFramework, EventStore};
use domain::shard_of;
use futures::future::{join, join_all};
use postgres_es::PostgresEventRepository;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;
use uuid::Uuid;

use crate::check;
use crate::database::Database;
use crate::rivals::insist;
use crate::tally::{Command, Tally, ask};

const DEADLINE: Duration = Duration::from_secs(10);

/// postgres-es as its documentation shows it.
fn stock(pool: &PgPool) -> PersistedEventStore<PostgresEventRepository, Tally> {
    PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.clone()))
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn postgres_es_and_we_write_the_same_aggregates(pool: PgPool) {
    let database = Database::new(pool, 2).await;
    let writers = [database.writer(0), database.writer(1)];
    let framework = CqrsFramework::new(stock(&database.connect()), vec![], ());
    let theirs = async |nth: usize| {
        for _ in 0..10 {
            while let Err(error) = framework.execute(&format!("tally {}", nth % 3), Command::Add(2)).await {
                assert!(matches!(error, AggregateError::AggregateConflict), "{error}");
            }
        }
    };
    let ours = async |nth: usize| {
        for _ in 0..10 {
            let id = format!("tally {}", nth % 3);
            insist(&writers[usize::from(shard_of(&id, 2))], &ask(&id, Command::Add(3))).await.unwrap();
        }
    };
    join(join_all((0..3).map(theirs)), join_all((0..6).map(ours))).await;

    let logs = [check::shard(&database.pool, 0).await, check::shard(&database.pool, 1).await];
    assert_eq!(logs.iter().map(Vec::len).sum::<usize>(), 3 * 10 * 2 + 6 * 10 * 3);
    for nth in 0..3 {
        let id = format!("tally {nth}");
        let mut seen_by_them = stock(&database.pool).load_aggregate(&id).await.unwrap();
        assert_eq!(seen_by_them.aggregate().total, 20 + 60);
        let seen_by_us = insist(&writers[usize::from(shard_of(&id, 2))], &ask(&id, Command::Add(1))).await.unwrap();
        assert_eq!(seen_by_us.sequence, 20 + 60 + 1);
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn sql_finds_the_same_shard(pool: PgPool) {
    let database = Database::new(pool, 16).await;
    let mut ids: Vec<String> = (0..2_000).map(|_| Uuid::now_v7().to_string()).collect();
    ids.extend(["", "ä", "tally 1", "日本"].map(str::to_owned));
    let shards: Vec<i32> =
        sqlx::query_scalar("select shard_of(id) from unnest($1::text[]) with ordinality as a(id, o) order by o")
            .bind(&ids)
            .fetch_all(&database.pool)
            .await
            .unwrap();
    for (id, shard) in ids.iter().zip(shards) {
        assert_eq!(i32::from(shard_of(id, 16)), shard, "{id}");
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_transaction_held_open_elsewhere_stalls_nothing(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let here = &database.owner;
    sqlx::query("create table elsewhere (n int)").execute(here).await.unwrap();
    let mut held = store::begin(here).await.unwrap();
    sqlx::query("insert into elsewhere values (1)").execute(&mut *held).await.unwrap();
    let options = here.connect_options();
    let mut other: PgConnection =
        sqlx::ConnectOptions::connect(&options.as_ref().clone().database("postgres")).await.unwrap();
    let mut held_there = other.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()::text").execute(&mut *held_there).await.unwrap();

    let writer = database.writer(0);
    for _ in 0..50 {
        timeout(DEADLINE, writer.execute(ask("a", Command::Add(1)))).await.expect("in time").unwrap();
        // Readers too: what is acknowledged can be read at once.
    }
    assert_eq!(check::shard(&database.pool, 0).await.len(), 50);
    held.rollback().await.unwrap();
    held_there.rollback().await.unwrap();
}

/// Ends a foreign transaction that holds the head while our append waits for it.
async fn held_head(database: &Database, commit: bool) {
    let writer = database.writer(0);
    writer.execute(ask("a", Command::Add(1))).await.unwrap();
    let outside = database.connect();
    let mut foreign = store::begin(&outside).await.unwrap();
    let insert =
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                  values ('tally', 'a', 2, 'Added', '1.0', '\"Added\"', '{}')";
    sqlx::query(insert).execute(&mut *foreign).await.unwrap();

    let waiting = writer.submit(ask("a", Command::Add(1)));
    let end = async {
        let blocked = "select exists (select from pg_stat_activity where wait_event_type = 'Lock'
                       and datname = current_database() and application_name = 'bestchat')";
        while !sqlx::query_scalar::<_, bool>(blocked).fetch_one(&database.owner).await.unwrap() {
            tokio::task::yield_now().await;
        }
        if commit { foreign.commit().await.unwrap() } else { foreign.rollback().await.unwrap() }
    };
    let (outcome, ()) = timeout(DEADLINE, join(waiting, end)).await.expect("in time");
    assert_eq!(outcome.unwrap().sequence, if commit { 3 } else { 2 });
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_foreign_transaction_that_held_the_head_may_roll_back(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    held_head(&database, false).await;
    assert_eq!(check::shard(&database.pool, 0).await.len(), 2);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_foreign_transaction_that_held_the_head_may_commit(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    held_head(&database, true).await;
    assert_eq!(check::shard(&database.pool, 0).await.len(), 3);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn postgres_es_reads_what_we_wrote(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    for command in [Command::Open, Command::Add(4), Command::Note("é\"\\".to_owned()), Command::Close] {
        writer.execute(ask("a", command)).await.unwrap();
    }
    let events = stock(&database.pool).load_events("a").await.unwrap();
    let read: Vec<(usize, &HashMap<String, String>)> = events.iter().map(|it| (it.sequence, &it.metadata)).collect();
    assert!(read.iter().zip(1..).all(|((sequence, _), nth)| *sequence == nth));
    assert!(read.iter().all(|(_, metadata)| metadata["actor"] == "worker:test"), "flat, as cqrs-es wants it");
    assert_eq!(stock(&database.pool).load_aggregate("a").await.unwrap().aggregate().total, 4);
}
