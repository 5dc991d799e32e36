//! Transactions that are dropped at any moment leave nothing behind on the connections that others get next.

use std::time::Duration;

use sqlx::PgPool;
use store::Role;
use tokio::time::timeout;

use crate::database::Database;

/// So often is a transaction dropped while it begins.
const DROPS: u32 = 300;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_follows_a_dropped_beginning_is_committed(owner: PgPool) {
    let database = Database::new(owner, 1).await;
    sqlx::query("create table kept (n int)").execute(&database.owner).await.unwrap();
    sqlx::query("grant insert on kept to bestchat_worker").execute(&database.owner).await.unwrap();
    // One connection, so that the next statement is on the one that the dropped transaction had.
    let pool = database.connect_with(1);
    for nth in 0..DROPS {
        // Dropped before it is sent, after that, or just before the answer is read.
        let _ = timeout(Duration::from_micros(u64::from(nth % 60) * 5), store::begin(&pool)).await;
        sqlx::query("insert into kept values (1)").execute(&pool).await.unwrap();
    }
    let kept: i64 = sqlx::query_scalar("select count(*) from kept").fetch_one(&database.owner).await.unwrap();
    assert_eq!(kept, i64::from(DROPS));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_transaction_whose_process_does_not_go_on_is_ended(owner: PgPool) {
    let database = Database::new(owner, 1).await;
    let (frozen, other) = (database.connect(), database.connect());
    let mut held = store::begin(&frozen).await.unwrap();
    store::checkpoint::lock(&mut held, "reader", 0).await.unwrap();
    // The other one waits for the lock, and gets it though the first never goes on.
    let mut next = store::begin(&other).await.unwrap();
    timeout(Duration::from_secs(20), store::checkpoint::lock(&mut next, "reader", 0)).await.unwrap().unwrap();
    store::checkpoint::advance(&mut next, "reader", 0, 1).await.unwrap();
    next.commit().await.unwrap();
    assert!(held.commit().await.is_err(), "it was ended");
    assert_eq!(store::checkpoint::read(&database.connect_as(Role::Worker), "reader", 0).await.unwrap(), 1);
}
