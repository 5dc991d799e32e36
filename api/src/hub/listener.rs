//! The ears of an edge: a shard's events and live text, and the changes in people's lists.

use std::time::Duration;

use domain::Shard;
use futures::StreamExt;
use futures::stream::{Select, select};
use nats::signal::{self, ListChange};
use nats::subject;
use nats::tail::Tail;
use store::log;

use super::Hub;
use crate::error::Problem;
use crate::ws::frame::{self, ServerFrame};

/// How often replies are looked at of which nothing was heard.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

type Live = Select<nats::Subscriber, nats::Subscriber>;

impl Hub {
    /// Listens to a shard from now on, unless that has begun already.
    pub(super) async fn listen_to(&self, shard: Shard) -> Result<(), Problem> {
        let mut listening = self.0.listening.lock().await;
        if listening.contains(&shard) {
            return Ok(());
        }
        // From the head as it is before any room is loaded: what comes after it is heard, what was before it is loaded.
        let head = log::head(&self.0.pool, shard).await?;
        let tail = Tail::start(self.0.client.clone(), self.0.pool.clone(), shard, head)
            .await
            .map_err(|_| Problem::unavailable())?;
        // Listened to from here on, and not only when the task has its turn: the first piece of a reply may come any moment.
        let live = self.live_of(shard).await.map_err(|_| Problem::unavailable())?;
        tokio::spawn(self.clone().until_stopping(self.clone().listen_to_events(tail)));
        tokio::spawn(self.clone().until_stopping(self.clone().listen_to_live(shard, live)));
        listening.insert(shard);
        Ok(())
    }

    async fn until_stopping(self, listening: impl Future<Output = ()>) {
        tokio::select! {
            () = self.0.stopping.cancelled() => {}
            () = listening => {}
        }
    }

    async fn listen_to_events(self, mut tail: Tail) {
        loop {
            match tail.next().await {
                Ok(events) => events.iter().for_each(|event| self.heard_event(event)),
                Err(error) => {
                    tracing::warn!(%error, "events cannot be read just now");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// A shard's live text and signals.
    async fn live_of(&self, shard: Shard) -> Result<Live, nats::Error> {
        let lives = signal::listen(&self.0.client, subject::lives(shard)).await?;
        let signals = signal::listen(&self.0.client, subject::signals(shard)).await?;
        Ok(select(lives, signals))
    }

    async fn listen_to_live(self, shard: Shard, mut live: Live) {
        loop {
            while let Some(message) = live.next().await {
                if let Some(heard) = signal::heard(&message) {
                    self.heard(heard);
                }
            }
            live = loop {
                tokio::time::sleep(RETRY_PAUSE).await;
                if let Ok(live) = self.live_of(shard).await {
                    break live;
                }
            };
        }
    }
}

/// A lost piece shows by the gap before the next one; while the model pauses there is no next one, so what is kept of the
/// text is looked at.
pub(super) async fn look_at_the_silent(hub: Hub) {
    let looking = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            hub.held_rooms().iter().for_each(|room| hub.resume_all(room));
        }
    };
    hub.clone().until_stopping(looking).await;
}

pub(super) async fn listen_to_lists(hub: Hub) {
    let listening = hub.clone().listen_to_lists();
    hub.until_stopping(listening).await;
}

impl Hub {
    async fn listen_to_lists(self) {
        loop {
            if let Ok(mut changes) = signal::listen(&self.0.client, subject::LISTS).await {
                while let Some(message) = changes.next().await {
                    let Some(key) = message.subject.as_str().strip_prefix("list.") else { continue };
                    let Ok(ListChange { id, conversation }) = serde_json::from_slice(&message.payload) else {
                        continue;
                    };
                    let changed = ServerFrame::ConversationChanged { id, conversation: conversation.as_deref() };
                    if let Some(frame) = frame::encode(&changed) {
                        self.heard_list_change(key, &frame);
                    }
                }
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}
