//! How a request is written.

use serde::Serialize;
use serde_json::Value;

use super::Gemini;
use super::contents::{Content, begins_well, contents};
use super::model::{Model, ThinkingConfig};
use crate::provider::request::{PromptPart, Request, Role, Tool, ToolChoice};
use crate::provider::wire::Unsayable;

/// The body of a call. Its bytes are the same for the same request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Instruction<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Functions<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    generation_config: GenerationConfig<'a>,
}

#[derive(Debug, Serialize)]
struct Instruction<'a> {
    parts: Vec<Text<'a>>,
}

#[derive(Debug, Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Functions<'a> {
    function_declarations: Vec<Function<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    /// Not `parameters`, whose own dialect knows less than JSON schema.
    parameters_json_schema: &'a Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: FunctionCalling<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCalling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

impl<'a> Body<'a> {
    pub(super) fn new(wire: &Gemini, request: &'a Request) -> Result<Self, Unsayable> {
        let contents = contents(wire, request)?;
        if contents.is_empty() {
            return Err(Unsayable("there is nothing to answer".to_owned()));
        }
        let model = Model::new(&request.model);
        let tools = tools(request, model)?;
        let choice = request.tool_choice.as_ref().filter(|_| !tools.is_empty());
        Ok(Self {
            system_instruction: instruction(request),
            contents,
            tool_config: choice.map(|choice| ToolConfig { function_calling_config: choice.into() }),
            tools,
            generation_config: GenerationConfig {
                max_output_tokens: request.max_output,
                response_mime_type: request.output.as_ref().map(|_| "application/json"),
                response_json_schema: request.output.as_ref().map(|output| &output.schema),
                thinking_config: model.thinking(request.effort),
            },
        })
    }
}

fn instruction(request: &Request) -> Option<Instruction<'_>> {
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let texts = system.flat_map(|message| &message.parts).filter_map(|part| match part {
        PromptPart::Text(text) => Some(Text { text }),
        _ => None,
    });
    let parts: Vec<_> = texts.collect();
    (!parts.is_empty()).then_some(Instruction { parts })
}

fn tools<'a>(request: &'a Request, model: Model<'_>) -> Result<Vec<Functions<'a>>, Unsayable> {
    // Not allowed is as good as not there; and it leaves room for a schema.
    let asked = if request.tool_choice == Some(ToolChoice::None) { &[] } else { request.tools.as_slice() };
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    if request.output.is_some() && !model.is_third_generation() {
        let reason = "this model cannot have tools while its answer must have a given shape";
        return Err(Unsayable(reason.to_owned()));
    }
    if let Some(tool) = asked.iter().find(|tool| !begins_well(&tool.name)) {
        let reason = format!("the name of the tool {:?} must begin with a letter for this model", tool.name);
        return Err(Unsayable(reason));
    }
    Ok(vec![Functions { function_declarations: asked.iter().map(Function::from).collect() }])
}

impl<'a> From<&'a Tool> for Function<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self { name: &tool.name, description: &tool.description, parameters_json_schema: &tool.parameters }
    }
}

impl<'a> From<&'a ToolChoice> for FunctionCalling<'a> {
    fn from(choice: &'a ToolChoice) -> Self {
        match choice {
            ToolChoice::None => Self { mode: "NONE", allowed_function_names: None },
            ToolChoice::Any => Self { mode: "ANY", allowed_function_names: None },
            ToolChoice::Tool(name) => Self { mode: "ANY", allowed_function_names: Some([name]) },
        }
    }
}
