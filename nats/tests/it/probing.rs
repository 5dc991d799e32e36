//! Providers are tried out for edges, and nobody waits for what others have tried out.

use std::future::pending;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::join;
use futures::stream::FuturesUnordered;
use nats::probe::{self, Answer, Question, Refusal, Request};
use nats::test_server::Server;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::wait::{DEADLINE, until};

fn models_of(provider: &str) -> Request {
    Request {
        tenant: "acme".parse().unwrap(),
        user: "ann".parse().unwrap(),
        provider: provider.parse().unwrap(),
        question: Question::Models,
    }
}

#[tokio::test]
async fn what_finds_no_room_is_refused_at_once() {
    let server = Server::start().await;
    let (core, edge) = (server.core().await, server.edge().await);
    let answer = |request: Request| async move {
        if request.provider.as_str() == "quick" {
            return Ok(Answer::Models { models: Vec::new() });
        }
        pending::<probe::Outcome>().await
    };
    let _serving = AbortOnDropHandle::new(tokio::spawn(probe::serve(core, answer, CancellationToken::new())));
    let (quick, hanging) = (models_of("quick"), models_of("hanging"));
    until("somebody answers", async || matches!(probe::ask(&edge, &quick).await, Ok(Ok(_)))).await;

    let mut asked: FuturesUnordered<_> = (0..300).map(|_| probe::ask(&edge, &hanging)).collect();
    let first = timeout(DEADLINE / 2, asked.next()).await.expect("somebody is refused").unwrap();
    assert_eq!(first.unwrap(), Err(Refusal::Busy));
}

#[tokio::test]
async fn who_stops_finishes_what_it_has_begun_and_refuses_what_does_not_end() {
    let server = Server::start().await;
    let (core, edge) = (server.core().await, server.edge().await);
    let (begun, held) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (counted, holding) = (Arc::clone(&begun), Arc::clone(&held));
    let answer = move |request: Request| {
        let (counted, holding) = (Arc::clone(&counted), Arc::clone(&holding));
        async move {
            counted.add_permits(1);
            if request.provider.as_str() == "hanging" {
                return pending::<probe::Outcome>().await;
            }
            let _released = holding.acquire().await.unwrap();
            Ok(Answer::Models { models: Vec::new() })
        }
    };
    let stopping = CancellationToken::new();
    let serving = AbortOnDropHandle::new(tokio::spawn(probe::serve(core, answer, stopping.clone())));
    // Asked again until somebody listens.
    let asked = async |provider: &str| {
        loop {
            match probe::ask(&edge, &models_of(provider)).await {
                Ok(outcome) => return outcome,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let stop = async {
        let _begun = begun.acquire_many(2).await.unwrap();
        stopping.cancel();
        let late = models_of("late");
        let is_answered = async || matches!(timeout(DEADLINE / 30, probe::ask(&edge, &late)).await, Ok(Ok(_)));
        until("nobody listens any more", async || !is_answered().await).await;
        held.add_permits(1);
    };
    let told = timeout(DEADLINE / 2, join(join(asked("held"), asked("hanging")), stop)).await;
    let ((finished, refused), ()) = told.expect("nobody waits until the time is over");
    assert_eq!(finished, Ok(Answer::Models { models: Vec::new() }));
    assert_eq!(refused, Err(Refusal::Unavailable));
    timeout(DEADLINE, serving).await.expect("in time").unwrap();
}
