//! What a message is made of, and what an answer came to.

use serde::{Deserialize, Serialize};

use crate::ModelRef;

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text, in Markdown.
    Text {
        /// The text.
        text: String,
    },
    /// What the model thought on the way to what follows.
    Reasoning {
        /// The thought, or its summary; empty where the provider hides it.
        text: String,
        /// What its provider wants back with it; nobody else can read it.
        #[serde(default)]
        signature: Option<String>,
        /// The model that thought it: shown again to no other.
        #[ts(type = "string")]
        model: ModelRef,
    },
    /// A call of a tool, made by the model.
    ToolCall {
        /// Unique within its message.
        id: String,
        /// The tool.
        name: String,
        /// A JSON object, as text. The model wrote it: it need not parse.
        arguments: String,
        /// What its provider wants back with it.
        #[serde(default)]
        signature: Option<String>,
    },
    /// What a call of a tool gave.
    ToolResult {
        /// The call.
        id: String,
        /// The tool.
        name: String,
        /// What it gave, as text.
        content: String,
        /// Whether the call failed.
        #[serde(default)]
        is_error: bool,
    },
}

impl Part {
    /// The piece's size in bytes, as counted against a message's limit.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text { text } => text.len(),
            Self::Reasoning { text, signature, .. } => text.len() + signature.as_ref().map_or(0, String::len),
            Self::ToolCall { id, name, arguments, signature } => {
                id.len() + name.len() + arguments.len() + signature.as_ref().map_or(0, String::len)
            }
            Self::ToolResult { id, name, content, .. } => id.len() + name.len() + content.len(),
        }
    }

    /// What is said for people; none when the piece is something else.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(text),
            Self::Reasoning { .. } | Self::ToolCall { .. } | Self::ToolResult { .. } => None,
        }
    }

    /// The same, each of its texts put through `change`.
    #[must_use]
    pub(super) fn map(&self, change: impl Fn(&str) -> String) -> Self {
        let maybe = |text: &Option<String>| text.as_deref().map(&change);
        match self {
            Self::Text { text } => Self::Text { text: change(text) },
            Self::Reasoning { text, signature, model } => {
                Self::Reasoning { text: change(text), signature: maybe(signature), model: model.clone() }
            }
            Self::ToolCall { id, name, arguments, signature } => Self::ToolCall {
                id: change(id),
                name: change(name),
                arguments: change(arguments),
                signature: maybe(signature),
            },
            Self::ToolResult { id, name, content, is_error } => {
                Self::ToolResult { id: change(id), name: change(name), content: change(content), is_error: *is_error }
            }
        }
    }
}

/// Why a model stopped by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It had said all.
    Stop,
    /// It reached its output limit.
    Length,
    /// It waits for what its tool calls give.
    ToolCalls,
    /// The provider withheld the rest.
    ContentFilter,
    /// A reason that we do not know.
    Other,
}

/// Tokens of one attempt. The counts do not overlap; none means that the provider said nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
pub struct Usage {
    /// Input tokens read anew, and not written to the provider's cache.
    #[ts(type = "number | null")]
    pub input: Option<u64>,
    /// Input tokens read from the provider's cache.
    #[ts(type = "number | null")]
    pub cached_input: Option<u64>,
    /// Input tokens read anew and written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub cache_write: Option<u64>,
    /// Output tokens without the reasoning ones.
    #[ts(type = "number | null")]
    pub output: Option<u64>,
    /// Output tokens spent on reasoning.
    #[ts(type = "number | null")]
    pub reasoning: Option<u64>,
    /// The provider's own words for it, as it sent them: JSON, of at most [`MAX_RAW_USAGE_BYTES`]. Kept so that a bill
    /// can be checked, and counts read anew should we have read them wrongly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "string")]
    pub raw: Option<String>,
}

impl Usage {
    /// All tokens together; what is not told counts as none.
    pub fn tokens(&self) -> u64 {
        let Self { input, cached_input, cache_write, output, reasoning, raw: _ } = self;
        let counts = [input, cached_input, cache_write, output, reasoning];
        counts.into_iter().flatten().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether anything was counted.
    pub fn is_counted(&self) -> bool {
        let Self { input, cached_input, cache_write, output, reasoning, raw: _ } = self;
        [input, cached_input, cache_write, output, reasoning].into_iter().any(Option::is_some)
    }
}

/// The most bytes of a provider's own words for what an answer cost; longer ones are left out.
pub const MAX_RAW_USAGE_BYTES: usize = 4 * 1024;
