//! Requests, and what the provider would refuse of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::wire;
use crate::provider::anthropic::Messages;
use crate::provider::anthropic::quirks::{Quirks, Structured, Thinking};
use crate::provider::replay::{question, requests, tool};
use crate::provider::request::{
    Effort, Media, OutputSchema, PromptMessage, PromptPart, Reasoning, Request, Role, ToolCall, ToolChoice, ToolResult,
};
use crate::provider::wire::Wire;
use crate::provider::{Protocol, rules};

fn written(request: &Request) -> Value {
    serde_json::from_slice(&wire().write(request).unwrap().body).unwrap()
}

fn message(role: Role, parts: Vec<PromptPart>) -> PromptMessage {
    PromptMessage { role, parts }
}

fn text(text: &str) -> PromptPart {
    PromptPart::Text(text.to_owned())
}

fn call(id: &str, arguments: &str) -> PromptPart {
    let (id, name) = (id.to_owned(), "search".to_owned());
    PromptPart::ToolCall(ToolCall { id, name, arguments: arguments.to_owned(), signature: None })
}

fn result(id: &str, content: &str) -> PromptPart {
    let (id, name) = (id.to_owned(), "search".to_owned());
    PromptPart::ToolResult(ToolResult { id, name, content: content.to_owned(), is_error: false })
}

fn thought(model: &str, text: &str, signature: &str) -> PromptPart {
    let signature = Some(signature.to_owned());
    PromptPart::Reasoning(Reasoning { model: model.parse().unwrap(), text: text.to_owned(), signature })
}

fn media(media_type: &str, bytes: &'static [u8]) -> PromptPart {
    let name = Some("a file".to_owned());
    PromptPart::Media(Media { media_type: media_type.to_owned(), name, bytes: Bytes::from_static(bytes) })
}

#[test]
fn a_question() {
    let request = Request { user: Some("u1".to_owned()), ..question("claude-opus-4-5") };
    let written = wire().write(&request).unwrap();
    assert_eq!((written.path.as_str(), written.query), ("/messages", None));
    let headers: Vec<_> =
        written.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(headers, [("anthropic-version", "2023-06-01")]);
    let body = r#"{"model":"claude-opus-4-5","max_tokens":64000,"stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"What?"}]}],"metadata":{"user_id":"u1"}}"#;
    assert_eq!(String::from_utf8(written.body).unwrap(), body);
}

#[test]
fn a_history_with_calls_and_thoughts() {
    let own = "anthropic/claude-opus-4-5";
    let mut request = question("claude-opus-4-5");
    request.messages.insert(0, message(Role::System, vec![text("Be kind."), text(" ")]));
    request.messages.extend([
        message(
            Role::Assistant,
            vec![
                thought(own, "Hm.", "c2ln"),
                thought("openai/gpt-5", "Foreign.", "c2ln"),
                thought(own, "", "redacted:aGlkZGVu"),
                call("call|1", "{\"b\": 1, \"a\": 2}"),
                call("toolu_2", ""),
            ],
        ),
        message(Role::User, vec![text("And?"), result("toolu_2", "two"), result("call|1", " ")]),
        message(Role::User, vec![text("Go on.")]),
    ]);
    request.tools = vec![tool()];
    let body = written(&request);
    assert_eq!(body["system"], json!([{ "type": "text", "text": "Be kind." }]));
    let id = body["messages"][1]["content"][2]["id"].clone();
    let said = json!([
        { "type": "thinking", "thinking": "Hm.", "signature": "c2ln" },
        { "type": "redacted_thinking", "data": "aGlkZGVu" },
        { "type": "tool_use", "id": id, "name": "search", "input": { "b": 1, "a": 2 } },
        { "type": "tool_use", "id": "toolu_2", "name": "search", "input": {} },
    ]);
    assert_eq!(body["messages"][1]["content"], said);
    let answered = json!([
        { "type": "tool_result", "tool_use_id": id, "content": "(nothing)", "is_error": false },
        { "type": "tool_result", "tool_use_id": "toolu_2", "content": "two", "is_error": false },
        { "type": "text", "text": "And?" },
        { "type": "text", "text": "Go on." },
    ]);
    assert_eq!(body["messages"][2]["content"], answered);
    // As they were, so that the provider finds its own bytes again.
    assert!(String::from_utf8(wire().write(&request).unwrap().body).unwrap().contains("{\"b\": 1, \"a\": 2}"));
}

