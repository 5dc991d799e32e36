//! The prompt of a reply: a pure function of the conversation's log up to the request. What comes behind the request tells
//! whether the attempt still counts.

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

#[cfg(test)]
mod tests {
    use domain::conversation::{Finish, Usage};
    use domain::{CommandId, Tenant, UserId};
    use uuid::Uuid;

    use super::*;
    use crate::provider::PromptPart;

    fn id(name: &str) -> MessageId {
        MessageId(CommandId(Uuid::nil()).derive(name))
    }

    fn words(text: &str) -> Vec<Part> {
        vec![Part::Text { text: text.to_owned() }]
    }

    fn user(name: &str) -> UserId {
        name.parse().unwrap_or_else(|_| unreachable!())
    }

    fn says(message: &str, parent: Option<&str>, author: &str, edit_of: Option<&str>) -> Event {
        Event::MessageSubmitted {
            message: id(message),
            parent: parent.map(id),
            author: user(author),
            parts: words(message),
            edit_of: edit_of.map(id),
        }
    }

    fn asks(reply: &str, parent: &str) -> Event {
        Event::ReplyRequested { reply: id(reply), parent: id(parent), model: None, regenerate_of: None }
    }

    fn answers(reply: &str) -> Event {
        Event::ReplyCompleted {
            reply: id(reply),
            attempt: 1,
            parts: words(reply),
            finish: Finish::Stop,
            model: "demo/echo".parse().unwrap_or_else(|_| unreachable!()),
            usage: Usage::default(),
            spent: None,
        }
    }

    fn prompt(events: Vec<Event>, reply: &str) -> Vec<(Role, String)> {
        let tenant: Tenant = "t".parse().unwrap_or_else(|_| unreachable!());
        let system_prompt = Some("Be brief.".to_owned());
        let started =
            Event::ConversationStarted { owner: user("ann"), tenant, title: None, model: None, system_prompt };
        let mut told = Told::default();
        for event in std::iter::once(started).chain(events) {
            told.hear(event, id(reply));
        }
        let messages = told.into_prompt().unwrap_or_default().messages;
        messages.into_iter().map(|message| (message.role, message.texts().collect())).collect()
    }

    #[test]
    fn holds_the_branch_that_is_answered_and_nothing_else() {
        let events = vec![
            says("one", None, "ann", None),
            asks("r1", "one"),
            answers("r1"),
            says("two", Some("r1"), "ann", None),
            asks("r2", "two"),
            answers("r2"),
            says("two again", Some("r1"), "ann", Some("two")),
            asks("r3", "two again"),
        ];
        let said = prompt(events, "r3");
        let expected =
            [(Role::System, "Be brief."), (Role::User, "one"), (Role::Assistant, "r1"), (Role::User, "two again")];
        assert_eq!(said, expected.map(|(role, text)| (role, text.to_owned())));
    }

    #[test]
    fn names_the_speakers_among_several_people() {
        let events = vec![says("hi", None, "ann", None), says("hello", Some("hi"), "ben", None), asks("r1", "hello")];
        let said = prompt(events, "r1");
        assert_eq!(said[1..], [(Role::User, "ann: hi".to_owned()), (Role::User, "ben: hello".to_owned())]);
    }

    fn begins(reply: &str, attempt: u32) -> Event {
        Event::ReplyAttemptStarted {
            reply: id(reply),
            attempt,
            worker: "w".to_owned(),
            lease_ms: 1,
            model: None,
            alternatives: None,
            continues: false,
        }
    }

    fn goes_on(reply: &str, attempt: u32) -> Event {
        let Event::ReplyAttemptStarted { reply, worker, lease_ms, model, alternatives, .. } = begins(reply, attempt)
        else {
            unreachable!()
        };
        Event::ReplyAttemptStarted { reply, attempt, worker, lease_ms, model, alternatives, continues: true }
    }

    fn expires(attempt: u32, said: &str) -> Event {
        let parts = if said.is_empty() { Vec::new() } else { words(said) };
        Event::ReplyAttemptExpired { reply: id("r1"), attempt, spent: None, parts }
    }

    fn found(events: Vec<Event>, attempt: u32) -> Found {
        let mut told = Told::default();
        for event in [says("one", None, "ann", None), asks("r1", "one")].into_iter().chain(events) {
            told.hear(event, id("r1"));
        }
        told.found(attempt)
    }

    #[test]
    fn tells_whether_the_attempt_counts() {
        let expired = || expires(1, "");
        let stop = Event::ReplyStopRequested { reply: id("r1") };
        assert_eq!(found(vec![], 1), Found::Unknown, "the claim is not in the log");
        assert!(matches!(found(vec![begins("r1", 1)], 1), Found::Prompt(_)));
        assert!(matches!(found(vec![begins("r1", 1), expired(), begins("r1", 2)], 2), Found::Prompt(_)));
        assert_eq!(found(vec![begins("r1", 1), expired()], 1), Found::Over);
        assert_eq!(found(vec![begins("r1", 1), expired(), begins("r1", 2)], 1), Found::Over);
        assert_eq!(found(vec![begins("r1", 1), answers("r1")], 1), Found::Over);
        assert_eq!(found(vec![begins("r1", 1), stop], 1), Found::Stopping(None));
        // What others say meanwhile is not of the prompt.
        let Found::Prompt(prompt) = found(vec![begins("r1", 1), says("two", Some("one"), "ann", None)], 1) else {
            panic!("the attempt runs");
        };
        assert_eq!(prompt.messages.len(), 1);
    }

