//! How a socket is told that there is something for it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use axum::extract::ws::Utf8Bytes;
use domain::ConversationId;
use tokio::sync::{Notify, mpsc};

/// The passing frames that may wait for a socket; further ones are lost, as they may be.
const MAX_PASSING: usize = 64;

/// A socket's bell: which conversations have news, and frames that pass by and may be lost.
pub(crate) struct Wake {
    news: Mutex<BTreeSet<ConversationId>>,
    bell: Notify,
    passing: mpsc::Sender<Utf8Bytes>,
}

impl Wake {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Utf8Bytes>) {
        let (passing, receiver) = mpsc::channel(MAX_PASSING);
        (Self { news: Mutex::default(), bell: Notify::new(), passing }, receiver)
    }

    /// Says that a conversation has news.
    pub(crate) fn ring(&self, conversation: ConversationId) {
        let new = self.news.lock().unwrap_or_else(PoisonError::into_inner).insert(conversation);
        if new {
            self.bell.notify_one();
        }
    }

    /// Waits for news and takes them.
    pub(crate) async fn news(&self) -> BTreeSet<ConversationId> {
        loop {
            self.bell.notified().await;
            let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
            if !news.is_empty() {
                return news;
            }
        }
    }

    /// Hands over a frame that may be lost; says whether the socket is still there.
    pub(crate) fn say(&self, frame: Utf8Bytes) -> bool {
        !matches!(self.passing.try_send(frame), Err(mpsc::error::TrySendError::Closed(_)))
    }
}
