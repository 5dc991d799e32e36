//! What a client is told.

use axum::extract::ws::Utf8Bytes;
use domain::{CommandId, ConversationId, MessageId, UserId};
use projections::{ConversationView, MessageView};
use serde::Serialize;
use serde_json::value::RawValue;
use store::Recorded;
use ts_rs::TS;
use uuid::Uuid;

/// What a client is told.
#[derive(Debug, Serialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerFrame<'a> {
    /// The first frame of every socket.
    Hello {
        /// The protocol's version.
        protocol: u32,
        /// This socket, for support and logs.
        session: Uuid,
        /// How often the server pings; a client that hears nothing for twice as long should reconnect.
        #[ts(type = "number")]
        ping_ms: u64,
        /// The largest frame accepted, in bytes.
        #[ts(type = "number")]
        max_frame: usize,
        /// How long the server waits for `auth`.
        #[ts(type = "number")]
        auth_ms: u64,
    },
    /// The token was accepted.
    Authenticated {
        /// Who the client is.
        #[ts(type = "string")]
        user: &'a UserId,
        /// When the token ends, in seconds since 1970; the socket is closed then unless a newer one came.
        #[ts(type = "number")]
        expires_at: u64,
    },
    /// The command is durable.
    Ack {
        /// The command.
        #[ts(type = "string")]
        id: CommandId,
        /// The conversation's sequence after it.
        #[ts(type = "number")]
        sequence: u64,
        /// Its place in the log: `min_position` of a read that must see it.
        position: &'a str,
    },
    /// The frame was not done.
    Refused {
        /// The command, if the frame was one.
        #[ts(type = "string | null")]
        id: Option<CommandId>,
        /// The conversation, if the frame named one.
        #[ts(type = "string | null")]
        conversation: Option<ConversationId>,
        /// Why, stable for programs.
        code: &'a str,
        /// Why, for people.
        message: &'a str,
        /// Whether the same frame may succeed later.
        retryable: bool,
    },
    /// The conversation is followed from here: then come the events after `sequence`, then `live`.
    Subscribed {
        /// Which.
        #[ts(type = "string")]
        conversation: ConversationId,
        /// The sequence that the client is now at.
        #[ts(type = "number")]
        sequence: u64,
        /// The state at that sequence; none when the client's own `after` is taken up.
        snapshot: Option<Snapshot>,
    },
    /// Something happened; each sequence once, in order.
    Event {
        /// Where.
        #[ts(type = "string")]
        conversation: ConversationId,
        /// Its place in the conversation, from 1 without a gap.
        #[ts(type = "number")]
        sequence: u64,
        /// Its place in the log.
        position: &'a str,
        /// Who asked: `user:<id>` or `worker:<name>`.
        actor: &'a str,
        /// When it was recorded (RFC 3339).
        at: &'a str,
        /// What happened.
        #[ts(type = "ConversationEvent")]
        event: &'a RawValue,
    },
    /// Everything up to here was told; what follows is news.
    Live {
        /// Where.
        #[ts(type = "string")]
        conversation: ConversationId,
        /// The last sequence told.
        #[ts(type = "number")]
        sequence: u64,
    },
    /// More of a running reply: `text` begins at byte `offset` of the attempt's text. A higher attempt replaces the text.
    Delta {
        /// Where.
        #[ts(type = "string")]
        conversation: ConversationId,
        /// The reply.
        #[ts(type = "string")]
        reply: MessageId,
        /// The attempt.
        attempt: u32,
        /// Where the text begins, in bytes of UTF-8.
        #[ts(type = "number")]
        offset: usize,
        /// The text.
        text: &'a str,
        /// Set where there is no text, because the model thinks at the moment: a sign of life, with offset 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        thinking: Option<bool>,
    },
    /// Someone is typing.
    Typing {
        /// Where.
        #[ts(type = "string")]
        conversation: ConversationId,
        /// Who.
        #[ts(type = "string")]
        user: &'a UserId,
    },
    /// The conversation is no longer followed.
    Unsubscribed {
        /// Which.
        #[ts(type = "string")]
        conversation: ConversationId,
        /// Why: `asked`, or `gone` when it was deleted or the client may no longer see it.
        reason: &'a str,
    },
    /// A conversation in the client's list is new or changed; `conversation` is its row, or null when it left the list.
    ConversationChanged {
        /// Which.
        #[ts(type = "string")]
        id: ConversationId,
        /// The row as `GET /api/conversations` gives it.
        #[ts(type = "ConversationView | null")]
        conversation: Option<&'a RawValue>,
    },
    /// The answer to `ping`.
    Pong {},
}

/// A conversation at a sequence: itself and its newest messages.
#[derive(Debug, Serialize, TS)]
pub(crate) struct Snapshot {
    /// The conversation.
    pub(crate) conversation: ConversationView,
    /// Its newest messages, oldest first; older ones from `GET /api/conversations/{id}/messages?before=<sequence>`.
    pub(crate) messages: Vec<MessageView>,
    /// Whether there are older ones.
    pub(crate) more: bool,
}

/// A frame as it goes over the wire.
pub(crate) fn encode(frame: &ServerFrame<'_>) -> Option<Utf8Bytes> {
    match serde_json::to_string(frame) {
        Ok(text) => Some(text.into()),
        Err(error) => {
            tracing::error!(%error, "a frame cannot be written");
            None
        }
    }
}

/// An event as a frame. The payload goes through as it was recorded.
pub(crate) fn event(conversation: ConversationId, event: &Recorded) -> Option<Utf8Bytes> {
    let actor = event.metadata().map(|metadata| metadata.actor.to_string());
    encode(&ServerFrame::Event {
        conversation,
        sequence: event.sequence,
        position: &event.position().to_string(),
        // Someone else's row may not say.
        actor: actor.as_deref().unwrap_or("worker:unknown"),
        at: &event.recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        event: &event.payload,
    })
}
