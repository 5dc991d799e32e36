//! The items of a request's `input`: a prompt as this protocol tells it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::OpenAiResponses;
use super::call_ids::CallIds;
use crate::provider::request::{Media, PromptMessage, PromptPart, Reasoning, Request, Role, ToolCall};
use crate::provider::wire::Unsayable;

/// The longest name of a function.
const MAX_NAME_BYTES: usize = 64;

/// An item.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'a> {
    Message {
        role: &'static str,
        content: Vec<Content<'a>>,
    },
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        summary: Vec<Content<'a>>,
        encrypted_content: String,
    },
    FunctionCall {
        call_id: String,
        name: String,
        arguments: &'a str,
    },
    FunctionCallOutput {
        call_id: String,
        output: String,
    },
}

/// What a message is made of.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    InputText { text: String },
    OutputText { text: &'a str },
    SummaryText { text: &'a str },
    InputImage { image_url: String, detail: &'static str },
    InputFile { filename: String, file_data: String },
}

/// What a thought is known by again: the signature of a [`Reasoning`] part, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Thought {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) encrypted_content: String,
}

/// Everything but the system messages, which are the instructions.
pub(super) fn items<'a>(wire: &OpenAiResponses, request: &'a Request) -> Result<Vec<Item<'a>>, Unsayable> {
    let mut writer = Writer { wire, model: &request.model, ids: CallIds::default(), items: Vec::new() };
    for message in &request.messages {
        match message.role {
            Role::System => {}
            Role::User => writer.user(message)?,
            Role::Assistant => writer.assistant(message),
        }
    }
    Ok(writer.items)
}

struct Writer<'w, 'a> {
    wire: &'w OpenAiResponses,
    model: &'w str,
    ids: CallIds<'a>,
    items: Vec<Item<'a>>,
}

impl<'a> Writer<'_, 'a> {
    fn user(&mut self, message: &'a PromptMessage) -> Result<(), Unsayable> {
        let mut content = Vec::new();
        for part in &message.parts {
            match part {
                PromptPart::Text(text) => content.push(Content::InputText { text: text.clone() }),
                PromptPart::Media(media) => content.push(media_content(media)?),
                PromptPart::ToolResult(result) => {
                    self.say("user", &mut content);
                    // There is no field for it.
                    let failed = if result.is_error { "Error: " } else { "" };
                    let output = format!("{failed}{}", result.content);
                    let call_id = self.ids.result(&result.id);
                    self.items.push(Item::FunctionCallOutput { call_id, output });
                }
                PromptPart::Reasoning(_) | PromptPart::ToolCall(_) => {}
            }
        }
        self.say("user", &mut content);
        Ok(())
    }

    fn assistant(&mut self, message: &'a PromptMessage) {
        let says = |part: &PromptPart| matches!(part, PromptPart::Text(_) | PromptPart::ToolCall(_));
        // A thought that nothing follows, as of an answer that broke off, makes the provider refuse the request.
        let last = message.parts.iter().rposition(says).map_or(0, |last| last + 1);
        let mut content = Vec::new();
        for part in &message.parts[..last] {
            match part {
                PromptPart::Text(text) => content.push(Content::OutputText { text }),
                PromptPart::Reasoning(reasoning) => {
                    if let Some(thought) = self.thought(reasoning) {
                        self.say("assistant", &mut content);
                        self.items.push(thought);
                    }
                }
                PromptPart::ToolCall(call) => {
                    self.say("assistant", &mut content);
                    self.call(call);
                }
                // No model of this protocol answers in pictures that it would take back.
                PromptPart::Media(_) | PromptPart::ToolResult(_) => {}
            }
        }
        self.say("assistant", &mut content);
    }

    fn say(&mut self, role: &'static str, content: &mut Vec<Content<'a>>) {
        if !content.is_empty() {
            self.items.push(Item::Message { role, content: std::mem::take(content) });
        }
    }

    fn thought(&self, reasoning: &'a Reasoning) -> Option<Item<'a>> {
        if !self.wire.is_own(&reasoning.model, self.model) {
            return None;
        }
        let thought: Thought = serde_json::from_str(reasoning.signature.as_deref()?).ok()?;
        let summary = Some(Content::SummaryText { text: &reasoning.text }).filter(|_| !reasoning.text.is_empty());
        Some(Item::Reasoning {
            id: thought.id,
            summary: summary.into_iter().collect(),
            encrypted_content: thought.encrypted_content,
        })
    }

    fn call(&mut self, call: &'a ToolCall) {
        let call_id = self.ids.call(&call.id);
        let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        self.items.push(Item::FunctionCall { call_id, name: function_name(&call.name), arguments });
    }
}

/// Models call tools that do not exist, by names that no tool may have; such a call must not spoil the conversation.
pub(super) fn function_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let name: String = name.chars().take(MAX_NAME_BYTES).map(plain).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

fn media_content<'a>(media: &Media) -> Result<Content<'a>, Unsayable> {
    let data = || format!("data:{};base64,{}", media.media_type, STANDARD.encode(&media.bytes));
    match media.media_type.as_str() {
        "image/png" | "image/jpeg" | "image/webp" | "image/gif" => {
            Ok(Content::InputImage { image_url: data(), detail: "auto" })
        }
        "application/pdf" => {
            let filename = media.name.clone().unwrap_or_else(|| "file.pdf".to_owned());
            Ok(Content::InputFile { filename, file_data: data() })
        }
        other => match as_text(media) {
            Some(text) => Ok(Content::InputText { text }),
            None => Err(Unsayable(format!("this model cannot be shown a file of the type {other}"))),
        },
    }
}

/// A file of text in the prompt's own words, under its name.
fn as_text(media: &Media) -> Option<String> {
    let kind = media.media_type.split(';').next().unwrap_or_default().trim();
    if !kind.starts_with("text/") && !matches!(kind, "application/json" | "application/xml" | "application/yaml") {
        return None;
    }
    let text = std::str::from_utf8(&media.bytes).ok()?;
    Some(match &media.name {
        Some(name) => format!("{name}:\n\n{text}"),
        None => text.to_owned(),
    })
}
