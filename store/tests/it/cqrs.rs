//! cqrs-es's own framework over our store.

use std::collections::HashMap;

use cqrs_es::{AggregateContext, AggregateError, CqrsFramework, EventStore};
use domain::shard_of;
use futures::future::join_all;
use sqlx::PgPool;
use store::PostgresEventStore;

use crate::check;
use crate::database::Database;
use crate::tally::{Command, Event, OpenAlready, Tally};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_framework_executes_and_loads(pool: PgPool) {
    let database = Database::new(pool, 4).await;
    let framework = CqrsFramework::<Tally, _>::new(PostgresEventStore::new(database.connect(), 4), vec![], ());
    let metadata = HashMap::from([("who".to_owned(), "a test".to_owned())]);
    framework.execute_with_metadata("a", Command::Open, metadata.clone()).await.unwrap();
    framework.execute("a", Command::Add(5)).await.unwrap();
    let refused = framework.execute("a", Command::Open).await;
    assert!(matches!(refused, Err(AggregateError::UserError(OpenAlready))));

    let store = PostgresEventStore::new(database.connect(), 4);
    assert_eq!(EventStore::<Tally>::load_aggregate(&store, "a").await.unwrap().aggregate().total, 5);
    let events = EventStore::<Tally>::load_events(&store, "a").await.unwrap();
    assert_eq!(events[0].metadata, metadata);
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let log = check::shard(&database.pool, shard_of("a", 4)).await;
    assert!(log.iter().all(|event| event.tenant == "acme"));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn the_second_of_two_commits_upon_one_state_is_a_conflict(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let store = PostgresEventStore::new(database.connect(), 1);
    let load = || EventStore::<Tally>::load_aggregate(&store, "a");
    let (first, second) = (load().await.unwrap(), load().await.unwrap());
    store.commit(vec![Event::Added], first, HashMap::new()).await.unwrap();
    let conflict = store.commit(vec![Event::Added], second, HashMap::new()).await;
    assert!(matches!(conflict, Err(AggregateError::AggregateConflict)));
    assert_eq!(check::shard(&database.pool, 0).await.len(), 1);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn commits_to_different_aggregates_are_none(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let store = PostgresEventStore::new(database.connect(), 1);
    let framework = CqrsFramework::<Tally, _>::new(store, vec![], ());
    let client = async |nth: usize| {
        for _ in 0..5 {
            framework.execute(&format!("tally {nth}"), Command::Add(2)).await.unwrap();
        }
    };
    join_all((0..8).map(client)).await;
    assert_eq!(check::shard(&database.pool, 0).await.len(), 8 * 5 * 2);
}
