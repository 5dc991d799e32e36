//! `bestchat replay`: a conversation from its log, as it stood or as it came about.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::conversation::{self, Conversation, Event, Part};
use domain::{ConversationId, MessageId};
use sqlx::PgPool;
use store::{Recorded, codec, log};

use crate::cli;
use crate::wire::Error;

/// How many events are read at a time.
const PAGE: u32 = 1_000;
/// The longest pause of a replay.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Prints the conversation: with `at`, its branch as it stood after that event; else event by event, `speed` times as
/// fast as it came about, 0 being without any pause.
pub(crate) async fn replay(pool: &PgPool, id: ConversationId, at: Option<u64>, speed: f64) -> Result<(), Error> {
    if !speed.is_finite() || speed < 0.0 {
        return Err(Error::other("the speed is 0 or more"));
    }
    let mut branch = Branch::default();
    let mut before: Option<DateTime<Utc>> = None;
    let mut sequence = 0;
    loop {
        let range = sequence + 1..=at.unwrap_or(u64::MAX);
        let page = log::read_stream(pool, conversation::TYPE, &id.to_string(), range, PAGE).await?;
        for recorded in page.iter() {
            sequence = recorded.sequence;
            let event = codec::decode::<Conversation>(recorded)?;
            if at.is_none() {
                pause(before.replace(recorded.recorded_at), recorded.recorded_at, speed).await;
                tell(recorded, &event)?;
            }
            branch.apply(event);
        }
        if !page.full {
            break;
        }
    }
    match (sequence, at) {
        (0, _) => Err(Error::other(format!("there is no conversation {id}"))),
        (last, Some(at)) if last < at => Err(Error::other(format!("{id} has {last} events"))),
        (_, Some(_)) => cli::print(&branch.text()),
        (_, None) => Ok(()),
    }
}

async fn pause(before: Option<DateTime<Utc>>, now: DateTime<Utc>, speed: f64) {
    let Some(before) = before.filter(|_| speed > 0.0) else { return };
    let elapsed = (now - before).to_std().unwrap_or_default();
    tokio::time::sleep(elapsed.div_f64(speed).min(MAX_PAUSE)).await;
}

fn tell(recorded: &Recorded, event: &Event) -> Result<(), Error> {
    let actor = recorded.metadata().map_or_else(|| "?".to_owned(), |metadata| metadata.actor.to_string());
    let at = recorded.recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    cli::print(&format!("{:>5}  {at}  {}  {actor}", recorded.sequence, event.name()))?;
    if let Some(text) = said(event) {
        cli::print(&indented(&text))?;
    }
    std::io::stdout().flush().map_err(Error::other)
}

/// What an event has someone say.
fn said(event: &Event) -> Option<String> {
    match event {
        Event::MessageSubmitted { parts, .. }
        | Event::ReplyCompleted { parts, .. }
        | Event::ReplyStopped { parts, .. } => Some(text(parts)),
        Event::ReplyFailed { parts, error, .. } => {
            Some(format!("{}\n[{}: {}]", text(parts), error.code, error.message))
        }
        Event::ReplyAttemptFailed { error, .. } => Some(format!("[{}: {}]", error.code, error.message)),
        Event::ConversationStarted { title: Some(title), .. } | Event::ConversationRenamed { title } => {
            Some(title.clone())
        }
        _ => None,
    }
}

/// The branch shown, as far as events have told.
#[derive(Default)]
struct Branch {
    title: Option<String>,
    messages: HashMap<MessageId, Message>,
    leaf: Option<MessageId>,
}

struct Message {
    parent: Option<MessageId>,
    speaker: String,
    text: String,
}

impl Branch {
    fn apply(&mut self, event: Event) {
        let text = said(&event);
        match event {
            Event::ConversationStarted { title, .. } => self.title = title,
            Event::ConversationRenamed { title } => self.title = Some(title),
            Event::MessageSubmitted { message, parent, author, .. } => {
                let said = Message { parent, speaker: author.to_string(), text: text.unwrap_or_default() };
                self.messages.insert(message, said);
                self.leaf = Some(message);
            }
            Event::ReplyRequested { reply, parent, model, .. } => {
                let speaker = model.map_or_else(|| "assistant".to_owned(), |model| model.to_string());
                let waiting = Message { parent: Some(parent), speaker, text: "(has not answered yet)".to_owned() };
                self.messages.insert(reply, waiting);
                self.leaf = Some(reply);
            }
            Event::ReplyCompleted { reply, .. }
            | Event::ReplyStopped { reply, .. }
            | Event::ReplyFailed { reply, .. } => {
                if let Some(message) = self.messages.get_mut(&reply) {
                    message.text = text.unwrap_or_default();
                }
            }
            Event::BranchSelected { leaf } => self.leaf = Some(leaf),
            _ => {}
        }
    }

    fn text(&self) -> String {
        let mut path = Vec::new();
        let mut at = self.leaf;
        while let Some(message) = at.and_then(|id| self.messages.get(&id)) {
            path.push(format!("{}:\n{}", message.speaker, indented(&message.text)));
            at = message.parent;
        }
        path.push(self.title.clone().unwrap_or_else(|| "(untitled)".to_owned()));
        path.reverse();
        path.join("\n\n")
    }
}

fn text(parts: &[Part]) -> String {
    parts.iter().map(|Part::Text { text }| text.as_str()).collect::<Vec<_>>().join("\n\n")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("       {line}")).collect::<Vec<_>>().join("\n")
}
