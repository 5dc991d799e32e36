//! What happened in a conversation. Fields are additive; a changed meaning is a new version and an upcaster.

use serde::{Deserialize, Serialize};

use super::part::{Finish, Part, Usage};
use super::spent::Spent;
use crate::account::Limit;
use crate::{MessageId, ModelRef, Tenant, UserId};

/// An event of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ts_rs::TS)]
#[ts(rename = "ConversationEvent")]
#[serde(tag = "type")]
pub enum Event {
    /// It began; the owner is its first participant.
    ConversationStarted {
        /// Who owns it: may delete it and choose its participants.
        owner: UserId,
        /// The tenant that the owner's login belongs to.
        tenant: Tenant,
        /// Its title; without one, readers show the beginning of the first message.
        #[serde(default)]
        title: Option<String>,
        /// The model that answers; without one, the installation's default.
        #[serde(default)]
        model: Option<ModelRef>,
        /// What the model is told before the first message.
        #[serde(default)]
        system_prompt: Option<String>,
    },
    /// It got another title.
    ConversationRenamed {
        /// The new title.
        title: String,
    },
    /// From here on another model, or another system prompt, answers.
    ModelConfigured {
        /// The model; none means the installation's default.
        model: Option<ModelRef>,
        /// The system prompt; none means no system prompt.
        system_prompt: Option<String>,
    },
    /// Someone may now read and write here.
    ParticipantAdded {
        /// Who.
        user: UserId,
    },
    /// Someone may no longer.
    ParticipantRemoved {
        /// Who.
        user: UserId,
    },
    /// A person said something.
    MessageSubmitted {
        /// The new message.
        message: MessageId,
        /// The message that it follows; none at the root.
        parent: Option<MessageId>,
        /// Who said it.
        author: UserId,
        /// What was said.
        parts: Vec<Part>,
        /// The message that this one is another wording of: its sibling in the tree.
        #[serde(default)]
        edit_of: Option<MessageId>,
    },
    /// The model is asked to answer.
    ReplyRequested {
        /// The reply: also the id of the assistant message that it becomes.
        reply: MessageId,
        /// The message that it answers.
        parent: MessageId,
        /// The model asked; none means the installation's default.
        model: Option<ModelRef>,
        /// The reply that this one is another attempt at wording: its sibling in the tree.
        #[serde(default)]
        regenerate_of: Option<MessageId>,
    },
    /// A worker took the reply; only this attempt's results count from here on.
    ReplyAttemptStarted {
        /// The reply.
        reply: MessageId,
        /// Which attempt, from 1.
        attempt: u32,
        /// The worker that took it.
        worker: String,
        /// For how long the attempt counts as alive without a renewal, in milliseconds from when it was recorded.
        lease_ms: u64,
        /// The model that it asks; none when there is none to ask, and in events of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        model: Option<ModelRef>,
        /// How many models the route has that the reply was asked of; none without a route.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        alternatives: Option<u32>,
        /// Whether it goes on from what the attempt before it had said, which that one's end holds: its own text begins with
        /// that. Else it begins anew.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        #[ts(optional, as = "Option<bool>")]
        continues: bool,
    },
    /// The attempt went wrong in a way that another may not; the reply waits for its next attempt.
    ReplyAttemptFailed {
        /// The reply.
        reply: MessageId,
        /// The attempt that failed.
        attempt: u32,
        /// What went wrong.
        error: ReplyError,
        /// What the attempt spent; none when no provider took it up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        spent: Option<Spent>,
        /// Whether the next attempt asks the next model of the route, and at once.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        #[ts(optional, as = "Option<bool>")]
        switch: bool,
        /// For how long the provider wants to be left alone, in milliseconds; at most [`MAX_RETRY_AFTER_MS`].
        ///
        /// [`MAX_RETRY_AFTER_MS`]: super::MAX_RETRY_AFTER_MS
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional, type = "number")]
        retry_after_ms: Option<u64>,
        /// What the model had said, if the next attempt can go on from it; else nothing. No reply shows it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[ts(optional, as = "Option<Vec<Part>>")]
        parts: Vec<Part>,
    },
    /// The attempt's worker was not heard of in time; the reply waits for its next attempt.
    ReplyAttemptExpired {
        /// The reply.
        reply: MessageId,
        /// The attempt that ended.
        attempt: u32,
        /// What the attempt spent, by an estimate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        spent: Option<Spent>,
        /// What the model was last seen to have said, if the next attempt can go on from it; else nothing. No reply shows it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[ts(optional, as = "Option<Vec<Part>>")]
        parts: Vec<Part>,
    },
    /// A person wants the reply to stop; whatever ends it now, it ends as stopped.
    ReplyStopRequested {
        /// The reply.
        reply: MessageId,
    },
    /// The reply is whole.
    ReplyCompleted {
        /// The reply.
        reply: MessageId,
        /// The attempt that completed it.
        attempt: u32,
        /// What the model said.
        parts: Vec<Part>,
        /// Why the model stopped.
        finish: Finish,
        /// The model that answered.
        model: ModelRef,
        /// Tokens used, as far as the provider told.
        usage: Usage,
        /// What the attempt spent. The provider's own words for it are in `usage` alone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        spent: Option<Spent>,
    },
    /// The reply ended because a person stopped it.
    ReplyStopped {
        /// The reply.
        reply: MessageId,
        /// The attempt that was running; 0 when none had started.
        attempt: u32,
        /// What the model had said until then.
        parts: Vec<Part>,
        /// What the attempt spent; none when none was running, or no provider had taken it up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        spent: Option<Spent>,
    },
    /// The reply ended without an answer.
    ReplyFailed {
        /// The reply.
        reply: MessageId,
        /// The last attempt.
        attempt: u32,
        /// What went wrong.
        error: ReplyError,
        /// What the model had said until then.
        parts: Vec<Part>,
        /// What the last attempt spent; none when no provider took it up, or it had expired and said so then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        spent: Option<Spent>,
    },
    /// Another branch of the message tree is the one shown.
    BranchSelected {
        /// Its last message.
        leaf: MessageId,
    },
    /// It was put aside: readable, closed for messages.
    ConversationArchived {},
    /// It was taken back out of the archive.
    ConversationUnarchived {},
    /// It is gone for everyone.
    ConversationDeleted {},
}

