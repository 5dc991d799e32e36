//! The text of a running reply, piece by piece for those who listen and as a whole for those who join.

use domain::{ConversationId, MessageId};
use futures::StreamExt;
use nats::live::{self, Delta, Kept, ReplyKey};
use nats::signal::{self, Heard};
use nats::{relay, subject};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::wait::until;
use nats::test_server::Server;

fn reply() -> ReplyKey {
    ReplyKey { shard: 0, conversation: ConversationId(Uuid::now_v7()), reply: MessageId(Uuid::now_v7()) }
}

fn text(attempt: u32, offset: usize, text: &str) -> Delta {
    Delta { attempt, offset, text: text.to_owned(), thinking: false }
}

#[tokio::test]
async fn an_edge_hears_each_piece() {
    let server = Server::start().await;
    let (core, edge, key) = (server.core().await, server.edge().await, reply());
    let mut listening = signal::listen(&edge, subject::lives(0)).await.unwrap();
    let piece = text(1, 3, "lo é");
    // Interest spreads in its own time.
    let heard = loop {
        live::publish(&core, key, &piece).await.unwrap();
        let next = timeout(std::time::Duration::from_millis(200), listening.next()).await;
        if let Ok(message) = next {
            break signal::heard(&message.unwrap()).unwrap();
        }
    };
    let Heard::Delta(conversation, reply, delta) = heard else { panic!("{heard:?}") };
    assert_eq!((conversation, reply, delta), (key.conversation, key.reply, piece));
}

#[tokio::test]
async fn who_joins_gets_the_whole_so_far() {
    let mut server = Server::start().await;
    let (core, edge) = (server.core().await, server.edge().await);
    let cancelled = CancellationToken::new();
    tokio::spawn(live::serve_resumes(core.clone(), cancelled.clone()));
    let key = reply();
    until("the service answers", async || live::resume(&edge, key).await.is_ok()).await;
    assert_eq!(live::resume(&edge, key).await.unwrap(), None, "nothing is kept yet");

    for (whole, only_text) in [(text(1, 0, "Hel"), true), (text(1, 0, "Hello"), false), (text(2, 0, "H"), true)] {
        let kept = Kept { whole: whole.clone(), only_text };
        live::keep(&core, key, &kept).await.unwrap();
        until("the newest is kept", async || live::resume(&edge, key).await.unwrap().as_ref() == Some(&whole)).await;
        assert_eq!(live::kept(&relay::jetstream(&core), key).await.unwrap(), Some(kept));
    }
    assert_eq!(live::resume(&edge, reply()).await.unwrap(), None, "another reply's text is not told");

    server.wipe().await;
    let whole = text(2, 0, "Hello again");
    until("after the loss of everything, texts are kept again", async || {
        live::keep(&core, key, &Kept { whole: whole.clone(), only_text: true }).await.unwrap();
        matches!(live::resume(&edge, key).await, Ok(Some(kept)) if kept == whole)
    })
    .await;
    cancelled.cancel();
}
