//! What a model is asked: the same for every protocol.

use domain::ModelRef;
use serde_json::Value;

/// One streamed call to a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The model, as its provider knows it.
    pub model: String,
    /// The prompt, oldest message first. System messages come first; the last message is a person's or holds tool results.
    pub messages: Vec<PromptMessage>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it must call; none leaves it to the model.
    pub tool_choice: Option<ToolChoice>,
    /// The shape that the answer must have.
    pub output: Option<OutputSchema>,
    /// The most tokens of the answer, its reasoning included. Protocols that demand one fall back to the model's own limit.
    pub max_output: Option<u64>,
    /// How long the model may think; none leaves it to the model.
    pub effort: Option<Effort>,
    /// Whether the provider shall keep the prompt's beginning in its cache, where that must be asked for.
    pub cache: bool,
    /// An opaque name for the person asking, for the provider's abuse limits.
    pub user: Option<String>,
}

/// A message of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order; never empty.
    pub parts: Vec<PromptPart>,
}

impl PromptMessage {
    /// A message of text alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![PromptPart::Text(text.into())] }
    }

    /// Its pieces of text.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            PromptPart::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Who speaks in a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The installation or the conversation's owner: instructions.
    System,
    /// A person; also whoever ran a tool, for its results.
    User,
    /// The model.
    Assistant,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptPart {
    /// Text, never empty.
    Text(String),
    /// What the model thought: shown again only to the model that thought it, left out for every other.
    Reasoning(Reasoning),
    /// A call that the model made.
    ToolCall(ToolCall),
    /// What a call gave. Every call of an assistant message has its result in the message after it.
    ToolResult(ToolResult),
    /// An image or a file.
    Media(Media),
}

/// What a model thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasoning {
    /// The model that thought it.
    pub model: ModelRef,
    /// The thought, or its summary; may be empty where the provider hides it.
    pub text: String,
    /// What its provider wants back unchanged to know it again, in that protocol's own form.
    pub signature: Option<String>,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Unique within its message. Protocols that limit ids map it to one that they accept, always the same.
    pub id: String,
    /// The tool.
    pub name: String,
    /// A JSON object, as text. `{}` for none.
    pub arguments: String,
    /// What its provider wants back with the call (Gemini's thought signature), and the model that gave it.
    pub signature: Option<(ModelRef, String)>,
}

/// What a tool call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// What it gave, as text.
    pub content: String,
    /// Whether the call failed.
    pub is_error: bool,
}

/// An image or a file, in the prompt itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Such as `image/png` or `application/pdf`.
    pub media_type: String,
    /// The file's name, where it has one.
    pub name: Option<String>,
    /// The bytes.
    pub bytes: bytes::Bytes,
}

/// A tool that a model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// A JSON schema of type object.
    pub parameters: Value,
}

/// Which tool a model must call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// None.
    None,
    /// Some tool, whichever.
    Any,
    /// This one.
    Tool(String),
}

/// The shape of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSchema {
    /// Its name, like a tool's.
    pub name: String,
    /// A JSON schema.
    pub schema: Value,
}

/// How long a model may think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Not at all, or as little as the model can.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// Long.
    High,
}
