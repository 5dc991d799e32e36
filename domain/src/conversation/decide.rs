//! What a command makes happen in a conversation. Pure: state and command in, events or a refusal out.

mod attempts;

use super::{
    Command, Conversation, Error, Event, MAX_MESSAGE_BYTES, MAX_MESSAGES, MAX_OPEN_REPLIES, MAX_PARTICIPANTS,
    MAX_SYSTEM_PROMPT_BYTES, MAX_TITLE_BYTES, OpenReply, Parent, Part, Phase, ReplyState,
};
use crate::{Actor, Asked, Asker, Decide, MessageId, ModelRef, Tenant, UserId};

type Decision = Result<Vec<Event>, Error>;

/// U+0000: the one character that Postgres cannot store in jsonb.
const UNSTORABLE: char = '\0';

impl Decide for Conversation {
    const STATE_VERSION: i32 = 2;

    fn decide(&self, Asked { asker, command }: &Asked<Command>) -> Decision {
        match (&asker.actor, command.is_internal()) {
            (Actor::User(user), false) => self.decide_for_person(asker, user, command),
            (Actor::Worker(_), true) => self.decide_for_worker(command),
            _ => Err(Error::NotPermitted),
        }
    }

    fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }
}

impl Conversation {
    fn decide_for_person(&self, asker: &Asker, user: &UserId, command: &Command) -> Decision {
        if let (Phase::NotStarted, Command::StartConversation { title, model, system_prompt }) = (self.phase, command) {
            return start(asker, user, title.as_ref(), model.as_ref(), system_prompt.as_ref());
        }
        // Before everything else, so that no other refusal tells an outsider that there is something here.
        let is_here = self.participants.contains(user) && self.tenant.is_some() && self.tenant == asker.tenant;
        if !is_here || matches!(self.phase, Phase::NotStarted | Phase::Deleted) {
            return Err(Error::Unknown);
        }
        match command {
            Command::StartConversation { .. } => Err(Error::AlreadyStarted),
            Command::RenameConversation { title } => self.rename(title),
            Command::ConfigureModel { model, system_prompt } => {
                self.configure_model(model.as_ref(), system_prompt.as_ref())
            }
            Command::SubmitMessage { message, parent, parts, reply } => {
                let parent = self.resolve_parent(*parent)?;
                self.submit(user, *message, parent, parts, *reply, None)
            }
            Command::EditMessage { edit_of, message, parts, reply } => {
                let edited = self.tree.get(*edit_of).ok_or(Error::UnknownMessage)?;
                if edited.author.as_ref() != Some(user) {
                    return Err(Error::NotAuthor);
                }
                self.submit(user, *message, edited.parent, parts, *reply, Some(*edit_of))
            }
            Command::RegenerateReply { regenerate_of, reply } => self.regenerate(*regenerate_of, *reply),
            Command::SelectBranch { message } => self.select_branch(*message),
            Command::StopReply { reply } => self.stop(*reply),
            Command::AddParticipant { user: added } => self.add_participant(user, added),
            Command::RemoveParticipant { user: removed } => self.remove_participant(user, removed),
            Command::ArchiveConversation {} => Ok(only_if(self.phase == Phase::Active, Event::ConversationArchived {})),
            Command::UnarchiveConversation {} => {
                Ok(only_if(self.phase == Phase::Archived, Event::ConversationUnarchived {}))
            }
            Command::DeleteConversation {} => self.delete(user),
            Command::ClaimReply { .. }
            | Command::CompleteReply { .. }
            | Command::FailReply { .. }
            | Command::ExpireAttempt { .. } => Err(Error::NotPermitted),
        }
    }

    fn rename(&self, title: &str) -> Decision {
        check_title(title)?;
        let changed = self.title.as_deref() != Some(title);
        Ok(only_if(changed, Event::ConversationRenamed { title: title.to_owned() }))
    }

