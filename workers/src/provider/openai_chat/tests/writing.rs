use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::quirks::{EffortField, LeastEffort, OutputField};
use super::*;
use crate::provider::replay::{LEFT_OUT, attached, heard, question, requests, tool};
use crate::provider::request::*;
use crate::provider::wire::{Unsayable, Wire as _};
use crate::provider::{Protocol, rules};

fn written(quirks: Quirks, request: &Request) -> Value {
    let written = speaking(quirks).write(request).unwrap();
    assert_eq!(written.path, "/chat/completions");
    serde_json::from_slice(&written.body).unwrap()
}

fn message(role: Role, parts: Vec<PromptPart>) -> PromptMessage {
    PromptMessage { role, parts }
}

fn text(text: &str) -> PromptPart {
    PromptPart::Text(text.to_owned())
}

fn call(id: &str) -> PromptPart {
    let (name, arguments) = ("search".to_owned(), r#"{"q": 1}"#.to_owned());
    PromptPart::ToolCall(ToolCall { id: id.to_owned(), name, arguments, signature: None })
}

fn result(id: &str, content: &str, is_error: bool) -> PromptPart {
    let (id, name, content) = (id.to_owned(), "search".to_owned(), content.to_owned());
    PromptPart::ToolResult(ToolResult { id, name, content, is_error })
}

fn media(media_type: &str) -> PromptPart {
    let bytes = bytes::Bytes::from_static(b"hi");
    PromptPart::Media(Media { media_type: media_type.to_owned(), name: Some("f.x".to_owned()), bytes })
}

#[test]
fn a_conversation_with_tools_is_told() {
    let messages = vec![
        PromptMessage::text(Role::System, "Be brief."),
        PromptMessage::text(Role::User, "Find it."),
        message(Role::Assistant, vec![text("I look."), call("a"), call("b")]),
        message(Role::User, vec![result("a", "here", false), result("b", "broken", true), text("Well?")]),
        message(Role::Assistant, vec![call("c")]),
    ];
    let request = Request { messages, ..question("m1") };
    let call =
        |id: &str| json!({"id": id, "type": "function", "function": {"name": "search", "arguments": "{\"q\": 1}"}});
    assert_eq!(
        written(Quirks::default(), &request)["messages"],
        json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Find it."},
            {"role": "assistant", "content": "I look.", "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "a", "content": "here"},
            {"role": "tool", "tool_call_id": "b", "content": "Error: broken"},
            {"role": "user", "content": "Well?"},
            {"role": "assistant", "content": null, "tool_calls": [call("c")]},
            {"role": "tool", "tool_call_id": "c", "content": "Error: The tool was not run."},
        ])
    );
}

