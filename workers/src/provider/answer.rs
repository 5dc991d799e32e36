//! What the records of an answer add up to, in every protocol alike. Knows no sockets and no clock, and keeps the bounds:
//! whatever a provider sends, an answer costs no more than [`MAX_ANSWER_BYTES`] and [`MAX_TOOL_CALLS`].

use std::collections::VecDeque;

use domain::conversation::{Finish, Usage};

use super::refusal::Refusal;

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
    tools: Vec<OpenTool>,
    tool_calls: usize,
    bytes: usize,
    spoke: bool,
    finish: Option<Finish>,
    done: bool,
    usage: Usage,
}

/// A tool call whose arguments still come.
#[derive(Debug)]
struct OpenTool {
    key: String,
    id: String,
    name: String,
    arguments: String,
    signature: Option<String>,
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

    // `tool`, `arguments`, `end_tool`, `finish`, `usage`, `done`: to be written with the first protocol that needs them.

    fn said(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.bytes += bytes;
        self.spoke |= bytes > 0;
        if self.bytes > MAX_ANSWER_BYTES {
            return Err(Refusal::protocol("the answer is longer than 4 MiB"));
        }
        Ok(())
    }
}
