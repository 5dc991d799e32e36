//! Requests of Messages. Source: `https://platform.claude.com/docs/en/api/messages/create`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ModelRef;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::quirks::{Quirks, Structured};
use super::schema::closed;
use super::thinking::Thinking;
use super::tools::{Forced, OUTPUT_TOOL, OUTPUT_TOOL_DESCRIPTION};
use crate::provider::request::{self, Media, Request, ToolChoice};
use crate::provider::turns::{Block, Calls, REDACTED, Turns, left_out};
use crate::provider::wire::Unsayable;

/// The body of a call. Its bytes are the same for the same prompt: providers cache by prefix.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Marked<'a>>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Marked<'a>>,
}

/// A piece of the prompt, at whose end the provider may keep it in its cache.
#[derive(Serialize)]
struct Marked<'a> {
    #[serde(flatten)]
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    ToolUse {
        id: String,
        name: Cow<'a, str>,
        input: Cow<'a, RawValue>,
    },
    ToolResult {
        tool_use_id: String,
        content: &'a str,
        is_error: bool,
    },
}

#[derive(Serialize)]
struct Source<'a> {
    r#type: &'static str,
    media_type: &'a str,
    data: String,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    input_schema: Cow<'a, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum CacheControl {
    /// For five minutes, anew with each use.
    Ephemeral,
}

impl<'a> Body<'a> {
    /// Writes a request to a model of the provider called `provider`.
    ///
    /// # Errors
    /// When the model cannot do what is asked.
    pub(super) fn of(request: &'a Request, provider: &str, quirks: &Quirks) -> Result<Self, Unsayable> {
        let own = |model: &ModelRef| model.provider() == provider && model.model() == request.model;
        let turns = Turns::of(request, Calls::AsBlocks, own)?;
        if turns.ends_with_model() && !quirks.prefill {
            return Err(Unsayable("this model does not go on with an answer that has begun".to_owned()));
        }
        let forced = Forced::of(request, quirks)?;
        let max_tokens = request.max_output.map_or(quirks.max_output, |max| max.clamp(1, quirks.max_output));
        let thinking = Thinking::of(request, quirks, max_tokens, forced.is_some(), &turns);
        let tools = tools(request, quirks, &turns)?;
        let may_call = !request.tools.is_empty() && request.tool_choice != Some(ToolChoice::None);
        let none = || (!tools.is_empty() && !may_call).then(|| json!({ "type": "none" }));
        let tool_choice = match forced {
            Some(Forced::Any) => Some(json!({ "type": "any" })),
            Some(Forced::Tool(name)) => Some(json!({ "type": "tool", "name": name })),
            None => none(),
        };
        let format = request.output.as_ref().filter(|_| quirks.structured == Structured::Native);
        let format = format.map(|output| json!({ "type": "json_schema", "schema": closed(&output.schema) }));
        let mut body = Self {
            model: &request.model,
            max_tokens,
            stream: true,
            system: turns.system.iter().map(|text| Marked::from(Content::Text { text: (*text).into() })).collect(),
            messages: messages(turns)?,
            tools,
            tool_choice,
            thinking: thinking.to_field(quirks),
            output_config: output_config(thinking.effort(), format),
            metadata: request.user.as_ref().map(|user| json!({ "user_id": user })),
        };
        if request.cache {
            body.mark();
        }
        Ok(body)
    }

    /// Marks where the provider shall keep the prompt's beginning: behind the tools, behind the instructions, behind the last
    /// person's turn for the next call, and behind the one before, where the last call ended. Four are allowed.
    fn mark(&mut self) {
        let mark = Some(CacheControl::Ephemeral);
        if let Some(tool) = self.tools.last_mut() {
            tool.cache_control = mark;
        }
        let system = self.system.last_mut();
        let turns = self.messages.iter_mut().rev().filter(|message| message.role == "user").take(2);
        for last in turns.filter_map(|message| message.content.last_mut()).chain(system) {
            last.cache_control = mark;
        }
    }
}

