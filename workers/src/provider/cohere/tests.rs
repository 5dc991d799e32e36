use domain::conversation::{Finish, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::provider::answer::Chunk;
use crate::provider::replay::{LEFT_OUT, Played, attached, heard, play, question, requests, split, tool};
use crate::provider::request::{
    Effort, OutputSchema, PromptMessage, PromptPart, Reasoning, Role, ToolCall, ToolChoice, ToolResult,
};
use crate::provider::{Error, ErrorKind, Protocol, rules};

fn cohere() -> Cohere {
    Cohere::new("cohere".to_owned())
}

/// An answer as Cohere sends it: the kind of an event stands before it and in it.
fn stream(events: &[Value]) -> String {
    let line = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("message"));
    events.iter().map(line).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "what is given is made for it")]
fn content(kind: &str, index: u64, content: Value) -> Value {
    json!({ "type": kind, "index": index, "delta": { "message": { "content": content } } })
}

fn end(reason: &str) -> Value {
    json!({ "type": "message-end", "id": "b6d6b6", "delta": { "finish_reason": reason, "usage": {
        "billed_units": { "input_tokens": 63.0, "output_tokens": 52.0 },
        "tokens": { "input_tokens": 907.0, "output_tokens": 104.0 }, "cached_tokens": 48.0 } } })
}

