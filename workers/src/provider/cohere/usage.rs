//! Token counts that do not overlap, and that are those on the bill.

use domain::conversation::Usage;
use serde_json::Value;

use crate::provider::answer::{raw_usage, rounded_tokens};

/// Reads a `usage` object. What is billed is less than what the model read: Cohere's own instructions cost nothing.
pub(super) fn read(usage: &Value) -> Option<Usage> {
    let count = |path: &str| usage.pointer(path).and_then(rounded_tokens);
    let input = count("/billed_units/input_tokens").or_else(|| count("/tokens/input_tokens"));
    let output = count("/billed_units/output_tokens").or_else(|| count("/tokens/output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    // Counted among all that was read, so at most what was billed of it.
    let cached = count("/cached_tokens").map(|cached| cached.min(input.unwrap_or(0)));
    Some(Usage {
        input: input.map(|input| input - cached.unwrap_or(0)),
        cached_input: cached,
        output,
        raw: raw_usage(usage),
        ..Usage::default()
    })
}