    fn configure_model(&self, model: Option<&ModelRef>, system_prompt: Option<&String>) -> Decision {
        check_system_prompt(system_prompt)?;
        let changed = self.model.as_ref() != model || self.system_prompt.as_ref() != system_prompt;
        let configured = Event::ModelConfigured { model: model.cloned(), system_prompt: system_prompt.cloned() };
        Ok(only_if(changed, configured))
    }

    fn resolve_parent(&self, parent: Parent) -> Result<Option<MessageId>, Error> {
        match parent {
            Parent::ActiveLeaf => Ok(self.active_leaf),
            Parent::Root => Ok(None),
            Parent::Message(id) => self.tree.get(id).map(|_| Some(id)).ok_or(Error::UnknownMessage),
        }
    }

    fn submit(
        &self,
        author: &UserId,
        message: MessageId,
        parent: Option<MessageId>,
        parts: &[Part],
        reply: Option<MessageId>,
        edit_of: Option<MessageId>,
    ) -> Decision {
        self.check_open_for_messages()?;
        check_parts(parts)?;
        if self.tree.get(message).is_some() || reply == Some(message) {
            return Err(Error::MessageIdTaken);
        }
        let submitted =
            Event::MessageSubmitted { message, parent, author: author.clone(), parts: parts.to_vec(), edit_of };
        let Some(reply) = reply else { return Ok(vec![submitted]) };
        if let Some(parent) = parent {
            self.check_no_reply_on_path(parent)?;
        }
        let requested = self.request_reply(reply, message, None)?;
        Ok(vec![submitted, requested])
    }

    fn regenerate(&self, regenerate_of: MessageId, reply: MessageId) -> Decision {
        self.check_open_for_messages()?;
        let answered = match self.tree.get(regenerate_of) {
            Some(node) if node.author.is_none() => node.parent.ok_or(Error::UnknownReply)?,
            _ => return Err(Error::UnknownReply),
        };
        self.check_no_reply_on_path(answered)?;
        let sibling_open = |open: &MessageId| self.tree.get(*open).is_some_and(|node| node.parent == Some(answered));
        if self.open_replies.keys().any(sibling_open) {
            return Err(Error::ReplyInProgress);
        }
        Ok(vec![self.request_reply(reply, answered, Some(regenerate_of))?])
    }

    fn request_reply(
        &self,
        reply: MessageId,
        parent: MessageId,
        regenerate_of: Option<MessageId>,
    ) -> Result<Event, Error> {
        if self.tree.get(reply).is_some() {
            return Err(Error::MessageIdTaken);
        }
        if self.open_replies.len() >= MAX_OPEN_REPLIES {
            return Err(Error::TooManyReplies { limit: MAX_OPEN_REPLIES });
        }
        Ok(Event::ReplyRequested { reply, parent, model: self.model.clone(), regenerate_of })
    }

    fn select_branch(&self, message: MessageId) -> Decision {
        self.tree.get(message).ok_or(Error::UnknownMessage)?;
        let leaf = self.tree.newest_leaf(message);
        Ok(only_if(self.active_leaf != Some(leaf), Event::BranchSelected { leaf }))
    }

    fn stop(&self, reply: MessageId) -> Decision {
        if self.tree.get(reply).is_none_or(|node| node.author.is_some()) {
            return Err(Error::UnknownReply);
        }
        Ok(self.open_replies.get(&reply).and_then(|open| stop_of(reply, open)).into_iter().collect())
    }

    fn add_participant(&self, asker: &UserId, added: &UserId) -> Decision {
        self.check_owner(asker)?;
        if self.participants.contains(added) {
            return Ok(Vec::new());
        }
        if self.participants.len() >= MAX_PARTICIPANTS {
            return Err(Error::TooManyParticipants { limit: MAX_PARTICIPANTS });
        }
        Ok(vec![Event::ParticipantAdded { user: added.clone() }])
    }

    fn remove_participant(&self, asker: &UserId, removed: &UserId) -> Decision {
        if self.owner.as_ref() == Some(removed) {
            return Err(Error::OwnerStays);
        }
        if asker != removed {
            self.check_owner(asker)?;
        }
        Ok(only_if(self.participants.contains(removed), Event::ParticipantRemoved { user: removed.clone() }))
    }

