//! Requests of Converse.

use std::borrow::Cow;

use domain::ModelRef;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::file::{File, Names};
use super::quirks::{CachePoints, Quirks};
use crate::provider::anthropic::BOUND_THOUGHTS;
use crate::provider::anthropic::quirks::Structured;
use crate::provider::anthropic::schema::closed;
use crate::provider::anthropic::thinking::Thinking;
use crate::provider::anthropic::tools::{Forced, OUTPUT_TOOL, OUTPUT_TOOL_DESCRIPTION};
use crate::provider::request::{OutputSchema, Request, ToolChoice};
use crate::provider::turns::{Block, Calls, REDACTED, Turns, left_out};
use crate::provider::wire::Unsayable;

/// The body of a call. Its bytes are the same for the same prompt: providers cache by prefix.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Content<'a>>,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inference_config: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    additional_model_request_fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Value>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Content<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Content<'a> {
    Text(Cow<'a, str>),
    #[serde(rename = "reasoningContent")]
    Thought(Reasoning<'a>),
    ToolUse {
        tool_use_id: String,
        name: Cow<'a, str>,
        input: Cow<'a, RawValue>,
    },
    ToolResult {
        tool_use_id: String,
        content: [ResultText<'a>; 1],
        /// Known to some models only; said where it matters.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<&'static str>,
    },
    CachePoint(CachePoint),
    #[serde(untagged)]
    File(File),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Reasoning<'a> {
    ReasoningText { text: &'a str, signature: &'a str },
    RedactedContent(&'a str),
}

#[derive(Serialize)]
struct ResultText<'a> {
    text: Cow<'a, str>,
}

#[derive(Clone, Copy, Serialize)]
struct CachePoint {
    r#type: &'static str,
}

const CACHE_POINT: CachePoint = CachePoint { r#type: "default" };

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Tool<'a> {
    ToolSpec {
        name: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        description: &'a str,
        input_schema: InputSchema<'a>,
    },
    CachePoint(CachePoint),
}

#[derive(Serialize)]
struct InputSchema<'a> {
    json: &'a Value,
}

impl<'a> Body<'a> {
    /// Writes a request to a model of the provider called `provider`.
    ///
    /// # Errors
    /// When the model cannot do what is asked.
    pub(super) fn of(request: &'a Request, provider: &str, quirks: &Quirks) -> Result<Self, Unsayable> {
        let forced = Forced::of(request, &quirks.model)?;
        let tools = tools(request, quirks)?;
        // Without tools, a prompt that holds calls is refused.
        let calls = if tools.is_empty() { Calls::AsText } else { Calls::AsBlocks };
        let own = |model: &ModelRef| model.provider() == provider && model.model() == request.model;
        let turns = Turns::of(request, calls, own)?;
        if turns.ends_with_model() && !quirks.model.prefill {
            return Err(Unsayable("this model does not go on with an answer that has begun".to_owned()));
        }
        let max = quirks.model.max_output;
        let max_tokens = match request.max_output {
            Some(asked) if quirks.is_claude => Some(asked.clamp(1, max)),
            Some(asked) => Some(asked.max(1)),
            None => quirks.is_claude.then_some(max),
        };
        let thinking = Thinking::of(request, &quirks.model, max_tokens.unwrap_or(max), forced.is_some(), &turns);
        let native = request.output.as_ref().filter(|_| quirks.model.structured == Structured::Native);
        let mut body = Self {
            system: turns.system.iter().map(|text| Content::Text((*text).into())).collect(),
            messages: messages(turns, quirks)?,
            inference_config: max_tokens.map(|max| json!({ "maxTokens": max })),
            tool_config: (!tools.is_empty()).then(|| ToolConfig { tools, tool_choice: forced.map(tool_choice) }),
            additional_model_request_fields: additional(thinking, quirks),
            output_config: native.map(output_config),
        };
        if request.cache && quirks.cache != CachePoints::Never {
            body.mark(quirks.cache);
        }
        Ok(body)
    }

    /// Marks where the provider shall keep the prompt's beginning: behind the tools, behind the instructions, behind the last
    /// person's turn for the next call, and behind the one before, where the last call ended. Four are allowed.
    fn mark(&mut self, points: CachePoints) {
        if let Some(config) = self.tool_config.as_mut().filter(|_| points == CachePoints::All) {
            config.tools.push(Tool::CachePoint(CACHE_POINT));
        }
        if !self.system.is_empty() {
            self.system.push(Content::CachePoint(CACHE_POINT));
        }
        for message in self.messages.iter_mut().rev().filter(|message| message.role == "user").take(2) {
            message.content.push(Content::CachePoint(CACHE_POINT));
        }
    }
}

/// The tools, as far as the model may call any.
fn tools<'a>(request: &'a Request, quirks: &Quirks) -> Result<Vec<Tool<'a>>, Unsayable> {
    let may_call = request.tool_choice != Some(ToolChoice::None);
    let spec = |name, description, json| Tool::ToolSpec { name, description, input_schema: InputSchema { json } };
    let given = request.tools.iter().filter(|_| may_call);
    let mut tools: Vec<_> =
        given.map(|tool| spec(tool.name.as_str(), tool.description.as_str(), &tool.parameters)).collect();
    if let Some(schema) = quirks.model.output_tool(request)? {
        tools.push(spec(OUTPUT_TOOL, OUTPUT_TOOL_DESCRIPTION, schema));
    }
    Ok(tools)
}

