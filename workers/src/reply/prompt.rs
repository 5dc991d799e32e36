//! The prompt of a reply: a pure function of the conversation's log up to the request. What comes behind the request tells
//! whether the attempt still counts.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::conversation::{self, Conversation, Event, Part};
use domain::{ConversationId, MessageId, ModelRef};
use sqlx::PgPool;
use store::{codec, log};

use super::asked::{Asked, Person};
use super::choice::Tried;
use super::continuation;
use super::said::Said;
use crate::provider::{PromptMessage, Role};

/// How many events are read at a time.
const PAGE: u32 = 2_000;

/// What a reply asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Prompt {
    /// The messages, oldest first; the last is the model's own where the attempt goes on from it.
    pub(super) messages: Vec<PromptMessage>,
    /// What the attempt goes on from: the text of that message.
    pub(super) before: Option<String>,
    /// When the attempt began, as the log has it.
    pub(super) began: DateTime<Utc>,
}

/// What the log says of an attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// It runs, and asks this.
    Prompt(Prompt),
    /// A person wants it stopped, and so much had been said.
    Stopping(Option<String>),
    /// It has ended, or another attempt counts.
    Over,
    /// The log does not hold the reply, or not yet the attempt.
    Unknown,
}

/// What the log has told so far.
#[derive(Default)]
struct Told {
    messages: HashMap<MessageId, Said>,
    system_prompt: Option<String>,
    /// The reply's own request: its parent and model. What others say after it is not heard any more.
    request: Option<(MessageId, Option<ModelRef>)>,
    /// When what is heard was recorded, and who asked for it.
    now: DateTime<Utc>,
    speaker: Option<Person>,
    /// Who asked for the reply.
    asker: Option<Person>,
    /// The reply's newest attempt, the model that it said it asks, and when it began.
    attempt: u32,
    asks: Option<ModelRef>,
    began: DateTime<Utc>,
    /// What the attempt that ended last had said, and what of it the newest one goes on from.
    kept: Option<String>,
    before: Option<String>,
    /// All of them.
    tried: Tried,
    /// Whether that one has ended, and the reply perhaps with it.
    over: bool,
    stopping: bool,
}

/// Reads the log and builds the prompt of an attempt.
pub(super) async fn build(
    pool: &PgPool,
    id: ConversationId,
    reply: MessageId,
    attempt: u32,
) -> Result<Found, store::Error> {
    Ok(read(pool, id, reply).await?.found(attempt))
}

/// What an attempt asks of which model, and since when; none when it is not the newest, or asks no model.
pub(super) async fn asked(
    pool: &PgPool,
    id: ConversationId,
    reply: MessageId,
    attempt: u32,
) -> Result<Option<(ModelRef, Prompt)>, store::Error> {
    let mut told = read(pool, id, reply).await?;
    let Some(model) = told.asks.take().filter(|_| told.attempt == attempt) else { return Ok(None) };
    Ok(told.into_prompt().map(|prompt| (model, prompt)))
}

/// What a reply was asked for, and what has been tried; nothing of it when the log does not hold the reply.
pub(super) async fn requested(pool: &PgPool, id: ConversationId, reply: MessageId) -> Result<Asked, store::Error> {
    let told = read(pool, id, reply).await?;
    Ok(Asked { by: told.asker, model: told.request.and_then(|(_, model)| model), tried: told.tried })
}

async fn read(pool: &PgPool, id: ConversationId, reply: MessageId) -> Result<Told, store::Error> {
    let mut told = Told::default();
    let mut after = 0;
    loop {
        let page = log::read_stream(pool, conversation::TYPE, &id.to_string(), after + 1..=u64::MAX, PAGE).await?;
        for recorded in &page {
            after = recorded.sequence;
            told.now = recorded.recorded_at;
            told.speaker = Person::who_asked_for(recorded);
            told.hear(codec::decode::<Conversation>(recorded)?, reply);
        }
        if !page.full {
            return Ok(told);
        }
    }
}

