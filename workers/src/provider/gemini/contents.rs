//! The `contents` of a request: a prompt as this protocol tells it.
//!
//! People and the model take turns. What tools gave is a turn of its own, right after the calls: the provider counts both.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Gemini;
use super::model::Model;
use super::signature::Mark;
use crate::provider::media::base64;
use crate::provider::request::{Media, PromptPart, Reasoning, Request, Role, ToolCall};
use crate::provider::turns::{EARLIER, NOT_RUN, left_out};
use crate::provider::wire::Unsayable;

/// What Google documents in place of the signature of a call that another model made
/// (`https://ai.google.dev/gemini-api/docs/thought-signatures#faqs`, and Vertex AI's page of that name).
const FOREIGN_CALL: &str = "skip_thought_signature_validator";
const MAX_NAME_BYTES: usize = 64;

/// A turn.
#[derive(Debug, Serialize)]
pub(super) struct Content<'a> {
    role: &'static str,
    parts: Vec<Part<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(flatten)]
    data: Data<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Data<'a> {
    Text(Cow<'a, str>),
    InlineData(InlineData<'a>),
    FunctionCall(FunctionCall<'a>),
    FunctionResponse(FunctionResponse<'a>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InlineData<'a> {
    mime_type: &'a str,
    data: String,
}

#[derive(Debug, Serialize)]
struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: String,
    args: Args<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Args<'a> {
    Object(&'a RawValue),
    Other(Value),
}

#[derive(Debug, Serialize)]
struct FunctionResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: String,
    response: Response<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Response<'a> {
    Output(&'a str),
    Error(&'a str),
}

/// Everything but the system messages. Whatever a conversation went through, every call has its result right after it.
///
/// # Errors
/// When a file in it cannot be shown.
pub(super) fn contents<'a>(wire: &Gemini, request: &'a Request) -> Result<Vec<Content<'a>>, Unsayable> {
    let mut writer = Writer { wire, model: &request.model, contents: Vec::new(), open: Vec::new() };
    let spoken: Vec<_> = request.messages.iter().filter(|message| message.role != Role::System).collect();
    let turns: Vec<_> = spoken.chunk_by(|one, next| one.role == next.role).collect();
    let last = turns.len().saturating_sub(1);
    for (position, said) in turns.into_iter().enumerate() {
        let parts = || said.iter().flat_map(|message| &message.parts);
        if said[0].role == Role::Assistant {
            parts().for_each(|part| writer.model(part));
            continue;
        }
        writer.results(parts());
        parts().try_for_each(|part| writer.user(part, position == last))?;
    }
    writer.results([].iter());
    Ok(writer.contents)
}

struct Writer<'w, 'a> {
    wire: &'w Gemini,
    model: &'w str,
    contents: Vec<Content<'a>>,
    /// The calls of the last turn.
    open: Vec<&'a ToolCall>,
}

impl<'a> Writer<'_, 'a> {
    fn user(&mut self, part: &'a PromptPart, is_last: bool) -> Result<(), Unsayable> {
        let data = match part {
            PromptPart::Text(text) if text.trim().is_empty() => return Ok(()),
            PromptPart::Text(text) => Data::Text(text.into()),
            PromptPart::Media(media) if media.bytes.is_empty() => Data::Text(left_out(media).into()),
            PromptPart::Media(media) => match inline(media) {
                Ok(shown) => Data::InlineData(shown),
                // What an earlier model could read shall not end the conversation with this one.
                Err(_) if !is_last => Data::Text(left_out(media).into()),
                Err(unsayable) => return Err(unsayable),
            },
            PromptPart::Reasoning(_) | PromptPart::ToolCall(_) | PromptPart::ToolResult(_) => return Ok(()),
        };
        self.turn("user", false).push(data.into());
        Ok(())
    }

    fn model(&mut self, part: &'a PromptPart) {
        match part {
            PromptPart::Text(text) => self.model_turn().push(text.as_str().into()),
            PromptPart::Reasoning(reasoning) => self.reasoning(reasoning),
            PromptPart::ToolCall(call) => self.call(call),
            // What a model drew would have to go back with its signature, and is not kept with one.
            PromptPart::Media(media) => self.model_turn().push(Data::Text(left_out(media).into()).into()),
            PromptPart::ToolResult(_) => {}
        }
    }

    /// What the calls of the last turn gave, in their order; what belongs to none of them is told as text.
    fn results(&mut self, parts: impl Iterator<Item = &'a PromptPart>) {
        let mut results: Vec<_> = parts
            .filter_map(|part| match part {
                PromptPart::ToolResult(result) => Some(result),
                _ => None,
            })
            .collect();
        for call in std::mem::take(&mut self.open) {
            let found = results.iter().position(|result| result.id == call.id).map(|position| results.remove(position));
            let response = match found {
                None => Response::Error(NOT_RUN),
                Some(result) if result.is_error => Response::Error(&result.content),
                Some(result) => Response::Output(&result.content),
            };
            let given = FunctionResponse { id: self.id(&call.id), name: function_name(&call.name), response };
            self.turn("user", true).push(Data::FunctionResponse(given).into());
        }
        for result in results {
            let text = format!("(Result of {}: {})", result.name, result.content);
            self.turn("user", false).push(Data::Text(text.into()).into());
        }
    }

    /// The turn that is being told: the last one, if it is of the same kind.
    fn turn(&mut self, role: &'static str, of_results: bool) -> &mut Vec<Part<'a>> {
        let same = |last: &Content<'_>| {
            let has_results = last.parts.iter().any(|part| matches!(part.data, Data::FunctionResponse(_)));
            last.role == role && has_results == of_results
        };
        if !self.contents.last().is_some_and(same) {
            self.contents.push(Content { role, parts: Vec::new() });
        }
        let last = self.contents.len() - 1;
        &mut self.contents[last].parts
    }

    fn model_turn(&mut self) -> &mut Vec<Part<'a>> {
        if self.contents.is_empty() {
            self.turn("user", false).push(EARLIER.into());
        }
        self.turn("model", false)
    }

    /// Thoughts go back only to who thought them, and only for their signature: without one they are nothing to it.
    fn reasoning(&mut self, reasoning: &'a Reasoning) {
        let own = self.wire.is_own(&reasoning.model, self.model);
        match reasoning.signature.as_deref().filter(|_| own).and_then(Mark::parse) {
            Some(Mark::Thought(signature)) => {
                let data = Data::Text((&reasoning.text).into());
                self.model_turn().push(Part { data, thought: true, thought_signature: Some(signature) });
            }
            Some(Mark::Text { bytes: 0, signature }) => self.model_turn().push(signed("", signature)),
            Some(Mark::Text { bytes, signature }) => {
                if let Some(turn) = self.contents.last_mut().filter(|turn| turn.role == "model") {
                    sign_text(&mut turn.parts, bytes, signature);
                }
            }
            None => {}
        }
    }

    fn call(&mut self, call: &'a ToolCall) {
        let own = call.signature.as_ref().filter(|(model, _)| self.wire.is_own(model, self.model));
        let id = self.id(&call.id);
        self.open.push(call);
        let needs_one = Model::new(self.model).is_third_generation();
        let turn = self.model_turn();
        // Of calls made at once, only the first has a signature.
        let is_first = !turn.iter().any(|part| matches!(part.data, Data::FunctionCall(_)));
        let foreign = Some(FOREIGN_CALL).filter(|_| needs_one && is_first);
        turn.push(Part {
            data: Data::FunctionCall(FunctionCall { id, name: function_name(&call.name), args: args(&call.arguments) }),
            thought: false,
            thought_signature: own.map(|(_, signature)| signature.as_str()).or(foreign),
        });
    }

    fn id(&self, id: &'a str) -> Option<&'a str> {
        Some(id).filter(|_| self.wire.quirks.call_ids)
    }
}

/// Puts a signature on the last `bytes` of the text before it, as the model told them.
fn sign_text<'a>(turn: &mut Vec<Part<'a>>, bytes: usize, signature: &'a str) {
    let Some(Part { data: Data::Text(Cow::Borrowed(text)), thought: false, thought_signature: None }) = turn.last_mut()
    else {
        return;
    };
    let Some((before, last)) = text.len().checked_sub(bytes).and_then(|at| text.split_at_checked(at)) else { return };
    *text = before;
    if before.is_empty() {
        turn.pop();
    }
    turn.push(signed(last, signature));
}

fn signed<'a>(text: &'a str, signature: &'a str) -> Part<'a> {
    Part { data: Data::Text(text.into()), thought: false, thought_signature: Some(signature) }
}

impl<'a> From<Data<'a>> for Part<'a> {
    fn from(data: Data<'a>) -> Self {
        Self { data, thought: false, thought_signature: None }
    }
}

