//! A conversation: its participants, its tree of messages, the replies that run in it.
//!
//! The state holds what decisions need and nothing that was said, so that it stays small however long the conversation grows.
//! The rules that matter most: a reply is answered by one attempt at a time and only by the current one (the *fence*),
//! a stop wins over every other end, every reply ends, and one reply at a time runs on a branch.

mod apply;
mod command;
mod decide;
mod error;
mod event;
mod part;
mod spent;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::{Command, Parent};
pub use error::Error;
pub use event::{Event, LimitReached, ReplyError};
pub use part::{Finish, MAX_RAW_USAGE_BYTES, Part, Usage};
pub use spent::{Cost, Spent};

use crate::{Ask, Asked, ConversationId, Decide, MessageId, ModelRef, Tenant, UserId};
use tree::Tree;

/// The aggregate's type: in the log, and in subjects.
pub const TYPE: &str = "conversation";
/// The most bytes of a message, all its parts together.
pub const MAX_MESSAGE_BYTES: usize = 128 * 1024;
/// The most bytes of a title.
pub const MAX_TITLE_BYTES: usize = 300;
/// The most bytes of a system prompt.
pub const MAX_SYSTEM_PROMPT_BYTES: usize = 64 * 1024;
/// The most participants.
pub const MAX_PARTICIPANTS: usize = 100;
/// The most messages, replies among them.
pub const MAX_MESSAGES: usize = 100_000;
/// The most replies that run at once.
pub const MAX_OPEN_REPLIES: usize = 8;
/// The attempts that a reply gets, of one model; a route adds as many as it has models.
pub const MAX_ATTEMPTS: u32 = 3;
/// The most models of a route.
pub const MAX_ALTERNATIVES: u32 = 8;
/// The longest that a provider's wish to be left alone holds up the next attempt, in milliseconds.
pub const MAX_RETRY_AFTER_MS: u64 = 60_000;

/// The state of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    phase: Phase,
    tenant: Option<Tenant>,
    owner: Option<UserId>,
    participants: BTreeSet<UserId>,
    model: Option<ModelRef>,
    title: Option<String>,
    system_prompt: Option<String>,
    active_leaf: Option<MessageId>,
    tree: Tree,
    open_replies: BTreeMap<MessageId, OpenReply>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    #[default]
    NotStarted,
    Active,
    Archived,
    Deleted,
}

/// A reply that has not ended: the attempts begun so far and what the last one is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OpenReply {
    attempt: u32,
    /// How many attempts it gets.
    most: u32,
    state: ReplyState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ReplyState {
    /// Waits for its next attempt.
    Pending,
    /// The attempt is being worked on.
    Running,
    /// The attempt is being worked on and shall stop.
    Stopping,
}

impl Ask for Command {
    type Aggregate = Conversation;
    type Event = Event;
    type Id = ConversationId;
}

impl cqrs_es::Aggregate for Conversation {
    const TYPE: &'static str = TYPE;

    type Command = Asked<Command>;
    type Event = Event;
    type Error = Error;
    type Services = ();

    async fn handle(&mut self, command: Self::Command, (): &(), sink: &EventSink<Self>) -> Result<(), Error> {
        // cqrs-es applies a written event at once and its snapshotting stores apply it again on commit, so it must not
        // reach `self` from here.
        let mut scratch = self.clone();
        for event in self.decide(&command)? {
            sink.write(event, &mut scratch).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        self.evolve(event);
    }
}
