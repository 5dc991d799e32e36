//! What `OpenRouter` says of a thought beside its words: what its provider signed or hides, which it wants back unchanged with the
//! next call, `reasoning_details`.
//!
//! <https://openrouter.ai/docs/use-cases/reasoning-tokens>

use serde_json::{Map, Value};

use crate::provider::answer::Answer;
use crate::provider::refusal::Refusal;

/// What the signature of a thought begins with that is such details; no other signature can.
pub(super) const DETAILS: &str = "reasoning_details:";
/// The most details of a thought.
const MAX_DETAILS: usize = 1_024;
/// The fields of which each event tells a piece.
const PIECES: [&str; 3] = ["text", "summary", "data"];

/// Those of a thought so far.
#[derive(Debug, Default)]
pub(super) struct Details(Vec<Map<String, Value>>);

impl Details {
    /// Takes what an event says of them.
    pub(super) fn take(&mut self, told: Value, answer: &mut Answer) -> Result<(), Refusal> {
        let Value::Array(told) = told else { return Ok(()) };
        for detail in told {
            let Value::Object(detail) = detail else { continue };
            answer.hold(detail.values().filter_map(Value::as_str).map(str::len).sum())?;
            if let Some(last) = self.0.last_mut().filter(|last| goes_on(last, &detail)) {
                join(last, detail);
            } else if self.0.len() < MAX_DETAILS {
                self.0.push(detail);
            } else {
                return Err(Refusal::protocol("a thought has more than 1024 details"));
            }
        }
        Ok(())
    }

    /// They as the signature of the thought, which ends; none when they say no more than its words do.
    pub(super) fn end(&mut self) -> Option<String> {
        let details = std::mem::take(&mut self.0);
        let is_more = |detail: &Map<String, Value>| ["data", "signature"].iter().any(|key| said(detail, key).is_some());
        let is_signed = details.iter().any(is_more);
        is_signed.then(|| serde_json::to_string(&details).ok()).flatten().map(|details| format!("{DETAILS}{details}"))
    }
}

/// Whether an event tells more of the same detail: of the same type, index and id, as far as it says them.
fn goes_on(last: &Map<String, Value>, next: &Map<String, Value>) -> bool {
    let same = |key: &str| match (last.get(key), next.get(key)) {
        (Some(one), Some(other)) => one == other || other.is_null() || one.is_null(),
        _ => true,
    };
    last.get("type") == next.get("type") && same("index") && same("id") && said(last, "data").is_none()
}

fn join(last: &mut Map<String, Value>, next: Map<String, Value>) {
    for (key, value) in next {
        match (last.get_mut(&key), value) {
            (Some(Value::String(text)), Value::String(piece)) if PIECES.contains(&key.as_str()) => {
                text.push_str(&piece);
            }
            (Some(_), Value::Null) => {}
            (_, value) => {
                last.insert(key, value);
            }
        }
    }
}

/// What stands in a field, unless that says nothing.
fn said<'a>(detail: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    detail.get(key)?.as_str().filter(|text| !text.is_empty())
}
