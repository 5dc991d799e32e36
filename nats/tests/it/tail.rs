//! A reader of a shard gets every event once and in order, whatever the bus does.

use nats::tail::Tail;
use sqlx::PgPool;
use store::{Recorded, log};
use tokio::time::timeout;

use crate::database::{foreign_event, foreign_title, migrated};
use crate::mirror::{canonical, compare, info, log as whole_log};
use crate::owner::Owner;
use crate::wait::{DEADLINE, until};
use nats::test_server::Server;

/// Reads up to position `end`; fails on a gap, a repetition, or something that is not in the log.
async fn read(tail: &mut Tail, after: u64, end: u64) -> Vec<Recorded> {
    let mut events: Vec<Recorded> = Vec::new();
    while after + (events.len() as u64) < end {
        events.extend(timeout(DEADLINE, tail.next()).await.expect("in time").unwrap());
    }
    let positions: Vec<u64> = events.iter().map(|event| event.pos).collect();
    assert_eq!(positions, (after + 1..=end).collect::<Vec<_>>());
    events
}

fn assert_same(read: &[Recorded], log: &[Recorded]) {
    assert_eq!(read.iter().map(canonical).collect::<Vec<_>>(), log.iter().map(canonical).collect::<Vec<_>>());
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn it_begins_anywhere_and_follows(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    for nth in 0..1_200 {
        owner.rename(conversation, &format!("title {nth}")).await;
    }
    let starts = [0, 1, 700, 1_201];
    let mut tails = Vec::new();
    for after in starts {
        tails.push(Tail::start(client.clone(), pool.clone(), 0, after).await.unwrap());
    }
    for nth in 0..100 {
        owner.rename(conversation, &format!("later title {nth}")).await;
    }
    let log = whole_log(&pool).await;
    for (tail, after) in tails.iter_mut().zip(starts) {
        let events = read(tail, after, 1_301).await;
        assert_same(&events, &log[usize::try_from(after).unwrap()..]);
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_edge_follows_too(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let owner = Owner::new(&server.core().await, &pool);
    let mut tail = Tail::start(server.edge().await, pool.clone(), 0, 0).await.unwrap();
    owner.start().await;
    read(&mut tail, 0, 1).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn it_goes_on_while_the_bus_is_away_and_after(pool: PgPool) {
    let (mut server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    let mut tail = Tail::start(client.clone(), pool.clone(), 0, 0).await.unwrap();
    let mut got = read(&mut tail, 0, 1).await;

    server.kill();
    for nth in 0..30 {
        owner.rename(conversation, &format!("in silence {nth}")).await;
    }
    got.extend(read(&mut tail, 1, 31).await);

    let talk = async {
        for nth in 0..200 {
            owner.rename(conversation, &format!("while it comes back {nth}")).await;
        }
    };
    let (news, (), ()) = tokio::join!(read(&mut tail, 31, 231), talk, async {
        server.restart().await;
        server.wipe().await;
    });
    got.extend(news);
    compare(&client, &pool).await;
    for nth in 0..10 {
        owner.rename(conversation, &format!("as before {nth}")).await;
    }
    got.extend(read(&mut tail, 231, 241).await);
    assert_same(&got, &whole_log(&pool).await);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn strange_and_repeated_messages_change_nothing(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let mut tail = Tail::start(client.clone(), pool.clone(), 0, 0).await.unwrap();
    let mut got = Vec::new();
    for round in 0..10 {
        foreign_event(&pool, "a", round * 2 + 1).await;
        foreign_event(&pool, "a", round * 2 + 2).await;
        let (head, log) = (log::head(&pool, 0).await.unwrap(), whole_log(&pool).await);
        // What rival relays, lost answers and other people's programs leave on the wire: the newest first, then all anew.
        for event in log.iter().rev().chain(&log) {
            client.publish(nats::subject::event(event), serde_json::to_vec(event).unwrap().into()).await.unwrap();
        }
        if round % 2 == 0 {
            client.publish("evt.0.conversation.x.Strange", "strange".into()).await.unwrap();
        }
        got.extend(read(&mut tail, got.len() as u64, head).await);
    }
    assert_same(&got, &whole_log(&pool).await);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_event_too_large_for_the_bus_comes_from_the_log(pool: PgPool) {
    let (server, pool) = (Server::start().await, migrated(&pool).await);
    let client = server.core().await;
    let owner = Owner::new(&client, &pool);
    let conversation = owner.start().await;
    let mut tail = Tail::start(client.clone(), pool.clone(), 0, 0).await.unwrap();
    read(&mut tail, 0, 1).await;
    // More than the server takes in one message.
    foreign_title(&pool, "large", 1, &"x".repeat(5 * 1024 * 1024)).await;
    for nth in 0..5 {
        owner.rename(conversation, &format!("title {nth}")).await;
    }
    let events = read(&mut tail, 1, 7).await;
    assert_same(&events, &whole_log(&pool).await[1..]);
    until("what is behind it is on the bus", async || {
        info(&client).await.is_some_and(|info| info.state.last_sequence == 7)
    })
    .await;
    // Nor does it stop a relay that begins with it as the stream's last.
    foreign_title(&pool, "large", 2, &"x".repeat(5 * 1024 * 1024)).await;
    until("it is there", async || info(&client).await.is_some_and(|info| info.state.last_sequence == 8)).await;
    drop(owner);
    let created = info(&client).await.unwrap().created;
    let owner = Owner::new(&client, &pool);
    owner.rename(conversation, "last").await;
    until("it goes on", async || info(&client).await.is_some_and(|info| info.state.last_sequence == 9)).await;
    assert_eq!(info(&client).await.unwrap().created, created, "the stream was not made anew");
}
