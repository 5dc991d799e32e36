use domain::conversation::{Finish, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::provider::answer::{Answer, Chunk};
use crate::provider::replay::{LEFT_OUT, attached, heard, play, question, requests, split, tool};
use crate::provider::request::{
    Effort, OutputSchema, PromptMessage, PromptPart, Reasoning, Role, ToolCall, ToolChoice, ToolResult,
};
use crate::provider::{ErrorKind, Protocol, rules};

fn ollama() -> Ollama {
    Ollama::new("ollama".to_owned())
}

fn stream(lines: &[Value]) -> String {
    lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "what is given is made for it")]
fn line(message: Value) -> Value {
    json!({ "model": "qwen3", "created_at": "2026-11-25T08:52:19.385406455-07:00", "message": message, "done": false })
}

fn end(reason: &str) -> Value {
    json!({ "model": "qwen3", "created_at": "2026-11-25T19:22:45.499127Z",
        "message": { "role": "assistant", "content": "" }, "done": true, "done_reason": reason,
        "total_duration": 4_883_583_458_u64, "load_duration": 1_334_875, "prompt_eval_count": 26,
        "prompt_eval_duration": 342_546_000, "eval_count": 282, "eval_duration": 4_535_599_000_u64 })
}

fn answer() -> String {
    stream(&[
        line(json!({ "role": "assistant", "content": "", "thinking": "The user " })),
        line(json!({ "role": "assistant", "content": "", "thinking": "asks." })),
        line(json!({ "role": "assistant", "content": "Grü", "images": null })),
        line(json!({ "role": "assistant", "content": "ße" })),
        line(json!({ "role": "assistant", "content": "", "tool_calls": [
            { "function": { "name": "get_weather", "arguments": { "city": "Toronto" } } },
            { "id": "call_7", "function": { "index": 1, "name": "get_weather", "arguments": "{\"city\":\"Oslo\"}" } },
        ] })),
        line(json!({ "role": "assistant", "content": "", "tool_calls": [
            { "function": { "index": 0, "name": "get_time", "arguments": null } } ] })),
        end("stop"),
    ])
}

fn kind(body: &str) -> ErrorKind {
    let (_, refusal) = play(&ollama(), &[body.as_bytes()]);
    refusal.expect(body).into_error("ollama", &[]).kind
}

#[test]
fn an_answer_is_read_as_documented() {
    let (chunks, refusal) = play(&ollama(), &[answer().as_bytes()]);
    assert_eq!(refusal, None);
    let call = |id: &str, name: &str, arguments: &str| Chunk::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
    };
    let raw = Some(r#"{"prompt_eval_count":26,"eval_count":282}"#.to_owned());
    assert_eq!(
        chunks,
        [
            Chunk::Reasoning("The user ".to_owned()),
            Chunk::Reasoning("asks.".to_owned()),
            Chunk::ReasoningSignature("thinking".to_owned()),
            Chunk::Text("Grü".to_owned()),
            Chunk::Text("ße".to_owned()),
            call("call_0", "get_weather", "{\"city\":\"Toronto\"}"),
            call("call_7", "get_weather", "{\"city\":\"Oslo\"}"),
            call("call_2", "get_time", "{}"),
            Chunk::Finished {
                finish: Finish::ToolCalls,
                usage: Usage { input: Some(26), output: Some(282), raw, ..Usage::default() },
            },
        ]
    );
}

#[test]
fn every_end_has_its_reason() {
    let said = line(json!({ "role": "assistant", "content": "a" }));
    let finish = |last: Value| match play(&ollama(), &[stream(&[said.clone(), last]).as_bytes()]).0.pop() {
        Some(Chunk::Finished { finish, .. }) => finish,
        other => panic!("{other:?}"),
    };
    assert_eq!(finish(end("stop")), Finish::Stop);
    assert_eq!(finish(end("length")), Finish::Length);
    assert_eq!(finish(end("load")), Finish::Other);
    assert_eq!(finish(json!({ "done": true })), Finish::Stop);
    // Without its mark it is not finished, whatever reason it gives.
    let (chunks, refusal) = play(&ollama(), &[stream(std::slice::from_ref(&said)).as_bytes()]);
    assert_eq!((chunks, refusal), (vec![Chunk::Text("a".to_owned())], None));
}

