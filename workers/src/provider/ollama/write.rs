//! How a request is written.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Ollama;
use crate::provider::media;
use crate::provider::request::{Effort, Media, Request, Tool, ToolChoice};
use crate::provider::turns::{Block, Calls, Turns};
use crate::provider::wire::Unsayable;

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
    thinking: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    id: String,
    function: Called<'a>,
}

#[derive(Debug, Serialize)]
struct Called<'a> {
    name: Cow<'a, str>,
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
        let turns = Turns::of(request, Calls::AsBlocks, |thinker| wire.is_own(thinker, &request.model))?;
        let mut messages: Vec<_> = system(&turns.system).into_iter().collect();
        let mut called = HashMap::new();
        let last = turns.turns.len().saturating_sub(1);
        for (position, turn) in turns.turns.into_iter().enumerate() {
            if turn.is_model {
                let said = model(turn.blocks);
                let name = |call: &Call<'_>| (call.id.clone(), call.function.name.clone().into_owned());
                called = said.tool_calls.iter().map(name).collect();
                messages.push(said);
            } else {
                person(turn.blocks, position == last, &called, &mut messages)?;
            }
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

fn system<'a>(texts: &[&str]) -> Option<Message<'a>> {
    let content = texts.join("\n\n").into();
    (!texts.is_empty()).then(|| Message { role: "system", content, ..Message::default() })
}

/// A turn of a person: what calls gave, then what is said. `called` are the calls of the turn before, by their ids.
fn person<'a>(
    blocks: Vec<Block<'a>>,
    is_last: bool,
    called: &HashMap<String, String>,
    messages: &mut Vec<Message<'a>>,
) -> Result<(), Unsayable> {
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for block in blocks {
        match block {
            Block::Result { id, content, is_error } => {
                let content = if is_error { format!("Error: {content}").into() } else { content.into() };
                let tool_name = called.get(&id).cloned();
                messages.push(Message {
                    role: "tool",
                    content,
                    tool_name,
                    tool_call_id: Some(id),
                    ..Message::default()
                });
            }
            Block::Text(text) => texts.push(text),
            Block::Media(file) if is_seen(file) => images.push(media::base64(file)),
            Block::Media(file) => texts.push(media::as_text(file, is_last)?.into()),
            Block::Thought { .. } | Block::Call { .. } => {}
        }
    }
    if !texts.is_empty() || !images.is_empty() {
        messages.push(Message { role: "user", content: joined(texts), images, ..Message::default() });
    }
    Ok(())
}

/// Of the common types, an animation is the one that Ollama cannot decode.
fn is_seen(file: &Media) -> bool {
    media::is_image(file) && file.media_type != "image/gif"
}

/// A turn of the model.
fn model(blocks: Vec<Block<'_>>) -> Message<'_> {
    let (mut texts, mut thoughts, mut tool_calls) = (Vec::new(), Vec::new(), Vec::new());
    for block in blocks {
        match block {
            Block::Text(text) => texts.push(text),
            Block::Thought { text, .. } => thoughts.push(text),
            Block::Call { id, name, arguments } => tool_calls.push(Call { id, function: Called { name, arguments } }),
            Block::Result { .. } | Block::Media(_) => {}
        }
    }
    let thinking = (!thoughts.is_empty()).then(|| thoughts.join("\n\n"));
    Message { role: "assistant", content: joined(texts), thinking, tool_calls, ..Message::default() }
}

fn joined(mut texts: Vec<Cow<'_, str>>) -> Cow<'_, str> {
    if texts.len() == 1 { texts.remove(0) } else { texts.join("\n\n").into() }
}
