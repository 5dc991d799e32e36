//! Token counts that do not overlap, out of counts that do.

use domain::conversation::Usage;
use serde_json::Value;

use crate::provider::answer::{raw_usage, tokens};

/// Reads the `usage` of a response: its input includes what came from the cache, its output what was thought.
pub(super) fn read(usage: &Value) -> Usage {
    let count = |path: &str| usage.pointer(path).and_then(tokens);
    let cached = count("/input_tokens_details/cached_tokens");
    let reasoning = count("/output_tokens_details/reasoning_tokens");
    let without = |whole: u64, part: Option<u64>| match part {
        // More than the whole: this server counts it apart.
        Some(part) if part <= whole => whole - part,
        _ => whole,
    };
    Usage {
        input: count("/input_tokens").map(|input| without(input, cached)),
        cached_input: cached,
        output: count("/output_tokens").map(|output| without(output, reasoning)),
        reasoning,
        raw: raw_usage(usage),
        ..Usage::default()
    }
}