fn thinking() -> String {
    stream(&[
        json!({ "type": "message-start", "id": "b6d6b6", "delta": { "message": {
            "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [] } } }),
        content("content-start", 0, json!({ "type": "thinking", "thinking": "" })),
        content("content-delta", 0, json!({ "thinking": "It is " })),
        content("content-delta", 0, json!({ "thinking": "a greeting." })),
        json!({ "type": "content-end", "index": 0 }),
        content("content-start", 1, json!({ "type": "text", "text": "" })),
        content("content-delta", 1, json!({ "text": "Grüße" })),
        json!({ "type": "citation-start", "index": 0, "delta": { "message": { "citations": { "start": 0, "text": "G" } } } }),
        content("content-delta", 1, json!({ "text": "!" })),
        json!({ "type": "content-end", "index": 1 }),
        end("COMPLETE"),
    ])
}

fn calling() -> String {
    let calls = |kind: &str, index: u64, calls: Value| json!({ "type": kind, "index": index, "delta": { "message": { "tool_calls": calls } } });
    let start = |index, id: &str| {
        let function = json!({ "name": "get_weather", "arguments": "" });
        calls("tool-call-start", index, json!({ "id": id, "type": "function", "function": function }))
    };
    let more = |index, text: &str| calls("tool-call-delta", index, json!({ "function": { "arguments": text } }));
    stream(&[
        json!({ "type": "tool-plan-delta", "delta": { "message": { "tool_plan": "I will" } } }),
        json!({ "type": "tool-plan-delta", "delta": { "message": { "tool_plan": " look." } } }),
        start(0, "get_weather_nsz5zm3w56q3"),
        more(0, "{\n    \""),
        more(0, "location\": \"Oslo\"}"),
        json!({ "type": "tool-call-end", "index": 0 }),
        start(1, "get_weather_2"),
        more(1, "{\"location\": \"Rome\"}"),
        json!({ "type": "tool-call-end", "index": 1 }),
        end("TOOL_CALL"),
    ])
}

fn texts(chunks: &[Chunk]) -> (String, String) {
    chunks.iter().fold(Default::default(), |(mut text, mut thought), chunk| {
        match chunk {
            Chunk::Text(piece) => text.push_str(piece),
            Chunk::Reasoning(piece) => thought.push_str(piece),
            _ => {}
        }
        (text, thought)
    })
}

fn error((_, refusal): Played) -> Error {
    refusal.expect("an error").into_error("cohere", &[])
}

#[test]
fn an_answer_is_read_as_documented() {
    let (chunks, refusal) = play(&cohere(), &[thinking().as_bytes()]);
    assert_eq!(refusal, None);
    assert_eq!(texts(&chunks), ("Grüße!".to_owned(), "It is a greeting.".to_owned()));
    assert!(chunks.contains(&Chunk::ReasoningSignature("thinking".to_owned())));
    let Some(Chunk::Finished { finish, usage }) = chunks.last() else { panic!("{chunks:?}") };
    assert_eq!(*finish, Finish::Stop);
    // What is billed, without the part from the cache; the rest is kept as it was told.
    let told = Usage { input: Some(15), cached_input: Some(48), output: Some(52), ..Usage::default() };
    assert_eq!(Usage { raw: None, ..usage.clone() }, told);
    assert!(usage.raw.as_ref().unwrap().contains("907"));
}

#[test]
fn a_plan_and_calls_are_read_as_documented() {
    let (chunks, refusal) = play(&cohere(), &[calling().as_bytes()]);
    assert_eq!(refusal, None);
    let call = |id: &str, arguments: &str| Chunk::ToolCall {
        id: id.to_owned(),
        name: "get_weather".to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
    };
    assert_eq!(texts(&chunks), (String::new(), "I will look.".to_owned()));
    assert_eq!(chunks[2], Chunk::ReasoningSignature("tool_plan".to_owned()));
    assert_eq!(chunks[3], call("get_weather_nsz5zm3w56q3", "{\n    \"location\": \"Oslo\"}"));
    assert_eq!(chunks[4], call("get_weather_2", "{\"location\": \"Rome\"}"));
    assert!(matches!(chunks[5], Chunk::Finished { finish: Finish::ToolCalls, .. }));
}

#[test]
fn every_end_has_its_reason() {
    for (reason, finish) in [
        ("COMPLETE", Finish::Stop),
        ("STOP_SEQUENCE", Finish::Stop),
        ("MAX_TOKENS", Finish::Length),
        ("ERROR_TOXIC", Finish::ContentFilter),
        ("SOMETHING_NEW", Finish::Other),
    ] {
        let (chunks, _) = play(&cohere(), &[stream(&[end(reason)]).as_bytes()]);
        assert!(
            matches!(chunks[..], [Chunk::Finished { finish: found, .. }] if found == finish),
            "{reason}: {chunks:?}"
        );
    }
    let (chunks, refusal) =
        play(&cohere(), &[stream(&[content("content-delta", 0, json!({ "text": "a" }))]).as_bytes()]);
    assert_eq!((chunks, refusal), (vec![Chunk::Text("a".to_owned())], None), "without its mark it is not finished");
}

#[test]
fn errors_in_a_stream_are_typed() {
    for (event, kind) in [
        (json!({ "message": "too many tokens: the maximum context length is 128000" }), ErrorKind::ContextTooLong),
        (json!({ "message": "invalid api key" }), ErrorKind::Auth),
        (json!({ "type": "error", "message": "something" }), ErrorKind::Interrupted),
        (json!({ "error": { "code": 429, "message": "slow down" } }), ErrorKind::Rate),
        (
            json!({ "type": "message-end", "delta": { "finish_reason": "ERROR", "error": "an internal error" } }),
            ErrorKind::Interrupted,
        ),
        (json!({ "type": "message-end", "delta": { "finish_reason": "TIMEOUT" } }), ErrorKind::Overload),
        (json!({ "type": "content-delta", "delta": 5 }), ErrorKind::Protocol),
        (json!({ "type": "tool-call-start", "delta": { "message": { "tool_calls": [] } } }), ErrorKind::Protocol),
        (json!({ "hello": 1 }), ErrorKind::Protocol),
        (json!([1]), ErrorKind::Protocol),
    ] {
        let found = error(play(&cohere(), &[format!("data: {event}\n\n").as_bytes()]));
        assert_eq!(found.kind, kind, "{event}");
    }
    assert_eq!(error(play(&cohere(), &[b"data: <html>\n\n"])).kind, ErrorKind::Protocol);
}

#[test]
fn the_body_of_a_refusal_is_read() {
    let headers = reqwest::header::HeaderMap::new();
    for (status, body, kind) in [
        (401, json!({ "id": "1", "message": "invalid api token" }), ErrorKind::Auth),
        (404, json!({ "message": "model 'command-x' not found" }), ErrorKind::UnknownModel),
        (429, json!({ "message": "You are using a Trial key, which is limited" }), ErrorKind::Rate),
        (400, json!({ "message": "invalid request: message must be at least 1 token long" }), ErrorKind::Invalid),
        (503, json!({ "data": "string" }), ErrorKind::Overload),
    ] {
        let refusal = cohere().refusal(&body).with_status(status, &headers);
        assert_eq!(refusal.into_error("cohere", &[]).kind, kind, "{body}");
    }
}

#[test]
fn what_never_ends_is_refused() {
    let piece = content("content-delta", 0, json!({ "text": "x".repeat(100_000) }));
    let (_, refusal) = play(&cohere(), &[stream(&vec![piece; 50]).as_bytes()]);
    assert_eq!(refusal.unwrap().into_error("cohere", &[]).kind, ErrorKind::Protocol);
    let start = |index: u64| {
        json!({ "type": "tool-call-start", "index": index, "delta": { "message": { "tool_calls": {
            "id": "", "function": { "name": "f", "arguments": "" } } } } })
    };
    let (_, refusal) = play(&cohere(), &[stream(&(0..200).map(start).collect::<Vec<_>>()).as_bytes()]);
    assert_eq!(refusal.unwrap().into_error("cohere", &[]).kind, ErrorKind::Protocol);
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&cohere().write(request).unwrap().body).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a whole conversation, as it is on the wire")]
fn a_conversation_is_written_as_documented() {
    let plan = Reasoning {
        model: "cohere/command-a-plus-05-2026".parse().unwrap(),
        text: "I will look.".to_owned(),
        signature: Some("tool_plan".to_owned()),
    };
    let thought = Reasoning { signature: Some("thinking".to_owned()), text: "Hm.".to_owned(), ..plan.clone() };
    let call = ToolCall {
        id: "c1".to_owned(),
        name: "search".to_owned(),
        arguments: "{\"q\": 1}".to_owned(),
        signature: None,
    };
    let result =
        ToolResult { id: "c1".to_owned(), name: "search".to_owned(), content: "none".to_owned(), is_error: true };
    let said = vec![PromptPart::Reasoning(thought), PromptPart::Reasoning(plan), PromptPart::ToolCall(call)];
    let messages = vec![
        PromptMessage::text(Role::System, "Be brief."),
        PromptMessage {
            role: Role::User,
            parts: vec![
                PromptPart::Text("Look.".to_owned()),
                attached("image/png"),
                attached("text/plain; charset=utf-8"),
            ],
        },
        PromptMessage { role: Role::Assistant, parts: said },
        PromptMessage { role: Role::User, parts: vec![PromptPart::ToolResult(result)] },
    ];
    let request = Request {
        messages,
        tools: vec![tool()],
        tool_choice: Some(ToolChoice::Tool("search".to_owned())),
        effort: Some(Effort::Medium),
        max_output: Some(4_000),
        ..question("command-a-plus-05-2026")
    };
    let written = cohere().write(&request).unwrap();
    assert_eq!((written.path.as_str(), written.query), ("/chat", None));
    let text = |text: &str| json!({ "type": "text", "text": text });
    let function = json!({ "name": "search", "description": "Searches.", "parameters": tool().parameters });
    assert_eq!(
        body(&request),
        json!({
            "model": "command-a-plus-05-2026",
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": [
                    text("Look."),
                    { "type": "image_url", "image_url": { "url": "data:image/png;base64,Ynl0ZXM=" } },
                    text("notes:\nbytes"),
                ] },
                {
                    "role": "assistant",
                    "content": [{ "type": "thinking", "thinking": "Hm." }],
                    "tool_plan": "I will look.",
                    "tool_calls": [
                        { "id": "c1", "type": "function", "function": { "name": "search", "arguments": "{\"q\": 1}" } },
                    ],
                },
                { "role": "tool", "tool_call_id": "c1", "content": "Error: none" },
            ],
            "tools": [{ "type": "function", "function": function }],
            "tool_choice": "REQUIRED",
            "max_tokens": 4_000,
            "thinking": { "type": "enabled", "token_budget": 2_000 },
            "stream": true,
        })
    );
}

#[test]
fn settings_are_written_where_they_are_understood() {
    let output = OutputSchema { name: "answer".to_owned(), schema: json!({ "type": "object" }) };
    let shaped = Request { output: Some(output), ..question("command-a-03-2025") };
    assert_eq!(body(&shaped)["response_format"], json!({ "type": "json_object", "json_schema": { "type": "object" } }));
    assert!(cohere().write(&Request { tools: vec![tool()], ..shaped.clone() }).is_err());
    let thinks = |effort, model: &str| body(&Request { effort, ..question(model) })["thinking"].clone();
    assert_eq!(thinks(Some(Effort::Minimal), "command-a-reasoning-08-2025"), json!({ "type": "disabled" }));
    assert_eq!(thinks(Some(Effort::High), "command-a-reasoning-08-2025"), json!({ "type": "enabled" }));
    assert_eq!(thinks(Some(Effort::High), "command-a-03-2025"), Value::Null);
    assert_eq!(thinks(None, "command-a-reasoning-08-2025"), Value::Null);
    let none = Request { tools: vec![tool()], tool_choice: Some(ToolChoice::None), ..question("command-a-03-2025") };
    assert!(body(&none).get("tools").is_none() && body(&none).get("tool_choice").is_none());
    let file = PromptMessage { role: Role::User, parts: vec![attached("application/pdf")] };
    let error = cohere().write(&Request { messages: vec![file], ..question("command-a-03-2025") }).unwrap_err();
    assert!(error.0.contains("application/pdf"), "{error:?}");
    // Once answered, it does not stand in the way any more.
    let file = PromptMessage { role: Role::User, parts: vec![attached("audio/wav")] };
    let answered = Request { messages: [vec![file], heard()].concat(), ..question("command-a-03-2025") };
    assert_eq!(body(&answered)["messages"][0]["content"], json!([{ "type": "text", "text": LEFT_OUT }]));
}

/// What the reference demands of messages, and that no other model's thoughts are among them.
fn check(body: &Value) {
    rules::check(Protocol::Cohere, body).unwrap();
    assert!(rules::thoughts(body).iter().all(|thought| *thought == "Hm."), "{body}");
}

proptest! {
    #[test]
    fn any_split_reads_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        split(&cohere(), thinking().as_bytes(), &cuts)?;
        split(&cohere(), calling().as_bytes(), &cuts)?;
    }

    #[test]
    fn nothing_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        play(&cohere(), &[&bytes]);
        play(&cohere(), &[b"data: ", &bytes, b"\n\n"]);
    }

    #[test]
    fn any_history_is_written_in_order(request in requests("cohere/command-a-plus-05-2026")) {
        if let Ok(written) = cohere().write(&request) {
            prop_assert_eq!(&cohere().write(&request).unwrap().body, &written.body);
            check(&serde_json::from_slice(&written.body).unwrap());
        }
    }
}
