//! Chat completions, as `OpenAI` checks them; compatible servers are milder.

use std::collections::HashSet;

use serde_json::Value;

use super::{demand, is_object, is_plain, list, text};

pub(super) fn check(body: &Value) -> Result<(), String> {
    let messages = list(body, "messages");
    demand!(messages.iter().any(|message| text(message, "role") != "system"), "nothing is asked");
    demand!(body.get("tool_choice").is_none() || !list(body, "tools").is_empty(), "a choice among no tools");
    let mut open: Vec<&str> = Vec::new();
    let mut seen = HashSet::new();
    for message in messages {
        if text(message, "role") == "tool" {
            let id = text(message, "tool_call_id");
            let place = open.iter().position(|open| *open == id);
            let Some(place) = place else { return Err(format!("a result of {id:?}, which is no open call")) };
            open.remove(place);
            demand!(!text(message, "content").is_empty(), "an empty result");
            continue;
        }
        demand!(open.is_empty(), "{open:?} are not answered before anyone else speaks");
        let calls = list(message, "tool_calls");
        demand!(!message["content"].is_null() || !calls.is_empty(), "a message that says nothing");
        demand!(message["content"].as_str().is_none_or(|text| !text.is_empty()), "an empty message");
        for call in calls {
            let (id, function) = (text(call, "id"), &call["function"]);
            demand!((1..=40).contains(&id.len()) && seen.insert(id), "the id {id:?} is too long, or used twice");
            demand!(is_object(text(function, "arguments")), "arguments that are no object: {function}");
            demand!(is_plain(text(function, "name")), "no name of a function: {function}");
            open.push(id);
        }
    }
    demand!(open.is_empty(), "the calls {open:?} have no result");
    Ok(())
}

/// Whether each speaks after whom it may, at Mistral.
pub(super) fn check_roles(body: &Value) -> Result<(), String> {
    for pair in list(body, "messages").windows(2) {
        let roles = [text(&pair[0], "role"), text(&pair[1], "role")];
        demand!(roles != ["tool", "user"], "unexpected role 'user' after role 'tool'");
    }
    Ok(())
}
