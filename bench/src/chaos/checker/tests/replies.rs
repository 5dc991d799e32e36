//! Bad replies.

use serde_json::{Value, json};

use super::{are, breaks};
use crate::chaos::checker::good::{completed, expired, good, parts, row, started};
use crate::chaos::checker::{Finding, Findings, Rule, replies};
use crate::chaos::history::{History, Logged};

/// What is wrong with a reply `r` to "why?" to which this happens, from position 3 on.
fn found(rows: Vec<Logged>) -> Vec<Finding> {
    let question = json!({ "type": "MessageSubmitted", "message": "m", "parts": parts("why?") });
    let log = [ann(1, question), ann(2, requested())].into_iter().chain(rows).collect();
    let history = History { log, calls: good().calls, route: good().route, ..History::default() };
    let mut findings = Findings::default();
    replies::check(&history, &mut findings);
    findings.0
}

fn ann(pos: u64, event: Value) -> Logged {
    row(pos, pos.into(), "user:ann", event)
}

fn worker(pos: u64, event: Value) -> Logged {
    row(pos, pos.into(), "worker:reply", event)
}

fn requested() -> Value {
    json!({ "type": "ReplyRequested", "reply": "r", "parent": "m" })
}

fn begun(attempt: u64) -> Value {
    started("r", attempt, "a/x")
}

fn whole(attempt: u64) -> Value {
    completed("r", attempt, "two words")
}

/// An attempt's end, or the reply's, that has nothing more to say.
fn over(kind: &str, attempt: u64) -> Value {
    json!({ "type": kind, "reply": "r", "attempt": attempt, "parts": [] })
}

fn stop_requested() -> Value {
    json!({ "type": "ReplyStopRequested", "reply": "r" })
}

#[test]
fn good_replies_are_accepted() {
    are(&found(vec![worker(3, begun(1)), worker(4, whole(1))]), &[]);
    are(&found(vec![ann(3, over("ReplyStopped", 0))]), &[]);
    let last = row(5, 4, "worker:reaper", over("ReplyFailed", 1));
    are(&found(vec![worker(3, begun(1)), worker(4, expired("r", 1)), last]), &[]);
}

#[test]
fn only_the_current_attempt_may_count() {
    let fenced = |rows: Vec<Logged>, words: &str| are(&found(rows), &[format!("Fence: {words}").as_str()]);
    // The frozen worker's.
    for kind in ["ReplyAttemptFailed", "ReplyAttemptExpired"] {
        let rows = vec![worker(3, begun(1)), worker(4, over(kind, 2)), worker(5, begun(2)), worker(6, whole(2))];
        fenced(rows, &format!("{kind} Some(2) at 0:4"));
    }
    fenced(vec![worker(3, begun(1)), worker(4, whole(2))], "ReplyCompleted Some(2) at 0:4");
    fenced(vec![worker(3, begun(1)), worker(4, over("ReplyFailed", 2))], "ReplyFailed Some(2) at 0:4");
    let stopped = vec![worker(3, begun(1)), ann(4, stop_requested()), worker(5, over("ReplyStopped", 2))];
    fenced(stopped, "ReplyStopped Some(2) at 0:5");
    fenced(vec![ann(3, over("ReplyStopped", 1))], "ReplyStopped Some(1) at 0:3");
    // Of an attempt that has expired, before another began.
    let expired = || vec![worker(3, begun(1)), worker(4, expired("r", 1))];
    let then = |row: Logged| expired().into_iter().chain([row]).collect::<Vec<_>>();
    fenced(then(worker(5, whole(1))), "ReplyCompleted Some(1) at 0:5");
    // The failure of one that had expired by another command.
    fenced(then(worker(5, over("ReplyFailed", 1))), "ReplyFailed Some(1) at 0:5");
    // Two at once, and one that is left out.
    fenced(vec![worker(3, begun(1)), worker(4, begun(2)), worker(5, whole(2))], "ReplyAttemptStarted Some(2) at 0:4");
    fenced(vec![worker(3, begun(2)), worker(4, whole(1))], "ReplyAttemptStarted Some(2) at 0:3");
}

