//! Requests, and what the provider would refuse of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::wire;
use crate::provider::anthropic::quirks::{Quirks as Model, Structured, Thinking};
use crate::provider::bedrock::Converse;
use crate::provider::bedrock::quirks::{CachePoints, Quirks};
use crate::provider::replay::{question, requests, tool};
use crate::provider::request::{
    Effort, Media, OutputSchema, PromptMessage, PromptPart, Reasoning, Request, Role, ToolCall, ToolChoice, ToolResult,
};
use crate::provider::wire::Wire;
use crate::provider::{Protocol, rules};

const CLAUDE: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn written(request: &Request) -> Value {
    serde_json::from_slice(&wire().write(request).unwrap().body).unwrap()
}

fn message(role: Role, parts: Vec<PromptPart>) -> PromptMessage {
    PromptMessage { role, parts }
}

fn text(text: &str) -> PromptPart {
    PromptPart::Text(text.to_owned())
}

fn answered(is_error: bool) -> Vec<PromptMessage> {
    let (id, name) = ("a".to_owned(), "search".to_owned());
    let model = format!("bedrock/{CLAUDE}").parse().unwrap();
    let thought = Reasoning { model, text: "Hm.".to_owned(), signature: Some("c2ln".to_owned()) };
    let call = ToolCall { id: id.clone(), name: name.clone(), arguments: "{\"q\":1}".to_owned(), signature: None };
    let result = ToolResult { id, name, content: "gone".to_owned(), is_error };
    vec![
        message(Role::Assistant, vec![PromptPart::Reasoning(thought), PromptPart::ToolCall(call)]),
        message(Role::User, vec![PromptPart::ToolResult(result)]),
    ]
}

#[test]
fn a_question() {
    let mut request = question(CLAUDE);
    request.messages.insert(0, message(Role::System, vec![text("Be kind.")]));
    let written = wire().write(&request).unwrap();
    assert_eq!(written.path, "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream");
    let body = r#"{"system":[{"text":"Be kind."}],"messages":[{"role":"user","content":[{"text":"What?"}]}],"inferenceConfig":{"maxTokens":64000}}"#;
    assert_eq!(String::from_utf8(written.body).unwrap(), body);
    let llama = self::written(&question("meta.llama3-1-70b-instruct-v1:0"));
    assert_eq!(llama, json!({ "messages": [{ "role": "user", "content": [{ "text": "What?" }] }] }));
}

#[test]
fn calls_and_thoughts() {
    let mut request = Request { tools: vec![tool()], ..question(CLAUDE) };
    request.messages.extend(answered(true));
    let body = written(&request);
    let said = json!([
        { "reasoningContent": { "reasoningText": { "text": "Hm.", "signature": "c2ln" } } },
        { "toolUse": { "toolUseId": "a", "name": "search", "input": { "q": 1 } } },
    ]);
    assert_eq!(body["messages"][1]["content"], said);
    let result = json!([{ "toolResult": { "toolUseId": "a", "content": [{ "text": "gone" }], "status": "error" } }]);
    assert_eq!(body["messages"][2]["content"], result);
    let spec = json!({ "name": "search", "description": "Searches.", "inputSchema": { "json": tool().parameters } });
    assert_eq!(body["toolConfig"], json!({ "tools": [{ "toolSpec": spec }] }));

    // A model that knows no status is told in words; and no thoughts of another.
    request.model = "mistral.mistral-large-2407-v1:0".to_owned();
    let body = written(&request);
    let result = json!([{ "toolResult": { "toolUseId": "a", "content": [{ "text": "Error: gone" }] } }]);
    assert_eq!(
        (&body["messages"][2]["content"], body["messages"][1]["content"].as_array().unwrap().len()),
        (&result, 1)
    );
}

#[test]
fn calls_are_told_where_no_tools_are() {
    let mut request = question(CLAUDE);
    request.messages.extend(answered(false));
    let body = written(&request);
    assert_eq!(body["messages"][1]["content"], json!([{ "text": "(Called search with {\"q\":1}.)" }]));
    assert_eq!(body["messages"][2]["content"], json!([{ "text": "(Result of search: gone)" }]));
    request.tools = vec![tool()];
    request.tool_choice = Some(ToolChoice::None);
    assert_eq!(written(&request), body);
}

