//! Providers are tried out for edges, and nobody waits for what others have tried out.

use std::future::pending;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use nats::probe::{self, Answer, Question, Refusal, Request};
use nats::test_server::Server;
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
