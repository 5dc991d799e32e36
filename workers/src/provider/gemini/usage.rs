//! Token counts that do not overlap, out of counts that do.

use domain::conversation::Usage;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::provider::answer::{raw_usage, tokens};

/// What is looked at. A count that is none says nothing, and does no harm.
#[derive(Deserialize)]
struct Counts {
    #[serde(rename = "promptTokenCount")]
    prompt: Option<Value>,
    #[serde(rename = "cachedContentTokenCount")]
    cached: Option<Value>,
    #[serde(rename = "candidatesTokenCount")]
    candidates: Option<Value>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Option<Value>,
    #[serde(rename = "toolUsePromptTokenCount")]
    tools: Option<Value>,
    #[serde(rename = "totalTokenCount")]
    total: Option<Value>,
}

/// Reads `usageMetadata`, which counts from the beginning each time; none when it says nothing.
///
/// The prompt includes what came from the cache and not what built-in tools read; candidates do not include thoughts,
/// except where the sum says that they do.
pub(super) fn read(usage: &RawValue) -> Option<Usage> {
    let counts: Counts = serde_json::from_str(usage.get()).ok()?;
    let count = |count: &Option<Value>| count.as_ref().and_then(tokens);
    let prompt = count(&counts.prompt);
    let cached = count(&counts.cached);
    let candidates = count(&counts.candidates);
    let thoughts = count(&counts.thoughts);
    let tools = count(&counts.tools).unwrap_or(0);
    if prompt.is_none() && candidates.is_none() && thoughts.is_none() {
        return None;
    }
    let among = match (prompt, candidates, thoughts, count(&counts.total)) {
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
        raw: raw_usage(&usage),
        ..Usage::default()
    })
}
