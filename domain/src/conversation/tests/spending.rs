//! What attempts spent: each tells it once, however it ends.

use serde_json::json;

use super::super::{Command, Cost, Event, Finish, MAX_ATTEMPTS, MAX_RAW_USAGE_BYTES, Spent, Usage};
use super::given::*;

fn spent(output: u64) -> Spent {
    let usage = Usage { input: Some(7), output: Some(output), ..Usage::default() };
    Spent { usage, cost: Some(Cost { micros: 9, price: "p1".to_owned() }), estimated: false }
}

/// What an event says that an attempt spent.
fn told(event: &Event) -> Option<&Spent> {
    match event {
        Event::ReplyAttemptFailed { spent, .. }
        | Event::ReplyAttemptExpired { spent, .. }
        | Event::ReplyCompleted { spent, .. }
        | Event::ReplyStopped { spent, .. }
        | Event::ReplyFailed { spent, .. } => spent.as_ref(),
        _ => None,
    }
}

#[test]
fn an_attempt_says_which_model_it_asks() {
    let (worker_name, lease_ms) = ("w1".to_owned(), LEASE_MS);
    let claim = Command::ClaimReply {
        reply: R1,
        attempt: 1,
        worker: worker_name.clone(),
        lease_ms,
        model: Some(model()),
        alternatives: None,
        continues: false,
    };
    let begun = Event::ReplyAttemptStarted {
        reply: R1,
        attempt: 1,
        worker: worker_name,
        lease_ms,
        model: Some(model()),
        alternatives: None,
        continues: false,
    };
    given(a_question()).when(worker(claim)).then_expect_events(vec![begun]);
}

#[test]
fn what_an_attempt_spent_is_told_once_however_it_ends() {
    let last = || {
        let before = (1..MAX_ATTEMPTS).flat_map(|k| [claimed(R1, k), expired(R1, k)]);
        a_question().into_iter().chain(before).chain([claimed(R1, MAX_ATTEMPTS)]).collect::<Vec<_>>()
    };
    let stopping = |history: Vec<Event>| [history, vec![stop_requested(R1)]].concat();
    for (history, attempt) in [
        (a_running_reply(), 1),
        (stopping(a_running_reply()), 1),
        (last(), MAX_ATTEMPTS),
        (stopping(last()), MAX_ATTEMPTS),
    ] {
        for end in [complete(R1, attempt), fail(R1, attempt, true), fail(R1, attempt, false), expire(R1, attempt)] {
            let end = with_spent(end, Some(spent(5)));
            let events = given(history.clone()).when(worker(end)).inspect_result().unwrap();
            assert_eq!(events.iter().filter_map(told).collect::<Vec<_>>(), [&spent(5)], "{events:?}");
        }
    }
}

#[test]
fn a_reply_that_stops_while_it_waits_spends_nothing_more() {
    let waiting = [a_running_reply(), vec![expired(R1, 1)]].concat();
    let events = given(waiting).when(ann(stop(R1))).inspect_result().unwrap();
    assert!(events.iter().all(|event| told(event).is_none()), "{events:?}");
}

#[test]
fn what_the_log_cannot_hold_of_a_bill_is_left_out() {
    let raw = |raw: String| Spent { usage: Usage { raw: Some(raw), ..Usage::default() }, ..Spent::default() };
    for (raw_usage, kept) in
        [("a\0b".to_owned(), Some("a\u{FFFD}b".to_owned())), ("x".repeat(MAX_RAW_USAGE_BYTES + 1), None)]
    {
        for end in [fail(R1, 1, true), fail(R1, 1, false), expire(R1, 1)] {
            let end = with_spent(end, Some(raw(raw_usage.clone())));
            let events = given(a_running_reply()).when(worker(end)).inspect_result().unwrap();
            assert_eq!(events.iter().find_map(told).unwrap().usage.raw, kept);
        }
    }
}

/// As [`super::log`]: these literals stay.
#[test]
fn spending_is_written_and_read_as_ever() {
    let estimated =
        Spent { usage: Usage { input: Some(7), output: Some(1), ..Usage::default() }, cost: None, estimated: true };
    let usage = |output| format!(r#"{{"input":7,"cached_input":null,"output":{output},"reasoning":null}}"#);
    for (spent, written) in [
        (spent(5), format!(r#"{{"usage":{},"cost":{{"micros":9,"price":"p1"}}}}"#, usage(5))),
        (estimated, format!(r#"{{"usage":{},"estimated":true}}"#, usage(1))),
    ] {
        assert_eq!(serde_json::to_string(&spent).unwrap(), written);
        assert_eq!(serde_json::from_str::<Spent>(&written).unwrap(), spent);
        let event = Event::ReplyAttemptExpired { reply: R1, attempt: 1, spent: Some(spent), parts: Vec::new() };
        let literal = format!(r#"{{"type":"ReplyAttemptExpired","reply":"{R1}","attempt":1,"spent":{written}}}"#);
        assert_eq!(serde_json::to_string(&event).unwrap(), literal);
        assert_eq!(serde_json::from_str::<Event>(&literal).unwrap(), event);
    }
    let begun = Event::ReplyAttemptStarted {
        reply: R1,
        attempt: 1,
        worker: "w1".to_owned(),
        lease_ms: LEASE_MS,
        model: Some(model()),
        alternatives: None,
        continues: false,
    };
    let literal = format!(
        r#"{{"type":"ReplyAttemptStarted","reply":"{R1}","attempt":1,"worker":"w1","lease_ms":15000,"model":"mock/m1"}}"#
    );
    assert_eq!(serde_json::to_string(&begun).unwrap(), literal);
    assert_eq!(serde_json::from_str::<Event>(&literal).unwrap(), begun);
}

/// A worker of an earlier version knows nothing of it.
#[test]
fn commands_that_say_nothing_of_it_are_read() {
    for (written, command) in [
        (
            json!({ "type": "ClaimReply", "reply": R1, "attempt": 1, "worker": "w1", "lease_ms": LEASE_MS }),
            claim(R1, 1),
        ),
        (
            json!({ "type": "CompleteReply", "reply": R1, "attempt": 1, "parts": text("the answer"),
                    "finish": Finish::Stop, "model": model(), "usage": Usage::default() }),
            complete(R1, 1),
        ),
        (
            json!({ "type": "FailReply", "reply": R1, "attempt": 1, "error": overload(), "retry": true,
                    "parts": text("the ans") }),
            fail(R1, 1, true),
        ),
        (json!({ "type": "ExpireAttempt", "reply": R1, "attempt": 1, "parts": text("the a") }), expire(R1, 1)),
    ] {
        assert_eq!(serde_json::from_value::<Command>(written).unwrap(), command);
    }
}
