//! A client that does not read: it is closed as slow, costs a bounded amount of memory, and nobody else notices.

use std::time::Duration;

use domain::MessageId;
use domain::conversation::{Command, Parent, Part};
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{TestEdge, until};

const SLOW: usize = 12;
const MESSAGES: u64 = 240;
const MESSAGE: usize = 100_000;

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
        let parts = vec![Part::Text { text: "x".repeat(MESSAGE) }];
        let (message, parent) = (MessageId(Uuid::new_v4()), Parent::ActiveLeaf);
        test.owner.ann(id, Command::SubmitMessage { message, parent, parts, reply: None }).await;
    }
    let begun = Instant::now();
    let _reader = reads.await.unwrap();
    let grown = resident().saturating_sub(before);
    until("the slow ones are closed", async || test.edge.load().sockets == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // A queue for each would hold twelve times 24 MB.
    assert!(grown < 160_000_000, "{grown} bytes");
}

/// The process's memory in bytes; nothing where the system does not say.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096
}
