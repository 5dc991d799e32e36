//! What a socket is told of the conversations that it follows: one at a time, a bounded part of it each, so that none
//! keeps the others, or the client's own words, waiting.

use std::time::Duration;

use domain::{ConversationId, conversation};
use futures::FutureExt;
use store::log;

use super::close::Close;
use super::frame::{self, ServerFrame};
use super::inbound::Done;
use super::socket::Socket;
use crate::hub::{Collected, News, Passing};

/// How many events of a conversation are sent before others have their turn.
const EVENTS_AT_ONCE: usize = 64;
/// How many are read from the log at a time.
const PAGE: u32 = 64;
/// The pause after a failure to read.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Older events of a conversation, or the failure to read them.
pub(super) struct Read {
    conversation: ConversationId,
    after: u64,
    page: Result<log::Page, store::Error>,
}

impl Socket {
    pub(super) async fn hear(&mut self, news: News) -> Result<(), Close> {
        match news {
            News::Of(conversation) => self.deliver(conversation).await,
            News::Passing(passing) => self.pass(passing).await,
        }
    }

    /// Sends what is new in a conversation, a bounded part of it; the rest has its turn again.
    pub(super) async fn deliver(&mut self, id: ConversationId) -> Result<(), Close> {
        let (Some(identity), Some(subscription)) = (&self.identity, self.subscriptions.get_mut(&id)) else {
            return Ok(());
        };
        match subscription.room.collect(identity, &mut subscription.cursor, EVENTS_AT_ONCE) {
            Collected::Frames(frames) => {
                let sequence = subscription.cursor.sequence;
                let everything = sequence >= subscription.room.sequence();
                let became_live = everything && !subscription.is_live;
                subscription.is_live |= everything;
                if !everything {
                    self.wake.ring(id);
                }
                self.send(frames).await?;
                if became_live {
                    self.tell(&ServerFrame::Live { conversation: id, sequence }).await?;
                }
                Ok(())
            }
            Collected::Behind { to } => {
                self.read_later(id, to);
                Ok(())
            }
            Collected::Gone => self.drop_subscription(id, "gone").await,
        }
    }

    /// Has older events read than the room holds, after those of other conversations: one page of one conversation is
    /// what a socket holds at most.
    fn read_later(&mut self, id: ConversationId, to: u64) {
        if self.behind.iter().any(|(behind, _)| *behind == id) {
            return;
        }
        self.behind.push_back((id, to));
        if self.behind.len() == 1 {
            self.read_next();
        }
    }

    fn read_next(&mut self) {
        while let Some((conversation, to)) = self.behind.front().copied() {
            let Some(subscription) = self.subscriptions.get(&conversation) else {
                self.behind.pop_front();
                continue;
            };
            let (pool, after) = (self.edge.pool.clone(), subscription.cursor.sequence);
            let reading = async move {
                let id = conversation.to_string();
                let page = log::read_stream(&pool, conversation::TYPE, &id, after + 1..=to, PAGE).await;
                if let Err(error) = &page {
                    tracing::warn!(%error, "older events cannot be read just now");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Done::Read(Box::new(Read { conversation, after, page }))
            };
            self.doing.push(reading.boxed());
            return;
        }
    }

    /// Sends older events, if they are still wanted.
    pub(super) async fn deliver_read(&mut self, Read { conversation, after, page }: Read) -> Result<(), Close> {
        self.behind.pop_front();
        self.read_next();
        let (Some(identity), Some(subscription)) = (&self.identity, self.subscriptions.get_mut(&conversation)) else {
            return Ok(());
        };
        // Whatever comes after this page, or instead of it, has its turn.
        self.wake.ring(conversation);
        let wanted = subscription.cursor.sequence == after && subscription.room.is_visible_to(identity);
        let Some(page) = page.ok().filter(|_| wanted) else { return Ok(()) };
        if let Some(last) = page.last() {
            subscription.cursor.sequence = last.sequence;
        }
        let frames = page.iter().filter_map(|event| frame::event(conversation, event)).collect();
        self.send(frames).await
    }

    /// Sends a frame that passes by, if it is still for this client.
    async fn pass(&mut self, passing: Passing) -> Result<(), Close> {
        match passing {
            Passing::Personal(frame) => self.send(vec![frame]).await,
            Passing::Typing { conversation, user, frame } => {
                let (Some(identity), Some(subscription)) = (&self.identity, self.subscriptions.get(&conversation))
                else {
                    return Ok(());
                };
                if identity.user == user || !subscription.room.is_visible_to(identity) {
                    return Ok(());
                }
                self.send(vec![frame]).await
            }
            Passing::Thinking { conversation, sequence, frame } => {
                let (Some(identity), Some(subscription)) = (&self.identity, self.subscriptions.get(&conversation))
                else {
                    return Ok(());
                };
                if subscription.cursor.sequence < sequence || !subscription.room.is_visible_to(identity) {
                    return Ok(());
                }
                self.send(vec![frame]).await
            }
        }
    }
}
