//! Sockets that follow conversations, on either side, and count what they receive without reading it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use crate::load::chat::message;
use crate::load::{Chat, SocketIo};
use crate::provider::MARK;
use crate::{Error, login};

/// How many sockets are opened at once.
const OPENING: usize = 64;
/// How long a reply may take until every socket has its end.
const DEADLINE: Duration = Duration::from_mins(2);

/// A socket of either side.
enum Follower {
    Ours(Chat),
    Theirs(SocketIo),
}

/// Followers of some conversations; the first of each also asks there.
pub(super) struct Crowd {
    followers: Vec<(Uuid, bool, Follower)>,
}

/// What all of them received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    pub(super) tokens: u64,
    pub(super) frames: u64,
    /// From the questions to the last socket's end.
    pub(super) took: Duration,
}

impl Crowd {
    pub(super) async fn ours(address: SocketAddr, conversations: usize, followers: usize) -> Result<Self, Error> {
        let mut owner = Chat::login(address, "ann", 0).await?;
        let mut places = Vec::new();
        for _ in 0..conversations {
            let conversation = owner.start().await?;
            places.extend((0..followers).map(|nth| (conversation, nth == 0)));
        }
        let open = async |(nth, (conversation, asks)): (usize, (Uuid, bool))| {
            let mut chat = Chat::login(address, "ann", nth).await?;
            chat.follow(conversation).await?;
            Ok::<_, Error>((conversation, asks, Follower::Ours(chat)))
        };
        let opening = futures::stream::iter(places.into_iter().enumerate()).map(open).buffer_unordered(OPENING);
        Ok(Self { followers: opening.try_collect().await? })
    }

    pub(super) async fn theirs(address: SocketAddr, conversations: usize, followers: usize) -> Result<Self, Error> {
        let token = login::token("ann")?;
        let places: Vec<_> = (0..conversations)
            .flat_map(|_| {
                let conversation = Uuid::new_v4();
                (0..followers).map(move |nth| (conversation, nth == 0))
            })
            .collect();
        let open = async |(nth, (conversation, asks)): (usize, (Uuid, bool))| {
            let mut socket = SocketIo::open(address, &token, nth).await?;
            socket.join(conversation).await?;
            Ok::<_, Error>((conversation, asks, Follower::Theirs(socket)))
        };
        let opening = futures::stream::iter(places.into_iter().enumerate()).map(open).buffer_unordered(OPENING);
        Ok(Self { followers: opening.try_collect().await? })
    }

    /// A question in each conversation, until every socket has heard the answer out.
    pub(super) async fn hear_out(self) -> Result<(Self, Delivered), Error> {
        let mut hearing = JoinSet::new();
        let begun = Instant::now();
        for (conversation, asks, mut follower) in self.followers {
            hearing.spawn(async move {
                if asks {
                    follower.ask(conversation).await?;
                }
                let heard = timeout(DEADLINE, follower.hear_out()).await;
                let (tokens, frames) = heard.map_err(|_| Error("a reply is not heard out".to_owned()))??;
                Ok::<_, Error>(((conversation, asks, follower), tokens, frames))
            });
        }
        let (mut followers, mut delivered) = (Vec::new(), Delivered { tokens: 0, frames: 0, took: Duration::ZERO });
        while let Some(heard) = hearing.join_next().await {
            let (follower, tokens, frames) = heard.map_err(Error::other)??;
            followers.push(follower);
            delivered.tokens += tokens;
            delivered.frames += frames;
        }
        delivered.took = begun.elapsed();
        Ok((Self { followers }, delivered))
    }
}

impl Follower {
    async fn ask(&mut self, conversation: Uuid) -> Result<(), Error> {
        match self {
            Self::Ours(chat) => chat.ask(conversation, &message("Go on.", true)).await.map(drop),
            Self::Theirs(socket) => socket.send(conversation, "Go on.").await,
        }
    }

    /// Counts tokens and frames until the reply's end.
    async fn hear_out(&mut self) -> Result<(u64, u64), Error> {
        let (mut tokens, mut frames) = (0, 0);
        loop {
            let (text, delta, end) = match self {
                Self::Ours(chat) => (chat.hear().await?, r#"{"type":"delta""#, r#""ReplyCompleted""#),
                Self::Theirs(socket) => (socket.hear().await?, r#"42["delta""#, r#"42["reply""#),
            };
            if text.starts_with(delta) {
                frames += 1;
                tokens += memchr::memchr_iter(MARK, text.as_bytes()).count() as u64;
            } else if text.contains(end) {
                return Ok((tokens, frames));
            } else if text.contains("ReplyFailed") || text.starts_with(r#"42["failed""#) {
                return Err(Error(format!("a reply failed: {text}")));
            }
        }
    }
}
