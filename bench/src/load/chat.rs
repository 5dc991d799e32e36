//! A client of BestChat: docs/protocol.md, as far as loads need it.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::socket::{PATIENCE, Socket};
use crate::{Error, login};

/// How a frame about a list begins.
const LIST_CHANGED: &[u8] = br#"{"type":"conversation_changed""#;

/// A socket that has logged in.
#[derive(Debug)]
pub struct Chat {
    socket: Socket,
}

/// A frame, as far as loads look at it.
#[derive(Debug, Deserialize)]
pub struct Frame<'a> {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The command that it answers.
    pub id: Option<Uuid>,
    /// The conversation that it is about.
    pub conversation: Option<Uuid>,
    /// Where that stands.
    pub sequence: Option<u64>,
    /// The place in the log.
    pub position: Option<&'a str>,
    /// When it was recorded: database time.
    pub at: Option<&'a str>,
    /// What happened.
    #[serde(borrow)]
    pub event: Option<EventFrame<'a>>,
    /// The reply that it is about.
    pub reply: Option<Uuid>,
    /// Its attempt.
    pub attempt: Option<u32>,
    /// Where in its text this begins, in bytes.
    pub offset: Option<usize>,
    /// More of it.
    #[serde(borrow)]
    pub text: Option<Cow<'a, str>>,
    /// Why something was refused.
    #[serde(borrow)]
    pub message: Option<Cow<'a, str>>,
}

/// An event, as far as loads look at it.
#[derive(Debug, Deserialize)]
pub struct EventFrame<'a> {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The reply that it is about.
    pub reply: Option<Uuid>,
    /// What was said.
    #[serde(borrow, default)]
    pub parts: Vec<Part<'a>>,
}

/// A part of a message.
#[derive(Debug, Deserialize)]
pub struct Part<'a> {
    /// Its text.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
}

impl Chat {
    /// Opens a socket and logs `user` in; the `nth` of many.
    ///
    /// # Errors
    /// When that does not go through.
    pub async fn login(address: SocketAddr, user: &str, nth: usize) -> Result<Self, Error> {
        let mut chat = Self { socket: Socket::open(address, "/ws", nth).await? };
        chat.say(&json!({ "type": "auth", "token": login::token(user)? })).await?;
        chat.wait_for("authenticated").await?;
        Ok(chat)
    }

    async fn say(&mut self, frame: &Value) -> Result<(), Error> {
        self.socket.say(&frame.to_string()).await
    }

    /// The next frame but those about lists, however long it takes. May be dropped at any time.
    ///
    /// # Errors
    /// When the socket has ended, or the frame cannot be read.
    pub async fn next(&mut self) -> Result<Frame<'_>, Error> {
        // They carry a whole row where other frames name a conversation.
        while self.socket.peek().await?.starts_with(LIST_CHANGED) {
            self.socket.hear().await?;
        }
        let text = self.socket.hear().await?;
        serde_json::from_str(text).map_err(|error| Error(format!("{error} in {text}")))
    }

    /// The next frame's text, unread.
    ///
    /// # Errors
    /// When the socket has ended.
    pub async fn hear(&mut self) -> Result<&str, Error> {
        self.socket.hear().await
    }

    /// Passes over frames until one of this type.
    ///
    /// # Errors
    /// When something is refused meanwhile, or it does not come in time.
    pub async fn wait_for(&mut self, kind: &str) -> Result<(), Error> {
        let waiting = async {
            loop {
                let frame = self.next().await?;
                if frame.kind == "refused" {
                    return Err(refused(&frame));
                }
                if frame.kind == kind {
                    return Ok(());
                }
            }
        };
        timeout(PATIENCE, waiting).await.map_err(|_| Error(format!("no {kind} frame comes")))?
    }

    /// Passes over frames until this event of this conversation.
    ///
    /// # Errors
    /// When it does not come in time.
    pub async fn wait_for_event(&mut self, conversation: Uuid, kind: &str) -> Result<(), Error> {
        let waiting = async {
            loop {
                let frame = self.next().await?;
                if frame.conversation == Some(conversation) && frame.event.is_some_and(|event| event.kind == kind) {
                    return Ok(());
                }
            }
        };
        timeout(PATIENCE, waiting).await.map_err(|_| Error(format!("no {kind} comes")))?
    }

    /// Asks, without waiting for the answer; gives the command's id.
    ///
    /// # Errors
    /// When the socket is broken.
    pub async fn ask(&mut self, conversation: Uuid, command: &Value) -> Result<Uuid, Error> {
        let id = Uuid::now_v7();
        self.say(&json!({ "type": "command", "id": id, "conversation": conversation, "command": command })).await?;
        Ok(id)
    }

    /// Asks and waits for the answer; gives the position. Other frames are passed over.
    ///
    /// # Errors
    /// When it is refused, or not answered in time.
    pub async fn command(&mut self, conversation: Uuid, command: &Value) -> Result<String, Error> {
        let id = self.ask(conversation, command).await?;
        let waiting = async {
            loop {
                let frame = self.next().await?;
                match (frame.kind, frame.id == Some(id)) {
                    ("ack", true) => return Ok(frame.position.unwrap_or_default().to_owned()),
                    ("refused", true) => return Err(refused(&frame)),
                    _ => {}
                }
            }
        };
        timeout(PATIENCE, waiting).await.map_err(|_| Error("a command is not answered".to_owned()))?
    }

    /// Begins a conversation; gives its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn start(&mut self) -> Result<Uuid, Error> {
        let conversation = Uuid::new_v4();
        self.start_at(conversation).await?;
        Ok(conversation)
    }

    /// Begins a conversation of this id; gives the position.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn start_at(&mut self, conversation: Uuid) -> Result<String, Error> {
        self.command(conversation, &json!({ "type": "StartConversation", "title": "Bench" })).await
    }

    /// Follows a conversation, and waits until all is told that there is.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn follow(&mut self, conversation: Uuid) -> Result<(), Error> {
        self.say(&json!({ "type": "subscribe", "conversation": conversation })).await?;
        self.wait_for("live").await
    }

    /// Follows it no longer.
    ///
    /// # Errors
    /// When the socket is broken.
    pub async fn unfollow(&mut self, conversation: Uuid) -> Result<(), Error> {
        self.say(&json!({ "type": "unsubscribe", "conversation": conversation })).await?;
        self.wait_for("unsubscribed").await
    }
}

/// The words of a refusal.
pub fn refused(frame: &Frame<'_>) -> Error {
    Error(format!("refused: {}", frame.message.as_deref().unwrap_or("no reason given")))
}

/// A message that the model answers, or not.
pub fn message(text: &str, answer: bool) -> Value {
    json!({ "type": "SubmitMessage", "text": text, "answer": answer })
}
