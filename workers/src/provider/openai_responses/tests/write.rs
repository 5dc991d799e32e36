use bytes::Bytes;
use proptest::prelude::{ProptestConfig, proptest};
use serde_json::{Value, json};

use super::super::OpenAiResponses;
use crate::provider::histories::{any_request, call, result, says, thought, weather};
use crate::provider::replay::{LEFT_OUT, attached, heard, requests};
use crate::provider::request::{Effort, Media, OutputSchema, PromptMessage, PromptPart, Request, Role, ToolChoice};
use crate::provider::wire::Wire as _;
use crate::provider::{Protocol, rules};

const MODEL: &str = "openai/gpt-5";
const SEALED: &str = r#"{"id":"rs_1","encrypted_content":"gAAAA"}"#;

fn write(request: &Request) -> Value {
    let written = OpenAiResponses::new("openai").write(request).unwrap();
    assert_eq!((written.path.as_str(), written.query), ("/responses", None));
    serde_json::from_slice(&written.body).unwrap()
}

fn asking(model: &str, messages: Vec<PromptMessage>) -> Request {
    Request { model: model.to_owned(), messages, ..Request::default() }
}

fn said(parts: Vec<PromptPart>) -> PromptMessage {
    PromptMessage { role: Role::Assistant, parts }
}

fn given(parts: Vec<PromptPart>) -> PromptMessage {
    PromptMessage { role: Role::User, parts }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a whole exchange, to be compared with the documentation's")]
fn a_conversation_with_a_tool_is_written_as_documented() {
    let request = Request {
        tools: vec![weather()],
        tool_choice: Some(ToolChoice::Tool("get_weather".to_owned())),
        max_output: Some(3),
        effort: Some(Effort::Minimal),
        user: Some("u1".to_owned()),
        ..asking(
            "gpt-5",
            vec![
                says(Role::System, "Be brief."),
                says(Role::System, "Be kind."),
                says(Role::User, "Weather in Paris?"),
                said(vec![
                    thought(MODEL, "Paris, then.", Some(SEALED)),
                    thought("openai/gpt-5-mini", "Not mine.", Some(SEALED)),
                    PromptPart::Text("I look.".to_owned()),
                    call("call_1", "get_weather", r#"{"city":"Paris"}"#, None),
                    call("call_2", "get_weather", "", None),
                ]),
                given(vec![
                    result("call_1", "get_weather", "rain", false),
                    result("call_2", "get_weather", "no city", true),
                ]),
            ],
        )
    };
    let expected = json!({
        "model": "gpt-5",
        "instructions": "Be brief.\n\nBe kind.",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Weather in Paris?"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Paris, then."}], "encrypted_content": "gAAAA"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{\"city\":\"Paris\"}"},
            {"type": "function_call", "call_id": "call_2", "name": "get_weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
            {"type": "function_call_output", "call_id": "call_2", "output": "Error: no city"},
        ],
        "tools": [{"type": "function", "name": "get_weather", "description": "The weather of a city.",
            "parameters": weather().parameters, "strict": false}],
        "tool_choice": {"type": "function", "name": "get_weather"},
        "reasoning": {"effort": "minimal", "summary": "auto"},
        "max_output_tokens": 16,
        "safety_identifier": "u1",
        "include": ["reasoning.encrypted_content"],
        "store": false,
        "stream": true,
    });
    assert_eq!(write(&request), expected);
}

#[test]
fn images_and_files_stand_in_the_prompt() {
    let media = |media_type: &str, name: Option<&str>, bytes: &'static [u8]| {
        let (media_type, name) = (media_type.to_owned(), name.map(str::to_owned));
        PromptPart::Media(Media { media_type, name, bytes: Bytes::from_static(bytes) })
    };
    let parts = vec![
        media("image/png", None, b"\x01\x02"),
        media("application/pdf", Some("a.pdf"), b"%PDF"),
        media("text/csv; charset=utf-8", Some("b.csv"), b"1,2"),
    ];
    let body = write(&asking("gpt-4.1", vec![given(parts)]));
    let expected = json!([
        {"type": "input_image", "image_url": "data:image/png;base64,AQI=", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"type": "input_text", "text": "b.csv:\n1,2"},
    ]);
    assert_eq!(body["input"][0]["content"], expected);
    let zip = asking("gpt-4.1", vec![given(vec![media("application/zip", None, b"PK")])]);
    let refused = OpenAiResponses::new("openai").write(&zip).unwrap_err();
    assert_eq!(refused.0, "this model does not take files of the type application/zip");
    // Once answered, it does not stand in the way any more.
    let answered = asking("gpt-4.1", [vec![given(vec![attached("audio/wav")])], heard()].concat());
    assert_eq!(write(&answered)["input"][0]["content"], json!([{"type": "input_text", "text": LEFT_OUT}]));
}

#[test]
fn nothing_to_answer_is_not_asked() {
    let system = asking("gpt-5", vec![says(Role::System, "Be brief.")]);
    assert_eq!(OpenAiResponses::new("openai").write(&system).unwrap_err().0, "the prompt is empty");
}

