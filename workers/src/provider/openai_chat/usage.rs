//! Token counts that do not overlap, out of counts that do.

use domain::conversation::Usage;
use serde_json::Value;

/// Reads a `usage` object; `None` when it says nothing, as in `{}` or before the last frame.
///
/// `prompt_tokens` includes the cached ones and `completion_tokens` the reasoning ones, except where a server counts
/// otherwise (xAI: 1 completion token beside 290 of reasoning). Those are told apart by the sum.
pub(super) fn read(usage: &Value) -> Option<Usage> {
    let count = |path: &str| usage.pointer(path).and_then(number);
    let prompt = count("/prompt_tokens");
    let completion = count("/completion_tokens");
    let total = count("/total_tokens");
    let cached = count("/prompt_tokens_details/cached_tokens")
        // DeepSeek; Moonshot.
        .or_else(|| count("/prompt_cache_hit_tokens"))
        .or_else(|| count("/cached_tokens"));
    let reasoning = count("/completion_tokens_details/reasoning_tokens").or_else(|| count("/reasoning_tokens"));
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let read_anew = |prompt: u64| match cached {
        // More than the whole: this server counts the cached ones apart.
        Some(cached) if cached <= prompt => prompt - cached,
        _ => prompt,
    };
    let written = |completion: u64| match reasoning {
        Some(reasoning) if !apart(prompt, completion, reasoning, total) => completion - reasoning,
        _ => completion,
    };
    Some(Usage {
        input: prompt.map(read_anew),
        cached_input: cached,
        output: completion.map(written),
        reasoning,
        ..Usage::default()
    })
}

/// Whether the reasoning tokens are counted beside the completion's instead of among them.
fn apart(prompt: Option<u64>, completion: u64, reasoning: u64, total: Option<u64>) -> bool {
    let sum = prompt.unwrap_or(0).saturating_add(completion).saturating_add(reasoning);
    reasoning > completion || (prompt.is_some() && total.is_some_and(|total| total >= sum))
}

/// Counts arrive as integers, now and then as floats. The bound keeps sums from overflowing.
fn number(value: &Value) -> Option<u64> {
    const MAX: f64 = 1e15;
    let number = value.as_f64().filter(|number| (0.0..=MAX).contains(number))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against its range above")]
    Some(number as u64)
}
