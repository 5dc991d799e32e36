//! A client that does not read: it is closed as slow, costs a bounded amount of memory, and nobody else notices.

use std::time::Duration;

use api::Limits;
use domain::conversation::{Command, Parent, Part};
use domain::{ConversationId, MessageId};
use sqlx::PgPool;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::support::wait::DEADLINE;
use crate::support::{TestEdge, until};

const SLOW: usize = 12;
const MESSAGES: u64 = 240;
const MESSAGE: usize = 100_000;

async fn say(test: &TestEdge, id: ConversationId) {
    let parts = vec![Part::Text { text: "x".repeat(MESSAGE) }];
    let (message, parent) = (MessageId(Uuid::new_v4()), Parent::ActiveLeaf);
    test.owner.ann(id, Command::SubmitMessage { message, parent, parts, reply: None }).await;
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn clients_that_do_not_read_are_closed_and_cost_little(pool: PgPool) {
    let test = TestEdge::start(&pool).await;
    let id = test.owner.conversation().await;
    let mut reader = test.client("ann").await;
    reader.follow(id).await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut client = test.client("ann").await;
        client.follow(id).await;
        slow.push(client);
    }
    let before = resident();
    let reads = tokio::spawn(async move {
        for sequence in 2..=MESSAGES + 1 {
            assert_eq!(reader.about(id, "event").await["sequence"], serde_json::json!(sequence));
        }
        reader
    });
    for _ in 0..MESSAGES {
        say(&test, id).await;
    }
    let begun = Instant::now();
    let _reader = reads.await.unwrap();
    let grown = resident().saturating_sub(before);
    until("the slow ones are closed", async || test.edge.load().sockets == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // A queue for each would hold twelve times 24 MB.
    assert!(grown < 160_000_000, "{grown} bytes");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_client_that_reads_again_learns_that_it_was_too_slow(pool: PgPool) {
    // It is closed after a second, and then given the time to find out.
    let limits = Limits { unread: Duration::from_secs(1), close: DEADLINE, ..Limits::default() };
    let test = TestEdge::with_limits(&pool, limits).await;
    let id = test.owner.conversation().await;
    let mut slow = test.client("ann").await;
    slow.follow(id).await;
    for _ in 0..MESSAGES {
        say(&test, id).await;
    }
    until("it is given up", async || test.edge.load().people == 0).await;
    assert_eq!(slow.close_code().await, Some(4409));
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_client_that_does_not_read_keeps_no_process_from_stopping(pool: PgPool) {
    let test = TestEdge::with_limits(&pool, Limits { unread: Duration::from_mins(10), ..Limits::default() }).await;
    let id = test.owner.conversation().await;
    let (mut slow, mut reader) = (test.client("ann").await, test.client("ann").await);
    slow.follow(id).await;
    reader.follow(id).await;
    for sequence in 2..=MESSAGES + 1 {
        say(&test, id).await;
        assert_eq!(reader.about(id, "event").await["sequence"], serde_json::json!(sequence));
    }
    test.stop();
    timeout(DEADLINE, test.edge.closed()).await.expect("all sockets are closed in time");
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_client_of_which_nothing_is_heard_is_closed_as_silent(pool: PgPool) {
    let (ping_every, silence) = (Duration::from_millis(100), Duration::from_secs(2));
    let test = TestEdge::with_limits(&pool, Limits { ping_every, silence, ..Limits::default() }).await;
    let mut silent = test.client("ann").await;
    // This one reads, so that it answers the pings.
    let mut other = test.client("bob").await;
    let given_up = until("the silent one is given up", async || test.edge.load().people == 1);
    tokio::select! {
        code = other.close_code() => panic!("the one that is heard of is closed: {code:?}"),
        () = given_up => {}
    }
    assert_eq!(silent.close_code().await, Some(4410));
    other.until_pong().await;
}

/// The process's memory in bytes; nothing where the system does not say.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096
}
