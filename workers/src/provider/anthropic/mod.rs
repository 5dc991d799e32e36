//! Messages, Anthropic's protocol, which others speak too.
//!
//! Source: `https://platform.claude.com/docs/en/api/messages`. The address is what `/messages` follows, as in
//! `https://api.anthropic.com/v1`; the key goes into `x-api-key`.

pub(super) mod quirks;
mod read;
pub(super) mod schema;
pub(super) mod thinking;
pub(super) mod tools;
mod usage;
mod write;

use std::collections::BTreeMap;

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::models::Listing;
use super::refusal::Refusal;
use super::request::Request;
use super::wire::{Framing, Read, Unsayable, Wire, Written};
use quirks::Quirks;
use read::Reader;
use write::Body;

pub(super) const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
/// Lets a request say what becomes of thoughts that stand behind something else than they did.
pub(super) const BOUND_THOUGHTS: &str = "thinking-binding-controls-2026-08-01";
/// A server that speaks Messages.
#[derive(Debug)]
pub(super) struct Messages {
    provider: String,
    models: BTreeMap<String, Quirks>,
}

impl Messages {
    /// The protocol as the provider called `provider` speaks it. Models that are not among `models` are known by their names.
    pub(super) fn new(provider: String, models: BTreeMap<String, Quirks>) -> Self {
        Self { provider, models }
    }
}

impl Wire for Messages {
    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn write(&self, request: &Request) -> Result<Written, Unsayable> {
        let quirks = self.models.get(&request.model).copied().unwrap_or_else(|| Quirks::of(&request.model));
        let body = Body::of(request, &self.provider, &quirks)?;
        let body =
            serde_json::to_vec(&body).map_err(|_| Unsayable("the prompt cannot be written as JSON".to_owned()))?;
        let mut headers = vec![VERSION];
        if quirks.bound_thoughts {
            headers.push((HeaderName::from_static("anthropic-beta"), HeaderValue::from_static(BOUND_THOUGHTS)));
        }
        Ok(Written { path: "/messages".to_owned(), query: None, headers, body })
    }

    fn reader(&self) -> Box<dyn Read> {
        Box::new(Reader::default())
    }

    fn refusal(&self, body: &Value) -> Refusal {
        read::refusal(body)
    }

    fn listing(&self) -> Option<Listing> {
        Some(Listing::Anthropic)
    }
}

#[cfg(test)]
mod tests;
