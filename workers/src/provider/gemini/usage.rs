//! Token counts that do not overlap, out of counts that do.

use domain::conversation::Usage;
use serde_json::Value;

use crate::provider::answer::raw_usage;

/// Reads `usageMetadata`, which counts from the beginning each time; none when it says nothing.
///
/// The prompt includes what came from the cache and not what built-in tools read; candidates do not include thoughts,
/// except where the sum says that they do.
pub(super) fn read(usage: &Value) -> Option<Usage> {
    let count = |key: &str| usage.get(key).and_then(number);
    let prompt = count("promptTokenCount");
    let cached = count("cachedContentTokenCount");
    let candidates = count("candidatesTokenCount");
    let thoughts = count("thoughtsTokenCount");
    let tools = count("toolUsePromptTokenCount").unwrap_or(0);
    if prompt.is_none() && candidates.is_none() && thoughts.is_none() {
        return None;
    }
    let among = match (prompt, candidates, thoughts, count("totalTokenCount")) {
        (Some(prompt), Some(candidates), Some(thoughts), Some(total)) => {
            thoughts <= candidates && total == prompt + candidates + tools
        }
        _ => false,
    };
    let without = |whole: u64, part: Option<u64>| match part {
        // More than the whole: counted apart.
        Some(part) if part <= whole => whole - part,
        _ => whole,
    };
    Some(Usage {
        input: prompt.map(|prompt| without(prompt, cached) + tools),
        cached_input: cached,
        output: candidates.map(|candidates| without(candidates, thoughts.filter(|_| among))),
        reasoning: thoughts,
        raw: raw_usage(usage),
        ..Usage::default()
    })
}

/// The bound keeps sums from overflowing.
fn number(value: &Value) -> Option<u64> {
    const MAX: u64 = 1_000_000_000_000_000;
    value.as_u64().filter(|number| *number <= MAX)
}
