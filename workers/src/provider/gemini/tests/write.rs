use bytes::Bytes;
use proptest::prelude::{ProptestConfig, proptest};
use serde_json::{Value, json};

use super::super::{Gemini, Quirks};
use crate::provider::histories::{any_request, call, result, says, thought, weather};
use crate::provider::replay::{LEFT_OUT, attached, heard, requests};
use crate::provider::request::{Effort, Media, OutputSchema, PromptMessage, PromptPart, Request, Role, ToolChoice};
use crate::provider::wire::Wire as _;
use crate::provider::{Protocol, rules};

const MODEL: &str = "google/gemini-3-flash";
const DUMMY: &str = "skip_thought_signature_validator";

fn write(wire: &Gemini, request: &Request) -> Value {
    serde_json::from_slice(&wire.write(request).unwrap().body).unwrap()
}

fn studio() -> Gemini {
    Gemini::new("google", Quirks::AI_STUDIO)
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

fn text(text: &str) -> PromptPart {
    PromptPart::Text(text.to_owned())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a whole exchange, to be compared with the documentation's")]
fn a_conversation_with_tools_is_written_as_documented() {
    let request = Request {
        tools: vec![weather()],
        tool_choice: Some(ToolChoice::Tool("get_weather".to_owned())),
        output: Some(OutputSchema { name: "answer".to_owned(), schema: json!({"type": "object"}) }),
        max_output: Some(900),
        effort: Some(Effort::Low),
        ..asking(
            "gemini-3-flash",
            vec![
                says(Role::System, "Be brief."),
                says(Role::User, "Weather in Paris and London?"),
                said(vec![
                    thought(MODEL, "Both.", None),
                    thought("anthropic/claude", "Not mine.", Some("EqQB")),
                    text("I look."),
                    call("a1", "get_weather", r#"{"city": "Paris"}"#, Some((MODEL, "c2ln"))),
                    call("a2", "get_weather", "{oops", None),
                ]),
                given(vec![result("a1", "get_weather", "rain", false), result("a2", "get_weather", "no city", true)]),
            ],
        )
    };
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Weather in Paris and London?"}]},
            {"role": "model", "parts": [
                {"text": "I look."},
                {"functionCall": {"id": "a1", "name": "get_weather", "args": {"city": "Paris"}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "a2", "name": "get_weather", "args": {"malformed_arguments": "{oops"}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "a1", "name": "get_weather", "response": {"output": "rain"}}},
                {"functionResponse": {"id": "a2", "name": "get_weather", "response": {"error": "no city"}}},
            ]},
        ],
        "tools": [{"functionDeclarations": [{"name": "get_weather", "description": "The weather of a city.",
            "parametersJsonSchema": weather().parameters}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}},
        "generationConfig": {"maxOutputTokens": 900, "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"}, "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "LOW"}},
    });
    assert_eq!(write(&studio(), &request), expected);
    let vertex = write(&Gemini::new("google", Quirks::VERTEX), &request).to_string();
    assert!(!vertex.contains(r#""id""#), "{vertex}");
}

#[test]
fn a_model_is_one_segment_of_the_path() {
    for (model, path) in [
        ("gemini-3-flash", "/models/gemini-3-flash:streamGenerateContent"),
        ("models/gemini-3-flash", "/models/gemini-3-flash:streamGenerateContent"),
        ("../x?key=1#ü", "/models/..%2Fx%3Fkey%3D1%23%C3%BC:streamGenerateContent"),
    ] {
        let written = studio().write(&asking(model, vec![says(Role::User, "a")])).unwrap();
        assert_eq!((written.path.as_str(), written.query), (path, Some("alt=sse")));
    }
}

#[test]
fn signatures_go_back_on_the_part_that_had_them() {
    let parts = |parts: Vec<PromptPart>| {
        let messages = vec![says(Role::User, "a"), said(parts), says(Role::User, "b")];
        write(&studio(), &asking("gemini-3-flash", messages))["contents"][1]["parts"].clone()
    };
    let mark = |kept: &str| thought(MODEL, "", Some(kept));
    let signed = |text: &str| json!({"text": text, "thoughtSignature": "c2ln"});
    // The text came as "Grü" and "ße".
    assert_eq!(parts(vec![text("Grüße"), mark("text:3:c2ln")]), json!([{"text": "Grü"}, signed("ße")]));
    assert_eq!(parts(vec![text("Grüße"), mark("text:7:c2ln")]), json!([signed("Grüße")]));
    assert_eq!(parts(vec![text("Grüße"), mark("text:0:c2ln")]), json!([{"text": "Grüße"}, signed("")]));
    let own_thought = thought(MODEL, "hm", Some("thought:c2ln"));
    let expected = json!([{"text": "hm", "thought": true, "thoughtSignature": "c2ln"}, {"text": "a"}]);
    assert_eq!(parts(vec![own_thought, text("a")]), expected);
    // What does not fit the text, what is no mark, and what others thought.
    for odd in ["text:99:c2ln", "text:2:c2ln", "text:x:c2ln", "c2ln"] {
        assert_eq!(parts(vec![text("Grüße"), mark(odd)]), json!([{"text": "Grüße"}]), "{odd}");
    }
    let foreign = thought("vertex/gemini-3-flash", "", Some("text:0:c2ln"));
    assert_eq!(parts(vec![text("a"), foreign]), json!([{"text": "a"}]));
}

#[test]
fn a_call_of_another_model_has_the_documented_signature() {
    let signatures = |model: &str, calls: Vec<PromptPart>| {
        let results = calls.iter().map(|part| match part {
            PromptPart::ToolCall(call) => result(&call.id, &call.name, "b", false),
            other => other.clone(),
        });
        let results = results.collect();
        let body = write(&studio(), &asking(model, vec![says(Role::User, "a"), said(calls), given(results)]));
        let parts = body["contents"][1]["parts"].as_array().unwrap().clone();
        parts.iter().map(|part| part["thoughtSignature"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let foreign = |id: &str| call(id, "t", "{}", Some(("google/gemini-2.5-pro", "old")));
    let own = |id: &str| call(id, "t", "{}", Some((MODEL, "c2ln")));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(signatures("gemini-3-flash", vec![foreign("1"), foreign("2")]), [some(DUMMY), None]);
    assert_eq!(signatures("gemini-flash-latest", vec![own("1")]), [some(DUMMY)]);
    assert_eq!(signatures("gemini-3-flash", vec![own("1"), call("2", "t", "{}", None)]), [some("c2ln"), None]);
    assert_eq!(signatures("gemini-2.5-flash", vec![own("1")]), [None]);
}

#[test]
fn turns_are_those_that_the_provider_counts() {
    let kinds = |messages: Vec<PromptMessage>| {
        let body = write(&studio(), &asking("gemini-3-flash", messages));
        let kind = |content: &Value| {
            let parts = content["parts"].as_array().unwrap();
            format!("{}{}", content["role"].as_str().unwrap(), parts.len())
        };
        body["contents"].as_array().unwrap().iter().map(kind).collect::<Vec<_>>().join(" ")
    };
    let step = || vec![said(vec![call("1", "t", "", None)]), given(vec![result("1", "t", "b", false)])];
    let user = || vec![says(Role::User, "a")];
    let model = |by: &str| vec![said(vec![thought(by, "x", None)])];
    // What tools gave is a turn by itself.
    assert_eq!(kinds([user(), step(), user()].concat()), "user1 model1 user1 user1");
    // People and models do not speak twice in a row, also where a thought is left out.
    assert_eq!(kinds([user(), model("o/o"), user()].concat()), "user2");
    assert_eq!(kinds([user(), vec![said(vec![text("a")])], step()].concat()), "user1 model2 user1");
    // A history begins with a person.
    assert_eq!(kinds([step(), user()].concat()), "user1 model1 user1 user1");
}

#[test]
fn a_model_is_told_only_what_it_accepts_about_thinking() {
    let thinking = |model: &str, effort| {
        let body = write(&studio(), &Request { effort, ..asking(model, vec![says(Role::User, "a")]) });
        body["generationConfig"].get("thinkingConfig").map(Value::to_string)
    };
    let budget =
        |thoughts: bool, budget: u32| Some(format!(r#"{{"includeThoughts":{thoughts},"thinkingBudget":{budget}}}"#));
    let level = |level: &str| Some(format!(r#"{{"includeThoughts":true,"thinkingLevel":"{level}"}}"#));
    let on = || Some(r#"{"includeThoughts":true}"#.to_owned());
    for (model, minimal, medium, unsaid) in [
        ("gemini-2.5-pro", budget(true, 128), budget(true, 8192), on()),
        ("gemini-2.5-flash", budget(false, 0), budget(true, 8192), on()),
        ("gemini-2.5-flash-lite", budget(false, 0), budget(true, 8192), None),
        ("gemini-3-pro-preview", level("LOW"), level("HIGH"), on()),
        ("gemini-3.1-pro-preview", level("LOW"), level("MEDIUM"), on()),
        ("gemini-3.5-flash", level("MINIMAL"), level("MEDIUM"), on()),
        ("gemini-flash-latest", level("MINIMAL"), level("MEDIUM"), on()),
        ("gemini-2.0-flash", None, None, None),
        ("gemini-2.5-flash-image", None, None, None),
        ("gemma-3-27b-it", None, None, None),
    ] {
        assert_eq!(thinking(model, Some(Effort::Minimal)), minimal, "{model}");
        assert_eq!(thinking(model, Some(Effort::Medium)), medium, "{model}");
        assert_eq!(thinking(model, None), unsaid, "{model}");
    }
}

#[test]
fn what_a_model_cannot_do_is_said_before_it_is_asked() {
    let refused = |request: &Request| studio().write(request).unwrap_err().0;
    let output = Some(OutputSchema { name: "answer".to_owned(), schema: json!({"type": "object"}) });
    let shaped = Request { output, tools: vec![weather()], ..asking("gemini-2.5-pro", vec![says(Role::User, "a")]) };
    assert_eq!(refused(&shaped), "this model cannot have tools while its answer must have a given shape");
    let body = write(&studio(), &Request { tool_choice: Some(ToolChoice::None), ..shaped });
    assert!(body.get("tools").is_none() && body.get("toolConfig").is_none());

    let mut odd = weather();
    "9lives".clone_into(&mut odd.name);
    let odd = Request { tools: vec![odd], ..asking("gemini-3-flash", vec![says(Role::User, "a")]) };
    assert_eq!(refused(&odd), "the name of the tool \"9lives\" must begin with a letter for this model");
    assert_eq!(refused(&asking("gemini-3-flash", vec![says(Role::System, "a")])), "there is nothing to answer");
}

#[test]
fn images_and_files_stand_in_the_prompt() {
    let media = |media_type: &str, bytes: &'static [u8]| {
        PromptPart::Media(Media { media_type: media_type.to_owned(), name: None, bytes: Bytes::from_static(bytes) })
    };
    let parts = vec![media("image/webp", b"\x01\x02"), media("application/pdf", b"%PDF"), media("text/csv", b"1,2")];
    let body = write(&studio(), &asking("gemini-3-flash", vec![given(parts)]));
    let data = |mime: &str, data: &str| json!({"inlineData": {"mimeType": mime, "data": data}});
    let expected = json!([data("image/webp", "AQI="), data("application/pdf", "JVBERg=="), data("text/plain", "MSwy")]);
    assert_eq!(body["contents"][0]["parts"], expected);
    let gif = asking("gemini-3-flash", vec![given(vec![media("image/gif", b"GIF89a")])]);
    assert_eq!(studio().write(&gif).unwrap_err().0, "this model does not take files of the type image/gif");
    // Once answered, it does not stand in the way any more.
    let answered = asking("gemini-3-flash", [vec![given(vec![attached("image/gif")])], heard()].concat());
    let note = LEFT_OUT.replace("audio/wav", "image/gif");
    assert_eq!(write(&studio(), &answered)["contents"][0]["parts"], json!([{"text": note}]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_makes_a_request_that_is_refused(
        request in any_request(MODEL, vec!["text:0:c2ln".to_owned(), "text:2:c2ln".to_owned(), "thought:c2ln".to_owned()])
    ) {
        let written = studio().write(&request).unwrap();
        rules::check(Protocol::Gemini, &serde_json::from_slice(&written.body).unwrap()).unwrap();
        assert_eq!(studio().write(&request), Ok(written));
    }

    #[test]
    fn nor_does_one_that_nobody_put_in_order(request in requests(MODEL)) {
        let Ok(written) = studio().write(&request) else { return Ok(()) };
        rules::check(Protocol::Gemini, &serde_json::from_slice(&written.body).unwrap()).unwrap();
    }
}
