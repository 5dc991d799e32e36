//! The life of a socket: what comes in, what goes out, and why it ends. Everything of a socket happens in this one task,
//! which itself waits for nothing but the client: what takes longer is among `doing`.

use std::collections::{HashMap, VecDeque};
use std::error::Error as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use domain::ConversationId;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, sleep, timeout};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::close::Close;
use super::frame::{self, MAX_FRAME_BYTES, PROTOCOL, ServerFrame};
use super::inbound::{self, Done};
use crate::auth::Identity;
use crate::edge::{Edge, Limits};
use crate::hub::{Cursor, Room, Wake};
use crate::metrics;

/// Over how long sockets are closed when the process stops, so that their clients do not all come back in the same moment.
const CLOSE_SPREAD: Duration = Duration::from_secs(1);
/// How long what a client has asked for may still take then, and how long a client that does not read may.
const FINISH_DEADLINE: Duration = Duration::from_secs(2);
/// How many frames that are none a client may send.
const MAX_MALFORMED: u32 = 20;

pub(super) struct Socket {
    pub(super) edge: Arc<Edge>,
    pub(super) session: Uuid,
    pub(super) identity: Option<Identity>,
    pub(super) subscriptions: HashMap<ConversationId, Subscription>,
    pub(super) wake: Arc<Wake>,
    /// What the client has asked for and is being done.
    pub(super) doing: FuturesUnordered<BoxFuture<'static, Done>>,
    /// The newest request to follow each conversation that has not been answered; older ones are not.
    pub(super) opening: HashMap<ConversationId, u64>,
    pub(super) opened: u64,
    /// Conversations of which older events must be read, and up to which one; the first is being read.
    pub(super) behind: VecDeque<(ConversationId, u64)>,
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
    pub(super) async fn run(edge: Arc<Edge>, socket: WebSocket, token: Option<String>) {
        let _open = metrics::Open::new();
        let limits = edge.limits;
        let (sink, incoming) = socket.split();
        let mut socket = Self {
            edge,
            session: Uuid::new_v4(),
            identity: None,
            subscriptions: HashMap::new(),
            wake: Arc::default(),
            doing: FuturesUnordered::new(),
            opening: HashMap::new(),
            opened: 0,
            behind: VecDeque::new(),
            malformed: 0,
            last_typing: None,
            sink,
        };
        let mut incoming = incoming;
        let Err(close) = socket.serve(&mut incoming, token).await else { return };
        tracing::debug!(session = %socket.session, ?close, "socket ends");
        metrics::closed(close);
        socket.leave();
        if let Some(frame) = close.frame() {
            let _ = timeout(limits.close, socket.sink.send(Message::Close(Some(frame)))).await;
            let hung_up = async {
                while let Some(Ok(_)) = incoming.next().await {}
                // A broken stream says so at once and for ever: then the time alone tells.
                if matches!(close, Close::TooLarge | Close::Malformed) {
                    sleep(limits.close).await;
                }
            };
            let _ = timeout(limits.close, hung_up).await;
        }
    }

    /// Is no longer told of anything.
    fn leave(&mut self) {
        for (_, subscription) in self.subscriptions.drain() {
            subscription.room.unfollow(&self.wake);
        }
        if let Some(Identity { tenant, user, .. }) = &self.identity {
            self.edge.hub.unfollow_list(tenant, user, &self.wake);
        }
    }

