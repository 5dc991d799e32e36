//! What the frames of an answer add up to. Knows no sockets and no clock.

use std::collections::VecDeque;

use domain::conversation::{Finish, Usage};
use serde_json::Value;

use super::wire::{Choice, Frame};
use super::{Endpoint, MAX_REPLY_BYTES, usage};
use crate::provider::refusal::Refusal;
use crate::provider::sse::Event;
use crate::provider::{Chunk, Error, ErrorKind};

/// An answer as far as it has arrived.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Text that nobody has taken yet.
    texts: VecDeque<String>,
    /// Any event at all: whatever answered does speak our protocol.
    begun: bool,
    /// Bytes that the model produced, reasoning included.
    bytes: usize,
    spoke: bool,
    finish: Option<Finish>,
    done: bool,
    usage: Usage,
}

impl Answer {
    /// Adds an event of the stream.
    pub(super) fn take(&mut self, event: Event, endpoint: &Endpoint) -> Result<(), Error> {
        let (name, data) = match event {
            Event::Message { name, data } => (name, data),
            Event::Stray(json) => (String::new(), json),
        };
        let data = data.trim();
        if data.is_empty() || self.done {
            return Ok(());
        }
        if data == "[DONE]" {
            self.begun = true;
            self.done = true;
            return Ok(());
        }
        if name == "error" {
            let error = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()));
            return self.refuse(Refusal::find(&error).unwrap_or_else(|| Refusal::flat(&error)), endpoint);
        }
        self.take_frame(data.as_bytes(), endpoint)
    }

    /// Adds the one document of an answer that does not stream.
    pub(super) fn take_document(&mut self, json: &[u8], endpoint: &Endpoint) -> Result<(), Error> {
        self.take_frame(json, endpoint)?;
        if self.finish.is_none() && self.bytes == 0 {
            return Err(endpoint.error(ErrorKind::Protocol, "the provider sent JSON that is not a chat completion"));
        }
        // A document is whole or does not parse.
        self.done = true;
        Ok(())
    }

    /// Adds a frame, or a whole answer.
    fn take_frame(&mut self, json: &[u8], endpoint: &Endpoint) -> Result<(), Error> {
        let frame = match serde_json::from_slice::<Frame>(json) {
            Ok(frame) if frame.error.is_none() && frame.object.as_ref().is_none_or(|object| object != "error") => frame,
            // Off the usual way: an error, or nothing that we know.
            result => {
                let refusal = serde_json::from_slice(json).ok().and_then(|value| Refusal::find(&value));
                match (refusal, result) {
                    (Some(refusal), _) => return self.refuse(refusal, endpoint),
                    // `"error":{}`: some servers always send the field.
                    (None, Ok(frame)) => frame,
                    (None, Err(_)) => {
                        let message = "the provider sent something that is not a chat completion";
                        return Err(endpoint.error(ErrorKind::Protocol, message));
                    }
                }
            }
        };
        self.begun = true;
        self.take_usage(&frame);
        let choices = frame.choices.unwrap_or_default();
        // One answer was asked for; a server that sends several does not get them mixed into each other.
        choices
            .into_iter()
            .filter(|choice| choice.index.unwrap_or(0) == 0)
            .try_for_each(|choice| self.take_choice(choice, endpoint))
    }

    fn take_choice(&mut self, mut choice: Choice, endpoint: &Endpoint) -> Result<(), Error> {
        // Perplexity repeats the whole text in `message` beside each delta: only an answer without deltas is there.
        let saying = match (&mut choice.delta, &mut choice.message) {
            (Some(delta), _) => Some(delta),
            (None, Some(message)) if self.bytes == 0 => Some(message),
            _ => None,
        };
        if let Some(saying) = saying {
            let text = saying.text();
            let bytes = text.len() + saying.reasoning_bytes();
            self.bytes += bytes;
            self.spoke |= bytes > 0;
            if self.bytes > MAX_REPLY_BYTES {
                let message = format!("the answer is longer than {} MiB", MAX_REPLY_BYTES / 1024 / 1024);
                return Err(endpoint.error(ErrorKind::Protocol, &message));
            }
            if !text.is_empty() {
                self.texts.push_back(text);
            }
        }
        match choice.finish_reason.as_deref() {
            None | Some("" | "null") => Ok(()),
            Some("error" | "abort" | "aborted" | "cancelled") => {
                Err(endpoint.error(ErrorKind::Interrupted, "the provider broke the answer off"))
            }
            Some(reason) => {
                self.finish = Some(finish(reason));
                Ok(())
            }
        }
    }

    fn take_usage(&mut self, frame: &Frame) {
        let groq = || frame.x_groq.as_ref().and_then(|groq| groq.get("usage"));
        // Repeated usage is cumulative: the last one counts.
        if let Some(usage) = frame.usage.as_ref().and_then(usage::read).or_else(|| groq().and_then(usage::read)) {
            self.usage = usage;
        }
    }

    fn refuse(&mut self, refusal: Refusal, endpoint: &Endpoint) -> Result<(), Error> {
        self.begun = true;
        Err(endpoint.refused(refusal))
    }

    /// Takes nothing more.
    pub(super) fn close(&mut self) {
        self.done = true;
    }

    /// The next text.
    pub(super) fn next_text(&mut self) -> Option<Chunk> {
        self.texts.pop_front().map(Chunk::Text)
    }

    /// The end, if the provider has marked it.
    pub(super) fn finished(&self) -> Option<Chunk> {
        let finish = self.finish.or(self.done.then_some(Finish::Other))?;
        Some(Chunk::Finished { finish, usage: self.usage.clone() })
    }

    /// Whether the model produced something since the last call of this.
    pub(super) fn take_spoke(&mut self) -> bool {
        std::mem::take(&mut self.spoke)
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }
}

fn finish(reason: &str) -> Finish {
    match reason.to_lowercase().as_str() {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "completed" => Finish::Stop,
        "length" | "max_tokens" | "max_output_tokens" | "model_length" => Finish::Length,
        "content_filter" | "safety" | "refusal" => Finish::ContentFilter,
        _ => Finish::Other,
    }
}
