//! How a request is written.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Ollama;
use crate::provider::request::{
    Effort, Media, PromptMessage, PromptPart, Reasoning, Request, Role, Tool, ToolChoice, ToolResult,
};
use crate::provider::wire::Unsayable;
use crate::provider::{arguments, media};

/// The body of a call. Its bytes are the same for the same request.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Typed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Think>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Options>,
    stream: bool,
}

#[derive(Debug, Default, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    id: &'a str,
    function: Called<'a>,
}

#[derive(Debug, Serialize)]
struct Called<'a> {
    name: &'a str,
    arguments: Cow<'a, RawValue>,
}

#[derive(Debug, Serialize)]
struct Typed<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Think {
    Whether(bool),
    HowMuch(&'static str),
}

#[derive(Debug, Serialize)]
struct Options {
    num_predict: u64,
}

impl<'a> Body<'a> {
    pub(super) fn new(wire: &Ollama, request: &'a Request) -> Result<Self, Unsayable> {
        let mut messages = Vec::new();
        for message in &request.messages {
            add(message, &|thought| wire.is_own(&thought.model, &request.model), &mut messages)?;
        }
        // Asked nothing, Ollama would only load the model, and say that it is done.
        if messages.iter().all(|message| message.role == "system") {
            return Err(Unsayable("there is nothing to answer".to_owned()));
        }
        Ok(Self {
            model: &request.model,
            messages,
            tools: tools(request)?,
            format: request.output.as_ref().map(|output| &output.schema),
            think: request.effort.map(|effort| think(effort, &request.model)),
            options: request.max_output.map(|num_predict| Options { num_predict }),
            stream: true,
        })
    }
}

impl<'a> From<&'a Tool> for Function<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self { name: &tool.name, description: &tool.description, parameters: &tool.parameters }
    }
}

fn tools(request: &Request) -> Result<Vec<Typed<'_>>, Unsayable> {
    match &request.tool_choice {
        // Not allowed is as good as not there.
        Some(ToolChoice::None) => Ok(Vec::new()),
        Some(ToolChoice::Any | ToolChoice::Tool(_)) => {
            Err(Unsayable("models of Ollama cannot be made to call a tool".to_owned()))
        }
        None => Ok(request.tools.iter().map(|tool| Typed { kind: "function", function: tool.into() }).collect()),
    }
}

/// Models of the family gpt-oss think always, more or less; the others do or do not.
fn think(effort: Effort, model: &str) -> Think {
    let name = model.rsplit('/').next().unwrap_or(model);
    if !name.starts_with("gpt-oss") {
        return Think::Whether(effort != Effort::Minimal);
    }
    Think::HowMuch(match effort {
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
    })
}

fn add<'a>(
    message: &'a PromptMessage,
    is_own: &impl Fn(&Reasoning) -> bool,
    messages: &mut Vec<Message<'a>>,
) -> Result<(), Unsayable> {
    match message.role {
        Role::System => messages.extend(spoken("system", message)?),
        Role::User => {
            messages.extend(message.parts.iter().filter_map(|part| match part {
                PromptPart::ToolResult(result) => Some(given(result)),
                _ => None,
            }));
            messages.extend(spoken("user", message)?);
        }
        Role::Assistant => messages.extend(said(message, is_own)),
    }
    Ok(())
}

/// What a person or an instruction says; none when it is nothing.
fn spoken<'a>(role: &'static str, message: &'a PromptMessage) -> Result<Option<Message<'a>>, Unsayable> {
    let (mut texts, mut images): (Vec<Cow<'_, str>>, _) = (Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            PromptPart::Text(text) => texts.push(text.into()),
            PromptPart::Media(file) if is_seen(file) => images.push(media::base64(file)),
            PromptPart::Media(file) => texts.push(media::as_text(file)?.into()),
            _ => {}
        }
    }
    let content = joined(texts);
    let is_nothing = content.trim().is_empty() && images.is_empty();
    Ok((!is_nothing).then(|| Message { role, content, images, ..Message::default() }))
}

/// Of the common types, an animation is the one that Ollama cannot decode.
fn is_seen(file: &Media) -> bool {
    media::is_image(file) && file.media_type != "image/gif"
}

fn given(result: &ToolResult) -> Message<'_> {
    let content =
        if result.is_error { format!("Error: {}", result.content).into() } else { result.content.as_str().into() };
    let (tool_name, tool_call_id) = (Some(result.name.as_str()), Some(result.id.as_str()));
    Message { role: "tool", content, tool_name, tool_call_id, ..Message::default() }
}

/// What a model said; none when nothing of it is left.
fn said<'a>(message: &'a PromptMessage, is_own: &impl Fn(&Reasoning) -> bool) -> Option<Message<'a>> {
    let (mut texts, mut thoughts, mut tool_calls) = (Vec::new(), Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            PromptPart::Text(text) => texts.push(Cow::from(text)),
            PromptPart::Reasoning(thought) if !thought.text.is_empty() && is_own(thought) => {
                thoughts.push(Cow::from(&thought.text));
            }
            PromptPart::ToolCall(call) => {
                let function = Called { name: &call.name, arguments: arguments::object(&call.arguments) };
                tool_calls.push(Call { id: &call.id, function });
            }
            _ => {}
        }
    }
    let content = joined(texts);
    let thinking = (!thoughts.is_empty()).then(|| joined(thoughts));
    let is_nothing = content.trim().is_empty() && tool_calls.is_empty();
    (!is_nothing).then(|| Message { role: "assistant", content, thinking, tool_calls, ..Message::default() })
}

fn joined(mut texts: Vec<Cow<'_, str>>) -> Cow<'_, str> {
    if texts.len() == 1 { texts.remove(0) } else { texts.join("\n\n").into() }
}
