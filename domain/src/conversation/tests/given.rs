//! The words that the tests are told in: who asks, what is asked, and what has happened before.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

use super::super::{Command, Conversation, Event, Finish, Parent, Part, ReplyError, Spent, Usage};
use crate::{Actor, Asked, Asker, MessageId, ModelRef, Tenant, UserId};

/// Questions, replies and other messages, as they are named in the tests.
pub(super) const Q1: MessageId = MessageId(Uuid::from_u128(0xA1));
pub(super) const Q2: MessageId = MessageId(Uuid::from_u128(0xA2));
pub(super) const Q3: MessageId = MessageId(Uuid::from_u128(0xA3));
pub(super) const R1: MessageId = MessageId(Uuid::from_u128(0xB1));
pub(super) const R2: MessageId = MessageId(Uuid::from_u128(0xB2));
pub(super) const R3: MessageId = MessageId(Uuid::from_u128(0xB3));
pub(super) const NOWHERE: MessageId = MessageId(Uuid::from_u128(0xDEAD));

pub(super) const LEASE_MS: u64 = 15_000;

/// The `n`th of many messages.
pub(super) fn message_id(n: usize) -> MessageId {
    MessageId(Uuid::from_u128(0x1_0000 + n as u128))
}

pub(super) fn given(history: impl IntoIterator<Item = Event>) -> AggregateTestExecutor<Conversation> {
    TestFramework::with(()).given(history.into_iter().collect())
}

// Who asks. Ann owns the conversation, Ben takes part in it when the history says so, Eve never does.

pub(super) fn person(name: &str, tenant: &str, command: Command) -> Asked<Command> {
    let asker = Asker { tenant: Some(tenant.parse().unwrap()), actor: Actor::User(user(name)) };
    Asked { asker, command }
}

pub(super) fn ann(command: Command) -> Asked<Command> {
    person("ann", "acme", command)
}

pub(super) fn ben(command: Command) -> Asked<Command> {
    person("ben", "acme", command)
}

pub(super) fn eve(command: Command) -> Asked<Command> {
    person("eve", "acme", command)
}

pub(super) fn worker(command: Command) -> Asked<Command> {
    Asked { asker: Asker { tenant: None, actor: Actor::Worker("reply".to_owned()) }, command }
}

pub(super) fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub(super) fn tenant() -> Tenant {
    "acme".parse().unwrap()
}

pub(super) fn model() -> ModelRef {
    "mock/m1".parse().unwrap()
}

pub(super) fn text(text: &str) -> Vec<Part> {
    vec![Part::Text { text: text.to_owned() }]
}

pub(super) fn overload() -> ReplyError {
    ReplyError::new("overload", "The provider has too much to do.")
}

// What is asked.

pub(super) fn start() -> Command {
    Command::StartConversation { title: None, model: None, system_prompt: None }
}

pub(super) fn rename(title: &str) -> Command {
    Command::RenameConversation { title: title.to_owned() }
}

pub(super) fn submit(message: MessageId, parent: Parent, reply: Option<MessageId>) -> Command {
    Command::SubmitMessage { message, parent, parts: text("hello"), reply }
}

pub(super) fn edit(edit_of: MessageId, message: MessageId, reply: Option<MessageId>) -> Command {
    Command::EditMessage { edit_of, message, parts: text("hello"), reply }
}

pub(super) fn regenerate(regenerate_of: MessageId, reply: MessageId) -> Command {
    Command::RegenerateReply { regenerate_of, reply }
}

pub(super) fn select(message: MessageId) -> Command {
    Command::SelectBranch { message }
}

pub(super) fn stop(reply: MessageId) -> Command {
    Command::StopReply { reply }
}

pub(super) fn add(name: &str) -> Command {
    Command::AddParticipant { user: user(name) }
}

pub(super) fn remove(name: &str) -> Command {
    Command::RemoveParticipant { user: user(name) }
}

pub(super) fn claim(reply: MessageId, attempt: u32) -> Command {
    Command::ClaimReply {
        reply,
        attempt,
        worker: "w1".to_owned(),
        lease_ms: LEASE_MS,
        model: None,
        alternatives: None,
        continues: false,
    }
}

pub(super) fn complete(reply: MessageId, attempt: u32) -> Command {
    let (parts, finish, usage) = (text("the answer"), Finish::Stop, Usage::default());
    Command::CompleteReply { reply, attempt, parts, finish, model: model(), usage, spent: None }
}

