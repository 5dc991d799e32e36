//! What a client has been told of a conversation, put together as docs/protocol.md says, and what was wrong with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A conversation as a client knows it.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    /// The sequence of the last event told.
    pub(crate) sequence: u64,
    /// Every event told, from the one after the snapshot's.
    pub(crate) events: Vec<(u64, Value)>,
    /// The running replies: their attempt and text so far.
    pub(crate) running: BTreeMap<String, (u64, String)>,
    /// The ended replies: the text told while they ran.
    pub(crate) told: BTreeMap<String, String>,
    /// Pieces of text that the client had already.
    pub(crate) repeated: u32,
    faults: Vec<String>,
}

impl Transcript {
    /// The `subscribe` frame that goes on where this ends.
    pub(crate) fn subscribe(&self, conversation: &str) -> Value {
        let cursor = |(reply, (attempt, text)): (&String, &(u64, String))| json!({ "reply": reply, "attempt": attempt, "offset": text.len() });
        let replies: Vec<Value> = self.running.iter().map(cursor).collect();
        json!({ "type": "subscribe", "conversation": conversation, "after": self.sequence, "replies": replies })
    }

    /// Takes a frame in.
    pub(crate) fn take(&mut self, frame: &Value) {
        match frame["type"].as_str() {
            Some("subscribed") => {
                let sequence = frame["sequence"].as_u64().unwrap();
                if frame["snapshot"].is_null() {
                    self.check(sequence == self.sequence, || format!("taken up at {sequence}"));
                }
                self.sequence = sequence;
            }
            Some("event") => self.take_event(frame["sequence"].as_u64().unwrap(), &frame["event"]),
            Some("delta") => self.take_delta(frame),
            Some("live") => {
                let sequence = frame["sequence"].as_u64().unwrap();
                self.check(sequence == self.sequence, || format!("live at {sequence}"));
            }
            _ => {}
        }
    }

    fn take_event(&mut self, sequence: u64, event: &Value) {
        self.check(sequence == self.sequence + 1, || format!("event {sequence}"));
        self.sequence = sequence;
        self.events.push((sequence, event.clone()));
        let (Some(kind), Some(reply)) = (event["type"].as_str(), event["reply"].as_str()) else { return };
        if !matches!(kind, "ReplyCompleted" | "ReplyStopped" | "ReplyFailed") {
            return;
        }
        let (attempt, told) = self.running.remove(reply).unwrap_or_default();
        let whole = text(&event["parts"]);
        let same = event["attempt"] != json!(attempt) || whole.starts_with(&told);
        self.check(same, || format!("attempt {attempt} told {told:?} and ended with {whole:?}"));
        self.told.insert(reply.to_owned(), told);
    }

    fn take_delta(&mut self, frame: &Value) {
        let reply = frame["reply"].as_str().unwrap();
        let (attempt, offset) =
            (frame["attempt"].as_u64().unwrap(), usize::try_from(frame["offset"].as_u64().unwrap()).unwrap());
        let piece = frame["text"].as_str().unwrap();
        let ended = self.told.contains_key(reply);
        self.check(!ended, || format!("text of {reply} after its end"));
        let (known, mut text) = self.running.remove(reply).unwrap_or_default();
        self.check(attempt >= known, || format!("text of attempt {attempt} after {known}"));
        if attempt > known {
            text.clear();
        }
        self.check(offset <= text.len(), || format!("text from {offset} after {}", text.len()));
        if offset < text.len() {
            self.repeated += 1;
        }
        let common = piece.len().min(text.len().saturating_sub(offset));
        let same = text.get(offset..offset + common) == piece.get(..common);
        self.check(same, || format!("other text from {offset}"));
        text.push_str(piece.get(common..).unwrap_or_default());
        self.running.insert(reply.to_owned(), (attempt, text));
    }

    fn check(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(format!("at {}: {}", self.sequence, fault()));
        }
    }

    /// Nothing was told twice, out of order or with a gap.
    pub(crate) fn assert_clean(&self) {
        assert!(self.faults.is_empty(), "{:#?}", self.faults);
    }

    /// The events of a type.
    pub(crate) fn of_type(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().map(|(_, event)| event).filter(|event| event["type"] == kind).collect()
    }

    /// How a reply ended: the event.
    pub(crate) fn end_of(&self, reply: &str) -> Option<&Value> {
        let ends = ["ReplyCompleted", "ReplyStopped", "ReplyFailed"];
        let mut of = self.events.iter().map(|(_, event)| event).filter(|event| event["reply"] == reply);
        of.find(|event| ends.iter().any(|end| event["type"] == *end))
    }
}

/// The text of a message's parts; what was thought is none of it.
pub(crate) fn text(parts: &Value) -> String {
    let texts = parts.as_array().into_iter().flatten().filter(|part| part["type"] == "text");
    texts.filter_map(|part| part["text"].as_str()).collect()
}
