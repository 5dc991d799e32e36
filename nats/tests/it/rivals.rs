//! Several relays on one shard, as when ownership changes hands or a former owner comes back to life.

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use nats::{relay, subject};
use sqlx::PgPool;

use crate::database::migrated;
use crate::mirror::{compare, info, log};
use crate::owner::Owner;
use nats::test_server::Server;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_stale_publication_is_refused(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    for nth in 0..5 {
        owner.rename(conversation, &format!("title {nth}")).await;
    }
    compare(&client, &pool).await;
    let jetstream = relay::jetstream(&client);
    for event in log(&pool).await {
        let body = serde_json::to_vec(&event).unwrap();
        let late = PublishMessage::build().payload(body.into()).expected_last_sequence(event.pos - 1);
        let refused = jetstream.send_publish(subject::event(&event), late).await.unwrap().await;
        assert_eq!(refused.unwrap_err().kind(), PublishErrorKind::WrongLastSequence, "position {}", event.pos);
    }
    compare(&client, &pool).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn several_relays_publish_each_event_once(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let first = Owner::new(&client, &pool);
    let conversation = first.start().await;
    let created = compare(&client, &pool).await.created;

    let others = [server.core().await, server.core().await];
    let mut owners: Vec<_> = others.iter().map(|client| Owner::new(client, &pool)).collect();
    owners.push(first);
    for nth in 0..300 {
        owners[nth % 3].rename(conversation, &format!("title {nth}")).await;
        // Owners come and go all the while.
        if nth % 20 == 0 {
            owners[nth % 2] = Owner::new(&others[nth % 2], &pool);
        }
    }
    assert_eq!(compare(&client, &pool).await.state.last_sequence, 301);
    assert_eq!(info(&client).await.unwrap().created, created, "no one took the stream for another log's");
}
