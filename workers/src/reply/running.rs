//! The replies that this process is at, and the news that one shall stop.

use std::collections::{HashMap, VecDeque};
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

/// How many attempts are remembered after they began.
const REMEMBERED: usize = 4_096;

/// A reply; its id is unique within its conversation alone.
type Key = (ConversationId, MessageId);

/// The replies that this process is at, and the attempts that it has begun.
#[derive(Default)]
pub(super) struct Running {
    at: Mutex<HashMap<Key, CancellationToken>>,
    begun: Mutex<VecDeque<(Key, u32)>>,
}

impl Running {
    /// Enters a reply; none when it is entered already, by a wake-up that came twice.
    pub(super) fn enter(&self, reply: Key) -> Option<CancellationToken> {
        let mut running = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains_key(&reply) {
            return None;
        }
        let stopped = CancellationToken::new();
        running.insert(reply, stopped.clone());
        Some(stopped)
    }

    pub(super) fn leave(&self, reply: Key) {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).remove(&reply);
    }

    /// Begins an attempt; false when this process has begun it before. Its claim is then only repeated, with its first result:
    /// the model must not be asked twice, nor listeners be told two texts of one attempt.
    pub(super) fn begin(&self, reply: Key, attempt: u32) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.contains(&(reply, attempt)) {
            return false;
        }
        if begun.len() == REMEMBERED {
            begun.pop_front();
        }
        begun.push_back((reply, attempt));
        true
    }

    fn stop(&self, reply: Key) {
        if let Some(stopped) = self.at.lock().unwrap_or_else(PoisonError::into_inner).get(&reply) {
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
    let subject = |name| nats::subject::events_of_type_anywhere(conversation::TYPE, name);
    // One that waits for another attempt is stopped without a request, and may still be worked on here by the one before.
    let listen = |name| nats::signal::listen(&worker.replies.client, subject(name));
    let (Ok(requested), Ok(stopped)) = (listen("ReplyStopRequested").await, listen("ReplyStopped").await) else {
        return;
    };
    let mut stops = futures::stream::select(requested, stopped);
    while let Some(message) = stops.next().await {
        let Ok(recorded) = serde_json::from_slice::<Recorded>(&message.payload) else { continue };
        let Ok(conversation) = recorded.aggregate_id.parse() else { continue };
        if let Ok(Event::ReplyStopRequested { reply } | Event::ReplyStopped { reply, .. }) =
            codec::decode::<Conversation>(&recorded)
        {
            worker.running.stop((conversation, reply));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn reply(number: u128) -> Key {
        (ConversationId(Uuid::from_u128(number)), MessageId(Uuid::from_u128(number)))
    }

    #[test]
    fn an_attempt_begins_once() {
        let running = Running::default();
        assert!(running.begin(reply(1), 1));
        assert!(running.begin(reply(1), 2));
        assert!(running.begin(reply(2), 1));
        assert!(!running.begin(reply(1), 1));
        (0..REMEMBERED as u128).for_each(|number| assert!(running.begin(reply(10 + number), 1)));
        assert!(running.begin(reply(1), 1), "what is long past is forgotten");
    }
}
