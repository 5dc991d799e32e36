//! What a client may say.

use domain::conversation::{Command, Parent, Part};
use domain::{CommandId, ConversationId, MessageId, ModelRef, UserId};
use serde::Deserialize;
use ts_rs::TS;

/// What a client may say.
#[derive(Debug, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ClientFrame {
    /// Log in, or hand over a newer token before the old one ends.
    Auth {
        /// A JWT of one of the configured issuers.
        token: String,
    },
    /// Ask for something to happen.
    Command {
        /// Chosen by the client: the same id again gives the first result again.
        #[ts(type = "string")]
        id: CommandId,
        /// The conversation that it is asked of; for `StartConversation` an id chosen by the client.
        #[ts(type = "string")]
        conversation: ConversationId,
        /// Refuse unless the conversation's last event has this sequence.
        #[serde(default)]
        #[ts(optional, type = "number")]
        expected_sequence: Option<u64>,
        /// The client's trace, as W3C Trace Context writes it, if it keeps one.
        #[serde(default)]
        #[ts(optional)]
        traceparent: Option<String>,
        /// What is asked.
        command: ClientCommand,
    },
    /// Follow a conversation.
    Subscribe {
        /// Which.
        #[ts(type = "string")]
        conversation: ConversationId,
        /// The last sequence that the client has; without one it gets a snapshot.
        #[serde(default)]
        #[ts(optional, type = "number")]
        after: Option<u64>,
        /// How much of running replies the client has.
        #[serde(default)]
        #[ts(optional, as = "Option<Vec<ReplyCursor>>")]
        replies: Vec<ReplyCursor>,
    },
    /// No longer follow it.
    Unsubscribe {
        /// Which.
        #[ts(type = "string")]
        conversation: ConversationId,
    },
    /// Tell the others there that one is typing; at most once, never stored.
    Typing {
        /// Where.
        #[ts(type = "string")]
        conversation: ConversationId,
    },
    /// Ask for a `pong`.
    Ping {},
}

/// How much of a running reply a client has.
#[derive(Clone, Copy, Debug, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplyCursor {
    /// The reply.
    #[ts(type = "string")]
    pub(crate) reply: MessageId,
    /// The attempt that the text is of.
    pub(crate) attempt: u32,
    /// How many bytes of its UTF-8 text the client has.
    pub(crate) offset: u32,
}

