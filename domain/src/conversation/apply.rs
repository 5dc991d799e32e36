//! How a conversation's state follows from its events. It decides nothing and refuses nothing.

use super::{Conversation, Event, MAX_ALTERNATIVES, MAX_ATTEMPTS, OpenReply, Phase, ReplyState};
use crate::MessageId;

impl Conversation {
    pub(super) fn evolve(&mut self, event: Event) {
        match event {
            Event::ConversationStarted { owner, tenant, title, model, system_prompt } => {
                self.phase = Phase::Active;
                self.participants.insert(owner.clone());
                self.owner = Some(owner);
                self.tenant = Some(tenant);
                self.title = title;
                self.model = model;
                self.system_prompt = system_prompt;
            }
            Event::ConversationRenamed { title } => self.title = Some(title),
            Event::ModelConfigured { model, system_prompt } => {
                self.model = model;
                self.system_prompt = system_prompt;
            }
            Event::ParticipantAdded { user } => {
                self.participants.insert(user);
            }
            Event::ParticipantRemoved { user } => {
                self.participants.remove(&user);
            }
            Event::MessageSubmitted { message, parent, author, .. } => {
                self.tree.insert(message, parent, Some(author));
                self.active_leaf = Some(message);
            }
            Event::ReplyRequested { reply, parent, .. } => {
                self.tree.insert(reply, Some(parent), None);
                self.active_leaf = Some(reply);
                let (most, state) = (MAX_ATTEMPTS, ReplyState::Pending);
                self.open_replies.insert(reply, OpenReply { attempt: 0, most, state });
            }
            Event::ReplyAttemptStarted { reply, attempt, alternatives, continues, .. } => {
                // A provider may refuse to go on with a text: then the reply begins anew, whichever attempt that was.
                let most = MAX_ATTEMPTS + alternatives.unwrap_or(0).min(MAX_ALTERNATIVES) + u32::from(continues);
                self.open_replies.insert(reply, OpenReply { attempt, most, state: ReplyState::Running });
            }
            Event::ReplyAttemptFailed { reply, .. } | Event::ReplyAttemptExpired { reply, .. } => {
                self.set_state(reply, ReplyState::Pending);
            }
            Event::ReplyStopRequested { reply } => self.set_state(reply, ReplyState::Stopping),
            Event::ReplyCompleted { reply, .. }
            | Event::ReplyStopped { reply, .. }
            | Event::ReplyFailed { reply, .. } => {
                self.open_replies.remove(&reply);
            }
            Event::BranchSelected { leaf } => self.active_leaf = Some(leaf),
            Event::ConversationArchived {} => self.phase = Phase::Archived,
            Event::ConversationUnarchived {} => self.phase = Phase::Active,
            Event::ConversationDeleted {} => self.phase = Phase::Deleted,
        }
    }

    fn set_state(&mut self, reply: MessageId, state: ReplyState) {
        if let Some(open) = self.open_replies.get_mut(&reply) {
            open.state = state;
        }
    }
}
