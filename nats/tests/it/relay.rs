//! The stream mirrors the log, whatever happens to the stream.

use std::time::Duration;

use futures::future::join_all;
use nats::relay;
use sqlx::PgPool;
use tokio::time::Instant;

use crate::database::{foreign_event, migrated};
use crate::mirror::{compare, info};
use crate::owner::Owner;
use crate::wait::until;
use nats::test_server::Server;

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_is_committed_is_published_in_order(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let talk = async || {
        let conversation = owner.start().await;
        for nth in 0..20 {
            owner.rename(conversation, &format!("title {nth}")).await;
        }
    };
    join_all((0..10).map(|_| talk())).await;
    assert_eq!(compare(&client, &pool).await.state.last_sequence, 10 * 21);
}

/// Each loss strikes while commands go on.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn whatever_nats_loses_is_published_again(pool: PgPool) {
    let (mut server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    let mut said = 0;
    let mut talk = async |count: usize| {
        for _ in 0..count {
            said += 1;
            owner.rename(conversation, &format!("title {said}")).await;
        }
    };
    talk(100).await;
    relay::jetstream(&client).delete_stream("EVT_0").await.unwrap();
    talk(100).await;
    compare(&client, &pool).await;

    tokio::join!(talk(300), server.wipe());
    talk(100).await;
    let after_wipe = compare(&client, &pool).await;
    assert_eq!(after_wipe.state.last_sequence, 601);

    tokio::join!(talk(300), async {
        server.kill();
        server.restart().await;
    });
    assert_eq!(compare(&client, &pool).await.state.last_sequence, 901);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_relay_that_is_left_behind_reads_the_log(pool: PgPool) {
    let (mut server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    // Room for one batch: while the server is away, the writer leaves out all others and goes on.
    let owner = Owner::with_room(&client, &pool, 1);
    let conversation = owner.start().await;
    compare(&client, &pool).await;
    server.kill();
    for nth in 0..1_500 {
        owner.rename(conversation, &format!("title {nth}")).await;
    }
    server.restart().await;
    assert_eq!(compare(&client, &pool).await.state.last_sequence, 1_501);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_someone_else_commits_is_published_too(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    owner.start().await;
    compare(&client, &pool).await;
    let began = Instant::now();
    for sequence in 1..=3 {
        foreign_event(&pool, "foreign", sequence).await;
    }
    compare(&client, &pool).await;
    assert!(began.elapsed() < Duration::from_secs(3), "soon: {:?}", began.elapsed());
    // Between two of the writer's own.
    foreign_event(&pool, "foreign", 4).await;
    owner.start().await;
    assert_eq!(compare(&client, &pool).await.state.last_sequence, 6);
}

/// The database was restored from a backup, or is another one: the stream knows events that never happened here.
async fn made_anew(pool: PgPool, strange: u64, head: i64) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let jetstream = relay::jetstream(&client);
    let config = async_nats::jetstream::stream::Config {
        name: "EVT_0".to_owned(),
        subjects: vec![nats::subject::events(0)],
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
    for nth in 0..strange {
        jetstream.publish(format!("evt.0.conversation.{nth}.Strange"), "{}".into()).await.unwrap().await.unwrap();
    }
    for sequence in 1..=head {
        foreign_event(&pool, "ours", sequence).await;
    }
    let owner = Owner::new(&client, &pool);
    owner.start().await;
    compare(&client, &pool).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_stream_ahead_of_the_log_is_made_anew(pool: PgPool) {
    made_anew(pool, 50, 5).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_stream_of_another_log_is_made_anew(pool: PgPool) {
    made_anew(pool, 5, 50).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_does_not_belong_into_the_stream_is_thrown_out(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    let created = compare(&client, &pool).await.created;
    client.publish("evt.0.conversation.x.Strange", "strange".into()).await.unwrap();
    owner.rename(conversation, "title").await;
    until("it is made anew", async || info(&client).await.is_some_and(|info| info.created != created)).await;
    assert_eq!(compare(&client, &pool).await.state.last_sequence, 2);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_long_log_is_published_from_near_its_end(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let many = "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
                select 'conversation', 'long', n, 'ConversationRenamed', '1.0', '{}', '{}' from generate_series(1, 10500) n";
    sqlx::query(many).execute(&pool).await.unwrap();
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    owner.start().await;
    until("it is published", async || info(&client).await.is_some_and(|info| info.state.last_sequence == 10_501)).await;
    let state = info(&client).await.unwrap().state;
    assert!(state.first_sequence > 1 && state.messages >= 10_000, "{state:?}");
    let stream = relay::jetstream(&client).get_stream("EVT_0").await.unwrap();
    let first = stream.get_raw_message(state.first_sequence).await.unwrap();
    let event: store::Recorded = serde_json::from_slice(&first.payload).unwrap();
    assert_eq!(event.pos, state.first_sequence);
}

/// An owner that was stopped over a bus that does not answer: its relay must not fight the next owner's when the bus is back.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_relay_whose_owner_is_gone_ends_when_it_fails(pool: PgPool) {
    let (mut server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    foreign_event(&pool, "ours", 1).await;
    let (committed, relayed) = tokio::sync::mpsc::channel(1);
    let never = tokio_util::sync::CancellationToken::new();
    let relaying = tokio::spawn(relay::run(relay::jetstream(&client), pool.clone(), 0, relayed, never));
    compare(&client, &pool).await;
    server.kill();
    foreign_event(&pool, "ours", 2).await;
    drop(committed);
    tokio::time::timeout(Duration::from_secs(20), relaying).await.expect("it ends").unwrap();
}
