//! What differs from model to model behind Converse, as data.

use serde::Deserialize;

use crate::provider::anthropic::quirks::{Quirks as Model, Structured, Thinking};

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::provider) struct Quirks {
    /// What it takes wherever it is hosted.
    pub(in crate::provider) model: Model,
    /// Whether it is a Claude: takes Anthropic's own fields, and a limit where a request has none.
    pub(in crate::provider) is_claude: bool,
    /// Where a prompt may be kept in a cache.
    pub(in crate::provider) cache: CachePoints,
}

/// Where a prompt may be kept in a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider) enum CachePoints {
    /// Nowhere: a request with a cache point is refused.
    Never,
    /// Behind the instructions and behind messages.
    Messages,
    /// Behind the tools, too.
    All,
}

impl Default for Quirks {
    /// Of a model that nobody knows.
    fn default() -> Self {
        let model =
            Model { thinking: Thinking::Never, structured: Structured::Native, prefill: false, ..Model::default() };
        Self { model, is_claude: false, cache: CachePoints::Never }
    }
}

impl Quirks {
    /// What is known of a model by its id or ARN.
    pub(in crate::provider) fn of(model: &str) -> Self {
        if model.contains("anthropic.claude") {
            return Self { model: Model::of(model), is_claude: true, cache: CachePoints::All };
        }
        let cache = if model.contains("amazon.nova") { CachePoints::Messages } else { CachePoints::Never };
        Self { cache, ..Self::default() }
    }
}
