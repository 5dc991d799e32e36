//! A history of a run in which every promise was kept, for the tests to break.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::chaos::history::{
    Answer, Books, Call, History, Ledger, Logged, Probe, Sent, Stream, Tokens, Told, Verdict, Views,
};

pub(super) const CONVERSATION: &str = "c";
/// On whose account all goes, and the day on which it happens.
const ACCOUNT: Uuid = Uuid::from_u128(7);
const DAY: &str = "2026-01-31";

/// The id of the command with this number.
fn command(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(super) fn row(pos: u64, command_number: u128, actor: &str, event: Value) -> Logged {
    Logged {
        shard: 0,
        pos,
        conversation: CONVERSATION.to_owned(),
        sequence: pos,
        event_id: Uuid::from_u128(1_000 + u128::from(pos)),
        command_id: Some(command(command_number)),
        command: command(command_number),
        actor: actor.to_owned(),
        account: actor.starts_with("user:").then_some(ACCOUNT),
        at: 10 * pos,
        day: DAY.to_owned(),
        event,
    }
}

pub(super) fn parts(text: &str) -> Value {
    json!([{ "type": "text", "text": text }])
}

/// An attempt begins, and asks this.
pub(super) fn started(reply: &str, attempt: u64, model: &str) -> Value {
    json!({ "type": "ReplyAttemptStarted", "reply": reply, "attempt": attempt, "model": model, "alternatives": 2 })
}

pub(super) fn expired(reply: &str, attempt: u64) -> Value {
    json!({ "type": "ReplyAttemptExpired", "reply": reply, "attempt": attempt })
}

pub(super) fn completed(reply: &str, attempt: u64, text: &str) -> Value {
    json!({ "type": "ReplyCompleted", "reply": reply, "attempt": attempt, "parts": parts(text), "model": "a/x" })
}

/// An end that says what was spent, as the provider counted it or by an estimate.
pub(super) fn spending(mut end: Value, counted: Option<(u64, u64)>) -> Value {
    let (input, output) = counted.unwrap_or((1, 1));
    end["spent"] = json!({ "usage": { "input": input, "output": output } });
    if counted.is_none() {
        end["spent"]["estimated"] = json!(true);
    }
    end
}

/// Ann starts a conversation, lets Bob in, asks; the first attempt is lost, the second completes; she stops another reply.
fn log() -> Vec<Logged> {
    let mut asked =
        row(4, 3, "user:ann", json!({ "type": "ReplyRequested", "reply": "r", "parent": "m", "regenerate_of": null }));
    asked.command_id = None;
    vec![
        row(1, 1, "user:ann", json!({ "type": "ConversationStarted", "owner": "ann", "title": null })),
        row(2, 2, "user:ann", json!({ "type": "ParticipantAdded", "user": "bob" })),
        row(
            3,
            3,
            "user:ann",
            json!({ "type": "MessageSubmitted", "message": "m", "parent": null, "author": "ann", "parts": parts("why?"), "edit_of": null }),
        ),
        asked,
        row(5, 11, "worker:reply", started("r", 1, "a/x")),
        row(6, 12, "worker:reaper", spending(expired("r", 1), None)),
        row(7, 13, "worker:reply", started("r", 2, "a/x")),
        row(8, 14, "worker:reply", spending(completed("r", 2, "two words"), Some((30, 2)))),
        row(9, 4, "user:ann", json!({ "type": "ReplyRequested", "reply": "s", "parent": "m", "regenerate_of": "r" })),
        row(10, 15, "worker:reply", started("s", 1, "a/x")),
        row(11, 5, "user:ann", json!({ "type": "ReplyStopRequested", "reply": "s" })),
        row(
            12,
            16,
            "worker:reply",
            spending(json!({ "type": "ReplyStopped", "reply": "s", "attempt": 1, "parts": parts("three ") }), None),
        ),
    ]
}

pub(super) fn sent(number: u128, command: Value, at: u64, sequence: u64) -> Sent {
    let verdict = Verdict::Acked { sequence, position: format!("0:{sequence}") };
    Sent {
        id: Uuid::from_u128(number),
        recorded_as: Uuid::from_u128(number),
        conversation: CONVERSATION.to_owned(),
        command,
        at,
        sends: 1,
        answers: vec![Answer { at: at + 10, verdict }],
    }
}

pub(super) fn delta(reply: &str, attempt: u64, offset: usize, text: &str) -> Told {
    Told::Delta { reply: reply.to_owned(), attempt, offset, text: text.to_owned() }
}

fn event(connection: u32, row: &Logged) -> Told {
    Told::Event { connection, sequence: row.sequence, position: row.position(), event: row.event.clone() }
}

pub(super) fn subscribed(connection: u32, after: u64) -> Told {
    Told::Subscribed { connection, after: Some(after), sequence: after, snapshot: None }
}

/// A client loses its connection after the seventh event and comes back.
fn told(log: &[Logged]) -> Vec<Told> {
    let mut told = vec![subscribed(1, 0), Told::Live { sequence: 0 }];
    told.extend(log[..5].iter().map(|row| event(1, row)));
    told.push(delta("r", 1, 0, "lost"));
    told.extend(log[5..7].iter().map(|row| event(1, row)));
    told.push(delta("r", 2, 0, "two "));
    told.push(subscribed(2, 7));
    told.push(delta("r", 2, 4, "wor"));
    told.push(delta("r", 2, 7, "ds"));
    told.extend(log[7..].iter().map(|row| event(2, row)));
    told
}

fn ledger(user: &str, log: &[Logged]) -> Ledger {
    let told = [(CONVERSATION.to_owned(), told(log))].into();
    Ledger {
        client: user.to_owned(),
        user: user.to_owned(),
        commands: Vec::new(),
        told,
        listed: [CONVERSATION.to_owned()].into(),
        ..Ledger::default()
    }
}

fn views() -> Views {
    let message = |id: &str,
                   role: &str,
                   author: Value,
                   parent: Value,
                   parts: Value,
                   status: &str,
                   more: (Value, u64, u64)| {
        let (alternative_of, attempt, sequence) = more;
        json!({ "conversation": CONVERSATION, "id": id, "role": role, "author": author, "parent": parent, "parts": parts,
                "status": status, "alternative_of": alternative_of, "attempt": attempt, "sequence": sequence })
    };
    Views {
        conversations: vec![json!({ "id": CONVERSATION, "owner": "ann", "participants": ["ann", "bob"], "title": null,
                                    "active_leaf": "s", "archived": false, "sequence": 12 })],
        members: ["ann", "bob"].map(|user| json!({ "user_id": user, "conversation": CONVERSATION })).to_vec(),
        messages: vec![
            message("m", "user", json!("ann"), Value::Null, parts("why?"), "submitted", (Value::Null, 0, 3)),
            message("r", "assistant", Value::Null, json!("m"), parts("two words"), "completed", (Value::Null, 2, 4)),
            message("s", "assistant", Value::Null, json!("m"), parts("three "), "stopped", (json!("r"), 1, 9)),
        ],
        spending: vec![json!({ "account": ACCOUNT, "day": DAY, "model": "a/x", "conversation": CONVERSATION,
                               "attempts": 3, "failed": 1, "input": 32, "cached_input": 0, "cache_write": 0, "output": 4,
                               "reasoning": 0, "micro_usd": 0, "unpriced": 3, "estimated": 2 })],
        unended: Vec::new(),
    }
}

fn books() -> Books {
    let spent = json!({ "account": ACCOUNT, "day": DAY, "conversation": CONVERSATION, "micro_usd": 0, "tokens": 36 });
    Books { spent: vec![spent], ..Books::default() }
}

pub(super) fn call(model: &str, text: &str, whole: bool) -> Call {
    Call {
        model: model.to_owned(),
        question: "why?".to_owned(),
        bytes: 30,
        text: text.to_owned(),
        whole,
        refused: false,
        counted: None,
    }
}

pub(super) fn good() -> History {
    let log = log();
    let (mut ann, bob) = (ledger("ann", &log), ledger("bob", &log));
    ann.commands = vec![
        sent(1, json!({ "type": "StartConversation" }), 0, 1),
        sent(2, json!({ "type": "AddParticipant", "user": "bob" }), 20, 2),
        sent(3, json!({ "type": "SubmitMessage", "text": "why?" }), 40, 4),
        sent(4, json!({ "type": "RegenerateReply", "regenerate_of": "r" }), 60, 9),
        sent(5, json!({ "type": "StopReply", "reply": "s" }), 80, 11),
    ];
    let call = |text: &str, whole| call("x", text, whole);
    let messages = log.iter().map(|row| (row.pos, row.clone())).collect();
    History {
        heads: vec![12],
        streams: vec![Stream { last: Some(12), messages }],
        views: views(),
        rebuilt: views(),
        books: books(),
        ledgers: vec![ann, bob],
        probes: vec![Probe {
            what: "GET".to_owned(),
            conversation: CONVERSATION.to_owned(),
            code: Some("not_found".to_owned()),
        }],
        calls: vec![
            call("lost and more", false),
            Call { counted: Some(Tokens { input: 30, output: 2 }), ..call("two words", true) },
            call("three four", true),
        ],
        route: vec!["a/x".to_owned(), "b/y".to_owned()],
        log,
        ..History::default()
    }
}