#[test]
fn files() {
    let mut request = question("claude-opus-5");
    request.messages[0].parts.extend([
        media("image/png", b"png"),
        media("application/pdf", b"pdf"),
        media("text/markdown", b"# Title"),
    ]);
    let content = json!([
        { "type": "text", "text": "What?" },
        { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "cG5n" } },
        { "type": "document", "title": "a file",
          "source": { "type": "base64", "media_type": "application/pdf", "data": "cGRm" } },
        { "type": "document", "title": "a file",
          "source": { "type": "text", "media_type": "text/plain", "data": "# Title" } },
    ]);
    assert_eq!(written(&request)["messages"][0]["content"], content);

    request.messages[0].parts.push(media("audio/wav", b"wav"));
    assert_eq!(wire().write(&request).unwrap_err().0, "this model does not read files of type audio/wav");
    // Once answered, it does not stand in the way any more.
    request.messages.push(message(Role::Assistant, vec![text("Heard.")]));
    request.messages.push(message(Role::User, vec![text("Thanks.")]));
    let left_out = "(A file, a file, of type audio/wav, is left out.)";
    assert_eq!(written(&request)["messages"][0]["content"][4]["text"], left_out);
}

#[test]
fn thinking() {
    let ask = |model: &str, effort: Option<Effort>, max_output: Option<u64>| {
        let body = written(&Request { max_output, effort, ..question(model) });
        (body["thinking"].clone(), body["output_config"]["effort"].clone())
    };
    let adaptive = json!({ "type": "adaptive", "display": "summarized" });
    let bound = json!({ "type": "adaptive", "display": "summarized",
        "block_binding": { "prefix_mismatch_behavior": "drop_block" } });
    let budget = |tokens: u64| json!({ "type": "enabled", "budget_tokens": tokens });
    for (model, effort, max_output, expected) in [
        ("claude-opus-4-5", None, None, (Value::Null, Value::Null)),
        ("claude-opus-4-5", Some(Effort::Minimal), None, (Value::Null, Value::Null)),
        ("claude-opus-4-5", Some(Effort::High), None, (budget(24_576), Value::Null)),
        ("claude-opus-4-5", Some(Effort::High), Some(4_000), (budget(2_976), Value::Null)),
        ("claude-opus-4-5", Some(Effort::High), Some(2_000), (Value::Null, Value::Null)),
        ("claude-3-5-haiku-latest", Some(Effort::High), None, (Value::Null, Value::Null)),
        ("claude-opus-4-6", None, None, (Value::Null, Value::Null)),
        ("claude-opus-4-6", Some(Effort::Medium), None, (adaptive.clone(), json!("medium"))),
        ("claude-opus-5", Some(Effort::Minimal), None, (json!({ "type": "disabled" }), json!("low"))),
        ("claude-fable-5", Some(Effort::Minimal), None, (adaptive, json!("low"))),
        ("claude-opus-5-5", None, None, (bound.clone(), Value::Null)),
        ("claude-opus-5-5", Some(Effort::High), None, (bound, json!("high"))),
    ] {
        assert_eq!(ask(model, effort, max_output), expected, "{model} {effort:?} {max_output:?}");
    }
    let headers = wire().write(&question("claude-opus-5-5")).unwrap().headers;
    assert_eq!(headers[1].1, "thinking-binding-controls-2026-08-01");
}