    #[test]
    fn ends_with_what_the_attempt_goes_on_from() {
        let of = |events: Vec<Event>, attempt| match found(events, attempt) {
            Found::Prompt(Prompt { messages, before, .. }) => {
                let last = messages.last().unwrap_or_else(|| unreachable!());
                assert_eq!(last.role == Role::Assistant, before.is_some());
                (last.texts().collect::<String>(), before)
            }
            other => panic!("the attempt runs: {other:?}"),
        };
        let on = |text: &str| (text.to_owned(), Some(text.to_owned()));
        let anew = || ("one".to_owned(), None);
        let begun = |said: &str, next: Event| vec![begins("r1", 1), expires(1, said), next];
        assert_eq!(of(begun("The moon \n", goes_on("r1", 2)), 2), on("The moon"), "without white space at its end");
        assert_eq!(of(begun("The moon", begins("r1", 2)), 2), anew(), "the log says whether it goes on");
        let more = [begun("The moon", goes_on("r1", 2)), vec![expires(2, "The moon pulls"), goes_on("r1", 3)]].concat();
        assert_eq!(of(more, 3), on("The moon pulls"));
        let refused = [begun("The moon", goes_on("r1", 2)), vec![expires(2, ""), begins("r1", 3)]].concat();
        assert_eq!(of(refused, 3), anew());
        let stopping =
            [begun("The moon", goes_on("r1", 2)), vec![Event::ReplyStopRequested { reply: id("r1") }]].concat();
        assert_eq!(found(stopping, 2), Found::Stopping(Some("The moon".to_owned())));
    }

    #[test]
    fn knows_who_said_what_is_not_whole() {
        let model: ModelRef = "demo/echo".parse().unwrap_or_else(|_| unreachable!());
        let parts = vec![Part::ToolCall {
            id: "c".into(),
            name: "t".into(),
            arguments: "{}".into(),
            signature: Some("s".into()),
        }];
        let Event::ReplyAttemptStarted { reply, attempt, worker, lease_ms, alternatives, continues, .. } =
            begins("r1", 1)
        else {
            unreachable!()
        };
        let model_told = Some(model.clone());
        let begun =
            Event::ReplyAttemptStarted { reply, attempt, worker, lease_ms, model: model_told, alternatives, continues };
        let events = [
            says("one", None, "ann", None),
            asks("r1", "one"),
            begun,
            Event::ReplyStopped { reply, attempt, parts, spent: None },
            says("two", Some("r1"), "ann", None),
            asks("r2", "two"),
        ];
        let mut told = Told::default();
        for event in events {
            told.hear(event, id("r2"));
        }
        let messages = told.into_prompt().unwrap_or_default().messages;
        let [PromptPart::ToolCall(call)] = &messages[1].parts[..] else { panic!("{messages:?}") };
        assert_eq!(call.signature, Some((model, "s".to_owned())));
    }

    #[test]
    fn replays_what_the_model_thought_and_called() {
        let model: ModelRef = "demo/echo".parse().unwrap_or_else(|_| unreachable!());
        let parts = vec![
            Part::Reasoning { text: "hm".to_owned(), signature: Some("s".to_owned()), model },
            Part::ToolCall { id: "c".to_owned(), name: "t".to_owned(), arguments: "{}".to_owned(), signature: None },
        ];
        let Event::ReplyCompleted { reply, attempt, finish, model, usage, .. } = answers("r1") else { unreachable!() };
        let called = Event::ReplyCompleted { reply, attempt, parts, finish, model, usage, spent: None };
        let mut told = Told::default();
        let events = [
            says("one", None, "ann", None),
            asks("r1", "one"),
            called,
            says("two", Some("r1"), "ann", None),
            asks("r2", "two"),
        ];
        for event in events {
            told.hear(event, id("r2"));
        }
        let messages = told.into_prompt().unwrap_or_default().messages;
        let kinds: Vec<_> = messages.iter().map(|message| (message.role, message.parts.len())).collect();
        assert_eq!(kinds, [(Role::User, 1), (Role::Assistant, 2), (Role::User, 1), (Role::User, 1)]);
        assert!(
            matches!(&messages[2].parts[..], [PromptPart::ToolResult(result)] if result.id == "c" && result.is_error)
        );
    }

    #[test]
    fn leaves_out_replies_that_said_nothing() {
        let events = vec![
            says("one", None, "ann", None),
            asks("r1", "one"),
            Event::ReplyStopped { reply: id("r1"), attempt: 0, parts: Vec::new(), spent: None },
            says("two", Some("r1"), "ann", None),
            asks("r2", "two"),
        ];
        let said = prompt(events, "r2");
        assert_eq!(said[1..], [(Role::User, "one".to_owned()), (Role::User, "two".to_owned())]);
    }
}
