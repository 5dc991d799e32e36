//! Converse.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{demand, is_plain, list, text};

pub(super) fn check(body: &Value) -> Result<(), String> {
    let has_tools = !list(&body["toolConfig"], "tools").is_empty();
    demand!(body.get("toolConfig").is_some() == has_tools, "a toolConfig without tools");
    demand!(body.to_string().matches("cachePoint").count() <= 4, "more than four cache points");
    demand!(!list(body, "messages").is_empty(), "no messages");
    let mut seen = Seen::default();
    let mut open: Vec<&str> = Vec::new();
    for (position, message) in list(body, "messages").iter().enumerate() {
        let is_user = message["role"] == "user";
        demand!(is_user == (position % 2 == 0), "roles do not alternate, or the model begins, at {position}");
        let content = list(message, "content");
        let Some(last) = content.last() else { return Err(format!("message {position} is empty")) };
        demand!(last.get("reasoningContent").is_none(), "message {position} ends with a thought");
        let results: Vec<_> = content.iter().map_while(|block| block["toolResult"]["toolUseId"].as_str()).collect();
        demand!(results == open, "message {position} answers {results:?}, not {open:?}");
        open.clear();
        for block in &content[results.len()..] {
            open.extend(seen.block(block, is_user, has_tools)?);
        }
        let has = |kind: &str| content.iter().any(|block| block.get(kind).is_some());
        demand!(!has("document") || has("text"), "a document without a text");
    }
    demand!(open.is_empty(), "the calls {open:?} have no result");
    Ok(())
}

/// What must be unique in a request.
#[derive(Default)]
struct Seen<'v> {
    ids: BTreeSet<&'v str>,
    documents: BTreeSet<&'v str>,
}

impl<'v> Seen<'v> {
    /// Gives the id of a call that needs a result.
    fn block(&mut self, block: &'v Value, is_user: bool, has_tools: bool) -> Result<Option<&'v str>, String> {
        let Some((kind, inner)) = block.as_object().and_then(|fields| fields.iter().next()) else {
            return Err(format!("{block} is no block"));
        };
        let holds = match kind.as_str() {
            "text" => inner.as_str().is_some_and(|text| !text.trim().is_empty()),
            "image" | "cachePoint" => is_user,
            "document" => is_user && self.documents.insert(text(inner, "name")),
            "reasoningContent" => {
                let signed = !text(&inner["reasoningText"], "signature").is_empty();
                !is_user && (signed || inner.get("redactedContent").is_some())
            }
            "toolUse" => {
                let (id, name) = (text(inner, "toolUseId"), text(inner, "name"));
                let plain = is_plain(id) && is_plain(name) && inner["input"].is_object();
                demand!(!is_user && has_tools && plain && self.ids.insert(id), "{block} may not be there");
                return Ok(Some(id));
            }
            _ => false,
        };
        demand!(holds, "{block} may not be there");
        Ok(None)
    }
}