#[test]
fn a_count_that_is_none_costs_the_count_alone() {
    for (count, told) in [
        (json!(282.0), Some(282)),
        (json!(-1), None),
        (json!(1e300), None),
        (json!("many"), None),
        (json!({}), None),
        (Value::Null, None),
    ] {
        let mut last = end("stop");
        last["eval_count"] = count;
        let (chunks, refusal) = play(&ollama(), &[stream(&[last]).as_bytes()]);
        assert_eq!(refusal, None);
        let Some(Chunk::Finished { finish: Finish::Stop, usage }) = chunks.last() else { panic!("{chunks:?}") };
        assert_eq!((usage.input, usage.output), (Some(26), told));
    }
}

#[test]
fn an_answer_that_does_not_stream_is_one_line() {
    let mut whole = end("stop");
    whole["message"] = json!({ "role": "assistant", "content": "Hello!" });
    let mut answer = Answer::default();
    ollama().reader().take_document(whole.to_string().as_bytes(), &mut answer).unwrap();
    assert_eq!(answer.next(), Some(Chunk::Text("Hello!".to_owned())));
    assert!(answer.is_done());
}

#[test]
fn errors_are_typed_also_in_the_middle() {
    let said = line(json!({ "role": "assistant", "content": "a" }));
    for (message, expected) in [
        ("model \"llama9\" not found, try pulling it first", ErrorKind::UnknownModel),
        ("model 'llama9' not found", ErrorKind::UnknownModel),
        ("registry.ollama.ai/library/llama2:latest does not support tools", ErrorKind::Invalid),
        ("\"gemma\" does not support thinking", ErrorKind::Invalid),
        ("server busy, please try again.  maximum pending requests exceeded", ErrorKind::Overload),
        ("model requires more system memory (8.0 GiB) than is available (2.0 GiB)", ErrorKind::Overload),
        ("the request exceeds the available context size", ErrorKind::ContextTooLong),
        ("an error was encountered while running the model: unexpected EOF", ErrorKind::Interrupted),
        ("something else", ErrorKind::Interrupted),
    ] {
        assert_eq!(kind(&stream(&[json!({ "error": message })])), expected, "{message}");
        assert_eq!(kind(&stream(&[said.clone(), json!({ "error": message })])), expected, "{message}");
        let refusal = ollama().refusal(&json!({ "error": message }));
        assert_eq!(refusal.into_error("ollama", &[]).kind, expected, "{message}");
    }
    for nonsense in ["<html>\n", "[]\n", "{}\n", "5\n", "{\"message\":5}\n", "{\"message\":{\"tool_calls\":[{}]}}\n"] {
        assert_eq!(kind(nonsense), ErrorKind::Protocol, "{nonsense}");
    }
}

