//! `bestchat replay`: a conversation from its log, as it stood or as it came about.

use std::collections::HashMap;
use std::io::Write;
use std::str::FromStr;
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

/// How many times faster than it came about a conversation is told: a number above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Speed(f64);

impl FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f64>() {
            Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(Self(speed)),
            _ => Err("a speed is a number above 0"),
        }
    }
}

impl Speed {
    /// How long the pause between two events then is.
    fn pause(self, before: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
        let elapsed = (now - before).to_std().unwrap_or_default();
        // What no duration can hold is too long in any case.
        Duration::try_from_secs_f64(elapsed.as_secs_f64() / self.0).map_or(MAX_PAUSE, |pause| pause.min(MAX_PAUSE))
    }
}

/// Prints the conversation: with `at`, its branch as it stood after that event; else event by event, `speed` times as
/// fast as it came about, or without any pause.
pub(crate) async fn replay(
    pool: &PgPool,
    id: ConversationId,
    at: Option<u64>,
    speed: Option<Speed>,
) -> Result<(), Error> {
    let mut branch = Branch::default();
    let mut before: Option<DateTime<Utc>> = None;
    let mut sequence = 0;
    loop {
        let range = sequence + 1..=at.unwrap_or(u64::MAX);
        let page = log::read_stream(pool, conversation::TYPE, &id.to_string(), range, PAGE).await?;
        for recorded in &page {
            sequence = recorded.sequence;
            let event = codec::decode::<Conversation>(recorded)?;
            if at.is_none() {
                let before = before.replace(recorded.recorded_at);
                if let (Some(before), Some(speed)) = (before, speed) {
                    tokio::time::sleep(speed.pause(before, recorded.recorded_at)).await;
                }
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
    parts.iter().filter_map(Part::text).collect::<Vec<_>>().join("\n\n")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("       {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(speed: &str, elapsed_ms: i64) -> Duration {
        let before = DateTime::UNIX_EPOCH;
        speed.parse::<Speed>().unwrap().pause(before, before + chrono::TimeDelta::milliseconds(elapsed_ms))
    }

    #[test]
    fn a_pause_is_as_long_as_the_speed_says_and_never_too_long() {
        assert_eq!(pause("1", 1_500), Duration::from_millis(1_500));
        assert_eq!(pause("2", 1_500), Duration::from_millis(750));
        assert_eq!(pause("0.5", 1_500), Duration::from_secs(3));
        assert_eq!(pause("1", 60_000), MAX_PAUSE);
        assert_eq!(pause("1e-20", 1), MAX_PAUSE, "longer than any duration");
        assert_eq!(pause("1e308", 60_000), Duration::ZERO);
        assert_eq!(pause("1", -5), Duration::ZERO, "clocks may go back");
    }

    #[test]
    fn a_speed_is_a_number_above_0() {
        for none in ["0", "-0", "-1", "nan", "inf", "1e999", "fast", ""] {
            assert!(none.parse::<Speed>().is_err(), "{none}");
        }
    }
}
