//! Which models a provider has: how each protocol asks for the list, and what the answer says. Pure: no sockets, no clock.
//!
//! Sources: `https://platform.openai.com/docs/api-reference/models/list` and what compatible servers add to it,
//! `https://platform.claude.com/docs/en/api/models/list`, `https://ai.google.dev/api/models#method:-models.list`,
//! `https://docs.cohere.com/reference/list-models`, `https://docs.ollama.com/api/tags`. Where a list says that a model does not
//! chat, it is left out; most do not say.

mod document;
#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::ModelRef;
use reqwest::header::{HeaderName, HeaderValue};

use super::anthropic;
use super::refusal::Refusal;
use document::{Document, Entry};

/// The most models of a provider that are taken; further ones are passed over.
pub const MAX_MODELS: usize = 2_000;
/// How long a list may take, all its pages together: someone waits for it.
pub const LIST_DEADLINE: Duration = Duration::from_secs(10);
/// How many models a page is asked for: as many as any of them gives.
const PAGE_SIZE: &str = "1000";
/// The longest mark of a further page that is sent back, in bytes.
const MAX_MARK_BYTES: usize = 2_048;

/// A model that a provider has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name, as the provider knows it.
    pub id: String,
    /// How many tokens it can read and write in one call, or read where the provider tells no more.
    pub context_window: Option<u64>,
}

/// How a protocol lists models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// `GET …/models`, all at once.
    OpenAi,
    /// `GET …/models`, by pages.
    Anthropic,
    /// `GET …/models`, by pages, of what can be done with Google's models.
    Gemini,
    /// `GET …/v1/models`, by pages, though chats have their address under `/v2`.
    Cohere,
    /// `GET …/api/tags`, all at once.
    Ollama,
}

/// A page as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// What is appended to the base URL's path.
    pub(super) path: &'static str,
    /// What gives way to it at that path's end, if it is there.
    pub(super) instead_of: &'static str,
    /// What is appended to its query.
    pub(super) query: Vec<(&'static str, String)>,
    /// Headers beside the credential.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) models: Vec<Model>,
    /// The mark of the page after it, if there is one.
    pub(super) next: Option<String>,
}

impl Listing {
    /// The first page, or the one with the mark `next`.
    pub(super) fn ask(self, next: Option<&str>) -> Asked {
        let paged = |size: &'static str, mark: &'static str| {
            let next = next.map(|next| (mark, next.to_owned()));
            [(size, PAGE_SIZE.to_owned())].into_iter().chain(next).collect::<Vec<_>>()
        };
        let (path, instead_of, query, headers) = match self {
            Self::OpenAi => ("/models", "", Vec::new(), Vec::new()),
            Self::Anthropic => ("/models", "", paged("limit", "after_id"), vec![anthropic::VERSION]),
            Self::Gemini => ("/models", "", paged("pageSize", "pageToken"), Vec::new()),
            Self::Cohere => {
                let mut query = paged("page_size", "page_token");
                query.push(("endpoint", "chat".to_owned()));
                ("/v1/models", "/v2", query, Vec::new())
            }
            Self::Ollama => ("/api/tags", "", Vec::new(), Vec::new()),
        };
        Asked { path, instead_of, query, headers }
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// When it is an error of the provider, or no list.
    pub(super) fn read(self, body: &[u8]) -> Result<Page, Refusal> {
        let Document { entries, has_more, last_id, next } = Document::read(body)?;
        let models = entries.into_iter().filter_map(|entry| self.model(entry)).collect();
        let next = match self {
            Self::OpenAi | Self::Ollama => None,
            Self::Anthropic => last_id.filter(|_| has_more),
            Self::Gemini | Self::Cohere => next,
        };
        Ok(Page { models, next: next.filter(|mark| (1..=MAX_MARK_BYTES).contains(&mark.len())) })
    }

    /// None when it does not chat, or has no usable name.
    fn model(self, entry: Entry) -> Option<Model> {
        let chats = match self {
            Self::OpenAi | Self::Anthropic => !entry.is_for_something_else(),
            Self::Gemini => entry.has_method("generateContent"),
            // Only those were asked for, or nothing is said of it.
            Self::Cohere | Self::Ollama => true,
        };
        let context_window = entry.context_window();
        let id = match self {
            Self::OpenAi | Self::Anthropic => entry.id.0,
            Self::Gemini => entry.name.0.map(|name| name.strip_prefix("models/").unwrap_or(&name).to_owned()),
            Self::Cohere | Self::Ollama => entry.name.0,
        };
        let is_name =
            |id: &String| !id.is_empty() && id.len() < ModelRef::MAX_BYTES && !id.chars().any(char::is_control);
        Some(Model { id: id.filter(is_name)?, context_window }).filter(|_| chats)
    }
}
