//! How a socket is told that there is something for it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::extract::ws::Utf8Bytes;
use domain::{ConversationId, UserId};
use tokio::sync::{Notify, mpsc};

/// The passing frames that may wait for a socket; further ones are lost, as they may be.
const MAX_PASSING: usize = 64;

/// A socket's bell: which conversations have news, and frames that pass by and may be lost.
///
/// No news is missed: a conversation is put down first and the bell rung then, and the bell keeps one ring for a socket
/// that is not listening at that moment. Whoever takes one conversation of several rings again for the others.
pub(crate) struct Wake {
    news: Mutex<News>,
    bell: Notify,
    passing: mpsc::Sender<Passing>,
}

/// The conversations with news, each once, in the order of their first news: none is served twice before another once.
#[derive(Default)]
struct News {
    waiting: HashSet<ConversationId>,
    order: VecDeque<ConversationId>,
}

/// A frame that passes by and may be lost.
pub(crate) enum Passing {
    /// One for whoever the socket belongs to.
    Personal(Utf8Bytes),
    /// Someone is typing: for those who may see the conversation at the moment it is sent.
    Typing { conversation: ConversationId, user: UserId, frame: Utf8Bytes },
    /// The model thinks: for those who may see the conversation at the moment it is sent and have been told everything up
    /// to `sequence`, the attempt's beginning among it.
    Thinking { conversation: ConversationId, sequence: u64, frame: Utf8Bytes },
}

impl Wake {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Passing>) {
        let (passing, receiver) = mpsc::channel(MAX_PASSING);
        (Self { news: Mutex::default(), bell: Notify::new(), passing }, receiver)
    }

    /// Says that a conversation has news.
    pub(crate) fn ring(&self, conversation: ConversationId) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if news.waiting.insert(conversation) {
            news.order.push_back(conversation);
            self.bell.notify_one();
        }
    }

    /// Waits for news and takes one conversation's. May be given up at any moment without losing any.
    pub(crate) async fn news(&self) -> ConversationId {
        loop {
            self.bell.notified().await;
            if let Some(conversation) = self.take() {
                return conversation;
            }
        }
    }

    fn take(&self) -> Option<ConversationId> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let conversation = news.order.pop_front()?;
        news.waiting.remove(&conversation);
        if !news.order.is_empty() {
            self.bell.notify_one();
        }
        Some(conversation)
    }

    /// Hands over a frame that may be lost; says whether the socket is still there.
    pub(crate) fn say(&self, passing: Passing) -> bool {
        !matches!(self.passing.try_send(passing), Err(mpsc::error::TrySendError::Closed(_)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn each_conversation_has_its_turn() {
        let (wake, _passing) = Wake::new();
        let [a, b, c] = [(); 3].map(|()| ConversationId(Uuid::new_v4()));
        for id in [a, b, a, c, b] {
            wake.ring(id);
        }
        assert_eq!(wake.news().await, a);
        wake.ring(a);
        assert_eq!([wake.news().await, wake.news().await, wake.news().await], [b, c, a]);
        assert!(wake.news().now_or_never().is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_ring_is_missed_though_the_waiting_is_given_up_again_and_again() {
        let (wake, _passing) = Wake::new();
        let wake = Arc::new(wake);
        let ids: Vec<_> = (0..2_000).map(|_| ConversationId(Uuid::new_v4())).collect();
        let (ringing, rung) = (Arc::clone(&wake), ids.clone());
        let ringer = tokio::spawn(async move {
            for id in rung {
                ringing.ring(id);
                tokio::task::yield_now().await;
            }
        });
        let mut heard = HashSet::new();
        while heard.len() < ids.len() {
            tokio::select! {
                id = wake.news() => { heard.insert(id); }
                // Something else of the socket's that is ready just as often.
                () = tokio::task::yield_now() => {}
                () = tokio::time::sleep(Duration::from_secs(5)) => panic!("{} of {} heard", heard.len(), ids.len()),
            }
        }
        ringer.await.unwrap();
    }
}
