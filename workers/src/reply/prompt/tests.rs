use domain::conversation::{Finish, Usage};
use domain::{CommandId, Tenant, UserId};
use uuid::Uuid;

use super::*;
use crate::provider::PromptPart;

fn id(name: &str) -> MessageId {
    MessageId(CommandId(Uuid::nil()).derive(name))
}

fn words(text: &str) -> Vec<Part> {
    vec![Part::Text { text: text.to_owned() }]
}

fn user(name: &str) -> UserId {
    name.parse().unwrap_or_else(|_| unreachable!())
}

fn says(message: &str, parent: Option<&str>, author: &str, edit_of: Option<&str>) -> Event {
    Event::MessageSubmitted {
        message: id(message),
        parent: parent.map(id),
        author: user(author),
        parts: words(message),
        edit_of: edit_of.map(id),
    }
}

fn asks(reply: &str, parent: &str) -> Event {
    Event::ReplyRequested { reply: id(reply), parent: id(parent), model: None, regenerate_of: None }
}

fn answers(reply: &str) -> Event {
    Event::ReplyCompleted {
        reply: id(reply),
        attempt: 1,
        parts: words(reply),
        finish: Finish::Stop,
        model: "demo/echo".parse().unwrap_or_else(|_| unreachable!()),
        usage: Usage::default(),
        spent: None,
    }
}

fn prompt(events: Vec<Event>, reply: &str) -> Vec<(Role, String)> {
    let tenant: Tenant = "t".parse().unwrap_or_else(|_| unreachable!());
    let system_prompt = Some("Be brief.".to_owned());
    let started = Event::ConversationStarted { owner: user("ann"), tenant, title: None, model: None, system_prompt };
    let mut told = Told::default();
    for event in std::iter::once(started).chain(events) {
        told.hear(event, id(reply));
    }
    let messages = told.into_prompt().unwrap_or_default().messages;
    messages.into_iter().map(|message| (message.role, message.texts().collect())).collect()
}

#[test]
fn holds_the_branch_that_is_answered_and_nothing_else() {
    let events = vec![
        says("one", None, "ann", None),
        asks("r1", "one"),
        answers("r1"),
        says("two", Some("r1"), "ann", None),
        asks("r2", "two"),
        answers("r2"),
        says("two again", Some("r1"), "ann", Some("two")),
        asks("r3", "two again"),
    ];
    let said = prompt(events, "r3");
    let expected =
        [(Role::System, "Be brief."), (Role::User, "one"), (Role::Assistant, "r1"), (Role::User, "two again")];
    assert_eq!(said, expected.map(|(role, text)| (role, text.to_owned())));
}

#[test]
fn names_the_speakers_among_several_people() {
    let events = vec![says("hi", None, "ann", None), says("hello", Some("hi"), "ben", None), asks("r1", "hello")];
    let said = prompt(events, "r1");
    assert_eq!(said[1..], [(Role::User, "ann: hi".to_owned()), (Role::User, "ben: hello".to_owned())]);
}

fn begins(reply: &str, attempt: u32) -> Event {
    Event::ReplyAttemptStarted {
        reply: id(reply),
        attempt,
        worker: "w".to_owned(),
        lease_ms: 1,
        model: None,
        alternatives: None,
        continues: false,
    }
}

fn goes_on(reply: &str, attempt: u32) -> Event {
    let Event::ReplyAttemptStarted { reply, worker, lease_ms, model, alternatives, .. } = begins(reply, attempt) else {
        unreachable!()
    };
    Event::ReplyAttemptStarted { reply, attempt, worker, lease_ms, model, alternatives, continues: true }
}

fn expires(attempt: u32, said: &str) -> Event {
    let parts = if said.is_empty() { Vec::new() } else { words(said) };
    Event::ReplyAttemptExpired { reply: id("r1"), attempt, spent: None, parts }
}

fn found(events: Vec<Event>, attempt: u32) -> Found {
    let mut told = Told::default();
    for event in [says("one", None, "ann", None), asks("r1", "one")].into_iter().chain(events) {
        told.hear(event, id("r1"));
    }
    told.found(attempt)
}

#[test]
fn tells_whether_the_attempt_counts() {
    let expired = || expires(1, "");
    let stop = Event::ReplyStopRequested { reply: id("r1") };
    assert_eq!(found(vec![], 1), Found::Unknown, "the claim is not in the log");
    assert!(matches!(found(vec![begins("r1", 1)], 1), Found::Prompt(_)));
    assert!(matches!(found(vec![begins("r1", 1), expired(), begins("r1", 2)], 2), Found::Prompt(_)));
    assert_eq!(found(vec![begins("r1", 1), expired()], 1), Found::Over);
    assert_eq!(found(vec![begins("r1", 1), expired(), begins("r1", 2)], 1), Found::Over);
    assert_eq!(found(vec![begins("r1", 1), answers("r1")], 1), Found::Over);
    assert_eq!(found(vec![begins("r1", 1), stop], 1), Found::Stopping(None));
    // What others say meanwhile is not of the prompt.
    let Found::Prompt(prompt) = found(vec![begins("r1", 1), says("two", Some("one"), "ann", None)], 1) else {
        panic!("the attempt runs");
    };
    assert_eq!(prompt.messages.len(), 1);
}

