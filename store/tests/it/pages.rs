//! A page is bounded by bytes as well as by count, and says when it ended because it was full.

use sqlx::PgPool;
use store::{Recorded, log};

use crate::database::Database;
use crate::tally::{Command, ask};

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn large_events_make_short_pages(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writer = database.writer(0);
    for _ in 0..10 {
        writer.execute(ask("a", Command::Note("x".repeat(1024 * 1024)))).await.unwrap();
    }
    let mut events: Vec<Recorded> = Vec::new();
    let mut pages = 0;
    loop {
        let page = log::read(&database.pool, 0, events.len() as u64, 1_000).await.unwrap();
        let full = page.full;
        assert!(page.len() <= 4, "four of these fill a page");
        events.extend(page);
        pages += 1;
        if !full {
            break;
        }
    }
    assert_eq!((events.len(), pages), (10, 3));
    let page = log::read_stream(&database.pool, "tally", "a", 3..=4, 1_000).await.unwrap();
    assert_eq!((page.len(), page.full), (2, false));
    let page = log::read_stream(&database.pool, "tally", "a", 1..=u64::MAX, 2).await.unwrap();
    assert_eq!((page.len(), page.full), (2, true));
}
