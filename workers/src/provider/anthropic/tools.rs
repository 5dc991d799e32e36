//! What a model must call, and the tool that stands for an answer with a schema.

use serde_json::Value;

use super::quirks::{Quirks, Structured};
use crate::provider::request::{Request, ToolChoice};
use crate::provider::wire::Unsayable;

/// The tool that stands for an answer with a schema, where the model knows no other way. What it is called with is the
/// answer's text, so no tool of a conversation may have this name.
pub(in crate::provider) const OUTPUT_TOOL: &str = "bestchat_structured_answer";
/// What a model is told of it.
pub(in crate::provider) const OUTPUT_TOOL_DESCRIPTION: &str = "Gives the answer. Call this instead of writing it.";

/// What a model must call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) enum Forced<'a> {
    /// Some tool.
    Any,
    /// The tool of this name.
    Tool(&'a str),
}

impl<'a> Forced<'a> {
    /// What a request forces, if anything.
    ///
    /// # Errors
    /// When it forces what is not there, or the model cannot be forced.
    pub(in crate::provider) fn of(request: &'a Request, quirks: &Quirks) -> Result<Option<Self>, Unsayable> {
        let as_tool = request.output.is_some() && quirks.structured == Structured::Tool;
        let forced = match &request.tool_choice {
            Some(ToolChoice::Tool(name)) if request.tools.iter().any(|tool| tool.name == *name) => {
                Some(Self::Tool(name))
            }
            Some(ToolChoice::Tool(name)) => return Err(Unsayable(format!("there is no tool called {name}"))),
            Some(ToolChoice::Any) if request.tools.is_empty() => {
                return Err(Unsayable("there is no tool to call".to_owned()));
            }
            Some(ToolChoice::Any) => Some(Self::Any),
            // Either way the answer is a call: of a tool, or of the one that stands for the answer.
            None if as_tool && !request.tools.is_empty() => Some(Self::Any),
            _ => as_tool.then_some(Self::Tool(OUTPUT_TOOL)),
        };
        if forced.is_some() && !quirks.forced_tools {
            return Err(Unsayable("this model cannot be made to call a tool".to_owned()));
        }
        Ok(forced)
    }
}

impl Quirks {
    /// The schema of the tool that stands for the answer, where one does.
    ///
    /// # Errors
    /// When no tool can have it.
    pub(in crate::provider) fn output_tool<'a>(&self, request: &'a Request) -> Result<Option<&'a Value>, Unsayable> {
        match &request.output {
            Some(output) if self.structured == Structured::Tool && output.schema["type"] == "object" => {
                Ok(Some(&output.schema))
            }
            Some(_) if self.structured == Structured::Tool => {
                Err(Unsayable("this model gives answers with a schema of type object only".to_owned()))
            }
            _ => Ok(None),
        }
    }
}
