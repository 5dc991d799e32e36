//! Token counts that do not overlap, and that are those on the bill.

use domain::conversation::Usage;
use serde_json::Value;

use crate::provider::answer::raw_usage;

/// Reads a `usage` object. What is billed is less than what the model read: Cohere's own instructions cost nothing.
pub(super) fn read(usage: &Value) -> Option<Usage> {
    let count = |path: &str| usage.pointer(path).and_then(number);
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

/// Counts arrive as floats. The bound keeps sums from overflowing.
fn number(value: &Value) -> Option<u64> {
    const MAX: f64 = 1e15;
    let number = value.as_f64().filter(|number| (0.0..=MAX).contains(number))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against its range above")]
    Some(number as u64)
}
