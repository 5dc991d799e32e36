//! Sockets that follow conversations, on either side, and count what they receive without reading it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use crate::load::chat::message;
use crate::load::{Chat, SocketIo};
use crate::measure::number;
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

/// What was received, by one or by all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delivered {
    pub(super) tokens: u64,
    pub(super) frames: u64,
    /// For how long tokens waited, all together, beyond what the first of each socket did.
    pub(super) waited: Duration,
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
    pub(super) async fn hear_out(self, pace: Duration) -> Result<(Self, Delivered), Error> {
        let mut hearing = JoinSet::new();
        let begun = Instant::now();
        for (conversation, asks, mut follower) in self.followers {
            hearing.spawn(async move {
                if asks {
                    follower.ask(conversation).await?;
                }
                let heard = timeout(DEADLINE, follower.hear_out(pace)).await;
                let heard = heard.map_err(|_| Error("a reply is not heard out".to_owned()))??;
                Ok::<_, Error>(((conversation, asks, follower), heard))
            });
        }
        let (mut followers, mut delivered) = (Vec::new(), Delivered::default());
        while let Some(heard) = hearing.join_next().await {
            let (follower, Delivered { tokens, frames, waited, .. }) = heard.map_err(Error::other)??;
            followers.push(follower);
            delivered.tokens += tokens;
            delivered.frames += frames;
            delivered.waited += waited;
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

    /// Counts tokens and frames until the reply's end. A token's moment is told by the first one's, as the provider writes them
    /// by the clock.
    async fn hear_out(&mut self, pace: Duration) -> Result<Delivered, Error> {
        let mut heard = Delivered::default();
        let mut first = None;
        loop {
            let (text, delta, end) = match self {
                Self::Ours(chat) => (chat.hear().await?, r#"{"type":"delta""#, r#""ReplyCompleted""#),
                Self::Theirs(socket) => (socket.hear().await?, r#"42["delta""#, r#"42["reply""#),
            };
            let now = Instant::now();
            let tokens = || memchr::memchr_iter(MARK, text.as_bytes()).count() as u64;
            // The end holds the whole answer, and may be the first to bring its last tokens.
            let ends = text.contains(end);
            let new = match text.starts_with(delta) {
                true => tokens(),
                false if ends => tokens().saturating_sub(heard.tokens),
                false => 0,
            };
            heard.frames += u64::from(new > 0);
            for _ in 0..new {
                let due = *first.get_or_insert(now) + pace.mul_f64(number(heard.tokens));
                heard.waited += now.saturating_duration_since(due);
                heard.tokens += 1;
            }
            if ends {
                return Ok(heard);
            }
            if text.contains("ReplyFailed") || text.starts_with(r#"42["failed""#) {
                return Err(Error(format!("a reply failed: {text}")));
            }
        }
    }
}
