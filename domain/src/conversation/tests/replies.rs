//! A reply from its request to its end: the fence, the attempts, the stop.

use super::super::{Command, Error, Event, Finish, MAX_ATTEMPTS, Parent, ReplyError, Usage};
use super::given::*;

/// `R1` at its last attempt.
fn at_the_last_attempt() -> Vec<Event> {
    let before = (1..MAX_ATTEMPTS).flat_map(|k| [claimed(R1, k), expired(R1, k)]);
    a_question().into_iter().chain(before).chain([claimed(R1, MAX_ATTEMPTS)]).collect()
}

fn stopping() -> Vec<Event> {
    [a_running_reply(), vec![stop_requested(R1)]].concat()
}

/// Every command by which attempt `k` ends.
fn ends_of(attempt: u32) -> [Command; 4] {
    [complete(R1, attempt), fail(R1, attempt, true), fail(R1, attempt, false), expire(R1, attempt)]
}

#[test]
fn a_waiting_reply_is_taken_by_one_worker() {
    given(a_question()).when(worker(claim(R1, 1))).then_expect_events(vec![claimed(R1, 1)]);
    given(a_running_reply()).when(worker(claim(R1, 1))).then_expect_error(Error::StaleAttempt);
    given(a_running_reply()).when(worker(claim(R1, 2))).then_expect_error(Error::StaleAttempt);
    given(stopping()).when(worker(claim(R1, 2))).then_expect_error(Error::StaleAttempt);
}

#[test]
fn an_attempt_is_the_one_after_the_last() {
    for attempt in [0, 2, u32::MAX] {
        given(a_question()).when(worker(claim(R1, attempt))).then_expect_error(Error::StaleAttempt);
    }
    let once_lost = || [a_running_reply(), vec![expired(R1, 1)]].concat();
    given(once_lost()).when(worker(claim(R1, 1))).then_expect_error(Error::StaleAttempt);
    given(once_lost()).when(worker(claim(R1, 2))).then_expect_events(vec![claimed(R1, 2)]);
}

#[test]
fn the_running_attempt_completes_the_reply() {
    given(a_running_reply()).when(worker(complete(R1, 1))).then_expect_events(vec![completed(R1, 1)]);
}

#[test]
fn only_the_running_attempt_counts() {
    let not_begun = a_question();
    let lost = [a_running_reply(), vec![expired(R1, 1)]].concat();
    let gave_up = [a_running_reply(), vec![attempt_failed(R1, 1)]].concat();
    let overtaken = [lost.clone(), vec![claimed(R1, 2)]].concat();
    let overtaken_and_stopping = [overtaken.clone(), vec![stop_requested(R1)]].concat();
    for history in [not_begun, lost, gave_up, overtaken, overtaken_and_stopping] {
        for command in ends_of(1) {
            given(history.clone()).when(worker(command)).then_expect_error(Error::StaleAttempt);
        }
    }
    for command in ends_of(2).into_iter().chain(ends_of(0)) {
        given(a_running_reply()).when(worker(command)).then_expect_error(Error::StaleAttempt);
    }
}

#[test]
fn nothing_happens_to_a_reply_that_has_ended() {
    for end in [completed(R1, 1), stopped(R1, 1, ""), failed(R1, 1)] {
        let ended = [a_running_reply(), vec![end]].concat();
        for command in ends_of(1).into_iter().chain(ends_of(2)).chain([claim(R1, 1), claim(R1, 2)]) {
            given(ended.clone()).when(worker(command)).then_expect_error(Error::ReplyEnded);
        }
        given(ended).when(ann(stop(R1))).then_expect_events(vec![]);
    }
}

#[test]
fn only_replies_are_worked_on() {
    for command in [claim(NOWHERE, 1), complete(NOWHERE, 1), fail(NOWHERE, 1, true), expire(NOWHERE, 1)] {
        given(a_running_reply()).when(worker(command)).then_expect_error(Error::UnknownReply);
    }
    given(a_running_reply()).when(ann(stop(Q1))).then_expect_error(Error::UnknownReply);
    given(a_running_reply()).when(ann(stop(NOWHERE))).then_expect_error(Error::UnknownReply);
    given(a_running_reply()).when(worker(claim(Q1, 1))).then_expect_error(Error::UnknownReply);
}

#[test]
fn a_failure_that_may_pass_leaves_the_reply_to_the_next_attempt() {
    given(a_running_reply()).when(worker(fail(R1, 1, true))).then_expect_events(vec![attempt_failed(R1, 1)]);
    given([a_running_reply(), vec![attempt_failed(R1, 1)]].concat())
        .when(worker(claim(R1, 2)))
        .then_expect_events(vec![claimed(R1, 2)]);
}