#[test]
fn a_budget_needs_a_thought_before_calls_that_are_answered() {
    let ask = |parts: Vec<PromptPart>| {
        let mut request = Request { effort: Some(Effort::Low), tools: vec![tool()], ..question("claude-opus-4-5") };
        request.messages.push(message(Role::Assistant, parts));
        request.messages.push(message(Role::User, vec![result("a", "1")]));
        written(&request)["thinking"]["type"].clone()
    };
    assert_eq!(ask(vec![thought("anthropic/claude-opus-4-5", "Hm.", "s"), call("a", "{}")]), "enabled");
    assert_eq!(ask(vec![thought("openai/gpt-5", "Hm.", "s"), call("a", "{}")]), Value::Null);
}

#[test]
fn tools_and_what_must_be_called() {
    let ask = |model: &str, tool_choice: Option<ToolChoice>, effort: Option<Effort>| {
        written(&Request { tools: vec![tool()], tool_choice, effort, ..question(model) })
    };
    let body = ask("claude-opus-4-5", None, None);
    assert_eq!(
        body["tools"],
        json!([{ "name": "search", "description": "Searches.", "input_schema": tool().parameters }])
    );
    assert_eq!(body["tool_choice"], Value::Null);
    assert_eq!(ask("claude-opus-4-5", Some(ToolChoice::None), None)["tool_choice"], json!({ "type": "none" }));
    // A model that must call something cannot think before.
    let forced = ask("claude-opus-4-5", Some(ToolChoice::Tool("search".to_owned())), Some(Effort::High));
    assert_eq!(
        (&forced["tool_choice"], &forced["thinking"]),
        (&json!({ "type": "tool", "name": "search" }), &Value::Null)
    );
    let forced = ask("claude-opus-5", Some(ToolChoice::Any), Some(Effort::High));
    assert_eq!((&forced["tool_choice"]["type"], &forced["thinking"]["type"]), (&json!("any"), &json!("disabled")));

    let unsayable = |request: Request| wire().write(&request).unwrap_err().0;
    let any = Request { tools: vec![tool()], tool_choice: Some(ToolChoice::Any), ..question("claude-opus-5-5") };
    assert_eq!(unsayable(any), "this model cannot be made to call a tool");
    let none = Request { tool_choice: Some(ToolChoice::Any), ..question("claude-opus-5") };
    assert_eq!(unsayable(none), "there is no tool to call");
    let other = Request { tool_choice: Some(ToolChoice::Tool("x".to_owned())), ..question("claude-opus-5") };
    assert_eq!(unsayable(other), "there is no tool called x");
}

#[test]
fn answers_with_a_schema() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let output = OutputSchema { name: "sum".to_owned(), schema: schema.clone() };
    let ask = |model: &str, tools| written(&Request { output: Some(output.clone()), tools, ..question(model) });
    let mut closed = schema.clone();
    closed["additionalProperties"] = json!(false);
    let format = json!({ "format": { "type": "json_schema", "schema": closed } });
    assert_eq!(ask("claude-opus-4-5", vec![])["output_config"], format);

    let body = ask("claude-3-5-haiku-latest", vec![]);
    assert_eq!(body["tool_choice"], json!({ "type": "tool", "name": "bestchat_structured_answer" }));
    assert_eq!(body["tools"][0]["input_schema"], schema);
    let body = ask("claude-3-5-haiku-latest", vec![tool()]);
    assert_eq!((body["tool_choice"].clone(), body["tools"].as_array().unwrap().len()), (json!({ "type": "any" }), 2));
}

#[test]
fn what_the_cache_keeps() {
    let mut request = Request { tools: vec![tool()], cache: true, ..question("claude-opus-5") };
    request.messages.insert(0, message(Role::System, vec![text("One."), text("Two.")]));
    for _ in 0..3 {
        request.messages.push(message(Role::Assistant, vec![text("Yes.")]));
        request.messages.push(message(Role::User, vec![text("Go on."), text("Please.")]));
    }
    let body = written(&request);
    let mark = json!({ "type": "ephemeral" });
    assert_eq!(marks(&body), 4);
    let messages = &body["messages"];
    for marked in [&body["tools"][0], &body["system"][1], &messages[4]["content"][1], &messages[6]["content"][1]] {
        assert_eq!(marked["cache_control"], mark, "{body:#}");
    }
}

