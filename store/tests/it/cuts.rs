//! Connections that die at any moment, also between a commit and its answer: nothing acknowledged is lost, nothing doubled.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use sqlx::PgPool;

use crate::check;
use crate::database::Database;
use crate::rivals::insist;
use crate::tally::{Command, ask};

/// Kills one of our connections now and then, for ever, and counts.
async fn cut(outside: &PgPool, cuts: &mut u32) {
    let mut connection = outside.acquire().await.unwrap();
    loop {
        let cut = sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name = 'bestchat' and state = 'active'
             order by random() limit 1",
        );
        *cuts += u32::try_from(cut.fetch_all(&mut *connection).await.unwrap().len()).unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn nothing_is_lost_or_doubled_when_connections_die(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writers = [database.writer(0), database.writer(0)];
    let client = async |nth: usize| {
        let mut acknowledged = Vec::new();
        for round in 0..12 {
            let execute = ask(&format!("tally {}", nth % 9), Command::Add(1 + round % 2));
            acknowledged.push((execute.command_id, insist(&writers[nth % 2], &execute).await.unwrap()));
        }
        acknowledged
    };
    let mut cuts = 0;
    let acknowledged: BTreeMap<_, _> = tokio::select! {
        () = cut(&database.owner, &mut cuts) => unreachable!(),
        acknowledged = join_all((0..32).map(client)) => acknowledged.into_iter().flatten().collect(),
    };
    assert!(cuts >= 5, "connections were cut: {cuts}");
    let events = check::shard(&database.owner, 0).await;
    check::ledger(&events, &acknowledged);
    assert_eq!(events.len(), 32 * (6 + 12), "every command is there once");
}