impl<'a> From<&'a str> for Part<'a> {
    fn from(text: &'a str) -> Self {
        Data::Text(text.into()).into()
    }
}

/// Arguments must be an object here, even those that a model of another provider got wrong.
fn args(arguments: &str) -> Args<'_> {
    let arguments = arguments.trim();
    match serde_json::from_str::<&RawValue>(arguments) {
        Ok(object) if arguments.starts_with('{') => Args::Object(object),
        _ if arguments.is_empty() => Args::Other(json!({})),
        _ => Args::Other(json!({ "malformed_arguments": arguments })),
    }
}

/// Models call tools that do not exist, by names that no tool may have; such a call must not spoil the conversation.
fn function_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let mut name: String = name.chars().take(MAX_NAME_BYTES).map(plain).collect();
    if !begins_well(&name) {
        name.truncate(MAX_NAME_BYTES - 1);
        name.insert(0, '_');
    }
    name
}

/// Whether a name begins as a function's must.
pub(super) fn begins_well(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

fn inline(media: &Media) -> Result<InlineData<'_>, Unsayable> {
    let kind = media.media_type.split(';').next().unwrap_or_default().trim();
    let mime_type = match kind {
        "image/png" | "image/jpeg" | "image/webp" | "image/heic" | "image/heif" | "application/pdf" => kind,
        // The one type of text that both servers take.
        "application/json" | "application/xml" | "application/yaml" => "text/plain",
        _ if kind.starts_with("text/") => "text/plain",
        _ if kind.starts_with("audio/") || kind.starts_with("video/") => kind,
        other => return Err(Unsayable(format!("this model does not take files of the type {other}"))),
    };
    Ok(InlineData { mime_type, data: base64(media) })
}