#[test]
fn files() {
    let file = |media_type: &str, name: &str| {
        let bytes = Bytes::from_static(b"bytes");
        PromptPart::Media(Media { media_type: media_type.to_owned(), name: Some(name.to_owned()), bytes })
    };
    let mut request = question(CLAUDE);
    request.messages[0].parts = vec![
        file("image/jpeg", "photo.jpg"),
        file("application/pdf", "Q3_report.pdf"),
        file("text/markdown", "Q3 report.pdf"),
    ];
    let source = json!({ "bytes": "Ynl0ZXM=" });
    let content = json!([
        { "image": { "format": "jpeg", "source": source } },
        { "document": { "format": "pdf", "name": "Q3 report pdf", "source": source } },
        { "document": { "format": "md", "name": "Q3 report pdf 2", "source": source } },
        { "text": "(See the file.)" },
    ]);
    assert_eq!(written(&request)["messages"][0]["content"], content);
    request.messages[0].parts.push(file("audio/wav", "a.wav"));
    assert_eq!(wire().write(&request).unwrap_err().0, "this model does not read files of type audio/wav");
}

#[test]
fn fields_of_claude() {
    let ask = |model: &str, effort| written(&Request { effort: Some(effort), ..question(model) });
    let body = ask(CLAUDE, Effort::Medium);
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 8192 } });
    assert_eq!(body["additionalModelRequestFields"], thinking);
    let body = ask("anthropic.claude-opus-5-5", Effort::High);
    let fields = json!({
        "thinking": { "type": "adaptive", "display": "summarized",
            "block_binding": { "prefix_mismatch_behavior": "drop_block" } },
        "output_config": { "effort": "high" },
        "anthropic_beta": ["thinking-binding-controls-2026-08-01"],
    });
    assert_eq!(body["additionalModelRequestFields"], fields);
    assert_eq!(ask("amazon.nova-pro-v1:0", Effort::High)["additionalModelRequestFields"], Value::Null);
}

#[test]
fn answers_with_a_schema() {
    let output = OutputSchema { name: "sum".to_owned(), schema: json!({ "type": "object" }) };
    let body = written(&Request { output: Some(output.clone()), ..question(CLAUDE) });
    let schema = json!({ "name": "sum", "schema": "{\"additionalProperties\":false,\"type\":\"object\"}" });
    let format = json!({ "type": "json_schema", "structure": { "jsonSchema": schema } });
    assert_eq!(body["outputConfig"], json!({ "textFormat": format }));
    let old = "anthropic.claude-3-haiku-20240307-v1:0";
    let body = written(&Request { output: Some(output), ..question(old) });
    assert_eq!(body["toolConfig"]["toolChoice"], json!({ "tool": { "name": "bestchat_structured_answer" } }));
}

#[test]
fn what_the_cache_keeps() {
    let ask = |model: &str| {
        let mut request = Request { tools: vec![tool()], cache: true, ..question(model) };
        request.messages.insert(0, message(Role::System, vec![text("Be kind.")]));
        request.messages.push(message(Role::Assistant, vec![text("Yes.")]));
        request.messages.push(message(Role::User, vec![text("Go on.")]));
        written(&request)
    };
    let point = json!({ "cachePoint": { "type": "default" } });
    let body = ask(CLAUDE);
    for marked in [
        &body["toolConfig"]["tools"],
        &body["system"],
        &body["messages"][0]["content"],
        &body["messages"][2]["content"],
    ] {
        assert_eq!(marked[1], point);
    }
    for (model, expected) in [(CLAUDE, 4), ("amazon.nova-pro-v1:0", 3), ("meta.llama3-1-70b-instruct-v1:0", 0)] {
        assert_eq!(ask(model).to_string().matches("cachePoint").count(), expected, "{model}");
    }
}

fn quirks() -> impl Strategy<Value = Quirks> {
    let thinking = prop::sample::select(vec![Thinking::Never, Thinking::Budget, Thinking::Adaptive, Thinking::Always]);
    let structured = prop::sample::select(vec![Structured::Native, Structured::Tool]);
    let cache = prop::sample::select(vec![CachePoints::Never, CachePoints::Messages, CachePoints::All]);
    (thinking, structured, cache, prop::bool::ANY, prop::bool::ANY).prop_map(
        |(thinking, structured, cache, is_claude, prefill)| {
            let model = Model { thinking, structured, prefill, ..Model::default() };
            Quirks { model, is_claude, cache }
        },
    )
}

proptest! {
    #[test]
    fn nothing_is_asked_that_would_be_refused(request in requests("bedrock/model"), quirks in quirks()) {
        let wire = Converse::new("bedrock".to_owned(), BTreeMap::from([("model".to_owned(), quirks)]));
        if let Ok(written) = wire.write(&request) {
            rules::check(Protocol::Bedrock, &serde_json::from_slice(&written.body).unwrap()).unwrap();
            prop_assert_eq!(wire.write(&request).unwrap(), written);
        }
    }
}