#[test]
fn an_answer_that_has_begun() {
    let mut request = question("claude-opus-4-5");
    request.messages.push(message(Role::Assistant, vec![text("It is ")]));
    let last = json!({ "role": "assistant", "content": [{ "type": "text", "text": "It is" }] });
    assert_eq!(written(&request)["messages"][1], last);
    request.model = "claude-opus-5".to_owned();
    assert_eq!(wire().write(&request).unwrap_err().0, "this model does not go on with an answer that has begun");
}

fn marks(body: &Value) -> usize {
    body.to_string().matches("cache_control").count()
}

/// Says what the provider would refuse, of this model and in answer to this request.
fn check(request: &Request, body: &Value, quirks: &Quirks) {
    rules::check(Protocol::Anthropic, body).unwrap();
    let max_tokens = body["max_tokens"].as_u64().unwrap();
    assert!(max_tokens <= quirks.max_output);
    assert!(body["thinking"]["budget_tokens"].is_null() || quirks.thinking == Thinking::Budget);
    let tools: Vec<_> = body["tools"].as_array().into_iter().flatten().collect();
    let choice = body["tool_choice"]["type"].as_str();
    let is_forced = matches!(choice, Some("any" | "tool"));
    assert!(
        !is_forced
            || matches!(body["thinking"]["type"].as_str(), None | Some("disabled"))
            || quirks.thinking == Thinking::Always
    );
    if request.tool_choice == Some(ToolChoice::None) || request.tools.is_empty() {
        assert!(tools.is_empty() || choice == Some("none") || request.output.is_some());
    }
    assert!(request.cache || marks(body) == 0);
    let own = ["c2ln", "aGlkZGVu", "Hm."];
    assert!(thoughts(body).iter().all(|thought| own.contains(thought)), "another model's thoughts");
}

/// What a request shows of thoughts; files are none.
fn thoughts(body: &Value) -> Vec<&str> {
    let blocks = body["messages"].as_array().unwrap().iter().flat_map(|message| message["content"].as_array().unwrap());
    blocks.filter(|block| block["type"].as_str().unwrap().contains("thinking")).flat_map(rules::thoughts).collect()
}

fn quirks() -> impl Strategy<Value = Quirks> {
    let thinking = prop::sample::select(vec![Thinking::Never, Thinking::Budget, Thinking::Adaptive, Thinking::Always]);
    let structured = prop::sample::select(vec![Structured::Native, Structured::Tool]);
    (thinking, structured, prop::bool::ANY, prop::bool::ANY).prop_map(
        |(thinking, structured, forced_tools, prefill)| Quirks {
            max_output: 10_000,
            thinking,
            structured,
            forced_tools,
            prefill,
            bound_thoughts: !forced_tools,
        },
    )
}

proptest! {
    #[test]
    fn nothing_is_asked_that_would_be_refused(request in requests("anthropic/claude"), quirks in quirks()) {
        let wire = Messages::new("anthropic".to_owned(), BTreeMap::from([("claude".to_owned(), quirks)]));
        if let Ok(written) = wire.write(&request) {
            check(&request, &serde_json::from_slice(&written.body).unwrap(), &quirks);
            prop_assert_eq!(wire.write(&request).unwrap(), written);
        }
    }

    /// What was said before stays the same, byte for byte: providers cache by prefix.
    #[test]
    fn a_longer_prompt_begins_with_the_shorter(mut request in requests("anthropic/claude-opus-5")) {
        request.messages.push(message(Role::User, vec![text("So?")]));
        let mut longer = request.clone();
        longer.messages.push(message(Role::Assistant, vec![text("Well.")]));
        longer.messages.push(message(Role::User, vec![text("Go on.")]));
        let messages = |request: &Request| {
            let body = wire().write(&Request { cache: false, ..request.clone() }).ok()?.body;
            let body: Value = serde_json::from_slice(&body).unwrap();
            Some(body["messages"].as_array().unwrap().clone())
        };
        if let (Some(shorter), Some(longer)) = (messages(&request), messages(&longer)) {
            prop_assert_eq!(&longer[..shorter.len()], &shorter[..]);
        }
    }
}
