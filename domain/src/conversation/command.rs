//! What may be asked of a conversation.

use serde::{Deserialize, Serialize};

use super::event::ReplyError;
use super::part::{Finish, Part, Usage};
use super::spent::Spent;
use crate::{MessageId, ModelRef, UserId};

/// A command to a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Command {
    /// Begin it, as its owner.
    StartConversation {
        /// Its title.
        title: Option<String>,
        /// The model that shall answer.
        model: Option<ModelRef>,
        /// What the model is told before the first message.
        system_prompt: Option<String>,
    },
    /// Give it another title.
    RenameConversation {
        /// The new title.
        title: String,
    },
    /// Let another model, or another system prompt, answer.
    ConfigureModel {
        /// The model; none means the installation's default.
        model: Option<ModelRef>,
        /// The system prompt; none means no system prompt.
        system_prompt: Option<String>,
    },
    /// Say something, and ask the model to answer if `reply` is given.
    SubmitMessage {
        /// The new message.
        message: MessageId,
        /// What it follows.
        parent: Parent,
        /// What is said.
        parts: Vec<Part>,
        /// The reply that shall answer it.
        reply: Option<MessageId>,
    },
    /// Word one's own message anew, as a sibling branch, and ask the model to answer it.
    EditMessage {
        /// The message to be worded anew; it stays.
        edit_of: MessageId,
        /// The new message.
        message: MessageId,
        /// What is said instead.
        parts: Vec<Part>,
        /// The reply that shall answer it.
        reply: Option<MessageId>,
    },
    /// Ask for another answer to the same message, as a sibling branch.
    RegenerateReply {
        /// The reply to be worded anew; it stays.
        regenerate_of: MessageId,
        /// The new reply.
        reply: MessageId,
    },
    /// Show another branch.
    SelectBranch {
        /// A message of that branch; following the newest child from it leads to the new active leaf.
        message: MessageId,
    },
    /// Stop a reply.
    StopReply {
        /// The reply.
        reply: MessageId,
    },
    /// Let someone read and write here.
    AddParticipant {
        /// Who.
        user: UserId,
    },
    /// No longer let someone; everyone may remove themselves except the owner.
    RemoveParticipant {
        /// Who.
        user: UserId,
    },
    /// Put it aside.
    ArchiveConversation {},
    /// Take it back out of the archive.
    UnarchiveConversation {},
    /// Delete it for everyone.
    DeleteConversation {},
    /// A worker's: take a waiting reply.
    ClaimReply {
        /// The reply.
        reply: MessageId,
        /// The attempt that this claim begins: the one after the last.
        attempt: u32,
        /// Who takes it.
        worker: String,
        /// For how long the attempt counts as alive without a renewal, in milliseconds.
        lease_ms: u64,
        /// The model that it will ask.
        #[serde(default)]
        model: Option<ModelRef>,
        /// How many models the route has that the reply was asked of; none without a route.
        #[serde(default)]
        alternatives: Option<u32>,
        /// Whether it will go on from what the attempt before it had said.
        #[serde(default)]
        continues: bool,
    },
    /// A worker's: the attempt has the whole answer.
    CompleteReply {
        /// The reply.
        reply: MessageId,
        /// The attempt.
        attempt: u32,
        /// What the model said.
        parts: Vec<Part>,
        /// Why it stopped.
        finish: Finish,
        /// The model that answered.
        model: ModelRef,
        /// Tokens used, as far as the provider told.
        usage: Usage,
        /// What the attempt spent.
        #[serde(default)]
        spent: Option<Spent>,
    },
    /// A worker's: the attempt ended without an answer, or was stopped.
    FailReply {
        /// The reply.
        reply: MessageId,
        /// The attempt.
        attempt: u32,
        /// What went wrong.
        error: ReplyError,
        /// Whether another attempt may do better.
        retry: bool,
        /// Whether that one shall ask the next model of the route.
        #[serde(default)]
        switch: bool,
        /// For how long the provider wants to be left alone, in milliseconds.
        #[serde(default)]
        retry_after_ms: Option<u64>,
        /// What the model had said until then.
        parts: Vec<Part>,
        /// Whether the next attempt can go on from that, which is then kept for it.
        #[serde(default)]
        continuable: bool,
        /// What the attempt spent.
        #[serde(default)]
        spent: Option<Spent>,
    },
    /// The reaper's: the attempt's worker was not heard of in time.
    ExpireAttempt {
        /// The reply.
        reply: MessageId,
        /// The attempt.
        attempt: u32,
        /// What the model was last seen to have said, kept if the reply ends here.
        parts: Vec<Part>,
        /// Whether the next attempt can go on from that, which is then kept for it, too.
        #[serde(default)]
        continuable: bool,
        /// What the attempt spent, by an estimate.
        #[serde(default)]
        spent: Option<Spent>,
    },
}

/// Where a new message goes in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parent {
    /// After the active leaf; at the root of an empty conversation.
    ActiveLeaf,
    /// At the root.
    Root,
    /// After this message.
    Message(MessageId),
}

impl Command {
    /// Whether only our own workers may ask this; such commands never travel on a subject that an edge may publish to.
    pub fn is_internal(&self) -> bool {
        match self {
            Self::ClaimReply { .. }
            | Self::CompleteReply { .. }
            | Self::FailReply { .. }
            | Self::ExpireAttempt { .. } => true,
            Self::StartConversation { .. }
            | Self::RenameConversation { .. }
            | Self::ConfigureModel { .. }
            | Self::SubmitMessage { .. }
            | Self::EditMessage { .. }
            | Self::RegenerateReply { .. }
            | Self::SelectBranch { .. }
            | Self::StopReply { .. }
            | Self::AddParticipant { .. }
            | Self::RemoveParticipant { .. }
            | Self::ArchiveConversation {}
            | Self::UnarchiveConversation {}
            | Self::DeleteConversation {} => false,
        }
    }
}
