//! What the records of an answer add up to, in every protocol alike. Knows no sockets and no clock, and keeps the bounds:
//! whatever a provider sends, an answer costs no more than [`MAX_ANSWER_BYTES`] and [`MAX_TOOL_CALLS`].

mod calls;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use domain::conversation::{Finish, MAX_RAW_USAGE_BYTES, Usage};
use serde::Serialize;
use serde_json::Value;

use super::refusal::Refusal;
use calls::Calls;

/// The longest answer accepted, in bytes that the model produced: text, reasoning, arguments of tool calls.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// The most tool calls of an answer.
pub const MAX_TOOL_CALLS: usize = 128;

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Chunk {
    /// The next piece of text, never empty.
    Text(String),
    /// The next piece of what the model thinks, never empty.
    Reasoning(String),
    /// The thought told so far is whole, and its provider wants this back with it. Also without any thought told, where the
    /// provider hides it.
    ReasoningSignature(String),
    /// A tool call, whole.
    ToolCall {
        /// As the provider gave it, or one made up where it gave none or the same one twice; unique within the answer.
        id: String,
        /// The tool.
        name: String,
        /// A JSON object, as text. What does not parse is passed on as it came: whoever runs the tool refuses it.
        arguments: String,
        /// What the provider wants back with it.
        signature: Option<String>,
    },
    /// What the provider has counted before the answer is whole, never nothing: the last one counts, should there be no end.
    Usage(Usage),
    /// The answer is whole. Always the last item, and only after the provider's own terminal mark.
    Finished {
        /// Why the model stopped.
        finish: Finish,
        /// Tokens used, as far as the provider told.
        usage: Usage,
    },
}

/// An answer as far as it has arrived.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// What nobody has taken yet.
    ready: VecDeque<Chunk>,
    calls: Calls,
    bytes: usize,
    /// What readers keep until they know what becomes of it.
    held: usize,
    spoke: bool,
    begun: bool,
    finish: Option<Finish>,
    done: bool,
    usage: Usage,
    /// The same, if nobody has been told of it yet.
    new_usage: Option<Usage>,
}

