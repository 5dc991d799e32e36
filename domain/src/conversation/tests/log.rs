//! The log is for ever: each event as it stands in Postgres. A literal here may gain a neighbour, but never change.

use cqrs_es::{Aggregate as _, DomainEvent as _};
use serde_json::{Value, json};

use super::super::{Conversation, Error, Event, Finish, LimitReached, Part, ReplyError, Usage};
use super::given::*;
use crate::Decide;
use crate::account::{Limit, Limits};

/// How an event of this type stands in the log. A new type of event does not compile until it has its example.
#[rustfmt::skip]
fn recorded(event: &Event) -> &'static str {
    match event {
        Event::ConversationStarted { .. } => r#"{"type":"ConversationStarted","owner":"ann","tenant":"acme","title":"Plans","model":"mock/m1","system_prompt":"Be brief."}"#,
        Event::ConversationRenamed { .. } => r#"{"type":"ConversationRenamed","title":"Plans"}"#,
        Event::ModelConfigured { .. } => r#"{"type":"ModelConfigured","model":"mock/m1","system_prompt":"Be brief."}"#,
        Event::ParticipantAdded { .. } => r#"{"type":"ParticipantAdded","user":"ben"}"#,
        Event::ParticipantRemoved { .. } => r#"{"type":"ParticipantRemoved","user":"ben"}"#,
        Event::MessageSubmitted { .. } => r#"{"type":"MessageSubmitted","message":"00000000-0000-0000-0000-0000000000a2","parent":"00000000-0000-0000-0000-0000000000b1","author":"ann","parts":[{"type":"text","text":"hello"}],"edit_of":"00000000-0000-0000-0000-0000000000a1"}"#,
        Event::ReplyRequested { .. } => r#"{"type":"ReplyRequested","reply":"00000000-0000-0000-0000-0000000000b2","parent":"00000000-0000-0000-0000-0000000000a1","model":"mock/m1","regenerate_of":"00000000-0000-0000-0000-0000000000b1"}"#,
        Event::ReplyAttemptStarted { .. } => r#"{"type":"ReplyAttemptStarted","reply":"00000000-0000-0000-0000-0000000000b1","attempt":1,"worker":"w1","lease_ms":15000}"#,
        Event::ReplyAttemptFailed { .. } => r#"{"type":"ReplyAttemptFailed","reply":"00000000-0000-0000-0000-0000000000b1","attempt":1,"error":{"code":"overload","message":"The provider has too much to do."}}"#,
        Event::ReplyAttemptExpired { .. } => r#"{"type":"ReplyAttemptExpired","reply":"00000000-0000-0000-0000-0000000000b1","attempt":1}"#,
        Event::ReplyStopRequested { .. } => r#"{"type":"ReplyStopRequested","reply":"00000000-0000-0000-0000-0000000000b1"}"#,
        Event::ReplyCompleted { .. } => r#"{"type":"ReplyCompleted","reply":"00000000-0000-0000-0000-0000000000b1","attempt":1,"parts":[{"type":"text","text":"the answer"}],"finish":"stop","model":"mock/m1","usage":{"input":1,"cached_input":2,"output":3,"reasoning":4}}"#,
        Event::ReplyStopped { .. } => r#"{"type":"ReplyStopped","reply":"00000000-0000-0000-0000-0000000000b1","attempt":1,"parts":[{"type":"text","text":"the ans"}]}"#,
        Event::ReplyFailed { .. } => r#"{"type":"ReplyFailed","reply":"00000000-0000-0000-0000-0000000000b1","attempt":3,"error":{"code":"overload","message":"The provider has too much to do."},"parts":[{"type":"text","text":"the ans"}]}"#,
        Event::BranchSelected { .. } => r#"{"type":"BranchSelected","leaf":"00000000-0000-0000-0000-0000000000b1"}"#,
        Event::ConversationArchived {} => r#"{"type":"ConversationArchived"}"#,
        Event::ConversationUnarchived {} => r#"{"type":"ConversationUnarchived"}"#,
        Event::ConversationDeleted {} => r#"{"type":"ConversationDeleted"}"#,
    }
}