#[test]
fn what_never_ends_is_refused() {
    let piece = line(json!({ "role": "assistant", "content": "x".repeat(100_000) }));
    assert_eq!(kind(&stream(&vec![piece; 50])), ErrorKind::Protocol);
    let call = line(json!({ "tool_calls": [{ "function": { "name": "f", "arguments": {} } }] }));
    assert_eq!(kind(&stream(&vec![call; 200])), ErrorKind::Protocol);
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&ollama().write(request).unwrap().body).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a whole conversation, as it is on the wire")]
fn a_conversation_is_written_as_documented() {
    let thought = Reasoning {
        model: "ollama/qwen3".parse().unwrap(),
        text: "Hm.".to_owned(),
        signature: Some("thinking".to_owned()),
    };
    let foreign = Reasoning { model: "other/qwen3".parse().unwrap(), ..thought.clone() };
    let call = ToolCall {
        id: "call_0".to_owned(),
        name: "search".to_owned(),
        arguments: "{\"q\": 1}".to_owned(),
        signature: None,
    };
    let result =
        ToolResult { id: "call_0".to_owned(), name: "search".to_owned(), content: "42".to_owned(), is_error: false };
    let said = [PromptPart::Reasoning(foreign), PromptPart::Reasoning(thought), PromptPart::ToolCall(call)];
    let shown = vec![PromptPart::Text("Look.".to_owned()), attached("image/png"), attached("application/json")];
    let messages = vec![
        PromptMessage::text(Role::System, "Be brief."),
        PromptMessage { role: Role::User, parts: shown },
        PromptMessage { role: Role::Assistant, parts: said.to_vec() },
        PromptMessage { role: Role::User, parts: vec![PromptPart::ToolResult(result)] },
    ];
    let output = OutputSchema { name: "answer".to_owned(), schema: json!({ "type": "object" }) };
    let request = Request {
        messages,
        tools: vec![tool()],
        output: Some(output),
        effort: Some(Effort::Low),
        max_output: Some(100),
        ..question("qwen3")
    };
    assert_eq!(ollama().write(&request).unwrap().path, "/api/chat");
    let function = json!({ "name": "search", "description": "Searches.", "parameters": tool().parameters });
    assert_eq!(
        body(&request),
        json!({
            "model": "qwen3",
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": "Look.\n\nnotes:\nbytes", "images": ["Ynl0ZXM="] },
                {
                    "role": "assistant",
                    "content": "",
                    "thinking": "Hm.",
                    "tool_calls": [{ "id": "call_0", "function": { "name": "search", "arguments": { "q": 1 } } }],
                },
                { "role": "tool", "content": "42", "tool_name": "search", "tool_call_id": "call_0" },
            ],
            "tools": [{ "type": "function", "function": function }],
            "format": { "type": "object" },
            "think": true,
            "options": { "num_predict": 100 },
            "stream": true,
        })
    );
}

#[test]
fn settings_are_written_where_they_are_understood() {
    let thinks = |effort, model: &str| body(&Request { effort, ..question(model) })["think"].clone();
    assert_eq!(thinks(None, "qwen3"), Value::Null);
    assert_eq!(thinks(Some(Effort::Minimal), "qwen3"), json!(false));
    assert_eq!(thinks(Some(Effort::High), "qwen3"), json!(true));
    assert_eq!(thinks(Some(Effort::High), "gpt-oss:20b"), json!("high"));
    assert_eq!(thinks(Some(Effort::Minimal), "library/gpt-oss"), json!("low"));
    let with = |tool_choice| Request { tools: vec![tool()], tool_choice, ..question("qwen3") };
    assert!(body(&with(Some(ToolChoice::None))).get("tools").is_none());
    assert!(ollama().write(&with(Some(ToolChoice::Any))).is_err(), "no tool can be forced");
    for unseen in ["application/pdf", "image/gif"] {
        let messages = vec![PromptMessage { role: Role::User, parts: vec![attached(unseen)] }];
        assert!(ollama().write(&Request { messages, ..question("qwen3") }).is_err(), "{unseen}");
    }
    // Once answered, it does not stand in the way any more.
    let file = PromptMessage { role: Role::User, parts: vec![attached("audio/wav")] };
    let answered = Request { messages: [vec![file], heard()].concat(), ..question("qwen3") };
    assert_eq!(body(&answered)["messages"][0]["content"], LEFT_OUT);
}

proptest! {
    #[test]
    fn any_split_reads_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        split(&ollama(), answer().as_bytes(), &cuts)?;
    }

    #[test]
    fn nothing_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        play(&ollama(), &[&bytes]);
        play(&ollama(), &[b"{\"message\":{\"content\":\"", &bytes, b"\"}}\n"]);
    }

    #[test]
    fn any_history_is_written_in_order(request in requests("ollama/qwen3")) {
        if let Ok(written) = ollama().write(&request) {
            prop_assert_eq!(&ollama().write(&request).unwrap().body, &written.body);
            rules::check(Protocol::Ollama, &serde_json::from_slice(&written.body).unwrap()).unwrap();
        }
    }
}
