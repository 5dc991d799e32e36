//! How a socket is told that there is something for it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use domain::{ConversationId, UserId};
use tokio::sync::Notify;

/// The passing frames that may wait for a socket; further ones are lost, as they may be.
const MAX_PASSING: usize = 64;

/// A socket's bell: which conversations have news, and frames that pass by and may be lost.
///
/// No news is missed: it is put down first and the bell rung then, and the bell keeps one ring for a socket that is not
/// listening at that moment. Whoever takes one of several rings again for the others.
#[derive(Default)]
pub(crate) struct Wake {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

/// What waits for a socket, in the order in which it came; a conversation with news is there once, so none is served twice
/// before another once. A socket that was never told of anything has nothing here, not even room for it.
#[derive(Default)]
struct Waiting {
    order: VecDeque<News>,
    conversations: HashSet<ConversationId>,
    passing: usize,
}

/// What there is for a socket.
pub(crate) enum News {
    /// More of a conversation than it was told.
    Of(ConversationId),
    /// A frame.
    Passing(Passing),
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
    /// Says that a conversation has news.
    pub(crate) fn ring(&self, conversation: ConversationId) {
        let mut waiting = self.waiting();
        if waiting.conversations.insert(conversation) {
            waiting.order.push_back(News::Of(conversation));
            self.bell.notify_one();
        }
    }

    /// Hands over a frame, which is lost when too many wait.
    pub(crate) fn say(&self, passing: Passing) {
        let mut waiting = self.waiting();
        if waiting.passing < MAX_PASSING {
            waiting.passing += 1;
            waiting.order.push_back(News::Passing(passing));
            self.bell.notify_one();
        }
    }

    /// Waits for news and takes the first. May be given up at any moment without losing any.
    pub(crate) async fn news(&self) -> News {
        loop {
            self.bell.notified().await;
            if let Some(news) = self.take() {
                return news;
            }
        }
    }

    fn take(&self) -> Option<News> {
        let mut waiting = self.waiting();
        let news = waiting.order.pop_front()?;
        match &news {
            News::Of(conversation) => _ = waiting.conversations.remove(conversation),
            News::Passing(_) => waiting.passing -= 1,
        }
        if !waiting.order.is_empty() {
            self.bell.notify_one();
        }
        Some(news)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;

    fn conversations<const N: usize>() -> [ConversationId; N] {
        [(); N].map(|()| ConversationId(Uuid::new_v4()))
    }

    fn of(news: &News) -> Option<ConversationId> {
        match news {
            News::Of(conversation) => Some(*conversation),
            News::Passing(_) => None,
        }
    }

    /// The conversation whose turn it is; none when a frame's it is.
    fn next(wake: &Wake) -> Option<ConversationId> {
        of(&wake.news().now_or_never().expect("something waits"))
    }

    #[tokio::test]
    async fn each_conversation_has_its_turn() {
        let wake = Wake::default();
        let [a, b, c] = conversations();
        for id in [a, b, a, c, b] {
            wake.ring(id);
        }
        assert_eq!(next(&wake), Some(a));
        wake.ring(a);
        for id in [b, c, a] {
            assert_eq!(next(&wake), Some(id));
        }
        assert!(wake.news().now_or_never().is_none());
    }

    #[tokio::test]
    async fn frames_have_their_turn_too_and_are_lost_only_when_too_many_wait() {
        let wake = Wake::default();
        let [a, b] = conversations();
        wake.ring(a);
        for _ in 0..2 * MAX_PASSING {
            wake.say(Passing::Personal(Utf8Bytes::from_static("{}")));
        }
        wake.ring(b);
        assert_eq!(next(&wake), Some(a));
        for _ in 0..MAX_PASSING {
            assert_eq!(next(&wake), None);
        }
        assert_eq!(next(&wake), Some(b));
        wake.say(Passing::Personal(Utf8Bytes::from_static("{}")));
        assert_eq!(next(&wake), None, "there is room again");
        assert!(wake.news().now_or_never().is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_ring_is_missed_though_the_waiting_is_given_up_again_and_again() {
        let wake = Arc::new(Wake::default());
        let ids: Vec<_> = (0..2_000).map(|_| ConversationId(Uuid::new_v4())).collect();
        let (ringing, rung) = (Arc::clone(&wake), ids.clone());
        let ringer = tokio::spawn(async move {
            for id in rung {
                ringing.ring(id);
                tokio::task::yield_now().await;
            }
        });
        let mut heard = HashSet::new();
        let all = async {
            while heard.len() < ids.len() {
                tokio::select! {
                    news = wake.news() => heard.extend(of(&news)),
                    // Something else of the socket's that is ready just as often.
                    () = tokio::task::yield_now() => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), all).await.expect("each is heard");
        ringer.await.unwrap();
    }
}