/// Why a reply, or one attempt at it, ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct ReplyError {
    /// The kind, stable for programs: `auth`, `quota`, `rate`, `overload`, `invalid`, `unknown_model`,
    /// `context_too_long`, `content_filter`, `network`, `timeout`, `interrupted`, `protocol`, `worker_lost`, `limit`.
    pub code: String,
    /// The same for people; never a secret, never the provider's raw body.
    pub message: String,
    /// With the code `limit`: which limit of the person who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub limit: Option<LimitReached>,
}

impl ReplyError {
    /// An error that has nothing to do with limits.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), limit: None }
    }
}

/// A limit that kept a model from being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct LimitReached {
    /// Which.
    pub name: Limit,
    /// What it allows.
    #[ts(type = "number")]
    pub amount: u64,
    /// When there is room again, in UTC as RFC 3339 has it. None when that is once a running reply has ended, or when the
    /// limit never allows as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string")]
    pub resets_at: Option<String>,
}

impl cqrs_es::DomainEvent for Event {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Event {
    /// The event's type: its last token on the bus, its `event_type` in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConversationStarted { .. } => "ConversationStarted",
            Self::ConversationRenamed { .. } => "ConversationRenamed",
            Self::ModelConfigured { .. } => "ModelConfigured",
            Self::ParticipantAdded { .. } => "ParticipantAdded",
            Self::ParticipantRemoved { .. } => "ParticipantRemoved",
            Self::MessageSubmitted { .. } => "MessageSubmitted",
            Self::ReplyRequested { .. } => "ReplyRequested",
            Self::ReplyAttemptStarted { .. } => "ReplyAttemptStarted",
            Self::ReplyAttemptFailed { .. } => "ReplyAttemptFailed",
            Self::ReplyAttemptExpired { .. } => "ReplyAttemptExpired",
            Self::ReplyStopRequested { .. } => "ReplyStopRequested",
            Self::ReplyCompleted { .. } => "ReplyCompleted",
            Self::ReplyStopped { .. } => "ReplyStopped",
            Self::ReplyFailed { .. } => "ReplyFailed",
            Self::BranchSelected { .. } => "BranchSelected",
            Self::ConversationArchived {} => "ConversationArchived",
            Self::ConversationUnarchived {} => "ConversationUnarchived",
            Self::ConversationDeleted {} => "ConversationDeleted",
        }
    }
}