#[test]
fn thoughts_go_back_to_who_thought_them_and_never_last() {
    let replayed = |provider: &str, parts: Vec<PromptPart>| {
        let messages = vec![says(Role::User, "a"), said(parts), says(Role::User, "b")];
        let written = OpenAiResponses::new(provider).write(&asking("gpt-5", messages)).unwrap();
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        body["input"].as_array().unwrap().iter().filter(|item| item["type"] == "reasoning").count()
    };
    let own = || thought(MODEL, "", Some(SEALED));
    let text = || PromptPart::Text("c".to_owned());
    assert_eq!(replayed("openai", vec![own(), text()]), 1);
    assert_eq!(replayed("azure", vec![own(), text()]), 0);
    assert_eq!(replayed("openai", vec![text(), own()]), 0);
    assert_eq!(replayed("openai", vec![own()]), 0);
    assert_eq!(replayed("openai", vec![thought(MODEL, "told", None), text()]), 0);
    assert_eq!(replayed("openai", vec![thought(MODEL, "told", Some("not ours")), text()]), 0);
}

#[test]
fn a_model_is_told_only_what_it_accepts_about_thinking() {
    let thinking = |model: &str, effort| {
        let body = write(&Request { effort, ..asking(model, vec![says(Role::User, "a")]) });
        assert_eq!(body.get("include").is_some(), body.get("reasoning").is_some(), "{model}");
        body.pointer("/reasoning").map(|reasoning| reasoning["effort"].as_str().map(str::to_owned))
    };
    let known = |effort: &str| Some(Some(effort.to_owned()));
    for (model, minimal) in [
        ("gpt-5-mini-2025-08-07", known("minimal")),
        ("gpt-5.1", known("none")),
        ("openai/gpt-5.4-mini", known("none")),
        ("gpt-5.1-codex-max", known("low")),
        ("o4-mini", known("low")),
        ("gpt-5-pro", Some(None)),
        ("gpt-4.1", None),
        ("gpt-4o-mini", None),
        ("chatgpt-4o-latest", None),
        ("my-deployment", known("low")),
    ] {
        assert_eq!(thinking(model, Some(Effort::Minimal)), minimal, "{model}");
    }
    assert_eq!(thinking("gpt-5", None), Some(None));
    assert_eq!(thinking("gpt-5", Some(Effort::High)), known("high"));
    assert_eq!(thinking("my-deployment", None), None);
}

#[test]
fn a_schema_is_strict_only_where_it_can_be() {
    let strict = |schema: Value| {
        let output = Some(OutputSchema { name: "answer".to_owned(), schema: schema.clone() });
        let body = write(&Request { output, ..asking("gpt-5", vec![says(Role::User, "a")]) });
        let format = &body["text"]["format"];
        assert_eq!(
            (&format["type"], &format["name"], &format["schema"]),
            (&json!("json_schema"), &json!("answer"), &schema)
        );
        format["strict"].as_bool().unwrap()
    };
    let closed = |inner: Value| json!({"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": false});
    assert!(strict(closed(json!({"type": "string"}))));
    assert!(strict(closed(json!({"anyOf": [{"type": "null"}, closed(json!({"type": "number"}))]}))));
    assert!(!strict(closed(json!({"type": "object"}))));
    assert!(!strict(closed(json!({"allOf": [{"type": "string"}]}))));
    assert!(!strict(json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false})));
    assert!(!strict(json!({"type": "object", "properties": {"a": {}}, "required": ["a"]})));
}

#[test]
fn call_ids_are_unique_and_short() {
    let step = |id: &str| {
        vec![says(Role::User, "a"), said(vec![call(id, "t", "{}", None)]), given(vec![result(id, "t", "b", false)])]
    };
    let long = "x".repeat(65);
    let messages = [step("call_0"), step("call_0"), step("call_0_2"), step(&long), step("a b")].concat();
    let body = write(&asking("gpt-5", messages));
    rules::check(Protocol::OpenaiResponses, &body).unwrap();
    let again = write(&asking("gpt-5", [step("call_0"), step("call_0")].concat()));
    // The beginning of a prompt stays as it is, for the provider's cache.
    assert_eq!(again["input"].as_array().unwrap()[..], body["input"].as_array().unwrap()[..6]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_makes_a_request_that_is_refused(request in any_request(MODEL, vec![SEALED.to_owned()])) {
        let written = OpenAiResponses::new("openai").write(&request).unwrap();
        rules::check(Protocol::OpenaiResponses, &serde_json::from_slice(&written.body).unwrap()).unwrap();
        assert_eq!(OpenAiResponses::new("openai").write(&request), Ok(written));
    }

    #[test]
    fn nor_does_one_that_nobody_put_in_order(request in requests(MODEL)) {
        let Ok(written) = OpenAiResponses::new("openai").write(&request) else { return Ok(()) };
        rules::check(Protocol::OpenaiResponses, &serde_json::from_slice(&written.body).unwrap()).unwrap();
    }
}