impl Answer {
    /// The model says something for people.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Refusal> {
        self.said(text.len())?;
        if !text.is_empty() {
            self.ready.push_back(Chunk::Text(text.to_owned()));
        }
        Ok(())
    }

    /// The model thinks.
    pub(super) fn reasoning(&mut self, text: &str) -> Result<(), Refusal> {
        self.said(text.len())?;
        if !text.is_empty() {
            self.ready.push_back(Chunk::Reasoning(text.to_owned()));
        }
        Ok(())
    }

    /// The thought is whole.
    pub(super) fn reasoning_signature(&mut self, signature: &str) -> Result<(), Refusal> {
        self.said(signature.len())?;
        self.ready.push_back(Chunk::ReasoningSignature(signature.to_owned()));
        Ok(())
    }

    /// The model begins to call a tool. `key` is whatever the protocol tells its open calls apart by; what is not known
    /// yet is empty, and a later call of this with the same key fills it in.
    pub(super) fn tool(&mut self, key: &str, id: &str, name: &str) -> Result<(), Refusal> {
        self.said(id.len() + name.len())?;
        // A call is a sign of life even before it says what it calls.
        self.spoke = true;
        self.calls.open(key, id, name)
    }

    /// The next piece of a call's arguments.
    pub(super) fn arguments(&mut self, key: &str, fragment: &str) -> Result<(), Refusal> {
        self.said(fragment.len())?;
        if let Some(call) = self.calls.get(key) {
            call.arguments.push_str(fragment);
        }
        Ok(())
    }

    /// What the provider wants back with a call.
    pub(super) fn tool_signature(&mut self, key: &str, signature: &str) -> Result<(), Refusal> {
        self.said(signature.len())?;
        if let Some(call) = self.calls.get(key) {
            call.signature.get_or_insert_default().push_str(signature);
        }
        Ok(())
    }

    /// The call is whole. It is handed out once those are that began before it.
    #[expect(clippy::unnecessary_wraps, reason = "as all that a reader says")]
    pub(super) fn end_tool(&mut self, key: &str) -> Result<(), Refusal> {
        self.calls.end(key);
        self.calls.hand_out(&mut self.ready);
        Ok(())
    }

    /// The model says why it stopped; calls that are still open are whole. What a provider sends after this still counts.
    pub(super) fn finish(&mut self, finish: Finish) {
        self.finish = Some(finish);
        self.end_tools();
    }

    /// What the answer came to so far: the last one counts.
    pub(super) fn usage(&mut self, usage: Usage) {
        self.new_usage = Some(usage.clone());
        self.usage = usage;
    }

    /// The provider's terminal mark: nothing comes after it.
    pub(super) fn done(&mut self) {
        self.done = true;
        self.end_tools();
    }

    /// A record was understood: whoever answers does speak the protocol.
    pub(super) fn begin(&mut self) {
        self.begun = true;
    }

    /// Takes nothing more.
    pub(super) fn close(&mut self) {
        self.done();
    }

    /// The next piece that nobody has taken yet. Never the end: that is [`Self::finished`].
    pub(super) fn next(&mut self) -> Option<Chunk> {
        self.ready.pop_front()
    }

    /// What the provider has counted since the last call of this; none once it is part of the end.
    pub(super) fn take_usage(&mut self) -> Option<Usage> {
        let is_finished = self.is_finished();
        self.new_usage.take().filter(|usage| !is_finished && usage.is_counted())
    }

    /// Whether the provider has marked the end.
    pub(super) fn is_finished(&self) -> bool {
        self.done || self.finish.is_some()
    }

    /// The end, if the provider has marked it.
    pub(super) fn finished(&self) -> Option<Chunk> {
        let finish = self.finish.or(self.done.then_some(Finish::Other))?;
        // Many servers call that a stop like any other.
        let calls = self.calls.any() && matches!(finish, Finish::Stop | Finish::Other);
        let finish = if calls { Finish::ToolCalls } else { finish };
        Some(Chunk::Finished { finish, usage: self.usage.clone() })
    }

    /// Whether the model produced something since the last call of this.
    pub(super) fn take_spoke(&mut self) -> bool {
        std::mem::take(&mut self.spoke)
    }

    /// Whether the model has produced anything at all.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether a record was understood.
    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }

    /// Whether nothing comes any more.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Its reader keeps so many bytes until it can say what they are. All that it ever keeps has the bound of an answer.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.held += bytes;
        if self.held > MAX_ANSWER_BYTES {
            return Err(Refusal::protocol("the answer is longer than 4 MiB"));
        }
        Ok(())
    }

    fn end_tools(&mut self) {
        self.calls.end_all();
        self.calls.hand_out(&mut self.ready);
    }

    fn said(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.bytes += bytes;
        self.spoke |= bytes > 0;
        if self.bytes > MAX_ANSWER_BYTES {
            return Err(Refusal::protocol("the answer is longer than 4 MiB"));
        }
        Ok(())
    }
}

/// A count of tokens. The bound keeps sums from overflowing.
pub(super) fn tokens(count: &Value) -> Option<u64> {
    const MAX: u64 = 1_000_000_000_000_000;
    count.as_u64().filter(|tokens| *tokens <= MAX)
}

/// The same of a provider whose counts arrive as integers, now and then as floats.
pub(super) fn rounded_tokens(count: &Value) -> Option<u64> {
    const MAX: f64 = 1e15;
    let tokens = count.as_f64().filter(|tokens| (0.0..=MAX).contains(tokens))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against its range above")]
    Some(tokens as u64)
}

/// A provider's own words for what an answer cost, as [`Usage::raw`] keeps them; none when they are too long.
pub(super) fn raw_usage(usage: &impl Serialize) -> Option<String> {
    serde_json::to_string(usage).ok().filter(|raw| raw.len() <= MAX_RAW_USAGE_BYTES)
}
