//! Aggregates of two types under one writer.

use domain::account::{self, Account, Limits};
use domain::{Actor, Asked, Asker, CommandId};
use sqlx::PgPool;
use store::writer::{self, Execute, Refusal};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::check;
use crate::database::Database;
use crate::tally::{Command, OpenAlready, Tally, ask};

/// Of Ann's account, which is called what a tally is called.
fn anns(command: account::Command) -> Execute<Account> {
    let actor = Actor::User("ann".parse().unwrap());
    let asker = Asker { tenant: "acme".parse().ok(), actor: actor.clone() };
    Execute {
        command_id: CommandId(Uuid::new_v4()),
        aggregate_id: "a".to_owned(),
        expected_sequence: None,
        actor,
        traceparent: None,
        command: Asked { asker, command },
    }
}

fn limit(concurrent_replies: u32) -> account::Command {
    account::Command::SetLimits { limits: Limits { concurrent_replies: Some(concurrent_replies), ..Limits::default() } }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn they_share_an_append_and_not_even_an_id_confuses_them(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let (committed, mut relay) = mpsc::channel(16);
    let tallies = writer::spawn::<Tally>(database.connect(), 0, committed);
    let accounts = tallies.of::<Account>();
    // Submitted before the writer runs for the first time, so they are one batch.
    let tally = tallies.submit(ask("a", Command::Open));
    let account = accounts.submit(anns(limit(1)));
    let again = tallies.submit(ask("a", Command::Add(1)));
    let refused = tallies.submit(ask("a", Command::Open));
    let unknown = accounts.submit(anns(account::Command::RemoveProviderConfig { provider: "x".parse().unwrap() }));
    let limited = accounts.submit(anns(limit(2)));
    assert_eq!((tally.await.unwrap().sequence, again.await.unwrap().sequence), (1, 2));
    assert_eq!((account.await.unwrap().sequence, limited.await.unwrap().sequence), (2, 3));
    assert_eq!(refused.await, Err(Refusal::Domain { error: OpenAlready }));
    assert_eq!(unknown.await, Err(Refusal::Domain { error: account::Error::UnknownProvider }));

    let batch = relay.recv().await.unwrap();
    let types: Vec<&str> = batch.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["Opened", "AccountOpened", "LimitsSet", "Added", "LimitsSet"], "one append, in the order asked");
    assert_eq!(check::shard(&database.pool, 0).await.len(), 5);

    // As the next owner finds them.
    let tallies = database.writer(0);
    let accounts = tallies.of::<Account>();
    assert_eq!(tallies.execute(ask("a", Command::Open)).await, Err(Refusal::Domain { error: OpenAlready }));
    assert_eq!(accounts.execute(anns(limit(2))).await.unwrap().sequence, 3, "it holds already");
    assert_eq!(accounts.execute(anns(limit(3))).await.unwrap().sequence, 4);
    let state: Account = store::state(&database.pool, "a").await.unwrap();
    assert_eq!(state.limits().concurrent_replies, Some(3));
}

/// Two writers of a shard by accident: each finds what the other did to either aggregate.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn rivals_find_each_others_events(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let (one, other) = (database.writer(0), database.writer(0).of::<Account>());
    for round in 1..=5 {
        let tally = one.execute(ask("a", Command::Add(1))).await.unwrap();
        let account = other.execute(anns(limit(round))).await.unwrap();
        assert_eq!((tally.sequence, account.sequence), (u64::from(round), u64::from(round) + 1));
    }
    assert_eq!(check::shard(&database.pool, 0).await.len(), 11);
}
