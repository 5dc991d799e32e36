//! What providers refuse in a request, protocol by protocol, as their documentation and their error messages have it. For
//! tests alone (feature `test-support`): of what protocols write, and of fakes that a whole application calls.

mod anthropic;
mod bedrock;
mod chat;
mod cohere;
mod gemini;
mod ollama;
mod responses;

use serde_json::Value;

use super::Protocol;

/// Refuses what does not hold.
macro_rules! demand {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}
use demand;

/// Whether a provider of this protocol takes a request with this body.
///
/// # Errors
/// Why it would not, in words.
pub fn check(protocol: Protocol, body: &Value) -> Result<(), String> {
    match protocol {
        Protocol::OpenaiChat => chat::check(body),
        Protocol::OpenaiResponses => responses::check(body),
        Protocol::Anthropic => anthropic::check(body),
        Protocol::Gemini => gemini::check(body),
        Protocol::Bedrock => bedrock::check(body),
        Protocol::Cohere => cohere::check(body),
        Protocol::Ollama => ollama::check(body),
        Protocol::Demo => Ok(()),
    }
}

/// What Mistral refuses beside what chat completions do, as its error messages have it.
///
/// # Errors
/// Why it would not take the request, in words.
pub fn check_mistral(body: &Value) -> Result<(), String> {
    chat::check_roles(body)
}

/// Whatever a request shows of what models thought: the thoughts, and what their providers know them by. All of it must be
/// the asked model's own, unchanged.
pub fn thoughts(body: &Value) -> Vec<&str> {
    const KEYS: [&str; 9] = [
        "signature",
        "data",
        "thinking",
        "thoughtSignature",
        "encrypted_content",
        "redactedContent",
        "tool_plan",
        "reasoning_content",
        "reasoning",
    ];
    match body {
        Value::Array(items) => items.iter().flat_map(thoughts).collect(),
        Value::Object(fields) => {
            // What is a thought by what it stands in.
            let is_thought = fields.get("thought").is_some_and(|thought| *thought == true)
                || fields.get("type").is_some_and(|kind| kind == "summary_text")
                || fields.contains_key("signature");
            let told = fields.iter().flat_map(|(key, value)| match value {
                Value::String(text) if KEYS.contains(&key.as_str()) || (is_thought && key == "text") => {
                    vec![text.as_str()]
                }
                value => thoughts(value),
            });
            told.filter(|thought| !thought.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

/// The items of a list; none where there is no list.
fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A text; empty where there is none.
fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether it is what ids of calls and names of tools may be.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// Whether it is the text of a JSON object.
fn is_object(json: &str) -> bool {
    serde_json::from_str::<Value>(json).is_ok_and(|value| value.is_object())
}