/// A command as a client words it. Ids may be left out: they then follow from the command's id.
#[derive(Debug, Deserialize, TS)]
#[serde(tag = "type", deny_unknown_fields)]
pub(crate) enum ClientCommand {
    /// Begin a conversation.
    StartConversation {
        /// Its title.
        #[serde(default)]
        #[ts(optional)]
        title: Option<String>,
        /// The model that shall answer, `provider/model`.
        #[serde(default)]
        #[ts(optional, type = "string")]
        model: Option<ModelRef>,
        /// What the model is told before the first message.
        #[serde(default)]
        #[ts(optional)]
        system_prompt: Option<String>,
    },
    /// Give it another title.
    RenameConversation {
        /// The new title.
        title: String,
    },
    /// Let another model or system prompt answer; what is left out goes back to the default.
    ConfigureModel {
        /// The model, `provider/model`.
        #[serde(default)]
        #[ts(optional, type = "string")]
        model: Option<ModelRef>,
        /// The system prompt.
        #[serde(default)]
        #[ts(optional)]
        system_prompt: Option<String>,
    },
    /// Say something.
    SubmitMessage {
        /// The text, in Markdown.
        text: String,
        /// The message that it follows: left out, the active leaf; null, the root.
        #[serde(default, deserialize_with = "present")]
        #[ts(optional, type = "string | null")]
        #[expect(clippy::option_option, reason = "left out, null and an id are three things")]
        parent: Option<Option<MessageId>>,
        /// The new message's id.
        #[serde(default)]
        #[ts(optional, type = "string")]
        message: Option<MessageId>,
        /// The id of the reply.
        #[serde(default)]
        #[ts(optional, type = "string")]
        reply: Option<MessageId>,
        /// Whether the model shall answer; it does unless told not to.
        #[serde(default = "yes")]
        #[ts(optional, as = "Option<bool>")]
        answer: bool,
    },
    /// Word one's own message anew, in a sibling branch.
    EditMessage {
        /// The message to word anew; it stays.
        edit_of: MessageId,
        /// The text.
        text: String,
        /// The new message's id.
        #[serde(default)]
        #[ts(optional, type = "string")]
        message: Option<MessageId>,
        /// The id of the reply.
        #[serde(default)]
        #[ts(optional, type = "string")]
        reply: Option<MessageId>,
        /// Whether the model shall answer; it does unless told not to.
        #[serde(default = "yes")]
        #[ts(optional, as = "Option<bool>")]
        answer: bool,
    },
    /// Ask for another answer to the same message, in a sibling branch.
    RegenerateReply {
        /// The reply to word anew; it stays.
        regenerate_of: MessageId,
        /// The new reply's id.
        #[serde(default)]
        #[ts(optional, type = "string")]
        reply: Option<MessageId>,
    },
    /// Show another branch.
    SelectBranch {
        /// A message of that branch; following the newest child at each step gives the active leaf.
        message: MessageId,
    },
    /// Stop a reply.
    StopReply {
        /// Which.
        reply: MessageId,
    },
    /// Let someone read and write here.
    AddParticipant {
        /// Who.
        #[ts(type = "string")]
        user: UserId,
    },
    /// No longer let someone.
    RemoveParticipant {
        /// Who.
        #[ts(type = "string")]
        user: UserId,
    },
    /// Put it aside.
    ArchiveConversation {},
    /// Take it back out of the archive.
    UnarchiveConversation {},
    /// Delete it for everyone.
    DeleteConversation {},
}

impl ClientCommand {
    /// The command as the domain knows it; ids that were left out follow from `id`.
    pub(crate) fn into_domain(self, id: CommandId) -> Command {
        let message_id = |given: Option<MessageId>| given.unwrap_or_else(|| MessageId(id.derive("message")));
        let reply_id = |given: Option<MessageId>| given.unwrap_or_else(|| MessageId(id.derive("reply")));
        match self {
            Self::StartConversation { title, model, system_prompt } => {
                Command::StartConversation { title, model, system_prompt }
            }
            Self::RenameConversation { title } => Command::RenameConversation { title },
            Self::ConfigureModel { model, system_prompt } => Command::ConfigureModel { model, system_prompt },
            Self::SubmitMessage { text, parent, message, reply, answer } => Command::SubmitMessage {
                message: message_id(message),
                parent: match parent {
                    None => Parent::ActiveLeaf,
                    Some(None) => Parent::Root,
                    Some(Some(message)) => Parent::Message(message),
                },
                parts: vec![Part::Text { text }],
                reply: answer.then(|| reply_id(reply)),
            },
            Self::EditMessage { edit_of, text, message, reply, answer } => Command::EditMessage {
                edit_of,
                message: message_id(message),
                parts: vec![Part::Text { text }],
                reply: answer.then(|| reply_id(reply)),
            },
            Self::RegenerateReply { regenerate_of, reply } => {
                Command::RegenerateReply { regenerate_of, reply: reply_id(reply) }
            }
            Self::SelectBranch { message } => Command::SelectBranch { message },
            Self::StopReply { reply } => Command::StopReply { reply },
            Self::AddParticipant { user } => Command::AddParticipant { user },
            Self::RemoveParticipant { user } => Command::RemoveParticipant { user },
            Self::ArchiveConversation {} => Command::ArchiveConversation {},
            Self::UnarchiveConversation {} => Command::UnarchiveConversation {},
            Self::DeleteConversation {} => Command::DeleteConversation {},
        }
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::option_option, reason = "left out, null and an id are three things")]
/// Tells a field that is null from one that is left out.
fn present<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Option<MessageId>>, D::Error> {
    Option::<MessageId>::deserialize(field).map(Some)
}