#[test]
fn ends_with_what_the_attempt_goes_on_from() {
    let of = |events: Vec<Event>, attempt| match found(events, attempt) {
        Found::Prompt(Prompt { messages, before, .. }) => {
            let last = messages.last().unwrap_or_else(|| unreachable!());
            assert_eq!(last.role == Role::Assistant, before.is_some());
            (last.texts().collect::<String>(), before)
        }
        other => panic!("the attempt runs: {other:?}"),
    };
    let on = |text: &str| (text.to_owned(), Some(text.to_owned()));
    let anew = || ("one".to_owned(), None);
    let begun = |said: &str, next: Event| vec![begins("r1", 1), expires(1, said), next];
    assert_eq!(of(begun("The moon \n", goes_on("r1", 2)), 2), on("The moon"), "without white space at its end");
    assert_eq!(of(begun("The moon", begins("r1", 2)), 2), anew(), "the log says whether it goes on");
    let more = [begun("The moon", goes_on("r1", 2)), vec![expires(2, "The moon pulls"), goes_on("r1", 3)]].concat();
    assert_eq!(of(more, 3), on("The moon pulls"));
    let refused = [begun("The moon", goes_on("r1", 2)), vec![expires(2, ""), begins("r1", 3)]].concat();
    assert_eq!(of(refused, 3), anew());
    let stopping = [begun("The moon", goes_on("r1", 2)), vec![Event::ReplyStopRequested { reply: id("r1") }]].concat();
    assert_eq!(found(stopping, 2), Found::Stopping(Some("The moon".to_owned())));
}

#[test]
fn knows_who_said_what_is_not_whole() {
    let model: ModelRef = "demo/echo".parse().unwrap_or_else(|_| unreachable!());
    let parts =
        vec![Part::ToolCall { id: "c".into(), name: "t".into(), arguments: "{}".into(), signature: Some("s".into()) }];
    let Event::ReplyAttemptStarted { reply, attempt, worker, lease_ms, alternatives, continues, .. } = begins("r1", 1)
    else {
        unreachable!()
    };
    let model_told = Some(model.clone());
    let begun =
        Event::ReplyAttemptStarted { reply, attempt, worker, lease_ms, model: model_told, alternatives, continues };
    let events = [
        says("one", None, "ann", None),
        asks("r1", "one"),
        begun,
        Event::ReplyStopped { reply, attempt, parts, spent: None },
        says("two", Some("r1"), "ann", None),
        asks("r2", "two"),
    ];
    let mut told = Told::default();
    for event in events {
        told.hear(event, id("r2"));
    }
    let messages = told.into_prompt().unwrap_or_default().messages;
    let [PromptPart::ToolCall(call)] = &messages[1].parts[..] else { panic!("{messages:?}") };
    assert_eq!(call.signature, Some((model, "s".to_owned())));
}

#[test]
fn replays_what_the_model_thought_and_called() {
    let model: ModelRef = "demo/echo".parse().unwrap_or_else(|_| unreachable!());
    let parts = vec![
        Part::Reasoning { text: "hm".to_owned(), signature: Some("s".to_owned()), model },
        Part::ToolCall { id: "c".to_owned(), name: "t".to_owned(), arguments: "{}".to_owned(), signature: None },
    ];
    let Event::ReplyCompleted { reply, attempt, finish, model, usage, .. } = answers("r1") else { unreachable!() };
    let called = Event::ReplyCompleted { reply, attempt, parts, finish, model, usage, spent: None };
    let mut told = Told::default();
    let events = [
        says("one", None, "ann", None),
        asks("r1", "one"),
        called,
        says("two", Some("r1"), "ann", None),
        asks("r2", "two"),
    ];
    for event in events {
        told.hear(event, id("r2"));
    }
    let messages = told.into_prompt().unwrap_or_default().messages;
    let kinds: Vec<_> = messages.iter().map(|message| (message.role, message.parts.len())).collect();
    assert_eq!(kinds, [(Role::User, 1), (Role::Assistant, 2), (Role::User, 1), (Role::User, 1)]);
    assert!(matches!(&messages[2].parts[..], [PromptPart::ToolResult(result)] if result.id == "c" && result.is_error));
}

#[test]
fn leaves_out_replies_that_said_nothing() {
    let events = vec![
        says("one", None, "ann", None),
        asks("r1", "one"),
        Event::ReplyStopped { reply: id("r1"), attempt: 0, parts: Vec::new(), spent: None },
        says("two", Some("r1"), "ann", None),
        asks("r2", "two"),
    ];
    let said = prompt(events, "r2");
    assert_eq!(said[1..], [(Role::User, "one".to_owned()), (Role::User, "two".to_owned())]);
}
