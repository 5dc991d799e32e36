//! Someone who chats on a schedule, whatever the server does, and keeps count of what comes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::SCRIPT;
use crate::Error;
use crate::load::Chat;
use crate::load::chat::{Frame, message};
use crate::measure::Latencies;

/// How long after the last message its answer may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A person with a conversation.
pub(super) struct Person {
    chat: Chat,
    conversation: Uuid,
    sequence: u64,
}

/// What people have seen.
pub(super) struct Seen {
    pub(super) said: u64,
    pub(super) answered: u64,
    /// Acks, events, and answers that never came or not whole.
    pub(super) lost: u64,
    /// Events and pieces of text that came again.
    pub(super) doubled: u64,
    pub(super) acks: Latencies,
    pub(super) firsts: Latencies,
}

/// What is under way.
#[derive(Default)]
struct Waiting {
    /// Commands without their ack, and when each was due.
    acks: HashMap<Uuid, Instant>,
    /// When the question that is being answered was due; none once its first token has come.
    first: Option<Instant>,
    answers: u64,
    /// How many bytes of the running reply have come.
    text: usize,
}

impl Person {
    pub(super) async fn enter(address: SocketAddr, nth: usize) -> Result<Self, Error> {
        let mut chat = Chat::login(address, &format!("person{nth}"), nth).await?;
        let conversation = chat.start().await?;
        chat.follow(conversation).await?;
        Ok(Self { chat, conversation, sequence: 1 })
    }

    /// Says something at `due` and then at every interval until `end`, and hears the last answer out.
    pub(super) async fn chat(mut self, mut due: Instant, every: Duration, end: Instant) -> Result<Seen, Error> {
        let (mut seen, mut waiting) = (Seen::new()?, Waiting::default());
        loop {
            let over = due >= end;
            if over && waiting.acks.is_empty() && waiting.answers == 0 {
                return Ok(seen);
            }
            tokio::select! {
                frame = self.chat.next() => {
                    let frame = frame?;
                    if frame.conversation.is_none_or(|of| of == self.conversation) {
                        seen.take(&frame, &mut waiting, &mut self.sequence);
                    }
                }
                () = sleep_until(due), if !over => {
                    // One reply at a time runs on a branch: who is due while it still runs waits, and the wait counts.
                    if waiting.answers == 0 {
                        let id = self.chat.ask(self.conversation, &message("And then?", true)).await?;
                        waiting.acks.insert(id, due);
                        waiting.first = Some(due);
                        waiting.answers = 1;
                        waiting.text = 0;
                        seen.said += 1;
                        due += every;
                    } else {
                        self.hear_one(&mut seen, &mut waiting).await?;
                    }
                }
                () = sleep_until(end + PATIENCE) => {
                    seen.lost += waiting.acks.len() as u64 + waiting.answers;
                    return Ok(seen);
                }
            }
        }
    }

    async fn hear_one(&mut self, seen: &mut Seen, waiting: &mut Waiting) -> Result<(), Error> {
        let heard = tokio::time::timeout(PATIENCE, self.chat.next()).await;
        let frame = heard.map_err(|_| Error("a running reply says nothing".to_owned()))??;
        if frame.conversation.is_none_or(|of| of == self.conversation) {
            seen.take(&frame, waiting, &mut self.sequence);
        }
        Ok(())
    }
}

impl Seen {
    pub(super) fn new() -> Result<Self, Error> {
        let (acks, firsts) = (Latencies::new()?, Latencies::new()?);
        Ok(Self { said: 0, answered: 0, lost: 0, doubled: 0, acks, firsts })
    }

    pub(super) fn add(&mut self, other: &Self) -> Result<(), Error> {
        self.said += other.said;
        self.answered += other.answered;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.acks.add(&other.acks)?;
        self.firsts.add(&other.firsts)
    }

    fn take(&mut self, frame: &Frame<'_>, waiting: &mut Waiting, sequence: &mut u64) {
        match (frame.kind, &frame.event) {
            ("ack", _) => match frame.id.and_then(|id| waiting.acks.remove(&id)) {
                Some(due) => self.acks.record(due.elapsed()),
                None => self.doubled += 1,
            },
            ("refused", _) => self.lost += 1,
            ("delta", _) => self.take_text(frame, waiting),
            ("event", Some(event)) => {
                let here = frame.sequence.unwrap_or_default();
                if here <= *sequence {
                    self.doubled += 1;
                    return;
                }
                self.lost += here - *sequence - 1;
                *sequence = here;
                if event.kind == "ReplyCompleted" {
                    if let Some(due) = waiting.first.take() {
                        self.firsts.record(due.elapsed());
                    }
                    let whole: usize = event.parts.iter().map(|part| part.text.len()).sum();
                    self.lost += u64::from(whole != SCRIPT.text().len());
                    self.answered += 1;
                    waiting.answers = waiting.answers.saturating_sub(1);
                } else if event.kind == "ReplyFailed" {
                    self.lost += 1;
                    waiting.answers = waiting.answers.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    fn take_text(&mut self, frame: &Frame<'_>, waiting: &mut Waiting) {
        if let Some(due) = waiting.first.take() {
            self.firsts.record(due.elapsed());
        }
        let offset = frame.offset.unwrap_or_default();
        match offset.cmp(&waiting.text) {
            std::cmp::Ordering::Less => self.doubled += 1,
            std::cmp::Ordering::Greater => self.lost += 1,
            std::cmp::Ordering::Equal => {}
        }
        waiting.text = offset + frame.text.as_ref().map_or(0, |text| text.len());
    }
}