    async fn serve(&mut self, incoming: &mut SplitStream<WebSocket>, token: Option<String>) -> Result<(), Close> {
        self.greet().await?;
        if let Some(token) = token {
            self.doing.push(inbound::authenticate(self.edge.clone(), token));
        }
        let Limits { ping_every, log_in, silence, .. } = self.edge.limits;
        // Set once and put off, not made anew for every frame: each costs the runtime's timer an entry.
        let mut ended = pin!(sleep(log_in));
        let mut silent = pin!(sleep(silence));
        let mut ping = tokio::time::interval(ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        let mut closing = pin!(closing(self.edge.stopping.clone(), self.session));
        let wake = Arc::clone(&self.wake);
        loop {
            // There may always be something to do for a client that reads slowly; its turn comes all the same.
            if closing.as_mut().now_or_never().is_some() {
                return self.finish_all().await;
            }
            tokio::select! {
                message = incoming.next() => {
                    silent.as_mut().reset(Instant::now() + silence);
                    self.receive(message).await?;
                }
                Some(done) = self.doing.next() => {
                    self.finish(done).await?;
                    if let Some(identity) = &self.identity {
                        ended.as_mut().reset(Instant::now() + identity.remaining());
                    }
                }
                news = wake.news() => self.hear(news).await?,
                _ = ping.tick() => self.send_message(Message::Ping(bytes::Bytes::new())).await?,
                () = &mut silent => return Err(Close::Silent),
                () = &mut ended => {
                    return Err(if self.identity.is_some() { Close::Unauthenticated } else { Close::NoToken });
                }
                () = &mut closing => return self.finish_all().await,
            }
        }
    }

    /// Answers what the client has asked for, but nothing more, and ends: its next command is another process's.
    async fn finish_all(&mut self) -> Result<(), Close> {
        let finishing = async {
            while let Some(done) = self.doing.next().await {
                self.finish(done).await?;
            }
            Ok::<(), Close>(())
        };
        timeout(FINISH_DEADLINE, finishing).await.unwrap_or(Ok(()))?;
        Err(Close::Restart)
    }

    async fn greet(&mut self) -> Result<(), Close> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.tell(&ServerFrame::Hello {
            protocol: PROTOCOL,
            session: self.session,
            ping_ms: millis(self.edge.limits.ping_every),
            max_frame: MAX_FRAME_BYTES,
            auth_ms: millis(self.edge.limits.log_in),
        })
        .await
    }

    async fn receive(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Close> {
        match message {
            Some(Ok(Message::Text(text))) => {
                metrics::received();
                inbound::receive(self, &text).await
            }
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
            Done::Read(read) => self.deliver_read(*read).await,
        }
    }

    pub(super) async fn drop_subscription(&mut self, id: ConversationId, reason: &str) -> Result<(), Close> {
        self.opening.remove(&id);
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

    /// Sends frames. The deadline is one frame's: a client that reads slowly, but reads, is not a stuck one.
    pub(super) async fn send(&mut self, frames: Vec<Utf8Bytes>) -> Result<(), Close> {
        let unread = self.edge.limits.unread;
        let mut overdue = pin!(overdue(&self.edge.stopping));
        metrics::sent(frames.len());
        for frame in frames {
            finish_sending(unread, self.sink.feed(Message::Text(frame)), overdue.as_mut()).await?;
        }
        finish_sending(unread, self.sink.flush(), overdue.as_mut()).await
    }

    async fn send_message(&mut self, message: Message) -> Result<(), Close> {
        let overdue = pin!(overdue(&self.edge.stopping));
        finish_sending(self.edge.limits.unread, self.sink.send(message), overdue).await
    }
}

/// Returns when the process stops and it is this socket's turn to be closed.
async fn closing(stopping: CancellationToken, session: Uuid) {
    stopping.cancelled().await;
    let [.., high, low] = session.into_bytes();
    sleep(CLOSE_SPREAD.mul_f64(f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX))).await;
}

/// Returns when whoever has not read by now keeps the process from stopping.
async fn overdue(stopping: &CancellationToken) {
    stopping.cancelled().await;
    sleep(FINISH_DEADLINE).await;
}

async fn finish_sending(
    unread: Duration,
    sending: impl Future<Output = Result<(), axum::Error>>,
    overdue: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), Close> {
    tokio::select! {
        // Whoever reads costs no look at anything else.
        biased;
        sent = timeout(unread, sending) => sent.map_err(|_| Close::Slow)?.map_err(|_| Close::Gone),
        () = overdue => Err(Close::Restart),
    }
}

/// What a broken stream means. The error is that of the library under axum's: of the same version, or the tests fail.
fn broken(error: &axum::Error) -> Close {
    match error.source().and_then(|source| source.downcast_ref::<tungstenite::Error>()) {
        Some(tungstenite::Error::Capacity(_)) => Close::TooLarge,
        Some(tungstenite::Error::Utf8(_)) => Close::Malformed,
        _ => Close::Gone,
    }
}
