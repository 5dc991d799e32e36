//! The life of a socket: what comes in, what goes out, and why it ends. Everything of a socket happens in this one task.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use domain::ConversationId;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use store::log;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use uuid::Uuid;

use super::close::Close;
use super::frame::{self, MAX_FRAME_BYTES, PROTOCOL, ServerFrame};
use super::inbound::{self, Done};
use crate::auth::Identity;
use crate::edge::Edge;
use crate::hub::{Collected, Cursor, Room, Wake};

/// How often the server pings.
const PING_EVERY: Duration = Duration::from_secs(25);
/// How long nothing need be heard of a client.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a client has to log in.
const AUTH_DEADLINE: Duration = Duration::from_secs(5);
/// How long a client may leave a frame unread.
const SEND_DEADLINE: Duration = Duration::from_secs(10);
/// How many events of a conversation are sent before others have their turn.
const EVENTS_AT_ONCE: usize = 64;
/// How many frames that are none a client may send.
const MAX_MALFORMED: u32 = 20;

pub(super) struct Socket {
    pub(super) edge: Edge,
    pub(super) session: Uuid,
    pub(super) identity: Option<Identity>,
    pub(super) subscriptions: HashMap<ConversationId, Subscription>,
    pub(super) wake: Arc<Wake>,
    /// What the client has asked for and is being done.
    pub(super) doing: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) malformed: u32,
    pub(super) last_typing: Option<Instant>,
    sink: SplitSink<WebSocket, Message>,
}

/// A conversation that the socket follows.
pub(super) struct Subscription {
    pub(super) room: Arc<Room>,
    pub(super) cursor: Cursor,
    /// Whether the client was told that it has everything.
    pub(super) is_live: bool,
}

impl Socket {
    /// Serves a socket until it ends.
    pub(super) async fn run(edge: Edge, socket: WebSocket, token: Option<String>) {
        let (sink, incoming) = socket.split();
        let (wake, passing) = Wake::new();
        let mut socket = Self {
            edge,
            session: Uuid::new_v4(),
            identity: None,
            subscriptions: HashMap::new(),
            wake: Arc::new(wake),
            doing: FuturesUnordered::new(),
            malformed: 0,
            last_typing: None,
            sink,
        };
        let Err(close) = socket.serve(incoming, passing, token).await else { return };
        tracing::debug!(session = %socket.session, ?close, "socket ends");
        for subscription in socket.subscriptions.values() {
            subscription.room.unfollow(&socket.wake);
        }
        if let Some(frame) = close.frame() {
            let _ = timeout(SEND_DEADLINE, socket.sink.send(Message::Close(Some(frame)))).await;
        }
    }

    async fn serve(
        &mut self,
        mut incoming: SplitStream<WebSocket>,
        mut passing: tokio::sync::mpsc::Receiver<Utf8Bytes>,
        token: Option<String>,
    ) -> Result<(), Close> {
        self.greet().await?;
        if let Some(token) = token {
            self.doing.push(inbound::authenticate(self.edge.clone(), token));
        }
        let mut ends_at = Instant::now() + AUTH_DEADLINE;
        let mut heard_at = Instant::now();
        let mut ping = tokio::time::interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        let (stopping, wake) = (self.edge.0.stopping.clone(), Arc::clone(&self.wake));
        loop {
            tokio::select! {
                message = incoming.next() => {
                    heard_at = Instant::now();
                    self.receive(message).await?;
                }
                Some(done) = self.doing.next() => {
                    self.finish(done).await?;
                    if let Some(identity) = &self.identity {
                        ends_at = Instant::now() + identity.remaining();
                    }
                }
                news = wake.news() => self.deliver(news).await?,
                Some(frame) = passing.recv() => self.send(vec![frame]).await?,
                _ = ping.tick() => {
                    if heard_at.elapsed() > SILENCE {
                        return Err(Close::Silent);
                    }
                    self.send_message(Message::Ping(bytes::Bytes::new())).await?;
                }
                () = tokio::time::sleep_until(ends_at) => {
                    return Err(if self.identity.is_some() { Close::Unauthenticated } else { Close::NoToken });
                }
                () = stopping.cancelled() => return Err(Close::Restart),
            }
        }
    }

