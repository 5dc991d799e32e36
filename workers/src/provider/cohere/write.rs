//! How a request is written.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Cohere, PLAN, thinks};
use crate::provider::media;
use crate::provider::request::{Effort, Media, Request, Tool, ToolChoice};
use crate::provider::turns::{Block as Turned, Calls, Turns};
use crate::provider::wire::Unsayable;

/// The body of a call. Its bytes are the same for the same request.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Typed<Function<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    stream: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Message<'a> {
    System {
        content: String,
    },
    User {
        content: Vec<Block<'a>>,
    },
    Assistant {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tool_plan: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call<'a>>,
    },
    Tool {
        tool_call_id: String,
        content: Cow<'a, str>,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: Cow<'a, str> },
    Thinking { thinking: &'a str },
    ImageUrl { image_url: Url },
}

#[derive(Debug, Serialize)]
struct Url {
    url: String,
}

/// A function, and that it is one.
#[derive(Debug, Serialize)]
struct Typed<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: T,
}

#[derive(Debug, Serialize)]
struct Call<'a> {
    id: String,
    #[serde(flatten)]
    function: Typed<Called<'a>>,
}

#[derive(Debug, Serialize)]
struct Called<'a> {
    name: Cow<'a, str>,
    #[serde(serialize_with = "as_text")]
    arguments: Cow<'a, RawValue>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

#[derive(Debug, Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    json_schema: &'a Value,
}

#[derive(Debug, Serialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_budget: Option<u64>,
}

impl<'a> Body<'a> {
    pub(super) fn new(wire: &Cohere, request: &'a Request) -> Result<Self, Unsayable> {
        let (tools, tool_choice) = tools(request);
        if request.output.is_some() && !tools.is_empty() {
            return Err(Unsayable("Cohere cannot give an answer a shape while there are tools".to_owned()));
        }
        let turns = Turns::of(request, Calls::AsBlocks, |thinker| wire.is_own(thinker, &request.model))?;
        let mut messages: Vec<_> = system(&turns.system).into_iter().collect();
        let last = turns.turns.len().saturating_sub(1);
        for (position, turn) in turns.turns.into_iter().enumerate() {
            if turn.is_model {
                messages.push(model(turn.blocks));
            } else {
                person(turn.blocks, position == last, &mut messages)?;
            }
        }
        let schema = request.output.as_ref().map(|output| &output.schema);
        Ok(Self {
            model: &request.model,
            messages,
            tools,
            tool_choice,
            response_format: schema.map(|json_schema| Format { kind: "json_object", json_schema }),
            max_tokens: request.max_output,
            thinking: request
                .effort
                .filter(|_| thinks(&request.model))
                .map(|effort| thinking(effort, request.max_output)),
            stream: true,
        })
    }
}

impl<'a> From<&'a Tool> for Function<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self { name: &tool.name, description: &tool.description, parameters: &tool.parameters }
    }
}

/// The tools, and whether one must be called. A certain one cannot be asked for, but all others can be left out.
fn tools(request: &Request) -> (Vec<Typed<Function<'_>>>, Option<&'static str>) {
    let only = match &request.tool_choice {
        Some(ToolChoice::Tool(name)) => Some(name),
        _ => None,
    };
    let asked = request.tools.iter().filter(|tool| only.is_none_or(|name| *name == tool.name));
    let tools: Vec<_> = match request.tool_choice {
        // Not allowed is as good as not there.
        Some(ToolChoice::None) => Vec::new(),
        _ => asked.map(|tool| Typed { kind: "function", function: tool.into() }).collect(),
    };
    let must = matches!(request.tool_choice, Some(ToolChoice::Any | ToolChoice::Tool(_))) && !tools.is_empty();
    (tools, must.then_some("REQUIRED"))
}

fn system<'a>(texts: &[&str]) -> Option<Message<'a>> {
    (!texts.is_empty()).then(|| Message::System { content: texts.join("\n\n") })
}

/// A turn of a person: what calls gave, then what is said.
fn person<'a>(blocks: Vec<Turned<'a>>, is_last: bool, messages: &mut Vec<Message<'a>>) -> Result<(), Unsayable> {
    let mut content = Vec::new();
    for block in blocks {
        match block {
            Turned::Result { id, content, is_error } => {
                let content = if is_error { format!("Error: {content}").into() } else { content.into() };
                messages.push(Message::Tool { tool_call_id: id, content });
            }
            Turned::Text(text) => content.push(Block::Text { text }),
            Turned::Media(media) => content.push(file(media, is_last)?),
            Turned::Thought { .. } | Turned::Call { .. } => {}
        }
    }
    if !content.is_empty() {
        messages.push(Message::User { content });
    }
    Ok(())
}

fn file(media: &Media, is_last: bool) -> Result<Block<'_>, Unsayable> {
    if media::is_image(media) {
        return Ok(Block::ImageUrl { image_url: Url { url: media::data_url(media) } });
    }
    Ok(Block::Text { text: media::as_text(media, is_last)?.into() })
}

/// A turn of the model.
fn model(blocks: Vec<Turned<'_>>) -> Message<'_> {
    let (mut content, mut tool_plan, mut tool_calls) = (Vec::new(), None, Vec::new());
    for block in blocks {
        match block {
            Turned::Text(text) => content.push(Block::Text { text }),
            Turned::Thought { text: "", .. } | Turned::Result { .. } | Turned::Media(_) => {}
            Turned::Thought { text, signature: PLAN } => tool_plan = Some(text),
            Turned::Thought { text, .. } => content.push(Block::Thinking { thinking: text }),
            Turned::Call { id, name, arguments } => {
                tool_calls
                    .push(Call { id, function: Typed { kind: "function", function: Called { name, arguments } } });
            }
        }
    }
    // A plan without calls plans nothing.
    let tool_plan = tool_plan.filter(|_| !tool_calls.is_empty());
    Message::Assistant { content, tool_plan, tool_calls }
}

/// More than half of the answer is never spent on thinking.
fn thinking(effort: Effort, max_output: Option<u64>) -> Thinking {
    let budget = match effort {
        Effort::Minimal => return Thinking { kind: "disabled", token_budget: None },
        Effort::Low => Some(1_024),
        Effort::Medium => Some(8_192),
        Effort::High => None,
    };
    let half = max_output.map(|max| (max / 2).max(1));
    let token_budget = match (budget, half) {
        (Some(budget), Some(half)) => Some(half.min(budget)),
        (budget, half) => budget.or(half),
    };
    Thinking { kind: "enabled", token_budget }
}

#[expect(clippy::ptr_arg, reason = "what serde hands over is a reference to the field")]
fn as_text<S: serde::Serializer>(raw: &Cow<'_, RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(raw.get())
}