#[test]
fn images_and_files_are_shown() {
    let parts = vec![text("See"), media("image/png"), media("application/pdf"), media("text/csv")];
    let request = Request { messages: vec![message(Role::User, parts)], ..question("m1") };
    assert_eq!(
        written(Quirks::default(), &request)["messages"][0]["content"],
        json!([
            {"type": "text", "text": "See"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            {"type": "file", "file": {"filename": "f.x", "file_data": "data:application/pdf;base64,aGk="}},
            {"type": "text", "text": "f.x:\nhi"},
        ])
    );
    let request = Request { messages: vec![message(Role::User, vec![media("audio/wav")])], ..question("m1") };
    let Unsayable(why) = speaking(Quirks::default()).write(&request).unwrap_err();
    assert!(why.contains("audio/wav"), "{why}");
    // Once answered, it does not stand in the way any more.
    let file = message(Role::User, vec![attached("audio/wav")]);
    let answered = Request { messages: [vec![file], heard()].concat(), ..question("m1") };
    assert_eq!(written(Quirks::default(), &answered)["messages"][0]["content"], LEFT_OUT);
}

fn everything() -> Request {
    Request {
        tools: vec![tool()],
        tool_choice: Some(ToolChoice::Tool("search".to_owned())),
        output: Some(OutputSchema { name: "answer".to_owned(), schema: json!({"type": "object"}) }),
        max_output: Some(7),
        effort: Some(Effort::Minimal),
        user: Some("u".to_owned()),
        ..question("m1")
    }
}

#[test]
fn what_is_asked_is_told_in_the_documented_fields() {
    let mut body = written(Quirks::default(), &everything());
    let fields = body.as_object_mut().unwrap();
    fields.remove("messages");
    assert_eq!(
        body,
        json!({
            "model": "m1",
            "tools": [{"type": "function", "function": {"name": "search", "description": "Searches.", "parameters": tool().parameters}}],
            "tool_choice": {"type": "function", "function": {"name": "search"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
            "reasoning_effort": "low",
            "max_completion_tokens": 7,
            "stream": true,
            "stream_options": {"include_usage": true},
            "user": "u",
        })
    );
    for (choice, word) in [(ToolChoice::Any, "required"), (ToolChoice::None, "none")] {
        let request = Request { tool_choice: Some(choice), ..everything() };
        assert_eq!(written(Quirks::default(), &request)["tool_choice"], word);
        assert_eq!(written(Quirks::default(), &Request { tools: Vec::new(), ..request }).get("tool_choice"), None);
    }
}

#[test]
fn quirks_change_what_is_written() {
    let quirks = Quirks {
        max_tokens: true,
        no_stream_options: true,
        no_user: true,
        effort: EffortField::Reasoning,
        least_effort: LeastEffort::None,
        output: OutputField::JsonObject,
        ..Quirks::default()
    };
    let body = written(quirks, &everything());
    assert_eq!((&body["max_tokens"], &body["reasoning"]), (&json!(7), &json!({"effort": "none"})));
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    assert!(body["messages"][0]["content"].as_str().unwrap().contains(r#"{"type":"object"}"#));
    for absent in ["max_completion_tokens", "stream_options", "user", "reasoning_effort"] {
        assert_eq!(body.get(absent), None, "{absent}");
    }
    let never = written(Quirks { effort: EffortField::Never, ..quirks }, &everything());
    assert_eq!((never.get("reasoning"), never.get("reasoning_effort")), (None, None));
}

#[test]
fn ids_are_those_that_the_server_takes() {
    let long = "x".repeat(60);
    let messages = vec![
        message(Role::Assistant, vec![call(&long), call("abcdefgh9"), call("a_b")]),
        message(
            Role::User,
            vec![result(&long, "1", false), result("a_b", "3", false), result("abcdefgh9", "2", false)],
        ),
    ];
    let request = Request { messages, ..question("m1") };
    for (short, fits) in [(false, 40), (true, 9)] {
        let body = written(Quirks { short_call_ids: short, ..Quirks::default() }, &request);
        let messages = body["messages"].as_array().unwrap();
        let calls: Vec<_> = messages[1]["tool_calls"].as_array().unwrap().iter().map(|call| &call["id"]).collect();
        let results: Vec<_> = messages[2..].iter().map(|message| &message["tool_call_id"]).collect();
        assert_eq!(calls, results);
        assert_eq!(calls[1], "abcdefgh9");
        assert!(calls.iter().all(|id| id.as_str().unwrap().len() <= fits), "{calls:?}");
    }
}

#[test]
fn thoughts_go_back_to_a_server_that_wants_them() {
    let thought = |model: &str, field: &str| {
        let (text, signature) = (format!("In {field}."), Some(field.to_owned()));
        PromptPart::Reasoning(Reasoning { model: model.parse().unwrap(), text, signature })
    };
    let own = thought("mock/m1", "reasoning_content");
    let said = vec![own, thought("mock/m1", "content"), thought("mock/m2", "reasoning"), text("Yes.")];
    let messages = vec![PromptMessage::text(Role::User, "?"), message(Role::Assistant, said)];
    let request = Request { messages, ..question("m1") };
    let quirks = Quirks { replays_reasoning: true, ..Quirks::default() };
    assert_eq!(
        written(quirks, &request)["messages"][1],
        json!({"role": "assistant", "content": "Yes.", "reasoning_content": "In reasoning_content."})
    );
    assert_eq!(written(Quirks::default(), &request)["messages"][1], json!({"role": "assistant", "content": "Yes."}));
}

#[test]
fn details_of_thoughts_go_back_unchanged() {
    let hidden = |details: &str| {
        let signature = Some(format!("reasoning_details:{details}"));
        PromptPart::Reasoning(Reasoning { model: "mock/m1".parse().unwrap(), text: "Hm.".to_owned(), signature })
    };
    let said = vec![hidden(r#"[{"b":1.0,"a":"x"}]"#), hidden("nonsense"), hidden(r#"[{"c":2}]"#), text("Yes.")];
    let messages = vec![PromptMessage::text(Role::User, "?"), message(Role::Assistant, said)];
    let request = Request { messages, ..question("m1") };
    let quirks = Quirks { replays_reasoning: true, ..Quirks::default() };
    let body = String::from_utf8(speaking(quirks).write(&request).unwrap().body).unwrap();
    assert!(body.contains(r#""reasoning_details":[{"b":1.0,"a":"x"},{"c":2}]"#), "{body}");
    assert!(!body.contains("Hm."), "the words are among them: {body}");
}

#[test]
fn the_model_speaks_between_a_tool_and_a_person_where_it_must() {
    let mut messages = vec![
        PromptMessage::text(Role::User, "Find it."),
        message(Role::Assistant, vec![call("a")]),
        message(Role::User, vec![result("a", "here", false), text("Well?")]),
    ];
    let roles = |speaks_after_tools, messages: &[PromptMessage]| {
        let request = Request { messages: messages.to_vec(), ..question("m1") };
        let body = written(Quirks { speaks_after_tools, ..Quirks::default() }, &request);
        let roles = body["messages"].as_array().unwrap().iter().map(|message| message["role"].to_string());
        roles.collect::<Vec<_>>().join(" ").replace('"', "")
    };
    assert_eq!(roles(false, &messages), "user assistant tool user");
    assert_eq!(roles(true, &messages), "user assistant tool assistant user");
    messages[2].parts.pop();
    assert_eq!(roles(true, &messages), "user assistant tool");
}

#[test]
fn an_answer_that_has_begun_is_a_prefix_where_that_is_asked_for() {
    let begun = vec![PromptMessage::text(Role::User, "?"), PromptMessage::text(Role::Assistant, "The moon")];
    let request = Request { messages: begun, ..question("m1") };
    let last = |prefix| written(Quirks { prefix, ..Quirks::default() }, &request)["messages"][1].clone();
    assert_eq!(last(true), json!({"role": "assistant", "content": "The moon", "prefix": true}));
    assert_eq!(last(false), json!({"role": "assistant", "content": "The moon"}));
    let whole = [request.messages, vec![PromptMessage::text(Role::User, "And?")]].concat();
    let body = written(Quirks { prefix: true, ..Quirks::default() }, &Request { messages: whole, ..question("m1") });
    assert_eq!(body["messages"][1].get("prefix"), None, "only the last one is");
}

proptest! {
    #[test]
    fn whatever_a_conversation_went_through_is_accepted(
        request in requests("mock/m1"), replays_reasoning in any::<bool>(), prefix in any::<bool>(),
        speaks_after_tools in any::<bool>(),
    ) {
        let quirks = Quirks { speaks_after_tools, prefix, replays_reasoning, ..Quirks::default() };
        let wire = speaking(quirks);
        if let Ok(written) = wire.write(&request) {
            let body: Value = serde_json::from_slice(&written.body).unwrap();
            let messages = body["messages"].as_array().unwrap();
            for (message, left) in messages.iter().zip((0..messages.len()).rev()) {
                let is_begun = left == 0 && message["role"] == "assistant";
                prop_assert_eq!(message["prefix"] == true, prefix && is_begun, "{}", message);
            }
            rules::check(Protocol::OpenaiChat, &body).unwrap();
            if speaks_after_tools {
                rules::check_mistral(&body).unwrap();
            }
            prop_assert_eq!(wire.write(&request).unwrap().body, written.body);
        }
    }
}
