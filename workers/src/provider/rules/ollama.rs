//! Ollama's chat.

use serde_json::Value;

use super::{demand, list, text};

pub(super) fn check(body: &Value) -> Result<(), String> {
    demand!(!list(body, "messages").is_empty(), "nothing is asked");
    for message in list(body, "messages") {
        let Some(content) = message["content"].as_str() else { return Err(format!("no content: {message}")) };
        let (calls, images) = (list(message, "tool_calls"), list(message, "images"));
        let speaks = !content.trim().is_empty() || !calls.is_empty() || !images.is_empty();
        demand!(speaks, "a message that says nothing: {message}");
        let objects = calls.iter().all(|call| call["function"]["arguments"].is_object());
        demand!(objects, "arguments that are no object: {message}");
        let is_result = message["tool_name"].is_string() && message["tool_call_id"].is_string();
        demand!(is_result == (text(message, "role") == "tool"), "a result of no call: {message}");
    }
    Ok(())
}
