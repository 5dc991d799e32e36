//! The items of a request's `input`: a prompt as this protocol tells it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::provider::media;
use crate::provider::request::Media;
use crate::provider::turns::{Block, Turns};
use crate::provider::wire::Unsayable;

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
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: String,
    },
}

/// What a message is made of.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content<'a> {
    InputText { text: Cow<'a, str> },
    OutputText { text: &'a str },
    SummaryText { text: &'a str },
    InputImage { image_url: String, detail: &'static str },
    InputFile { filename: String, file_data: String },
}

/// What a thought is known by again: the signature of a [`Reasoning`](crate::provider::request::Reasoning) part, as
/// JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Thought {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) encrypted_content: String,
}

/// The turns of a prompt, one item after the other.
///
/// # Errors
/// When a file in it cannot be shown.
pub(super) fn items<'a>(turns: &'a Turns<'_>) -> Result<Vec<Item<'a>>, Unsayable> {
    let mut items = Vec::new();
    let last = turns.turns.len().saturating_sub(1);
    for (position, turn) in turns.turns.iter().enumerate() {
        let role = if turn.is_model { "assistant" } else { "user" };
        for block in &turn.blocks {
            match block {
                Block::Text(text) if turn.is_model => say(&mut items, role, Content::OutputText { text }),
                Block::Text(text) => say(&mut items, role, Content::InputText { text: text.clone() }),
                Block::Media(file) => say(&mut items, role, media_content(file, position == last)?),
                Block::Thought { text, signature } => items.extend(thought(text, signature)),
                Block::Call { id, name, arguments } => {
                    items.push(Item::FunctionCall { call_id: id, name, arguments: arguments.get() });
                }
                Block::Result { id, content, is_error } => {
                    // There is no field for it.
                    let failed = if *is_error { "Error: " } else { "" };
                    items.push(Item::FunctionCallOutput { call_id: id, output: format!("{failed}{content}") });
                }
            }
        }
    }
    Ok(items)
}

/// Adds to what is being said, or begins to say it.
fn say<'a>(items: &mut Vec<Item<'a>>, speaker: &'static str, part: Content<'a>) {
    match items.last_mut() {
        Some(Item::Message { role, content }) if *role == speaker => content.push(part),
        _ => items.push(Item::Message { role: speaker, content: vec![part] }),
    }
}

fn thought<'a>(text: &'a str, signature: &str) -> Option<Item<'a>> {
    let Thought { id, encrypted_content } = serde_json::from_str(signature).ok()?;
    let summary = Some(Content::SummaryText { text }).filter(|_| !text.is_empty());
    Some(Item::Reasoning { id, summary: summary.into_iter().collect(), encrypted_content })
}

fn media_content<'a>(file: &Media, is_last: bool) -> Result<Content<'a>, Unsayable> {
    if media::is_image(file) {
        return Ok(Content::InputImage { image_url: media::data_url(file), detail: "auto" });
    }
    if file.media_type == "application/pdf" {
        let filename = file.name.clone().unwrap_or_else(|| "file.pdf".to_owned());
        return Ok(Content::InputFile { filename, file_data: media::data_url(file) });
    }
    Ok(Content::InputText { text: media::as_text(file, is_last)?.into() })
}