    fn delete(&self, asker: &UserId) -> Decision {
        self.check_owner(asker)?;
        // What is running ends after the deletion, as stopped: so the log has what it spent.
        let stops = self.open_replies.iter().filter_map(|(reply, open)| stop_of(*reply, open));
        Ok(stops.chain([Event::ConversationDeleted {}]).collect())
    }

    fn check_open_for_messages(&self) -> Result<(), Error> {
        if self.phase == Phase::Archived {
            return Err(Error::Archived);
        }
        // A message and its reply arrive together: the limit leaves room for both.
        if self.tree.len() + 2 > MAX_MESSAGES {
            return Err(Error::TooManyMessages { limit: MAX_MESSAGES });
        }
        Ok(())
    }

    fn check_no_reply_on_path(&self, leaf: MessageId) -> Result<(), Error> {
        let on_path = |open: &MessageId| self.tree.is_on_path(*open, leaf);
        if self.open_replies.keys().any(on_path) { Err(Error::ReplyInProgress) } else { Ok(()) }
    }

    fn check_owner(&self, asker: &UserId) -> Result<(), Error> {
        if self.owner.as_ref() == Some(asker) { Ok(()) } else { Err(Error::NotOwner) }
    }
}

fn start(
    asker: &Asker,
    owner: &UserId,
    title: Option<&String>,
    model: Option<&ModelRef>,
    system_prompt: Option<&String>,
) -> Decision {
    title.map_or(Ok(()), |title| check_title(title))?;
    check_system_prompt(system_prompt)?;
    Ok(vec![Event::ConversationStarted {
        owner: owner.clone(),
        tenant: asker.tenant.clone().ok_or(Error::NotPermitted)?,
        title: title.cloned(),
        model: model.cloned(),
        system_prompt: system_prompt.cloned(),
    }])
}

fn only_if(condition: bool, event: Event) -> Vec<Event> {
    if condition { vec![event] } else { Vec::new() }
}

/// What stops an open reply. One that is stopping needs no further stop: to want it stopped has already come true.
fn stop_of(reply: MessageId, open: &OpenReply) -> Option<Event> {
    match open.state {
        ReplyState::Pending => {
            Some(Event::ReplyStopped { reply, attempt: open.attempt, parts: Vec::new(), spent: None })
        }
        ReplyState::Running => Some(Event::ReplyStopRequested { reply }),
        ReplyState::Stopping => None,
    }
}

fn check_title(title: &str) -> Result<(), Error> {
    if title.trim().is_empty() || title.len() > MAX_TITLE_BYTES || title.chars().any(char::is_control) {
        return Err(Error::InvalidTitle { limit: MAX_TITLE_BYTES });
    }
    Ok(())
}

fn check_system_prompt(prompt: Option<&String>) -> Result<(), Error> {
    let Some(prompt) = prompt else { return Ok(()) };
    if prompt.len() > MAX_SYSTEM_PROMPT_BYTES {
        return Err(Error::SystemPromptTooLarge { limit: MAX_SYSTEM_PROMPT_BYTES });
    }
    check_text(prompt)
}

fn check_parts(parts: &[Part]) -> Result<(), Error> {
    if parts.iter().map(Part::bytes).sum::<usize>() > MAX_MESSAGE_BYTES {
        return Err(Error::MessageTooLarge { limit: MAX_MESSAGE_BYTES });
    }
    let said = |part: &Part| part.text().ok_or(Error::UnsupportedPart).and_then(check_text);
    parts.iter().try_for_each(said)?;
    if parts.iter().filter_map(Part::text).all(|text| text.trim().is_empty()) {
        return Err(Error::EmptyMessage);
    }
    Ok(())
}

/// What a person writes is taken as it is or refused.
fn check_text(text: &str) -> Result<(), Error> {
    if text.contains(UNSTORABLE) { Err(Error::InvalidText) } else { Ok(()) }
}
