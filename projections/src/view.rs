//! What readers are given: a conversation and its messages as they stand.

use chrono::{DateTime, Utc};
use domain::conversation::{Finish, Part, ReplyError, Usage};
use domain::{ConversationId, MessageId, ModelRef, UserId};
use serde::{Deserialize, Serialize};

/// A conversation, as a row of its participants' lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ts_rs::TS)]
pub struct ConversationView {
    /// Its id.
    #[ts(type = "string")]
    pub id: ConversationId,
    /// Its title, if it was given one.
    pub title: Option<String>,
    /// The beginning of its first message, to show where there is no title.
    pub preview: Option<String>,
    /// Who owns it.
    #[ts(type = "string")]
    pub owner: UserId,
    /// Who may read and write here, the owner among them, in alphabetical order.
    #[ts(type = "Array<string>")]
    pub participants: Vec<UserId>,
    /// The model that answers; none means the installation's default.
    #[ts(type = "string | null")]
    pub model: Option<ModelRef>,
    /// What the model is told before the first message.
    pub system_prompt: Option<String>,
    /// The last message of the branch shown.
    #[ts(type = "string | null")]
    pub active_leaf: Option<MessageId>,
    /// Whether it is put aside.
    pub archived: bool,
    /// The sequence of the last event that this row knows of.
    #[ts(type = "number")]
    pub sequence: u64,
    /// When it began.
    #[ts(type = "string")]
    pub created_at: DateTime<Utc>,
    /// When something last happened in it.
    #[ts(type = "string")]
    pub updated_at: DateTime<Utc>,
}

/// A message of a conversation's tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ts_rs::TS)]
pub struct MessageView {
    /// Its id; for an assistant message, the reply's.
    #[ts(type = "string")]
    pub id: MessageId,
    /// The message that it follows; none at the root.
    #[ts(type = "string | null")]
    pub parent: Option<MessageId>,
    /// Who speaks.
    pub role: Role,
    /// Which person, if one.
    #[ts(type = "string | null")]
    pub author: Option<UserId>,
    /// What is said; of a reply that runs, nothing yet.
    pub parts: Vec<Part>,
    /// The message that this one is another wording of.
    #[ts(type = "string | null")]
    pub alternative_of: Option<MessageId>,
    /// How it stands.
    pub status: MessageStatus,
    /// Of a reply: the newest attempt, 0 before the first.
    pub attempt: u32,
    /// Of a reply: the model asked, and once complete the model that answered.
    #[ts(type = "string | null")]
    pub model: Option<ModelRef>,
    /// Of a completed reply: why the model stopped.
    pub finish: Option<Finish>,
    /// Of a completed reply: tokens used.
    pub usage: Option<Usage>,
    /// Of a failed reply: why.
    pub error: Option<ReplyError>,
    /// The sequence of the event that made it.
    #[ts(type = "number")]
    pub sequence: u64,
    /// When it was made.
    #[ts(type = "string")]
    pub created_at: DateTime<Utc>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A person.
    User,
    /// The model.
    Assistant,
}

/// How a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// A person's message: said.
    Submitted,
    /// A reply that waits for its first or next attempt.
    Pending,
    /// A reply that an attempt is at.
    Running,
    /// A reply that runs and shall stop.
    Stopping,
    /// A whole reply.
    Completed,
    /// A reply that a person stopped.
    Stopped,
    /// A reply that ended without an answer.
    Failed,
}
