//! The messages of a prompt.

use std::borrow::Cow;

use domain::ModelRef;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::super::details::DETAILS;
use super::super::quirks::Quirks;
use super::Typed;
use crate::provider::media;
use crate::provider::request::{Media, Request};
use crate::provider::turns::{Block, Calls, Turn, Turns};
use crate::provider::wire::Unsayable;

/// The longest id of a call that `OpenAI` takes.
const MAX_ID_BYTES: usize = 40;
/// How long an id is that Mistral takes.
const SHORT_ID: usize = 9;
/// What the model says between a tool and a person where somebody has to.
const BETWEEN: &str = "(The tools have answered.)";

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub(super) enum Message<'a> {
    System {
        content: String,
    },
    User {
        content: Content<'a>,
    },
    Assistant {
        /// `null` where the model said nothing beside its calls.
        content: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reasoning_content: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reasoning: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        reasoning_details: Vec<&'a RawValue>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call<'a>>,
        /// Whether it is the beginning of the answer that is asked for.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        prefix: bool,
    },
    Tool {
        tool_call_id: String,
        content: Cow<'a, str>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(String),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: Url },
    File { file: File<'a> },
}

#[derive(Serialize)]
pub(super) struct Url {
    url: String,
}

#[derive(Serialize)]
pub(super) struct File<'a> {
    filename: &'a str,
    file_data: String,
}

#[derive(Serialize)]
pub(super) struct Call<'a> {
    id: String,
    #[serde(flatten)]
    call: Typed<Called<'a>>,
}

#[derive(Serialize)]
struct Called<'a> {
    name: Cow<'a, str>,
    arguments: String,
}

impl Message<'_> {
    pub(super) fn system(content: String) -> Self {
        Self::System { content }
    }

    fn between() -> Self {
        Self::Assistant {
            content: Some(BETWEEN.to_owned()),
            reasoning_content: None,
            reasoning: None,
            reasoning_details: Vec::new(),
            tool_calls: Vec::new(),
            prefix: false,
        }
    }
}

/// The messages of a prompt, for the provider called `provider`.
pub(super) fn of<'a>(request: &'a Request, provider: &str, quirks: Quirks) -> Result<Vec<Message<'a>>, Unsayable> {
    let own = |model: &ModelRef| model.provider() == provider && model.model() == request.model;
    let Turns { system, turns } = Turns::of(request, Calls::AsBlocks, own)?;
    let mut messages = Vec::with_capacity(turns.len() + 1);
    if !system.is_empty() {
        messages.push(Message::system(system.join("\n\n")));
    }
    let last = turns.len().saturating_sub(1);
    for (position, turn) in turns.into_iter().enumerate() {
        if turn.is_model {
            messages.push(said(turn, quirks));
        } else {
            asked(turn, position == last, quirks, &mut messages)?;
        }
    }
    // Calls are answered, so that this is text.
    if let Some(Message::Assistant { prefix, .. }) = messages.last_mut() {
        *prefix = quirks.prefix;
    }
    Ok(messages)
}

/// What the model said.
fn said(turn: Turn<'_>, quirks: Quirks) -> Message<'_> {
    let (mut texts, mut tool_calls) = (Vec::new(), Vec::new());
    let (mut reasoning_content, mut reasoning) = (None::<String>, None::<String>);
    let mut reasoning_details = Vec::new();
    for block in turn.blocks {
        match block {
            Block::Text(text) => texts.push(text),
            Block::Call { id, name, arguments } => {
                let function = Called { name, arguments: arguments.get().to_owned() };
                let call = Typed { r#type: "function", function };
                tool_calls.push(Call { id: call_id(id, quirks), call });
            }
            // The signature is the field that it came in, or all that was said of it.
            Block::Thought { text, signature } if quirks.replays_reasoning => match signature {
                "reasoning_content" => reasoning_content.get_or_insert_default().push_str(text),
                "reasoning" => reasoning.get_or_insert_default().push_str(text),
                _ => reasoning_details.extend(details(signature)),
            },
            Block::Thought { .. } | Block::Result { .. } | Block::Media(_) => {}
        }
    }
    let content = (!texts.is_empty() || tool_calls.is_empty()).then(|| texts.join("\n\n"));
    Message::Assistant { content, reasoning_content, reasoning, reasoning_details, tool_calls, prefix: false }
}

/// The details that a signature is; none when it is something else.
fn details(signature: &str) -> Vec<&RawValue> {
    signature.strip_prefix(DETAILS).and_then(|details| serde_json::from_str(details).ok()).unwrap_or_default()
}

/// What people said, after what tools gave.
fn asked<'a>(turn: Turn<'a>, is_last: bool, quirks: Quirks, messages: &mut Vec<Message<'a>>) -> Result<(), Unsayable> {
    let mut parts = Vec::new();
    for block in turn.blocks {
        match block {
            Block::Result { id, content, is_error } => {
                let content = if is_error { format!("Error: {content}").into() } else { content.into() };
                messages.push(Message::Tool { tool_call_id: call_id(id, quirks), content });
            }
            Block::Text(text) => parts.push(Part::Text { text }),
            Block::Media(media) => parts.push(shown(media, is_last)?),
            Block::Thought { .. } | Block::Call { .. } => {}
        }
    }
    if !parts.is_empty() {
        if quirks.speaks_after_tools && matches!(messages.last(), Some(Message::Tool { .. })) {
            messages.push(Message::between());
        }
        messages.push(Message::User { content: content(parts) });
    }
    Ok(())
}

/// Text alone goes as text: not every server knows parts.
fn content(parts: Vec<Part<'_>>) -> Content<'_> {
    let texts: Option<Vec<_>> = parts
        .iter()
        .map(|part| match part {
            Part::Text { text } => Some(text.as_ref()),
            Part::ImageUrl { .. } | Part::File { .. } => None,
        })
        .collect();
    match texts {
        Some(texts) => Content::Text(texts.join("\n\n")),
        None => Content::Parts(parts),
    }
}

fn shown(media: &Media, is_last: bool) -> Result<Part<'_>, Unsayable> {
    if media::is_image(media) {
        return Ok(Part::ImageUrl { image_url: Url { url: media::data_url(media) } });
    }
    if media.media_type == "application/pdf" {
        let filename = media.name.as_deref().unwrap_or("file.pdf");
        return Ok(Part::File { file: File { filename, file_data: media::data_url(media) } });
    }
    Ok(Part::Text { text: media::as_text(media, is_last)?.into() })
}

/// The id itself where the server takes it, else one made from it.
fn call_id(id: String, quirks: Quirks) -> String {
    let hash = || Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).simple().to_string();
    match quirks.short_call_ids {
        true if id.len() == SHORT_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => id,
        true => hash()[..SHORT_ID].to_owned(),
        false if id.len() > MAX_ID_BYTES => hash(),
        false => id,
    }
}
