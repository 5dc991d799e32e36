//! Responses.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{demand, is_object, is_plain, list, text};

pub(super) fn check(body: &Value) -> Result<(), String> {
    let items = list(body, "input");
    demand!(!items.is_empty(), "nothing is asked");
    let (mut ids, mut open) = (BTreeSet::new(), BTreeSet::new());
    for (at, item) in items.iter().enumerate() {
        match text(item, "type") {
            "message" => {
                message(item)?;
                demand!(item["role"] != "user" || open.is_empty(), "unanswered calls {open:?}");
            }
            "reasoning" => {
                demand!(item["encrypted_content"].is_string() && item["summary"].is_array(), "an open thought: {item}");
                let goes_on = |next: &Value| {
                    matches!(text(next, "type"), "reasoning" | "function_call") || next["role"] == "assistant"
                };
                demand!(items.get(at + 1).is_some_and(goes_on), "nothing follows the thought {item}");
            }
            "function_call" => {
                let id = text(item, "call_id");
                demand!((1..=64).contains(&id.len()) && ids.insert(id), "the id {id:?} is too long, or used twice");
                open.insert(id);
                demand!(is_plain(text(item, "name")), "no name of a function: {item}");
                demand!(is_object(text(item, "arguments")), "arguments that are no object: {item}");
            }
            "function_call_output" => demand!(open.remove(text(item, "call_id")), "a result of no call: {item}"),
            other => return Err(format!("an item of the type {other:?}")),
        }
    }
    demand!(open.is_empty(), "the calls {open:?} have no result");
    demand!(body.get("tool_choice").is_none() || body.get("tools").is_some(), "a choice among no tools");
    demand!(body["max_output_tokens"].as_u64().is_none_or(|most| most >= 16), "too short an answer is asked for");
    Ok(())
}

fn message(item: &Value) -> Result<(), String> {
    let content = list(item, "content");
    let prefix = if item["role"] == "user" { "input_" } else { "output_" };
    let right = !content.is_empty() && content.iter().all(|part| text(part, "type").starts_with(prefix));
    demand!(right, "not what {} may say: {item}", item["role"]);
    Ok(())
}
