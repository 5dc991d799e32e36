//! Token counts that do not overlap, out of counts that do.

use domain::conversation::Usage;
use serde_json::Value;

use crate::provider::answer::{raw_usage, rounded_tokens};

/// Reads a `usage` object; `None` when it says nothing, as in `{}` or before the last frame.
///
/// `prompt_tokens` includes the cached ones and `completion_tokens` the reasoning ones, except where a server counts
/// otherwise (xAI: 1 completion token beside 290 of reasoning). Those are told apart by the sum.
pub(super) fn read(usage: &Value) -> Option<Usage> {
    let count = |path: &str| usage.pointer(path).and_then(rounded_tokens);
    let prompt = count("/prompt_tokens");
    let completion = count("/completion_tokens");
    let total = count("/total_tokens");
    let cached = count("/prompt_tokens_details/cached_tokens")
        // DeepSeek; Moonshot.
        .or_else(|| count("/prompt_cache_hit_tokens"))
        .or_else(|| count("/cached_tokens"));
    // OpenRouter. None was written where it says 0.
    let cache_write = count("/prompt_tokens_details/cache_write_tokens").filter(|written| *written > 0);
    let reasoning = count("/completion_tokens_details/reasoning_tokens").or_else(|| count("/reasoning_tokens"));
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    // More than the whole: this server counts that part apart.
    let without = |whole: u64, part: Option<u64>| part.and_then(|part| whole.checked_sub(part)).unwrap_or(whole);
    let written = |completion: u64| match reasoning {
        Some(reasoning) if !apart(prompt, completion, reasoning, total) => completion - reasoning,
        _ => completion,
    };
    Some(Usage {
        input: prompt.map(|prompt| without(without(prompt, cached), cache_write)),
        cached_input: cached,
        cache_write,
        output: completion.map(written),
        reasoning,
        raw: raw_usage(usage),
    })
}

/// Whether the reasoning tokens are counted beside the completion's instead of among them.
fn apart(prompt: Option<u64>, completion: u64, reasoning: u64, total: Option<u64>) -> bool {
    let sum = prompt.unwrap_or(0).saturating_add(completion).saturating_add(reasoning);
    reasoning > completion || (prompt.is_some() && total.is_some_and(|total| total >= sum))
}