#[test]
fn a_reply_must_get_no_more_attempts_than_it_may() {
    // Three, and one more for each model of the route.
    let failed = |most: u64| {
        let attempt = |n| [worker(2 * n + 1, begun(n)), worker(2 * n + 2, over("ReplyAttemptFailed", n))];
        (1..=most).flat_map(attempt).chain([ann(2 * most + 3, over("ReplyStopped", most))]).collect::<Vec<_>>()
    };
    are(&found(failed(5)), &[]);
    are(&found(failed(6)), &["Fence: ReplyAttemptStarted Some(6) at 0:13"]);
}

#[test]
fn a_stop_must_be_one_that_can_be() {
    let fenced = |rows: Vec<Logged>, words: &str| are(&found(rows), &[format!("Fence: {words}").as_str()]);
    // Of a reply that waits, it is an end.
    fenced(vec![ann(3, stop_requested()), ann(4, over("ReplyStopped", 0))], "ReplyStopRequested None at 0:3");
    let end = worker(6, over("ReplyStopped", 1));
    let again = vec![worker(3, begun(1)), ann(4, stop_requested()), ann(5, stop_requested()), end];
    fenced(again, "ReplyStopRequested None at 0:5");
    // By a worker: of a reply that waits, and of one that nobody wants stopped.
    fenced(vec![worker(3, over("ReplyStopped", 0))], "ReplyStopped Some(0) at 0:3");
    fenced(vec![worker(3, begun(1)), worker(4, over("ReplyStopped", 1))], "ReplyStopped Some(1) at 0:4");
    // Of a reply that nobody asked for.
    let stray = ann(3, json!({ "type": "ReplyStopRequested", "reply": "x" }));
    fenced(vec![stray, ann(4, over("ReplyStopped", 0))], "\"ReplyStopRequested\" at 0:3: no such reply");
}

#[test]
fn every_reply_must_end_once() {
    are(&found(vec![worker(3, begun(1))]), &["EveryReplyEnds: the reply r in c has not ended"]);
    let twice = vec![worker(3, begun(1)), worker(4, whole(1)), worker(5, whole(1))];
    are(&found(twice), &["EveryReplyEnds: after its end: ReplyCompleted Some(1) at 0:5"]);
    let asked_twice = vec![ann(3, requested()), worker(4, begun(1)), worker(5, whole(1))];
    are(&found(asked_twice), &["EveryReplyEnds: r is asked for twice"]);
    // As seen from outside.
    breaks(Rule::EveryReplyEnds, &["the reply s in c has not ended"], |history| {
        history.log.pop();
    });
}

#[test]
fn a_stop_must_win() {
    let stopping = |end: Value| vec![worker(3, begun(1)), ann(4, stop_requested()), worker(5, end)];
    are(&found(stopping(whole(1))), &["StopWins: ReplyCompleted Some(1) at 0:5"]);
    are(&found(stopping(over("ReplyFailed", 1))), &["StopWins: ReplyFailed Some(1) at 0:5"]);
    for kind in ["ReplyAttemptFailed", "ReplyAttemptExpired"] {
        let rows = stopping(over(kind, 1)).into_iter().chain([ann(6, over("ReplyStopped", 1))]).collect();
        are(&found(rows), &[format!("StopWins: {kind} Some(1) at 0:5").as_str()]);
    }
}

#[test]
fn the_text_of_a_reply_must_be_one_answer() {
    // Twice the same, half of it, and that of an answer that broke off.
    for text in ["two wordstwo words", "two ", "lost and more"] {
        let rows = vec![worker(3, begun(1)), worker(4, completed("r", 1, text))];
        are(&found(rows), &["TextIsOneAnswer: the provider did not say, at 0:4"]);
    }
    let stopped = |text: &str| {
        let mut stopped = over("ReplyStopped", 1);
        stopped["parts"] = parts(text);
        vec![worker(3, begun(1)), ann(4, stop_requested()), worker(5, stopped)]
    };
    are(&found(stopped("lost ")), &[]);
    are(&found(stopped("words that no one said")), &["TextIsOneAnswer: the provider did not say, at 0:5"]);
}