    async fn greet(&mut self) -> Result<(), Close> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.tell(&ServerFrame::Hello {
            protocol: PROTOCOL,
            session: self.session,
            ping_ms: millis(PING_EVERY),
            max_frame: MAX_FRAME_BYTES,
            auth_ms: millis(AUTH_DEADLINE),
        })
        .await
    }

    async fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Close> {
        match message {
            Some(Ok(Message::Text(text))) => inbound::receive(self, &text).await,
            Some(Ok(Message::Binary(_))) => self.refuse_malformed("frames are JSON text").await,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Close(_))) | None => Err(Close::Gone),
            Some(Err(error)) => Err(broken(&error)),
        }
    }

    pub(super) async fn refuse_malformed(&mut self, message: &str) -> Result<(), Close> {
        self.malformed += 1;
        if self.malformed > MAX_MALFORMED {
            return Err(Close::Malformed);
        }
        let (code, retryable) = ("malformed", false);
        self.tell(&ServerFrame::Refused { id: None, conversation: None, code, message, retryable }).await
    }

    async fn finish(&mut self, done: Done) -> Result<(), Close> {
        match done {
            Done::Told(Some(frame)) => self.send(vec![frame]).await,
            Done::Told(None) => Ok(()),
            Done::Authenticated(identity) => inbound::authenticated(self, identity).await,
            Done::Subscribed(subscribed) => inbound::subscribed(self, *subscribed).await,
        }
    }

    /// Sends what is new in these conversations, a bounded part of it each; the rest has its turn again.
    pub(super) async fn deliver(&mut self, news: BTreeSet<ConversationId>) -> Result<(), Close> {
        for id in news {
            let (Some(identity), Some(subscription)) = (&self.identity, self.subscriptions.get_mut(&id)) else {
                continue;
            };
            match subscription.room.collect(identity, &mut subscription.cursor, EVENTS_AT_ONCE) {
                Collected::Frames(frames) => {
                    let everything = subscription.cursor.sequence >= subscription.room.sequence();
                    let became_live = everything && !std::mem::replace(&mut subscription.is_live, everything);
                    let sequence = subscription.cursor.sequence;
                    if !everything {
                        self.wake.ring(id);
                    }
                    self.send(frames).await?;
                    if became_live {
                        self.tell(&ServerFrame::Live { conversation: id, sequence }).await?;
                    }
                }
                Collected::Behind => self.deliver_from_log(id).await?,
                Collected::Gone => self.drop_subscription(id, "gone").await?,
            }
        }
        Ok(())
    }

    /// Sends older events than the room holds.
    async fn deliver_from_log(&mut self, id: ConversationId) -> Result<(), Close> {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return Ok(()) };
        let after = subscription.cursor.sequence;
        let page = log::read_stream(
            &self.edge.0.pool,
            domain::conversation::TYPE,
            &id.to_string(),
            after + 1..=subscription.room.sequence(),
            500,
        )
        .await;
        self.wake.ring(id);
        match page {
            Ok(page) => {
                if let Some(last) = page.last() {
                    subscription.cursor.sequence = last.sequence;
                }
                let frames = page.iter().filter_map(|event| frame::event(id, event)).collect();
                self.send(frames).await
            }
            Err(error) => {
                tracing::warn!(%error, "older events cannot be read just now");
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(())
            }
        }
    }

    pub(super) async fn drop_subscription(&mut self, id: ConversationId, reason: &str) -> Result<(), Close> {
        if let Some(subscription) = self.subscriptions.remove(&id) {
            subscription.room.unfollow(&self.wake);
        }
        self.tell(&ServerFrame::Unsubscribed { conversation: id, reason }).await
    }

    pub(super) async fn tell(&mut self, frame: &ServerFrame<'_>) -> Result<(), Close> {
        match frame::encode(frame) {
            Some(frame) => self.send(vec![frame]).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, frames: Vec<Utf8Bytes>) -> Result<(), Close> {
        let sending = async {
            for frame in frames {
                self.sink.feed(Message::Text(frame)).await?;
            }
            self.sink.flush().await
        };
        finish_sending(timeout(SEND_DEADLINE, sending).await)
    }

    async fn send_message(&mut self, message: Message) -> Result<(), Close> {
        finish_sending(timeout(SEND_DEADLINE, self.sink.send(message)).await)
    }
}

fn finish_sending(sent: Result<Result<(), axum::Error>, tokio::time::error::Elapsed>) -> Result<(), Close> {
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Close::Gone),
        Err(_) => Err(Close::Slow),
    }
}

/// What a broken stream means. axum hides the kind of the error, its text tells.
fn broken(error: &axum::Error) -> Close {
    let text = error.to_string();
    if text.contains("too long") || text.contains("too big") || text.contains("Space limit") {
        Close::TooLarge
    } else if text.contains("utf-8") || text.contains("UTF-8") {
        Close::Malformed
    } else {
        Close::Gone
    }
}