fn one_of_each() -> Vec<Event> {
    let (title, system_prompt) = (Some("Plans".to_owned()), Some("Be brief.".to_owned()));
    let usage =
        Usage { input: Some(1), cached_input: Some(2), output: Some(3), reasoning: Some(4), ..Usage::default() };
    vec![
        Event::ConversationStarted {
            owner: user("ann"),
            tenant: tenant(),
            title,
            model: Some(model()),
            system_prompt: system_prompt.clone(),
        },
        Event::ConversationRenamed { title: "Plans".to_owned() },
        Event::ModelConfigured { model: Some(model()), system_prompt },
        joined("ben"),
        left("ben"),
        said_instead(Q1, Q2, Some(R1)),
        Event::ReplyRequested { reply: R2, parent: Q1, model: Some(model()), regenerate_of: Some(R1) },
        claimed(R1, 1),
        attempt_failed(R1, 1),
        expired(R1, 1),
        stop_requested(R1),
        Event::ReplyCompleted {
            reply: R1,
            attempt: 1,
            parts: text("the answer"),
            finish: Finish::Stop,
            model: model(),
            usage,
            spent: None,
        },
        stopped(R1, 1, "the ans"),
        failed(R1, 3),
        Event::BranchSelected { leaf: R1 },
        archived(),
        Event::ConversationUnarchived {},
        deleted(),
    ]
}

#[test]
fn events_are_written_and_read_as_ever() {
    for event in one_of_each() {
        let literal = recorded(&event);
        assert_eq!(serde_json::to_string(&event).unwrap(), literal);
        assert_eq!(serde_json::from_str::<Event>(literal).unwrap(), event);
        // What postgres-es reads and jsonb reorders.
        assert_eq!(serde_json::from_value::<Event>(literal.parse().unwrap()).unwrap(), event);
    }
}

#[test]
fn an_event_is_called_what_its_payload_says() {
    for event in one_of_each() {
        let payload: Value = recorded(&event).parse().unwrap();
        assert_eq!(payload["type"], event.event_type());
        assert_eq!(event.name(), event.event_type());
        assert_eq!(event.event_version(), "1.0");
    }
}

#[test]
fn there_is_an_example_of_each() {
    let names: std::collections::BTreeSet<_> = one_of_each().iter().map(Event::name).collect();
    assert_eq!(names.len(), 18);
}

#[test]
fn fields_that_may_be_missing_are_read_as_none() {
    for (event, payload) in [
        (started(), json!({ "type": "ConversationStarted", "owner": "ann", "tenant": "acme" })),
        (
            said(Q1, None),
            json!({ "type": "MessageSubmitted", "message": Q1, "author": "ann", "parts": [{ "type": "text", "text": "hello" }] }),
        ),
        (requested(R1, Q1), json!({ "type": "ReplyRequested", "reply": R1, "parent": Q1 })),
    ] {
        assert_eq!(serde_json::from_value::<Event>(payload).unwrap(), event);
    }
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    for event in one_of_each() {
        let mut payload: Value = recorded(&event).parse().unwrap();
        payload["of_a_later_version"] = json!({ "any": 1 });
        assert_eq!(serde_json::from_value::<Event>(payload).unwrap(), event);
    }
}

#[test]
fn the_words_within_events_stay() {
    let words = [Finish::Stop, Finish::Length, Finish::ToolCalls, Finish::ContentFilter, Finish::Other];
    assert_eq!(json!(words), json!(["stop", "length", "tool_calls", "content_filter", "other"]));
    assert_eq!(
        json!(Usage::default()),
        json!({ "input": null, "cached_input": null, "output": null, "reasoning": null })
    );
}

