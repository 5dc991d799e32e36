//! Circuit breakers that processes share: what one opens the others hear of, and one of many takes one over.

use std::time::Duration;

use nats::breaker::{self, Breakers, Change, Changes, Key, Open, Taken, Trouble};
use nats::test_server::Server;
use tokio::time::timeout;

use crate::wait::{DEADLINE, until};

fn key(credential: &str) -> Key {
    Key::of(credential, &"a/b".parse().unwrap())
}

fn open(times: u32) -> Open {
    Open { trouble: Trouble::Overload, times, shut_ms: 5_000 }
}

async fn process(server: &Server) -> (Breakers, Changes) {
    breaker::share(&server.core().await).await.unwrap()
}

async fn heard(changes: &mut Changes) -> Change {
    timeout(DEADLINE, changes.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_one_opens_the_others_hear_of_and_also_who_comes_later() {
    let server = Server::start().await;
    let ((one, _), (other, mut changes)) = (process(&server).await, process(&server).await);
    let key = key("mine");
    let revision = one.open(&key, open(1)).await.unwrap();
    let opened = Change { key: key.clone(), revision, age: Duration::ZERO, open: Some(open(1)) };
    assert_eq!(heard(&mut changes).await, opened);

    let (_, mut late) = process(&server).await;
    let known = heard(&mut late).await;
    assert_eq!((&known.key, known.revision, known.open), (&key, revision, Some(open(1))));
    assert!(known.age > Duration::ZERO && known.age < DEADLINE, "{known:?}");

    other.close(&key).await.unwrap();
    for changes in [&mut changes, &mut late] {
        let closed = heard(changes).await;
        assert!(closed.key == key && closed.revision > revision && closed.open.is_none(), "{closed:?}");
    }
}

#[tokio::test]
async fn one_of_many_takes_it_over() {
    let server = Server::start().await;
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(process(&server).await.0);
    }
    let key = key("mine");
    let revision = all[0].open(&key, open(1)).await.unwrap();
    let racing = all.iter().zip(10..).map(|(process, times)| process.take_over(&key, open(times), revision));
    let taken: Vec<Taken> = futures::future::join_all(racing).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<(Open, u64)> = taken
        .iter()
        .zip(10..)
        .filter_map(|(taken, times)| match taken {
            Taken::Ours(revision) => Some((open(times), *revision)),
            Taken::Theirs(_) => None,
        })
        .collect();
    let [winner] = winners[..] else { panic!("{taken:?}") };
    let others = taken.iter().filter(|taken| **taken == Taken::Theirs(Some(winner))).count();
    assert_eq!(others, 3, "the others learn of it: {taken:?}");

    all[1].close(&key).await.unwrap();
    let late = all[2].take_over(&key, open(3), winner.1).await.unwrap();
    assert_eq!(late, Taken::Theirs(None), "what is closed is nobody's");
}

#[tokio::test]
async fn whoever_listens_learns_that_all_is_lost_and_can_begin_anew() {
    let mut server = Server::start().await;
    let client = server.core().await;
    let (breakers, mut changes) = breaker::share(&client).await.unwrap();
    breakers.open(&key("mine"), open(1)).await.unwrap();
    heard(&mut changes).await;
    server.wipe().await;
    let lost = timeout(DEADLINE, changes.next()).await.unwrap();
    assert!(lost.is_err(), "{lost:?}");

    until("they can be shared again", async || breaker::share(&client).await.is_ok()).await;
    let (breakers, mut changes) = breaker::share(&client).await.unwrap();
    breakers.open(&key("yours"), open(2)).await.unwrap();
    assert_eq!(heard(&mut changes).await.key, key("yours"), "nothing is left of before");
}