impl Told {
    fn hear(&mut self, event: Event, asked: MessageId) {
        if self.request.is_some() {
            return self.hear_fate(&event, asked);
        }
        match event {
            Event::ConversationStarted { system_prompt, .. } | Event::ModelConfigured { system_prompt, .. } => {
                self.system_prompt = system_prompt;
            }
            Event::MessageSubmitted { message, parent, author, parts, .. } => {
                self.messages.insert(message, Said { parent, author: Some(author), parts, model: None });
            }
            Event::ReplyRequested { reply, parent, model, .. } => {
                if reply == asked {
                    (self.request, self.asker) = (Some((parent, model)), self.speaker.take());
                }
                let said = Said { parent: Some(parent), author: None, parts: Vec::new(), model: None };
                self.messages.insert(reply, said);
            }
            Event::ReplyAttemptStarted { reply, model, .. } => {
                if let Some(said) = self.messages.get_mut(&reply) {
                    said.model = model;
                }
            }
            Event::ReplyCompleted { reply, parts, model, .. } => self.hear_end(reply, parts, Some(model)),
            Event::ReplyStopped { reply, parts, .. } | Event::ReplyFailed { reply, parts, .. } => {
                self.hear_end(reply, parts, None);
            }
            _ => {}
        }
    }

    fn hear_end(&mut self, reply: MessageId, parts: Vec<Part>, model: Option<ModelRef>) {
        if let Some(said) = self.messages.get_mut(&reply) {
            said.parts = parts;
            said.model = model.or(said.model.take());
        }
    }

    /// What becomes of the reply that was asked for.
    fn hear_fate(&mut self, event: &Event, asked: MessageId) {
        match event {
            Event::ReplyAttemptStarted { reply, attempt, model, continues, .. } if *reply == asked => {
                (self.attempt, self.over) = (*attempt, false);
                (self.asks, self.began) = (model.clone(), self.now);
                self.before = self.kept.take().filter(|_| *continues);
                self.tried.hear(event);
            }
            Event::ReplyStopRequested { reply } if *reply == asked => self.stopping = true,
            Event::ReplyAttemptFailed { reply, .. }
            | Event::ReplyAttemptExpired { reply, .. }
            | Event::ReplyCompleted { reply, .. }
            | Event::ReplyStopped { reply, .. }
            | Event::ReplyFailed { reply, .. }
                if *reply == asked =>
            {
                self.over = true;
                if let Event::ReplyAttemptFailed { parts, .. } | Event::ReplyAttemptExpired { parts, .. } = event {
                    self.kept = continuation::text(parts).map(str::to_owned);
                }
                self.tried.hear(event);
            }
            _ => {}
        }
    }

    fn found(self, attempt: u32) -> Found {
        if self.attempt < attempt {
            return Found::Unknown;
        }
        match self.attempt == attempt && !self.over {
            false => Found::Over,
            true if self.stopping => Found::Stopping(self.before),
            true => self.into_prompt().map_or(Found::Unknown, Found::Prompt),
        }
    }

    fn into_prompt(mut self) -> Option<Prompt> {
        let (parent, _) = self.request.take()?;
        let mut path = Vec::new();
        let mut at = Some(parent);
        while let Some(said) = at.and_then(|id| self.messages.remove(&id)) {
            at = said.parent;
            path.push(said);
        }
        path.reverse();
        let mut messages = Vec::with_capacity(path.len() + 1);
        if let Some(content) = self.system_prompt {
            messages.push(PromptMessage::text(Role::System, content));
        }
        let several_people = several_people(&path);
        messages.extend(path.into_iter().flat_map(|said| said.into_messages(several_people)));
        messages.extend(self.before.iter().map(|before| PromptMessage::text(Role::Assistant, before.as_str())));
        Some(Prompt { messages, before: self.before, began: self.began })
    }
}

fn several_people(path: &[Said]) -> bool {
    let mut authors = path.iter().filter_map(|said| said.author.as_ref());
    let first = authors.next();
    authors.any(|author| Some(author) != first)
}
