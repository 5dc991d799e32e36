//! Those who ask: through us, or straight at whoever speaks chat completions.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use uuid::Uuid;

use super::TOKENS;
use crate::Error;
use crate::load::chat::message;
use crate::load::socket::PATIENCE;
use crate::load::{Chat, Client, Completions};
use crate::provider::{MARK, TOKEN};

/// How many questions a conversation gets before the next begins.
const QUESTIONS: usize = 10;

/// Someone with a conversation here.
pub(super) struct Asking {
    chat: Chat,
    conversation: Uuid,
    asked: usize,
}

impl Asking {
    pub(super) async fn login(address: SocketAddr, nth: usize) -> Result<Self, Error> {
        let chat = Chat::login(address, &format!("asker{nth}"), nth).await?;
        Ok(Self { chat, conversation: Uuid::nil(), asked: 0 })
    }

    async fn answered(&mut self, asked: Instant) -> Result<Duration, Error> {
        let (mut first, mut text) = (None, 0);
        loop {
            let frame = self.chat.next().await?;
            match (frame.kind, frame.event) {
                ("delta", _) => {
                    first = first.or_else(|| Some(asked.elapsed()));
                }
                ("refused", _) => {
                    return Err(Error(format!("refused: {}", frame.message.as_deref().unwrap_or_default())));
                }
                ("event", Some(event)) if event.kind == "ReplyCompleted" => {
                    text += event.parts.iter().map(|part| part.text.len()).sum::<usize>();
                    break;
                }
                ("event", Some(event)) if event.kind == "ReplyFailed" => {
                    return Err(Error("a reply failed".to_owned()));
                }
                _ => {}
            }
        }
        if text != TOKENS * TOKEN.len() {
            return Err(Error(format!("an answer has {text} bytes")));
        }
        // An edge that is behind leaves the pieces out that the whole answer makes needless; then that is what one sees first.
        Ok(first.unwrap_or_else(|| asked.elapsed()))
    }
}

impl Client for Asking {
    async fn step(&mut self) -> Result<Duration, Error> {
        if self.asked.is_multiple_of(QUESTIONS) {
            if self.asked > 0 {
                self.chat.unfollow(self.conversation).await?;
            }
            self.conversation = self.chat.start().await?;
            self.chat.follow(self.conversation).await?;
        }
        self.asked += 1;
        let asked = Instant::now();
        self.chat.ask(self.conversation, &message("Hello.", true)).await?;
        timeout(PATIENCE, self.answered(asked)).await.map_err(|_| Error("a reply does not end".to_owned()))?
    }
}

/// Someone who speaks chat completions.
pub(super) struct Straight {
    completions: Completions,
}

impl Straight {
    pub(super) async fn open(address: SocketAddr, key: &str) -> Result<Self, Error> {
        Ok(Self { completions: Completions::open(address, key).await? })
    }
}

impl Client for Straight {
    async fn step(&mut self) -> Result<Duration, Error> {
        let took = self.completions.ask().await?;
        if took.tokens == TOKENS {
            Ok(took.first)
        } else {
            Err(Error(format!("{} of {TOKENS} tokens ({:?}) came", took.tokens, char::from(MARK))))
        }
    }
}
