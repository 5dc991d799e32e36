//! An event that cannot be read halts its conversation, is seen, and is taken in when a person says so.

use sqlx::PgPool;
use store::dead_letter;

use crate::log::{append, caught_up, dump, migrated, poison};
use crate::projecting::project;
use crate::story::{id, renamed, said, started};
use crate::wait::until;
use nats::test_server::Server;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_poison_event_halts_its_conversation_alone_until_it_is_retried(owner: PgPool) {
    let (pool, server) = (migrated(&owner, 1).await, Server::start().await);
    for n in [1, 2] {
        append(&owner, id(n), 1, &started("ann")).await;
        append(&owner, id(n), 2, &renamed("before")).await;
    }
    poison(&owner, id(1), 3).await;
    append(&owner, id(1), 4, &renamed("after")).await;
    append(&owner, id(1), 5, &said(100, "unseen")).await;
    append(&owner, id(2), 3, &renamed("goes on")).await;
    let _projector = project(&pool, &server).await;
    until("all is taken in", async || caught_up(&pool).await).await;
    let halted = dump(&owner).await;
    assert!(halted.contains("before") && halted.contains("goes on"), "{halted}");
    assert!(!halted.contains("after") && !halted.contains("unseen"), "{halted}");
    let letters = dead_letter::list(&owner).await.unwrap();
    assert_eq!(letters.len(), 3, "one for each view of conversations: {letters:?}");

    // Retried too early, it is parked again.
    for letter in &letters {
        assert!(dead_letter::ask_retry(&owner, &letter.consumer, letter.position).await.unwrap());
    }
    let waits = async || dead_letter::list(&owner).await.unwrap().iter().all(|letter| letter.retry_at.is_none());
    until("it is parked again", waits).await;
    assert_eq!(dump(&owner).await, halted);

    // A newer version can read it.
    let sql = "update events set payload = $1, event_type = 'ConversationRenamed' where event_type = 'Poison'";
    sqlx::query(sql).bind(serde_json::to_value(renamed("read")).unwrap()).execute(&owner).await.unwrap();
    for letter in dead_letter::list(&owner).await.unwrap() {
        dead_letter::ask_retry(&owner, &letter.consumer, letter.position).await.unwrap();
    }
    until("it is taken in", async || dead_letter::list(&owner).await.unwrap().is_empty()).await;
    let whole = dump(&owner).await;
    assert!(whole.contains("after") && whole.contains("unseen"), "{whole}");
    append(&owner, id(1), 6, &renamed("and on")).await;
    until("it goes on", async || dump(&owner).await.contains("and on")).await;
    pool.close().await;
}
