//! `generateContent`, as models of the third generation have it checked.

use serde_json::Value;

use super::{demand, list, text};

pub(super) fn check(body: &Value) -> Result<(), String> {
    let contents = list(body, "contents");
    demand!(contents.first().is_some_and(|first| first["role"] == "user"), "the model begins");
    for (at, content) in contents.iter().enumerate() {
        let (parts, next) = (list(content, "parts"), contents.get(at + 1));
        let (calls, results) = (count(content, "functionCall"), count(content, "functionResponse"));
        demand!(!parts.is_empty(), "an empty turn");
        demand!(results == 0 || results == parts.len(), "results among other things: {content}");
        let answered = next.map_or(0, |next| count(next, "functionResponse"));
        demand!(answered == calls, "{answered} results of {calls} calls: {content}");
        let twice = next.is_some_and(|next| next["role"] == content["role"]);
        demand!(!twice || results > 0, "{} speaks twice in a row", content["role"]);
        let first = parts.iter().find(|part| part.get("functionCall").is_some());
        let signed = first.is_none_or(|first| first["thoughtSignature"].is_string());
        demand!(signed, "the first call of a turn has no signature: {content}");
        parts.iter().try_for_each(part)?;
    }
    demand!(body.get("toolConfig").is_none() || body.get("tools").is_some(), "a choice among no tools");
    Ok(())
}

fn part(part: &Value) -> Result<(), String> {
    let Some(function) = part.get("functionCall").or_else(|| part.get("functionResponse")) else { return Ok(()) };
    let name = text(function, "name");
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    demand!(begins && name.len() <= 64, "no name of a function: {function}");
    demand!(function.get("args").is_none_or(Value::is_object), "arguments that are no object: {function}");
    Ok(())
}

fn count(content: &Value, key: &str) -> usize {
    list(content, "parts").iter().filter(|part| part.get(key).is_some()).count()
}