#[test]
fn the_parts_of_messages_stay() {
    let (id, name) = (|| "c1".to_owned(), || "weather".to_owned());
    let signature = Some("s".to_owned());
    for (part, written) in [
        (text("a").remove(0), r#"{"type":"text","text":"a"}"#),
        (
            Part::Reasoning { text: "hm".to_owned(), signature: signature.clone(), model: model() },
            r#"{"type":"reasoning","text":"hm","signature":"s","model":"mock/m1"}"#,
        ),
        (
            Part::ToolCall { id: id(), name: name(), arguments: "{}".to_owned(), signature },
            r#"{"type":"tool_call","id":"c1","name":"weather","arguments":"{}","signature":"s"}"#,
        ),
        (
            Part::ToolResult { id: id(), name: name(), content: "rain".to_owned(), is_error: false },
            r#"{"type":"tool_result","id":"c1","name":"weather","content":"rain","is_error":false}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&part).unwrap(), written);
        assert_eq!(serde_json::from_str::<Part>(written).unwrap(), part);
    }
}

#[test]
fn usage_gained_what_is_written_only_where_it_is_known() {
    let before = Usage { input: Some(1), output: Some(3), ..Usage::default() };
    let after = Usage { cache_write: Some(5), raw: Some(r#"{"n":1}"#.to_owned()), ..before.clone() };
    for (usage, written) in [
        (before, r#"{"input":1,"cached_input":null,"output":3,"reasoning":null}"#),
        (after, r#"{"input":1,"cached_input":null,"cache_write":5,"output":3,"reasoning":null,"raw":"{\"n\":1}"}"#),
    ] {
        assert_eq!(serde_json::to_string(&usage).unwrap(), written);
        assert_eq!(serde_json::from_str::<Usage>(written).unwrap(), usage);
    }
}

#[test]
fn an_error_gained_the_limit_that_it_is_about() {
    let limit = |resets_at| LimitReached { name: Limit::TokensPerDay, amount: 1_000, resets_at };
    let error = |limit| ReplyError { limit: Some(limit), ..ReplyError::new("limit", "So many.") };
    for (error, written) in [
        (ReplyError::new("rate", "Slowly."), r#"{"code":"rate","message":"Slowly."}"#),
        (
            error(limit(None)),
            r#"{"code":"limit","message":"So many.","limit":{"name":"tokens_per_day","amount":1000}}"#,
        ),
        (
            error(limit(Some("2026-11-26T00:00:00Z".to_owned()))),
            r#"{"code":"limit","message":"So many.","limit":{"name":"tokens_per_day","amount":1000,"resets_at":"2026-11-26T00:00:00Z"}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&error).unwrap(), written);
        assert_eq!(serde_json::from_str::<ReplyError>(written).unwrap(), error);
    }
    let names = [
        Limit::MicroUsdPerDay,
        Limit::MicroUsdPerMonth,
        Limit::TokensPerDay,
        Limit::TokensPerMonth,
        Limit::RequestsPerMinute,
        Limit::ConcurrentReplies,
    ];
    for name in names {
        assert_eq!(json!(name), name.name());
        assert!(json!(Limits::default()).get(name.name()).is_some(), "it is called as in the limits");
    }
}

#[test]
fn refusals_travel() {
    for (refusal, json) in [
        (Error::Unknown, json!({ "kind": "Unknown" })),
        (Error::InvalidText, json!({ "kind": "InvalidText" })),
        (Error::MessageTooLarge { limit: 7 }, json!({ "kind": "MessageTooLarge", "limit": 7 })),
    ] {
        assert_eq!(json!(refusal), json);
        assert_eq!(serde_json::from_value::<Error>(json).unwrap(), refusal);
    }
}

/// When this fails, the state has another shape: raise `STATE_VERSION`, so that no snapshot of the old one is read.
#[test]
fn the_states_shape_belongs_to_its_version() {
    let mut state = Conversation::default();
    for event in [started(), said(Q1, None), requested(R1, Q1), claimed(R1, 1)] {
        state.apply(event);
    }
    let (q1, r1) = (Q1.to_string(), R1.to_string());
    let shape = json!({
        "phase": "Active",
        "tenant": "acme",
        "owner": "ann",
        "participants": ["ann"],
        "model": null,
        "title": null,
        "system_prompt": null,
        "active_leaf": r1,
        "tree": { "nodes": {
            q1.as_str(): { "parent": null, "author": "ann", "depth": 0, "newest_child": r1 },
            r1.as_str(): { "parent": q1, "author": null, "depth": 1, "newest_child": null },
        } },
        "open_replies": { r1.as_str(): { "attempt": 1, "most": 3, "state": "Running" } },
    });
    assert_eq!((json!(state), Conversation::STATE_VERSION), (shape, 2));
}
