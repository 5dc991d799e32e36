//! The replies that this process is at, and the news that one shall stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::conversation::{self, Conversation, Event};
use domain::{ConversationId, MessageId};
use futures::StreamExt;
use store::{Recorded, codec};
use tokio_util::sync::CancellationToken;

use super::Worker;

/// The pause before the listener starts over.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A reply; its id is unique within its conversation alone.
type Key = (ConversationId, MessageId);

/// The replies that this process is at.
#[derive(Default)]
pub(super) struct Running(Mutex<HashMap<Key, CancellationToken>>);

impl Running {
    /// Enters a reply; none when it is entered already, by a wake-up that came twice.
    pub(super) fn enter(&self, reply: Key) -> Option<CancellationToken> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains_key(&reply) {
            return None;
        }
        let stopped = CancellationToken::new();
        running.insert(reply, stopped.clone());
        Some(stopped)
    }

    pub(super) fn leave(&self, reply: Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&reply);
    }

    fn stop(&self, reply: Key) {
        if let Some(stopped) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&reply) {
            stopped.cancel();
        }
    }
}

/// Hears of stops as they are committed. May miss one: an attempt also learns of it when it renews its lease.
pub(super) async fn listen_for_stops(worker: Arc<Worker>, over: CancellationToken) {
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = listen(&worker) => {}
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn listen(worker: &Worker) {
    let subject = nats::subject::events_of_type_anywhere(conversation::TYPE, "ReplyStopRequested");
    let Ok(mut stops) = nats::signal::listen(&worker.replies.client, subject).await else { return };
    while let Some(message) = stops.next().await {
        let Ok(recorded) = serde_json::from_slice::<Recorded>(&message.payload) else { continue };
        let Ok(conversation) = recorded.aggregate_id.parse() else { continue };
        if let Ok(Event::ReplyStopRequested { reply }) = codec::decode::<Conversation>(&recorded) {
            worker.running.stop((conversation, reply));
        }
    }
}