impl<'a> From<Content<'a>> for Marked<'a> {
    fn from(content: Content<'a>) -> Self {
        Self { content, cache_control: None }
    }
}

fn tools<'a>(request: &'a Request, quirks: &Quirks, turns: &Turns<'a>) -> Result<Vec<Tool<'a>>, Unsayable> {
    let tool = |name, description, input_schema| Tool { name, description, input_schema, cache_control: None };
    let given = |given: &'a request::Tool| {
        tool(given.name.as_str().into(), given.description.as_str(), Cow::Borrowed(&given.parameters))
    };
    let mut tools: Vec<_> = request.tools.iter().map(given).collect();
    if let Some(schema) = quirks.output_tool(request)? {
        tools.push(tool(OUTPUT_TOOL.into(), OUTPUT_TOOL_DESCRIPTION, Cow::Borrowed(schema)));
    }
    if tools.is_empty() {
        // Calls in the prompt are refused where no tool is defined.
        let called: BTreeSet<_> = turns.called().map(str::to_owned).collect();
        let gone = |name: String| tool(name.into(), "Is no longer there.", Cow::Owned(json!({ "type": "object" })));
        tools.extend(called.into_iter().map(gone));
    }
    Ok(tools)
}

fn output_config(effort: Option<&'static str>, format: Option<Value>) -> Option<Value> {
    let mut config = serde_json::Map::new();
    config.extend(effort.map(|effort| ("effort".to_owned(), effort.into())));
    config.extend(format.map(|format| ("format".to_owned(), format)));
    (!config.is_empty()).then_some(Value::Object(config))
}

fn messages(turns: Turns<'_>) -> Result<Vec<Message<'_>>, Unsayable> {
    let last = turns.turns.len().saturating_sub(1);
    let mut messages = Vec::new();
    for (position, turn) in turns.turns.into_iter().enumerate() {
        let is_last = position == last;
        let content: Result<Vec<_>, _> = turn.blocks.into_iter().map(|block| content(block, is_last)).collect();
        let mut content = content?;
        if is_last
            && turn.is_model
            && let Some(Marked { content: Content::Text { text }, .. }) = content.last_mut()
        {
            // An answer that shall be gone on with must not end in white space.
            *text = text.trim_end().to_owned().into();
        }
        messages.push(Message { role: if turn.is_model { "assistant" } else { "user" }, content });
    }
    Ok(messages)
}

fn content(block: Block<'_>, is_last: bool) -> Result<Marked<'_>, Unsayable> {
    let content = match block {
        Block::Text(text) => Content::Text { text },
        Block::Thought { text, signature } => match signature.strip_prefix(REDACTED) {
            Some(data) => Content::RedactedThinking { data },
            None => Content::Thinking { thinking: text, signature },
        },
        Block::Call { id, name, arguments } => Content::ToolUse { id, name, input: arguments },
        Block::Result { id, content, is_error } => Content::ToolResult { tool_use_id: id, content, is_error },
        Block::Media(media) => match file(media) {
            Some(content) => content,
            // What an earlier model could read shall not end the conversation with this one.
            None if !is_last => Content::Text { text: left_out(media).into() },
            None => return Err(Unsayable(format!("this model does not read files of type {}", media.media_type))),
        },
    };
    Ok(content.into())
}

fn file(media: &Media) -> Option<Content<'_>> {
    let media_type = media.media_type.as_str();
    let title = media.name.as_deref();
    let encoded = || Source { r#type: "base64", media_type, data: STANDARD.encode(&media.bytes) };
    match media_type {
        "image/png" | "image/jpeg" | "image/gif" | "image/webp" => Some(Content::Image { source: encoded() }),
        "application/pdf" => Some(Content::Document { source: encoded(), title }),
        _ if media_type.starts_with("text/") || media_type == "application/json" => {
            let data = String::from_utf8_lossy(&media.bytes).into_owned();
            Some(Content::Document { source: Source { r#type: "text", media_type: "text/plain", data }, title })
        }
        _ => None,
    }
}
