//! How a request is written.

use serde::Serialize;
use serde_json::Value;

use super::input::{self, Item};
use super::model::Family;
use crate::provider::request::{OutputSchema, Request, Tool, ToolChoice};
use crate::provider::turns::Turns;
use crate::provider::wire::Unsayable;

/// Fewer are refused.
const MIN_OUTPUT_TOKENS: u64 = 16;
/// A longer name of a person is refused.
const MAX_USER_BYTES: usize = 64;

/// The body of a call. Its bytes are the same for the same request.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    include: &'static [&'static str],
    /// Ours is the log: nothing is kept there.
    store: bool,
    stream: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "function")]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
    /// Said, because it is on by default, and refuses most schemas that people write.
    strict: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Mode(&'static str),
    Function {
        #[serde(rename = "type")]
        kind: &'static str,
        name: &'a str,
    },
}

#[derive(Debug, Serialize)]
struct Text<'a> {
    format: Format<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "json_schema")]
struct Format<'a> {
    name: &'a str,
    schema: &'a Value,
    strict: bool,
}

#[derive(Debug, Serialize)]
struct Thinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    summary: &'static str,
}

impl<'a> Body<'a> {
    /// A request whose prompt was put into turns.
    pub(super) fn new(request: &'a Request, turns: &'a Turns<'_>) -> Result<Self, Unsayable> {
        let family = Family::of(&request.model);
        let effort = request.effort.and_then(|effort| family.effort(effort));
        // A model that does not think refuses to be asked for its thoughts.
        let thinks = matches!(family, Family::Thinks(_)) || effort.is_some();
        Ok(Self {
            model: &request.model,
            instructions: Some(turns.system.join("\n\n")).filter(|text| !text.is_empty()),
            input: input::items(turns)?,
            tools: request.tools.iter().map(Function::from).collect(),
            tool_choice: request.tool_choice.as_ref().filter(|_| !request.tools.is_empty()).map(Choice::from),
            text: request.output.as_ref().map(Text::from),
            reasoning: thinks.then_some(Thinking { effort, summary: "auto" }),
            max_output_tokens: request.max_output.map(|most| most.max(MIN_OUTPUT_TOKENS)),
            safety_identifier: request.user.as_deref().filter(|user| user.len() <= MAX_USER_BYTES),
            include: if thinks { &["reasoning.encrypted_content"] } else { &[] },
            store: false,
            stream: true,
        })
    }
}

impl<'a> From<&'a Tool> for Function<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self { name: &tool.name, description: &tool.description, parameters: &tool.parameters, strict: false }
    }
}

impl<'a> From<&'a ToolChoice> for Choice<'a> {
    fn from(choice: &'a ToolChoice) -> Self {
        match choice {
            ToolChoice::None => Self::Mode("none"),
            ToolChoice::Any => Self::Mode("required"),
            ToolChoice::Tool(name) => Self::Function { kind: "function", name },
        }
    }
}

impl<'a> From<&'a OutputSchema> for Text<'a> {
    fn from(output: &'a OutputSchema) -> Self {
        let format = Format { name: &output.name, schema: &output.schema, strict: is_strict(&output.schema) };
        Self { format }
    }
}

/// Whether a schema is of the subset that the provider can hold a model to; for another, it refuses `strict`.
///
/// Source: `https://platform.openai.com/docs/guides/structured-outputs#supported-schemas`.
fn is_strict(schema: &Value) -> bool {
    const UNSUPPORTED: &[&str] =
        &["allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"];
    match schema {
        Value::Array(schemas) => schemas.iter().all(is_strict),
        Value::Object(fields) => {
            let supported = !UNSUPPORTED.iter().any(|word| fields.contains_key(*word));
            supported && is_closed(fields) && fields.values().all(is_strict)
        }
        _ => true,
    }
}

/// Whether an object demands every property that it knows, and takes no other.
fn is_closed(fields: &serde_json::Map<String, Value>) -> bool {
    let is_object = fields.get("type").is_some_and(|kind| kind == "object");
    let Some(properties) = fields.get("properties").and_then(Value::as_object) else { return !is_object };
    let required = fields.get("required").and_then(Value::as_array);
    let is_required = |name: &String| required.is_some_and(|names| names.iter().any(|known| known == name));
    fields.get("additionalProperties") == Some(&Value::Bool(false)) && properties.keys().all(is_required)
}
