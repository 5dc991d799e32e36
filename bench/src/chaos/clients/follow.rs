//! What a client knows of a conversation that it follows, put together as docs/protocol.md says.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::chaos::history::Told;

/// The pause before a subscription that was refused is asked for again.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
/// How long a subscription may take before it is asked for again.
const PATIENCE: Duration = Duration::from_secs(12);

/// A conversation as a client knows it.
#[derive(Debug)]
pub(super) struct Follow {
    /// The sequence of the last event told; none when there is nothing to go on from.
    pub(super) at: Option<u64>,
    /// Whether everything was told that there was.
    pub(super) live: bool,
    /// Since when it misses what happens, in milliseconds since the run began; none while it is live, and while it has
    /// nothing to go on from: then it reads a view, which may be behind.
    missing_since: Option<u64>,
    /// When to subscribe again.
    due: Option<Instant>,
    /// The sequences that were subscribed after on this connection, without an answer yet.
    asked: Vec<Option<u64>>,
    texts: BTreeMap<String, (u64, String)>,
    /// The messages of people: their ids and authors.
    pub(super) messages: Vec<(String, String)>,
    /// The replies that have not ended.
    pub(super) open: Vec<String>,
    /// The replies that have.
    pub(super) ended: Vec<String>,
}

impl Follow {
    /// To be followed from the first event on.
    pub(super) fn new() -> Self {
        let (texts, messages, open, ended) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        let (asked, due) = (Vec::new(), Some(Instant::now()));
        Self { at: Some(0), live: false, missing_since: None, due, asked, texts, messages, open, ended }
    }

    /// The page is loaded anew: all is forgotten but what later commands need.
    pub(super) fn forget(&mut self) {
        (self.at, self.live, self.due) = (None, false, Some(Instant::now()));
        self.missing_since = None;
        self.texts.clear();
    }

    /// The connection has ended.
    pub(super) fn disconnected(&mut self, now: u64) {
        self.live = false;
        self.miss(now);
    }

    fn miss(&mut self, now: u64) {
        if self.at.is_some() {
            self.missing_since = self.missing_since.or(Some(now));
        }
    }

    /// Since when it has missed what happened; from now on it does not.
    pub(super) fn missed(&mut self) -> Option<u64> {
        self.missing_since.take()
    }

    /// The connection is new.
    pub(super) fn reconnected(&mut self) {
        self.asked.clear();
        (self.live, self.due) = (false, Some(Instant::now()));
    }

    /// The subscription was refused, or ended.
    pub(super) fn refused(&mut self) {
        (self.live, self.due) = (false, Some(Instant::now() + RETRY_PAUSE));
    }

    /// The `subscribe` frame, when it is to be sent.
    pub(super) fn subscribe(&mut self, conversation: &str, now: u64) -> Option<Value> {
        if self.due.is_none_or(|due| due > Instant::now()) {
            return None;
        }
        self.due = Some(Instant::now() + PATIENCE);
        self.miss(now);
        let cursor = |(reply, (attempt, text)): (&String, &(u64, String))| json!({ "reply": reply, "attempt": attempt, "offset": text.len() });
        let replies: Vec<Value> = self.texts.iter().map(cursor).collect();
        let mut frame = json!({ "type": "subscribe", "conversation": conversation, "replies": replies });
        self.asked.push(self.at);
        if let Some(after) = self.at {
            frame["after"] = json!(after);
        }
        Some(frame)
    }

    /// Takes a frame in; gives what is to be remembered of it.
    pub(super) fn take(&mut self, connection: u32, frame: &Value) -> Option<Told> {
        let sequence = frame["sequence"].as_u64();
        match frame["type"].as_str()? {
            "subscribed" => {
                let sequence = sequence?;
                let snapshot = Some(frame["snapshot"].clone()).filter(|snapshot| !snapshot.is_null());
                let after = self.answered(sequence, snapshot.is_some());
                (self.at, self.live) = (Some(sequence), false);
                if let Some(snapshot) = &snapshot {
                    self.replace(snapshot);
                }
                Some(Told::Subscribed { connection, after, sequence, snapshot })
            }
            "event" => {
                self.event(&frame["event"]);
                // As a client must: what is doubled is dropped; the checker sees it all the same.
                self.at = self.at.max(sequence);
                let position = frame["position"].as_str()?.to_owned();
                Some(Told::Event { connection, sequence: sequence?, position, event: frame["event"].clone() })
            }
            "live" => {
                (self.live, self.due) = (true, None);
                Some(Told::Live { sequence: sequence? })
            }
            // A sign of life, and no text.
            "delta" if frame["thinking"] == true => None,
            "delta" => {
                let reply = frame["reply"].as_str()?.to_owned();
                let (attempt, text) = (frame["attempt"].as_u64()?, frame["text"].as_str()?.to_owned());
                let offset = usize::try_from(frame["offset"].as_u64()?).ok()?;
                self.delta(&reply, attempt, offset, &text);
                Some(Told::Delta { reply, attempt, offset, text })
            }
            _ => None,
        }
    }

    /// What was asked that this is the answer to. Of several such questions the last is answered, or all.
    fn answered(&mut self, sequence: u64, has_snapshot: bool) -> Option<u64> {
        let is_answer = |after: &Option<u64>| has_snapshot || *after == Some(sequence);
        let nth = self.asked.iter().position(is_answer)?;
        self.asked.drain(..=nth).next_back().flatten()
    }

    fn replace(&mut self, snapshot: &Value) {
        (self.open, self.ended) = (Vec::new(), Vec::new());
        for message in snapshot["messages"].as_array().into_iter().flatten() {
            let Some(id) = message["id"].as_str() else { continue };
            match message["status"].as_str() {
                Some("pending" | "running" | "stopping") => self.open.push(id.to_owned()),
                Some("completed" | "stopped" | "failed") => self.ended.push(id.to_owned()),
                _ => {}
            }
        }
    }

    fn event(&mut self, event: &Value) {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str() {
            Some("MessageSubmitted") => self.messages.push((text("message"), text("author"))),
            Some("ReplyRequested") => self.open.push(text("reply")),
            Some("ReplyCompleted" | "ReplyStopped" | "ReplyFailed") => {
                let reply = text("reply");
                self.open.retain(|open| *open != reply);
                self.texts.remove(&reply);
                self.ended.push(reply);
            }
            _ => {}
        }
    }

    fn delta(&mut self, reply: &str, attempt: u64, offset: usize, piece: &str) {
        if self.ended.iter().any(|ended| ended == reply) {
            return;
        }
        let (known, text) = self.texts.entry(reply.to_owned()).or_default();
        if attempt < *known {
            return;
        }
        if attempt > *known {
            (*known, *text) = (attempt, String::new());
        }
        match text.len().checked_sub(offset) {
            Some(had) => text.push_str(piece.get(had..).unwrap_or_default()),
            None => self.due = Some(Instant::now()),
        }
    }
}
