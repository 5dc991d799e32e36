//! How a request is written.

mod messages;

use serde::Serialize;
use serde_json::Value;

use super::quirks::{EffortField, LeastEffort, OutputField, Quirks};
use crate::provider::request::{Effort, OutputSchema, Request, Tool, ToolChoice};
use crate::provider::wire::Unsayable;
use messages::Message;

/// The body of a call. Its bytes are the same for the same request: providers cache by prefix.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Typed<Function<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// `OpenRouter`.
#[derive(Serialize)]
struct Reasoning {
    effort: &'static str,
}

/// Everything about functions says so, and says the rest one level below.
#[derive(Serialize)]
struct Typed<T> {
    r#type: &'static str,
    function: T,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Tool(Typed<Name<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'a> {
    JsonSchema { json_schema: Schema<'a> },
    JsonObject,
}

#[derive(Serialize)]
struct Schema<'a> {
    name: &'a str,
    schema: &'a Value,
}

impl<'a> Body<'a> {
    /// The body for a request to the provider called `provider`.
    pub(super) fn of(request: &'a Request, provider: &str, quirks: Quirks) -> Result<Self, Unsayable> {
        let mut messages = messages::of(request, provider, quirks)?;
        let response_format = request.output.as_ref().map(|output| format(output, quirks));
        if let (Some(output), Some(Format::JsonObject)) = (&request.output, &response_format) {
            messages.insert(0, Message::system(told(output)));
        }
        let effort = request.effort.map(|effort| word(effort, quirks));
        let max = request.max_output;
        Ok(Self {
            model: &request.model,
            messages,
            tools: request.tools.iter().map(tool).collect(),
            tool_choice: request.tool_choice.as_ref().filter(|_| !request.tools.is_empty()).map(choice),
            response_format,
            reasoning_effort: effort.filter(|_| quirks.effort == EffortField::ReasoningEffort),
            reasoning: effort.filter(|_| quirks.effort == EffortField::Reasoning).map(|effort| Reasoning { effort }),
            max_completion_tokens: max.filter(|_| !quirks.max_tokens),
            max_tokens: max.filter(|_| quirks.max_tokens),
            stream: true,
            stream_options: (!quirks.no_stream_options).then_some(StreamOptions { include_usage: true }),
            user: request.user.as_deref().filter(|_| !quirks.no_user),
        })
    }
}

fn tool(tool: &Tool) -> Typed<Function<'_>> {
    let Tool { name, description, parameters } = tool;
    Typed { r#type: "function", function: Function { name, description, parameters } }
}

fn choice(choice: &ToolChoice) -> Choice<'_> {
    match choice {
        ToolChoice::None => Choice::Word("none"),
        ToolChoice::Any => Choice::Word("required"),
        ToolChoice::Tool(name) => Choice::Tool(Typed { r#type: "function", function: Name { name } }),
    }
}

fn format(output: &OutputSchema, quirks: Quirks) -> Format<'_> {
    match quirks.output {
        OutputField::JsonSchema => {
            Format::JsonSchema { json_schema: Schema { name: &output.name, schema: &output.schema } }
        }
        OutputField::JsonObject => Format::JsonObject,
    }
}

/// For a server that only knows that the answer shall be JSON. Such servers demand that the prompt says that word, too.
fn told(output: &OutputSchema) -> String {
    format!("Answer with nothing but JSON that fits this JSON schema:\n{}", output.schema)
}

fn word(effort: Effort, quirks: Quirks) -> &'static str {
    match (effort, quirks.least_effort) {
        (Effort::Minimal, LeastEffort::Minimal) => "minimal",
        (Effort::Minimal, LeastEffort::None) => "none",
        (Effort::Minimal, LeastEffort::Low) | (Effort::Low, _) => "low",
        (Effort::Medium, _) => "medium",
        (Effort::High, _) => "high",
    }
}