fn tool_choice(forced: Forced<'_>) -> Value {
    match forced {
        Forced::Any => json!({ "any": {} }),
        Forced::Tool(name) => json!({ "tool": { "name": name } }),
    }
}

/// Anthropic's own fields.
fn additional(thinking: Thinking, quirks: &Quirks) -> Map<String, Value> {
    let mut fields = Map::new();
    if quirks.is_claude {
        fields.extend(thinking.to_field(&quirks.model).map(|thinking| ("thinking".to_owned(), thinking)));
        fields.extend(thinking.effort().map(|effort| ("output_config".to_owned(), json!({ "effort": effort }))));
        if quirks.model.bound_thoughts {
            fields.insert("anthropic_beta".to_owned(), json!([BOUND_THOUGHTS]));
        }
    }
    fields
}

fn output_config(output: &OutputSchema) -> Value {
    let schema = json!({ "name": output.name, "schema": closed(&output.schema).to_string() });
    json!({ "textFormat": { "type": "json_schema", "structure": { "jsonSchema": schema } } })
}

fn messages<'a>(turns: Turns<'a>, quirks: &Quirks) -> Result<Vec<Message<'a>>, Unsayable> {
    let last = turns.turns.len().saturating_sub(1);
    let mut names = Names::default();
    let mut messages = Vec::new();
    for (position, turn) in turns.turns.into_iter().enumerate() {
        let is_last = position == last;
        let content: Result<Vec<_>, _> =
            turn.blocks.into_iter().map(|block| content(block, is_last, &mut names, quirks)).collect();
        let mut content = content?;
        if is_last
            && turn.is_model
            && let Some(Content::Text(text)) = content.last_mut()
        {
            // An answer that shall be gone on with must not end in white space.
            *text = text.trim_end().to_owned().into();
        }
        let has_document = content.iter().any(|piece| matches!(piece, Content::File(File::Document { .. })));
        if has_document && !content.iter().any(|piece| matches!(piece, Content::Text(_))) {
            // A document is not taken without a text beside it.
            content.push(Content::Text("(See the file.)".into()));
        }
        messages.push(Message { role: if turn.is_model { "assistant" } else { "user" }, content });
    }
    Ok(messages)
}

fn content<'a>(block: Block<'a>, is_last: bool, names: &mut Names, quirks: &Quirks) -> Result<Content<'a>, Unsayable> {
    Ok(match block {
        Block::Text(text) => Content::Text(text),
        Block::Thought { text, signature } => Content::Thought(match signature.strip_prefix(REDACTED) {
            Some(data) => Reasoning::RedactedContent(data),
            None => Reasoning::ReasoningText { text, signature },
        }),
        Block::Call { id, name, arguments } => Content::ToolUse { tool_use_id: id, name, input: arguments },
        Block::Result { id, content, is_error } if quirks.is_claude => {
            let status = is_error.then_some("error");
            Content::ToolResult { tool_use_id: id, content: [ResultText { text: content.into() }], status }
        }
        Block::Result { id, content, is_error } => {
            let text = if is_error { format!("Error: {content}").into() } else { content.into() };
            Content::ToolResult { tool_use_id: id, content: [ResultText { text }], status: None }
        }
        Block::Media(media) => match File::of(media, names) {
            Some(file) => Content::File(file),
            // What an earlier model could read shall not end the conversation with this one.
            None if !is_last => Content::Text(left_out(media).into()),
            None => return Err(Unsayable(format!("this model does not read files of type {}", media.media_type))),
        },
    })
}
