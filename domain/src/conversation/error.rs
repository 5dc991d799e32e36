//! Why a conversation refuses a command.

use serde::{Deserialize, Serialize};

/// A refusal. `Unknown` also answers everyone who may not see the conversation: it does not exist for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind")]
pub enum Error {
    /// There is no such conversation, or not for the asker.
    #[error("no such conversation")]
    Unknown,
    /// A conversation with this id exists already.
    #[error("a conversation with this id exists already")]
    AlreadyStarted,
    /// It is archived: take it out of the archive first.
    #[error("the conversation is archived")]
    Archived,
    /// There is no such message in this conversation.
    #[error("no such message in this conversation")]
    UnknownMessage,
    /// There is no such reply in this conversation.
    #[error("no such reply in this conversation")]
    UnknownReply,
    /// An id given to a new message or reply is taken in this conversation.
    #[error("the id of the new message or reply is already taken")]
    MessageIdTaken,
    /// A reply on this branch has not ended yet.
    #[error("a reply on this branch has not ended yet")]
    ReplyInProgress,
    /// So many replies run in this conversation that no further one is taken.
    #[error("at most {limit} replies may run at once in a conversation")]
    TooManyReplies {
        /// The limit.
        limit: usize,
    },
    /// The reply has ended; nothing more happens to it.
    #[error("the reply has ended")]
    ReplyEnded,
    /// The reply is already being worked on, or its attempts have moved on: the caller's attempt does not count.
    #[error("this attempt is not the current one")]
    StaleAttempt,
    /// A message needs some text.
    #[error("a message needs some text")]
    EmptyMessage,
    /// A person's message holds what only a model or a tool says.
    #[error("a person's message holds only text")]
    UnsupportedPart,
    /// The message is longer than accepted.
    #[error("a message has at most {limit} bytes")]
    MessageTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The title is empty or longer than accepted.
    #[error("a title has 1 to {limit} bytes and no control characters")]
    InvalidTitle {
        /// The limit in bytes.
        limit: usize,
    },
    /// The system prompt is longer than accepted.
    #[error("a system prompt has at most {limit} bytes")]
    SystemPromptTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A text holds U+0000, which the log cannot store.
    #[error("text may not contain U+0000")]
    InvalidText,
    /// Only the author may word a message anew; only people's messages are edited.
    #[error("only its author may edit a message")]
    NotAuthor,
    /// Only the owner may do this.
    #[error("only the owner may do this")]
    NotOwner,
    /// The owner stays a participant.
    #[error("the owner cannot be removed")]
    OwnerStays,
    /// The conversation has as many participants as accepted.
    #[error("a conversation has at most {limit} participants")]
    TooManyParticipants {
        /// The limit.
        limit: usize,
    },
    /// The conversation has as many messages as accepted.
    #[error("a conversation has at most {limit} messages")]
    TooManyMessages {
        /// The limit.
        limit: usize,
    },
    /// The command is one that only our own workers may ask.
    #[error("this command is not for people to ask")]
    NotPermitted,
}
