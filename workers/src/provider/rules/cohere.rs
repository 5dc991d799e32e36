//! Cohere's chat.

use serde_json::Value;

use super::{demand, is_object, list, text};

pub(super) fn check(body: &Value) -> Result<(), String> {
    let messages = list(body, "messages");
    demand!(messages.iter().any(|message| text(message, "role") != "system"), "nothing is asked");
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        if text(message, "role") == "tool" {
            let id = text(message, "tool_call_id");
            demand!(open.contains(&id), "a result of {id:?}, which is no open call");
            open.retain(|other| *other != id);
            demand!(!text(message, "content").trim().is_empty(), "an empty result");
            continue;
        }
        demand!(open.is_empty(), "{open:?} are not answered before anyone else speaks");
        let (calls, content) = (list(message, "tool_calls"), list(message, "content"));
        for call in calls {
            let function = &call["function"];
            demand!(is_object(text(function, "arguments")), "arguments that are no object: {function}");
            demand!(!text(function, "name").is_empty(), "a call of nothing: {call}");
            open.push(text(call, "id"));
        }
        let blank = |block: &Value| block["text"].as_str().is_some_and(|text| text.trim().is_empty());
        demand!(!content.iter().any(blank), "a blank text: {message}");
        let speaks = message["content"].is_string() || !content.is_empty() || !calls.is_empty();
        demand!(speaks, "a message that says nothing: {message}");
        demand!(message.get("tool_plan").is_none() || !calls.is_empty(), "a plan without calls");
    }
    demand!(open.is_empty(), "the calls {open:?} have no result");
    Ok(())
}
