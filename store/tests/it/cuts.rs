//! Connections that die at any moment, also between a commit and its answer: nothing acknowledged is lost, nothing doubled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::join_all;
use sqlx::PgPool;

use crate::check;
use crate::database::Database;
use crate::rivals::insist;
use crate::tally::{Command, ask};

/// So often is a connection cut.
const CUTS: u32 = 3;

/// Kills one of our connections now and then, for ever, and counts.
async fn cut(outside: &PgPool, cuts: &AtomicU32) {
    let mut connection = outside.acquire().await.unwrap();
    loop {
        let cut = sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name = 'bestchat' and state = 'active'
             order by random() limit 1",
        );
        let cut = cut.fetch_all(&mut *connection).await.unwrap().len();
        cuts.fetch_add(u32::try_from(cut).unwrap(), Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn nothing_is_lost_or_doubled_when_connections_die(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writers = [database.writer(0), database.writer(0)];
    let cuts = AtomicU32::new(0);
    // As long as it takes for the connections to have been cut often enough.
    let client = async |nth: usize| {
        let (mut acknowledged, mut events) = (Vec::new(), 0);
        while acknowledged.len() < 12 || cuts.load(Ordering::Relaxed) < CUTS {
            let added = 1 + acknowledged.len() % 2;
            let execute = ask(&format!("tally {}", nth % 9), Command::Add(added as u64));
            acknowledged.push((execute.command_id, insist(&writers[nth % 2], &execute).await.unwrap()));
            events += added;
        }
        (acknowledged, events)
    };
    let clients = tokio::select! {
        () = cut(&database.owner, &cuts) => unreachable!(),
        clients = join_all((0..32).map(client)) => clients,
    };
    let expected: usize = clients.iter().map(|(_, events)| events).sum();
    let acknowledged: BTreeMap<_, _> = clients.into_iter().flat_map(|(acknowledged, _)| acknowledged).collect();
    let events = check::shard(&database.owner, 0).await;
    check::ledger(&events, &acknowledged);
    assert_eq!(events.len(), expected, "every command is there once");
}