pub(super) fn fail(reply: MessageId, attempt: u32, retry: bool) -> Command {
    let (error, parts) = (overload(), text("the ans"));
    Command::FailReply {
        reply,
        attempt,
        error,
        retry,
        switch: false,
        retry_after_ms: None,
        parts,
        continuable: false,
        spent: None,
    }
}

pub(super) fn expire(reply: MessageId, attempt: u32) -> Command {
    Command::ExpireAttempt { reply, attempt, parts: text("the a"), continuable: false, spent: None }
}

/// The same attempt's end, with what it spent.
pub(super) fn with_spent(end: Command, spent: Option<Spent>) -> Command {
    match end {
        Command::CompleteReply { reply, attempt, parts, finish, model, usage, .. } => {
            Command::CompleteReply { reply, attempt, parts, finish, model, usage, spent }
        }
        Command::FailReply { reply, attempt, error, retry, switch, retry_after_ms, parts, continuable, .. } => {
            Command::FailReply { reply, attempt, error, retry, switch, retry_after_ms, parts, continuable, spent }
        }
        Command::ExpireAttempt { reply, attempt, parts, continuable, .. } => {
            Command::ExpireAttempt { reply, attempt, parts, continuable, spent }
        }
        other => other,
    }
}

// What has happened.

pub(super) fn started() -> Event {
    Event::ConversationStarted { owner: user("ann"), tenant: tenant(), title: None, model: None, system_prompt: None }
}

pub(super) fn joined(name: &str) -> Event {
    Event::ParticipantAdded { user: user(name) }
}

pub(super) fn left(name: &str) -> Event {
    Event::ParticipantRemoved { user: user(name) }
}

/// Ann said hello.
pub(super) fn said(message: MessageId, parent: Option<MessageId>) -> Event {
    Event::MessageSubmitted { message, parent, author: user("ann"), parts: text("hello"), edit_of: None }
}

pub(super) fn said_instead(edit_of: MessageId, message: MessageId, parent: Option<MessageId>) -> Event {
    Event::MessageSubmitted { message, parent, author: user("ann"), parts: text("hello"), edit_of: Some(edit_of) }
}

pub(super) fn requested(reply: MessageId, parent: MessageId) -> Event {
    Event::ReplyRequested { reply, parent, model: None, regenerate_of: None }
}

pub(super) fn claimed(reply: MessageId, attempt: u32) -> Event {
    Event::ReplyAttemptStarted {
        reply,
        attempt,
        worker: "w1".to_owned(),
        lease_ms: LEASE_MS,
        model: None,
        alternatives: None,
        continues: false,
    }
}

pub(super) fn attempt_failed(reply: MessageId, attempt: u32) -> Event {
    let (error, parts) = (overload(), Vec::new());
    Event::ReplyAttemptFailed { reply, attempt, error, spent: None, switch: false, retry_after_ms: None, parts }
}

pub(super) fn expired(reply: MessageId, attempt: u32) -> Event {
    Event::ReplyAttemptExpired { reply, attempt, spent: None, parts: Vec::new() }
}

pub(super) fn stop_requested(reply: MessageId) -> Event {
    Event::ReplyStopRequested { reply }
}

pub(super) fn completed(reply: MessageId, attempt: u32) -> Event {
    let (parts, finish, usage) = (text("the answer"), Finish::Stop, Usage::default());
    Event::ReplyCompleted { reply, attempt, parts, finish, model: model(), usage, spent: None }
}

pub(super) fn stopped(reply: MessageId, attempt: u32, said: &str) -> Event {
    let parts = if said.is_empty() { Vec::new() } else { text(said) };
    Event::ReplyStopped { reply, attempt, parts, spent: None }
}

pub(super) fn failed(reply: MessageId, attempt: u32) -> Event {
    Event::ReplyFailed { reply, attempt, error: overload(), parts: text("the ans"), spent: None }
}

pub(super) fn archived() -> Event {
    Event::ConversationArchived {}
}

pub(super) fn deleted() -> Event {
    Event::ConversationDeleted {}
}

/// Ann asked `Q1` and `R1` waits to be taken.
pub(super) fn a_question() -> Vec<Event> {
    vec![started(), said(Q1, None), requested(R1, Q1)]
}

/// Ann asked `Q1` and `R1` is being answered for the first time.
pub(super) fn a_running_reply() -> Vec<Event> {
    [a_question(), vec![claimed(R1, 1)]].concat()
}

/// Ann asked `Q1` and `R1` answered it.
pub(super) fn an_answer() -> Vec<Event> {
    [a_running_reply(), vec![completed(R1, 1)]].concat()
}
