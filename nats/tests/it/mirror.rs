//! What must hold between a stream and the log, whatever either went through.

use async_nats::jetstream::stream::Info;
use nats::{Client, relay};
use sqlx::PgPool;
use store::{Recorded, log};

use crate::wait::until;

/// What the server says of shard 0's stream; none when there is no such stream.
pub(crate) async fn info(client: &Client) -> Option<Info> {
    let stream = relay::jetstream(client).get_stream("EVT_0").await.ok()?;
    Some(stream.cached_info().clone())
}

/// The whole of shard 0.
pub(crate) async fn log(pool: &PgPool) -> Vec<Recorded> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let page = log::read(pool, 0, events.len() as u64, 1_000).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// An event but for the white space that jsonb adds to it.
pub(crate) fn canonical(event: &Recorded) -> String {
    serde_json::to_value(event).unwrap().to_string()
}

/// Waits until the stream ends where the log ends, then compares them, byte by byte: the message at sequence n is the
/// event at position n.
pub(crate) async fn compare(client: &Client, pool: &PgPool) -> Info {
    let head = log::head(pool, 0).await.unwrap();
    until("the stream reaches the head of the log", async || {
        info(client).await.is_some_and(|info| info.state.last_sequence == head)
    })
    .await;
    let events = log(pool).await;
    let info = info(client).await.unwrap();
    assert_eq!(info.state.messages, head, "the stream holds every event of so short a log");
    let stream = relay::jetstream(client).get_stream("EVT_0").await.unwrap();
    for event in &events {
        let message = stream.get_raw_message(event.pos).await.unwrap();
        assert_eq!(message.subject.as_str(), nats::subject::event(event));
        let published: Recorded = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(canonical(&published), canonical(event));
    }
    info
}
