//! Conversations as they may be in the log when another model takes over: for tests of what protocols write.

use bytes::Bytes;
use domain::ModelRef;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use serde_json::json;

use super::request::{
    Effort, Media, OutputSchema, PromptMessage, PromptPart, Reasoning, Request, Role, Tool, ToolCall, ToolChoice,
    ToolResult,
};

/// A reference to a model.
pub(super) fn model(reference: &str) -> ModelRef {
    reference.parse().unwrap()
}

/// A message of one text.
pub(super) fn says(role: Role, text: &str) -> PromptMessage {
    PromptMessage { role, parts: vec![PromptPart::Text(text.to_owned())] }
}

/// A thought.
pub(super) fn thought(by: &str, text: &str, signature: Option<&str>) -> PromptPart {
    let signature = signature.map(str::to_owned);
    PromptPart::Reasoning(Reasoning { model: model(by), text: text.to_owned(), signature })
}

/// A call of a tool.
pub(super) fn call(id: &str, name: &str, arguments: &str, signature: Option<(&str, &str)>) -> PromptPart {
    PromptPart::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        signature: signature.map(|(by, signature)| (model(by), signature.to_owned())),
    })
}

/// What a call gave.
pub(super) fn result(id: &str, name: &str, content: &str, is_error: bool) -> PromptPart {
    let (id, name, content) = (id.to_owned(), name.to_owned(), content.to_owned());
    PromptPart::ToolResult(ToolResult { id, name, content, is_error })
}

/// A tool that tells the weather of a city.
pub(super) fn weather() -> Tool {
    Tool {
        name: "get_weather".to_owned(),
        description: "The weather of a city.".to_owned(),
        parameters: json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
    }
}

/// Any request to `target`, its history led with `target`, with other models of its provider and with others. `signatures`
/// are those that the target's protocol gives.
pub(super) fn any_request(target: &'static str, signatures: Vec<String>) -> impl Strategy<Value = Request> {
    let effort = prop_oneof![Just(Effort::Minimal), Just(Effort::Low), Just(Effort::Medium), Just(Effort::High)];
    let choice =
        prop_oneof![Just(ToolChoice::None), Just(ToolChoice::Any), Just(ToolChoice::Tool("get_weather".to_owned()))];
    let settings = (option::of(effort), option::of(choice), option::of(0..9000_u64), any::<[bool; 4]>());
    (vec(exchange(target, signatures), 0..6), user_parts(), settings).prop_map(
        move |(exchanges, question, settings)| {
            let (effort, tool_choice, max_output, [system, tools, shaped, user]) = settings;
            let system = system.then(|| says(Role::System, "Be brief."));
            let question = PromptMessage { role: Role::User, parts: question };
            let messages = system.into_iter().chain(exchanges.into_iter().flatten()).chain([question]).collect();
            let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
            Request {
                model: target.split_once('/').unwrap().1.to_owned(),
                messages,
                tools: if tools { vec![weather()] } else { Vec::new() },
                tool_choice,
                output: shaped.then(|| OutputSchema { name: "answer".to_owned(), schema }),
                max_output,
                effort,
                cache: true,
                user: user.then(|| "u1".to_owned()),
            }
        },
    )
}

/// A question, and an answer that may go through tools.
fn exchange(target: &'static str, signatures: Vec<String>) -> impl Strategy<Value = Vec<PromptMessage>> {
    let steps = vec(step(target, signatures), 0..3);
    (option::weighted(0.8, user_parts()), steps).prop_map(|(question, steps)| {
        let question = question.map(|parts| PromptMessage { role: Role::User, parts });
        question.into_iter().chain(steps.into_iter().flatten()).collect()
    })
}

/// What a model says at once, and what its calls gave.
fn step(target: &'static str, signatures: Vec<String>) -> impl Strategy<Value = Vec<PromptMessage>> {
    vec(assistant_part(target, signatures), 1..6).prop_map(|parts| {
        let mut ids: Vec<String> = Vec::new();
        // Ids are unique within a message.
        let parts: Vec<_> = parts
            .into_iter()
            .filter(|part| match part {
                PromptPart::ToolCall(call) if ids.contains(&call.id) => false,
                PromptPart::ToolCall(call) => {
                    ids.push(call.id.clone());
                    true
                }
                _ => true,
            })
            .collect();
        let results: Vec<_> = parts
            .iter()
            .filter_map(|part| match part {
                PromptPart::ToolCall(call) => Some(result(&call.id, &call.name, "18 °C", call.id.len() > 20)),
                _ => None,
            })
            .collect();
        let said = PromptMessage { role: Role::Assistant, parts };
        let given = (!results.is_empty()).then_some(PromptMessage { role: Role::User, parts: results });
        [said].into_iter().chain(given).collect()
    })
}

fn assistant_part(target: &'static str, signatures: Vec<String>) -> impl Strategy<Value = PromptPart> {
    let thinker = || prop_oneof![Just(target), Just("other/model"), Just("anthropic/claude-sonnet-4-5")];
    let foreign = ["EqQBCgIYAhIM", "{}", "", "text:3:abc"].map(str::to_owned);
    let signatures: Vec<_> = signatures.into_iter().chain(foreign).collect();
    let signature = option::of(proptest::sample::select(signatures));
    let text = prop_oneof![Just("Grüße"), Just("It is raining."), Just("🌍")];
    let thoughts = prop_oneof![Just(""), Just("Let me think."), Just("Überlegung")];
    let ids = prop_oneof![
        Just("call_0".to_owned()),
        Just("toolu_01A09q90qw90lq917835lq9".to_owned()),
        Just("functions.get_weather:0".to_owned()),
        Just("a".repeat(80)),
        Just(String::new()),
    ];
    let names = prop_oneof![Just("get_weather"), Just("functions.get weather"), Just("9lives"), Just("")];
    let arguments = prop_oneof![Just("{\"city\": \"Oslo\"}"), Just(""), Just("{\"city\":"), Just("[1]"), Just("{}")];
    prop_oneof![
        text.prop_map(|text| PromptPart::Text(text.to_owned())),
        (thinker(), thoughts, signature.clone()).prop_map(|(by, text, signature)| thought(
            by,
            text,
            signature.as_deref()
        )),
        (ids, names, arguments, thinker(), signature).prop_map(|(id, name, arguments, by, signature)| {
            call(&id, name, arguments, signature.as_deref().map(|signature| (by, signature)))
        }),
    ]
}

fn user_parts() -> impl Strategy<Value = Vec<PromptPart>> {
    let image = Media { media_type: "image/png".to_owned(), name: None, bytes: Bytes::from_static(b"\x89PNG") };
    let notes = Media {
        media_type: "text/markdown".to_owned(),
        name: Some("notes.md".to_owned()),
        bytes: Bytes::from_static(b"# Notes"),
    };
    let part = prop_oneof![
        3 => Just(PromptPart::Text("What is the weather?".to_owned())),
        1 => Just(PromptPart::Media(image)),
        1 => Just(PromptPart::Media(notes)),
    ];
    vec(part, 1..3)
}
