//! Rebuilding while everything goes on.

use projections::{conversation_list, rebuild, transcript};
use sqlx::PgPool;

use crate::log::{append, caught_up, dump, migrated};
use crate::projecting::project;
use crate::server::Server;
use crate::story::{id, said, story};
use crate::wait::until;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_view_rebuilt_under_load_is_the_same_and_readers_notice_nothing(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 2).await, Server::start().await);
    let _projectors = (project(&pool, &server).await, project(&pool, &server).await);
    for n in 1..=4 {
        for (sequence, event) in (1..).zip(story(100 * n)) {
            append(&owner, id(n), sequence, &event).await;
        }
    }
    until("all is taken in", async || caught_up(&pool).await).await;
    let appends = async {
        for sequence in 23..=120 {
            for n in 1..=4 {
                append(&owner, id(n), sequence, &said(10_000 + u128::from(sequence), "more")).await;
            }
        }
    };
    let rebuilds = async {
        for name in projections::NAMES.iter().cycle().take(6) {
            rebuild(&owner, name).await.unwrap().unwrap();
        }
    };
    let writes = async { tokio::join!(appends, rebuilds) };
    let reads = async {
        loop {
            let (_, row) = conversation_list::get(&pool, id(1)).await.unwrap().expect("it is there all the time");
            assert!(row.sequence >= 22);
            assert!(!transcript::page(&pool, id(1), None, 5).await.unwrap().is_empty());
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = writes => {}
        () = reads => {}
    }
    until("all is taken in", async || caught_up(&pool).await).await;
    let live = dump(&owner).await;
    for name in projections::NAMES {
        rebuild(&owner, name).await.unwrap().unwrap();
    }
    assert_eq!(dump(&owner).await, live);
    assert!(rebuild(&owner, "nonsense").await.is_err());
    pool.close().await;
}
