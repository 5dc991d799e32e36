//! The projector at work: one or several, cut off at any moment, one event or many at a time, the view is the same.

use std::time::Duration;

use domain::conversation::Event;
use projections::Projector;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::log::{CONTENT, append, caught_up, dump, dump_of, migrated};
use crate::story::{id, renamed, said, started, story};
use crate::wait::until;
use nats::test_server::Server;

/// Projects while it is held.
pub(crate) async fn project(pool: &PgPool, server: &Server) -> DropGuard {
    let cancelled = CancellationToken::new();
    let projector = Projector { pool: pool.clone(), client: server.core().await, process: Uuid::new_v4() };
    tokio::spawn(projector.run(watch::Sender::new(false), cancelled.clone()));
    cancelled.drop_guard()
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn several_projectors_cut_off_at_any_moment_take_each_event_in_once(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 2).await, Server::start().await);
    let appends = async {
        for (sequence, event) in (1..).zip(story(100)) {
            for n in 1..=6 {
                append(&owner, id(n), sequence, &event).await;
            }
        }
    };
    let projects = async {
        for _ in 0..4 {
            let both = (project(&pool, &server).await, project(&pool, &server).await);
            tokio::time::sleep(Duration::from_millis(150)).await;
            drop(both);
        }
    };
    tokio::join!(appends, projects);
    let _projector = project(&pool, &server).await;
    until("all is taken in", async || caught_up(&pool).await).await;
    let live = dump(&owner).await;
    for name in projections::NAMES {
        projections::rebuild(&owner, name).await.unwrap();
    }
    assert_eq!(dump(&owner).await, live, "the views are the fold of the log");
    assert!(live.contains("Tides") && live.contains("The moon."), "{live}");
    pool.close().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_checkpoint_that_went_back_is_begun_at_again(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 1).await, Server::start().await);
    let _projector = project(&pool, &server).await;
    append(&owner, id(1), 1, &started("ann")).await;
    append(&owner, id(1), 2, &said(100, "hello")).await;
    until("all is taken in", async || caught_up(&pool).await).await;
    // What a crash of Postgres does to a commit that was not flushed.
    let mut tx = store::begin(&owner).await.unwrap();
    for sql in ["update checkpoints set pos = 1", "delete from transcript.messages"] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    sqlx::query("update conversation_list.conversations set sequence = 1, preview = null")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    append(&owner, id(1), 3, &renamed("later")).await;
    until("all is taken in", async || caught_up(&pool).await).await;
    let view = dump(&owner).await;
    assert!(view.contains("hello") && view.contains("later"), "{view}");
    pool.close().await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_deleted_conversation_leaves_nothing(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 1).await, Server::start().await);
    let events = story(100);
    for (sequence, event) in (1..).zip(events.iter().chain([&Event::ConversationDeleted {}])) {
        append(&owner, id(1), sequence, event).await;
    }
    let nothing = dump_of(&owner, CONTENT).await;
    let _projector = project(&pool, &server).await;
    until("all is taken in", async || caught_up(&pool).await).await;
    assert_eq!(dump_of(&owner, CONTENT).await, nothing);
    pool.close().await;
}
