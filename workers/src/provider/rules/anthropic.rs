//! Messages.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{demand, is_plain, list, text};

pub(super) fn check(body: &Value) -> Result<(), String> {
    let max_tokens = body["max_tokens"].as_u64().unwrap_or(0);
    demand!(max_tokens > 0, "max_tokens is missing");
    if let Some(budget) = body["thinking"]["budget_tokens"].as_u64() {
        demand!((1_024..max_tokens).contains(&budget), "a budget of {budget} of {max_tokens}");
    }
    let has_tools = !list(body, "tools").is_empty();
    demand!(body.get("tool_choice").is_none() || has_tools, "a choice among no tools");
    demand!(body.to_string().matches("cache_control").count() <= 4, "more than four marks for the cache");
    demand!(list(body, "system").iter().all(|block| !text(block, "text").trim().is_empty()), "a blank instruction");
    if body["thinking"]["type"] == "enabled" {
        begins_with_thought(list(body, "messages"))?;
    }
    messages(list(body, "messages"), has_tools)
}

/// With a budget, the model's last turn must begin with a thought if it is answered with results: `Expected thinking or
/// redacted_thinking, but found tool_use`.
fn begins_with_thought(messages: &[Value]) -> Result<(), String> {
    let [.., said, answered] = messages else { return Ok(()) };
    let first = |message| list(message, "content").first().map(|block| text(block, "type")).unwrap_or_default();
    let holds = first(answered) != "tool_result" || first(said).contains("thinking");
    demand!(holds, "a budget, and the last calls are made without a thought: {said}");
    Ok(())
}

fn messages(messages: &[Value], has_tools: bool) -> Result<(), String> {
    demand!(!messages.is_empty(), "no messages");
    let mut ids = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    for (position, message) in messages.iter().enumerate() {
        let is_user = message["role"] == "user";
        demand!(is_user == (position % 2 == 0), "roles do not alternate, or the model begins, at {position}");
        let content = list(message, "content");
        let Some(last) = content.last() else { return Err(format!("message {position} is empty")) };
        demand!(!text(last, "type").contains("thinking"), "message {position} ends with a thought");
        let results: Vec<_> = content.iter().map_while(|block| block["tool_use_id"].as_str()).collect();
        demand!(results == open, "message {position} answers {results:?}, not {open:?}");
        open.clear();
        for block in &content[results.len()..] {
            self::block(block, is_user)?;
            if block["type"] == "tool_use" {
                demand!(has_tools, "a call where no tools are defined");
                demand!(ids.insert(text(block, "id")), "the id {} is used twice", text(block, "id"));
                open.push(text(block, "id"));
            }
        }
    }
    demand!(open.is_empty(), "the calls {open:?} have no result");
    Ok(())
}

fn block(block: &Value, is_user: bool) -> Result<(), String> {
    let holds = match text(block, "type") {
        "text" => !text(block, "text").trim().is_empty(),
        "image" | "document" => is_user && !text(&block["source"], "data").is_empty(),
        "thinking" => !is_user && !text(block, "signature").is_empty(),
        "redacted_thinking" => !is_user && !text(block, "data").is_empty(),
        "tool_use" => {
            !is_user && is_plain(text(block, "id")) && is_plain(text(block, "name")) && block["input"].is_object()
        }
        _ => false,
    };
    demand!(holds, "{block} may not be there");
    Ok(())
}
