//! Rebuilding while everything goes on.

use projections::{RebuildError, conversation_list, rebuild, transcript};
use sqlx::PgPool;
use tokio::time::timeout;

use crate::log::{append, caught_up, dump, migrated};
use crate::projecting::project;
use crate::story::{id, said, story};
use crate::wait::{DEADLINE, until};
use nats::test_server::Server;

const LIMIT: transcript::Limit = transcript::Limit { messages: 10, bytes: 1_000_000 };

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
        for name in projections::NAMES.iter().cycle().take(8) {
            rebuild(&owner, name).await.unwrap();
        }
    };
    let writes = async { tokio::join!(appends, rebuilds) };
    let reads = async {
        loop {
            let (_, row) = conversation_list::get(&pool, id(1)).await.unwrap().expect("it is there all the time");
            assert!(row.sequence >= 22);
            assert!(!transcript::page(&pool, id(1), None, LIMIT).await.unwrap().messages.is_empty());
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
        rebuild(&owner, name).await.unwrap();
    }
    assert_eq!(dump(&owner).await, live);
    assert!(matches!(rebuild(&owner, "nonsense").await, Err(RebuildError::Unknown(_))));
    pool.close().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn of_two_rebuilds_of_a_view_at_once_one_is_refused(owner: PgPool) {
    let pool = migrated(&owner, 2).await;
    append(&owner, id(1), 1, &story(100)[0]).await;
    // The first is held up before it is done: the swap waits for the checkpoint.
    let mut projector = store::begin(&owner).await.unwrap();
    store::checkpoint::lock(&mut projector, transcript::NAME, 0).await.unwrap();
    let (rebuilding, name) = (owner.clone(), transcript::NAME);
    let first = tokio::spawn(async move { rebuild(&rebuilding, name).await });
    let waiting = "select exists (select from pg_locks where locktype = 'advisory')
                   and exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    until("the first waits", async || sqlx::query_scalar(waiting).fetch_one(&owner).await.unwrap()).await;

    let second = timeout(DEADLINE, rebuild(&owner, transcript::NAME)).await.expect("at once");
    assert!(matches!(second, Err(RebuildError::UnderWay(transcript::NAME))), "{second:?}");
    rebuild(&owner, conversation_list::NAME).await.expect("another view can be rebuilt meanwhile");
    projector.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().unwrap(), 1);
    rebuild(&owner, transcript::NAME).await.expect("once the first is done");
    pool.close().await;
}
