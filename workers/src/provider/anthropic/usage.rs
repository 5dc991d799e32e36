//! Token counts of Messages: they do not overlap, but for the reasoning among the output.

use domain::conversation::Usage;
use serde_json::{Map, Value};

use crate::provider::answer::{raw_usage, tokens};

/// The most fields that are kept; a dozen are usual.
const MAX_FIELDS: usize = 64;

/// The counts so far. The stream begins with a snapshot; what follows is cumulative and more exact.
#[derive(Debug, Default)]
pub(super) struct Counts {
    fields: Map<String, Value>,
    /// Whether what is known of the output is from the snapshot.
    is_begun: bool,
}

impl Counts {
    /// Takes in the snapshot. Of the output it knows the first token or two, which are not what a long answer costs, should
    /// nothing follow.
    pub(super) fn begin(&mut self, usage: Value) {
        self.take(usage);
        self.is_begun = true;
    }

    /// Takes in a `usage` object, unless it is longer than any that is one.
    pub(super) fn take(&mut self, usage: Value) {
        let is_short = raw_usage(&usage).is_some();
        let Value::Object(fields) = usage else { return };
        if !is_short {
            return;
        }
        let is_counted = fields.get("output_tokens").and_then(Value::as_u64).is_some_and(|output| output > 0);
        self.is_begun &= !is_counted;
        for (key, value) in fields {
            // Servers that know a count at the beginning only say null or nothing of it at the end.
            let says_nothing = value.is_null() || value.as_u64() == Some(0);
            let counts = if self.fields.contains_key(&key) { !says_nothing } else { self.fields.len() < MAX_FIELDS };
            if counts {
                self.fields.insert(key, value);
            }
        }
    }

    /// The same without overlaps.
    pub(super) fn usage(&self) -> Usage {
        let count = |key: &str| self.fields.get(key).and_then(tokens);
        let detail = |key: &str, of: &str| tokens(self.fields.get(key)?.get(of)?);
        let reasoning = detail("output_tokens_details", "thinking_tokens");
        let written = count("cache_creation_input_tokens").or_else(|| {
            let short = detail("cache_creation", "ephemeral_5m_input_tokens");
            let long = detail("cache_creation", "ephemeral_1h_input_tokens");
            Some(short?.saturating_add(long.unwrap_or(0)))
        });
        Usage {
            input: count("input_tokens"),
            cached_input: count("cache_read_input_tokens"),
            cache_write: written,
            output: count("output_tokens")
                .filter(|_| !self.is_begun)
                .map(|output| output.saturating_sub(reasoning.unwrap_or(0))),
            reasoning,
            raw: raw_usage(&self.fields),
        }
    }
}