#[test]
fn a_failure_that_stays_ends_the_reply_with_what_was_said() {
    given(a_running_reply()).when(worker(fail(R1, 1, false))).then_expect_events(vec![failed(R1, 1)]);
}

#[test]
fn the_last_attempt_ends_the_reply_however_it_fails() {
    given(at_the_last_attempt())
        .when(worker(fail(R1, MAX_ATTEMPTS, true)))
        .then_expect_events(vec![failed(R1, MAX_ATTEMPTS)]);
    let events = given(at_the_last_attempt()).when(worker(expire(R1, MAX_ATTEMPTS))).inspect_result().unwrap();
    let [Event::ReplyAttemptExpired { .. }, Event::ReplyFailed { reply: R1, attempt, error, parts, .. }] = &events[..]
    else {
        panic!("not the end of the reply: {events:?}")
    };
    assert_eq!((*attempt, error.code.as_str(), parts), (MAX_ATTEMPTS, "worker_lost", &text("the a")));
}

#[test]
fn an_expired_attempt_leaves_the_reply_to_the_next() {
    given(a_running_reply()).when(worker(expire(R1, 1))).then_expect_events(vec![expired(R1, 1)]);
}

#[test]
fn a_reply_that_waits_stops_at_once() {
    given(a_question()).when(ann(stop(R1))).then_expect_events(vec![stopped(R1, 0, "")]);
    given([a_running_reply(), vec![expired(R1, 1)]].concat())
        .when(ann(stop(R1)))
        .then_expect_events(vec![stopped(R1, 1, "")]);
}

#[test]
fn a_stop_wins_over_every_other_end() {
    given(a_running_reply()).when(ann(stop(R1))).then_expect_events(vec![stop_requested(R1)]);
    given(stopping()).when(ann(stop(R1))).then_expect_events(vec![]);
    for (end, said) in [
        (complete(R1, 1), "the answer"),
        (fail(R1, 1, true), "the ans"),
        (fail(R1, 1, false), "the ans"),
        (expire(R1, 1), "the a"),
    ] {
        given(stopping()).when(worker(end)).then_expect_events(vec![stopped(R1, 1, said)]);
    }
    given([at_the_last_attempt(), vec![stop_requested(R1)]].concat())
        .when(worker(expire(R1, MAX_ATTEMPTS)))
        .then_expect_events(vec![stopped(R1, MAX_ATTEMPTS, "the a")]);
}

#[test]
fn a_branch_is_free_again_when_its_reply_has_ended() {
    for end in [completed(R1, 1), stopped(R1, 1, ""), failed(R1, 1)] {
        given([a_running_reply(), vec![end]].concat())
            .when(ann(submit(Q2, Parent::ActiveLeaf, Some(R2))))
            .then_expect_events(vec![said(Q2, Some(R1)), requested(R2, Q2)]);
    }
}

#[test]
fn what_the_log_cannot_hold_keeps_no_reply_from_ending() {
    let error = ReplyError::new("overload\0", "\0");
    let clean = ReplyError::new("overload\u{FFFD}", "\u{FFFD}");
    let complete = Command::CompleteReply {
        reply: R1,
        attempt: 1,
        parts: text("a\0b"),
        finish: Finish::Stop,
        model: model(),
        usage: Usage::default(),
        spent: None,
    };
    let fail = |retry| Command::FailReply {
        reply: R1,
        attempt: 1,
        error: error.clone(),
        retry,
        switch: false,
        retry_after_ms: None,
        parts: text("a\0b"),
        continuable: true,
        spent: None,
    };
    given(stopping()).when(worker(complete.clone())).then_expect_events(vec![stopped(R1, 1, "a\u{FFFD}b")]);
    given(a_running_reply()).when(worker(complete)).then_expect_events(vec![Event::ReplyCompleted {
        reply: R1,
        attempt: 1,
        parts: text("a\u{FFFD}b"),
        finish: Finish::Stop,
        model: model(),
        usage: Usage::default(),
        spent: None,
    }]);
    given(a_running_reply()).when(worker(fail(true))).then_expect_events(vec![Event::ReplyAttemptFailed {
        reply: R1,
        attempt: 1,
        error: clean.clone(),
        spent: None,
        switch: false,
        retry_after_ms: None,
        parts: text("a\u{FFFD}b"),
    }]);
    given(a_running_reply()).when(worker(fail(false))).then_expect_events(vec![Event::ReplyFailed {
        reply: R1,
        attempt: 1,
        error: clean,
        parts: text("a\u{FFFD}b"),
        spent: None,
    }]);
}
