//! Several writers on one shard, each believing to be alone: nothing is lost, doubled, reordered or believed wrongly.

use std::collections::BTreeMap;

use futures::future::join_all;
use sqlx::PgPool;
use store::writer::{Accepted, Execute, Handle, Outcome, Refusal};

use crate::check;
use crate::database::Database;
use crate::tally::{Command, OpenAlready, Tally, ask};

const RIVALS: usize = 4;

/// Asks until there is an answer, as everyone who asks does.
pub(crate) async fn insist(writer: &Handle<Tally>, command: &Execute<Tally>) -> Outcome<Tally> {
    loop {
        let outcome = writer.execute(command.clone()).await;
        if outcome != Err(Refusal::Unavailable) {
            return outcome;
        }
    }
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn what_one_of_four_acknowledges_is_there_once(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writers: Vec<_> = (0..RIVALS).map(|_| database.writer(0)).collect();
    let client = async |nth: usize| {
        let (mut accepted, mut refused) = (BTreeMap::new(), Vec::new());
        for round in 0..8 {
            let command =
                if (nth + round).is_multiple_of(5) { Command::Open } else { Command::Add(1 + (round as u64 % 3)) };
            let execute = ask(&format!("tally {}", (nth + round) % 7), command);
            match insist(&writers[nth % RIVALS], &execute).await {
                Ok(it) => drop(accepted.insert(execute.command_id, it)),
                Err(Refusal::Domain { error: OpenAlready }) => refused.push(execute.command_id),
                Err(other) => panic!("{other}"),
            }
        }
        (accepted, refused)
    };
    let answers = join_all((0..40).map(client)).await;

    let events = check::shard(&database.pool, 0).await;
    let accepted: BTreeMap<_, Accepted> = answers.iter().flat_map(|(accepted, _)| accepted.clone()).collect();
    check::ledger(&events, &accepted);
    let refused: Vec<_> = answers.iter().flat_map(|(_, refused)| refused).collect();
    assert!(!refused.is_empty());
    let commands: Vec<_> = events.iter().filter_map(|event| event.command_id).collect();
    assert!(refused.iter().all(|id| !commands.contains(id)), "what was refused is not there");
    assert_eq!(commands.len(), accepted.len(), "nothing is there that was not acknowledged");
    assert_eq!(commands.len() + refused.len(), 40 * 8);
}

#[sqlx::test(migrator = "store::MIGRATOR")]
async fn a_command_sent_to_three_of_them_at_once_happens_once(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let writers: Vec<_> = (0..RIVALS).map(|_| database.writer(0)).collect();
    let client = async |nth: usize| {
        let mut acknowledged = Vec::new();
        for round in 0..6 {
            let execute = ask(&format!("tally {}", nth % 5), Command::Add(1 + round));
            let sent = (0..3).map(|to| insist(&writers[(nth + to) % RIVALS], &execute));
            let outcomes = join_all(sent).await;
            let first = *outcomes[0].as_ref().unwrap();
            assert!(outcomes.iter().all(|outcome| outcome == &Ok(first)), "the same result for all: {outcomes:?}");
            acknowledged.push((execute.command_id, first));
        }
        acknowledged
    };
    let acknowledged: BTreeMap<_, _> = join_all((0..20).map(client)).await.into_iter().flatten().collect();
    let events = check::shard(&database.pool, 0).await;
    check::ledger(&events, &acknowledged);
    assert_eq!(events.len(), 20 * (1 + 2 + 3 + 4 + 5 + 6));
}

/// What makes nothing happen is appended nowhere, so no compare-and-set finds that it rests on an old state.
#[sqlx::test(migrator = "store::MIGRATOR")]
async fn an_old_state_answers_nothing(pool: PgPool) {
    let database = Database::new(pool, 1).await;
    let (old, new) = (database.writer(0), database.writer(0));
    let closed = old.execute(ask("a", Command::Close)).await.unwrap();
    assert_eq!(closed.sequence, 0, "the first writer has the aggregate at hand now, closed");

    new.execute(ask("a", Command::Open)).await.unwrap();
    let closed = old.execute(ask("a", Command::Close)).await.unwrap();
    assert_eq!(closed.sequence, 2, "it sees that there is something to close");

    let opened = new.execute(ask("a", Command::Open)).await.unwrap();
    new.execute(ask("a", Command::Close)).await.unwrap();
    let expecting = Execute { expected_sequence: Some(4), ..ask("a", Command::Open) };
    assert_eq!(opened.sequence, 3);
    assert_eq!(old.execute(expecting).await.unwrap().sequence, 5, "it sees that the expectation is met");
    check::shard(&database.pool, 0).await;
}
