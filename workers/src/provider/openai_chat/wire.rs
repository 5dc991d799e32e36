//! The shapes of chat completions, read tolerantly: what we do not know survives, what we need has a type.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::provider::{PromptMessage, Request, Role};

/// The body of a call. Its bytes are the same for the same prompt: providers cache by prefix.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

impl From<&PromptMessage> for Message {
    fn from(message: &PromptMessage) -> Self {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        Self { role, content: message.texts().collect::<Vec<_>>().join("\n\n") }
    }
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> From<&'a Request> for Body<'a> {
    fn from(request: &'a Request) -> Self {
        Self {
            model: &request.model,
            messages: request.messages.iter().map(Message::from).collect(),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            user: request.user.as_deref(),
        }
    }
}

/// An event of a stream, or a whole answer: they differ in `delta` and `message`.
#[derive(Debug, Deserialize)]
pub(super) struct Frame {
    /// Empty or absent in frames that only carry usage, filter results or a sign of life.
    pub(super) choices: Option<Vec<Choice>>,
    pub(super) usage: Option<Value>,
    /// Groq says its usage here too.
    pub(super) x_groq: Option<Value>,
    pub(super) error: Option<Value>,
    pub(super) object: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    pub(super) index: Option<u64>,
    pub(super) delta: Option<Saying>,
    pub(super) message: Option<Saying>,
    /// Open: servers have reasons of their own, and `SGLang` sends an empty one while it runs.
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Saying {
    content: Option<Content>,
    /// `OpenAI`: the text of a refusal, in place of the content.
    refusal: Option<String>,
    reasoning_content: Option<Value>,
    reasoning: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

/// Mistral: `{"type":"text","text":"…"}`, `{"type":"thinking","thinking":[…]}`.
#[derive(Debug, Deserialize)]
struct ContentPart {
    text: Option<String>,
    thinking: Option<Value>,
}

impl Saying {
    /// The text that is meant for people.
    pub(super) fn text(&mut self) -> String {
        let mut text = match self.content.take() {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => {
                let reasoning = parts.iter().any(|part| part.thinking.is_some());
                if reasoning && self.reasoning.is_none() {
                    self.reasoning = Some(Value::Bool(true));
                }
                parts.into_iter().filter_map(|part| part.text).collect()
            }
            None => String::new(),
        };
        if let Some(refusal) = self.refusal.take() {
            text.push_str(&refusal);
        }
        text
    }

    /// How many bytes of reasoning it carries: a sign of life, and it counts against the answer's bound.
    pub(super) fn reasoning_bytes(&self) -> usize {
        [&self.reasoning_content, &self.reasoning].into_iter().flatten().map(reasoning_bytes).max().unwrap_or(0)
    }
}

fn reasoning_bytes(reasoning: &Value) -> usize {
    match reasoning {
        Value::Null => 0,
        Value::String(text) => text.len(),
        _ => 1,
    }
}
