//! What an attempt had said is kept for the one that can go on from it, and for no other.

use super::super::{Command, Event, MAX_ATTEMPTS, Part};
use super::given::*;

/// The attempt begins, and goes on from the one before it.
fn claimed_on(attempt: u32) -> Event {
    let (worker, lease_ms) = ("w1".to_owned(), LEASE_MS);
    Event::ReplyAttemptStarted {
        reply: R1,
        attempt,
        worker,
        lease_ms,
        model: Some(model()),
        alternatives: None,
        continues: true,
    }
}

fn fail_with(attempt: u32, retry: bool) -> Command {
    Command::FailReply {
        reply: R1,
        attempt,
        error: overload(),
        retry,
        switch: false,
        retry_after_ms: None,
        parts: text("the ans"),
        continuable: true,
        spent: None,
    }
}

fn expire_with(attempt: u32) -> Command {
    Command::ExpireAttempt { reply: R1, attempt, parts: text("the a"), continuable: true, spent: None }
}

/// `R1` at its attempt 3, which goes on from the one before or begins anew.
fn at_the_third(continues: bool) -> Vec<Event> {
    let third = if continues { claimed_on(3) } else { claimed(R1, 3) };
    let before = (1..3).flat_map(|k| [claimed(R1, k), expired(R1, k)]);
    a_question().into_iter().chain(before).chain([third]).collect()
}

/// What an attempt's end keeps for the next one.
fn kept(event: &Event) -> &[Part] {
    match event {
        Event::ReplyAttemptFailed { parts, .. } | Event::ReplyAttemptExpired { parts, .. } => parts,
        other => panic!("no attempt ends for another: {other:?}"),
    }
}

#[test]
fn an_attempt_says_that_it_goes_on() {
    let claim = Command::ClaimReply {
        reply: R1,
        attempt: 2,
        worker: "w1".to_owned(),
        lease_ms: LEASE_MS,
        model: Some(model()),
        alternatives: None,
        continues: true,
    };
    given([a_running_reply(), vec![expired(R1, 1)]].concat())
        .when(worker(claim))
        .then_expect_events(vec![claimed_on(2)]);
}

#[test]
fn what_was_said_is_kept_if_the_next_attempt_can_go_on_from_it() {
    for (end, said) in [(fail_with(1, true), "the ans"), (expire_with(1), "the a")] {
        let events = given(a_running_reply()).when(worker(end)).inspect_result().unwrap();
        assert_eq!(kept(&events[0]), text(said));
    }
    for end in [fail(R1, 1, true), expire(R1, 1)] {
        let events = given(a_running_reply()).when(worker(end)).inspect_result().unwrap();
        assert_eq!(kept(&events[0]), []);
    }
}

#[test]
fn what_no_attempt_follows_is_kept_once() {
    given(a_running_reply()).when(worker(fail_with(1, false))).then_expect_events(vec![failed(R1, 1)]);
    given(at_the_third(false)).when(worker(fail_with(3, true))).then_expect_events(vec![failed(R1, 3)]);
    let events = given(at_the_third(false)).when(worker(expire_with(3))).inspect_result().unwrap();
    let [expired, Event::ReplyFailed { parts, .. }] = &events[..] else { panic!("no end of the reply: {events:?}") };
    assert_eq!((kept(expired), parts), (&[][..], &text("the a")));
    let stopping = [a_running_reply(), vec![stop_requested(R1)]].concat();
    given(stopping).when(worker(fail_with(1, true))).then_expect_events(vec![stopped(R1, 1, "the ans")]);
}

#[test]
fn an_attempt_that_went_on_is_not_the_last() {
    assert_eq!(MAX_ATTEMPTS, 3);
    let refused = given(at_the_third(true)).when(worker(fail(R1, 3, true))).inspect_result().unwrap();
    assert_eq!(refused, [attempt_failed(R1, 3)], "it may begin anew");
    let anew = [at_the_third(true), refused, vec![claimed(R1, 4)]].concat();
    given(anew).when(worker(fail(R1, 4, true))).then_expect_events(vec![failed(R1, 4)]);
    // However often it goes on.
    let on = [at_the_third(true), vec![expired(R1, 3), claimed_on(4)]].concat();
    given(on).when(worker(fail(R1, 4, true))).then_expect_events(vec![failed(R1, 4)]);
}

/// As [`super::log`]: these literals stay.
#[test]
fn going_on_is_written_and_read_as_ever() {
    let kept = r#"[{"type":"text","text":"the a"}]"#;
    let begun = format!(
        r#"{{"type":"ReplyAttemptStarted","reply":"{R1}","attempt":2,"worker":"w1","lease_ms":15000,"model":"mock/m1","continues":true}}"#
    );
    let failed = format!(
        r#"{{"type":"ReplyAttemptFailed","reply":"{R1}","attempt":1,"error":{{"code":"overload","message":"The provider has too much to do."}},"parts":{kept}}}"#
    );
    let expired = format!(r#"{{"type":"ReplyAttemptExpired","reply":"{R1}","attempt":1,"parts":{kept}}}"#);
    let failed_with = Event::ReplyAttemptFailed {
        reply: R1,
        attempt: 1,
        error: overload(),
        spent: None,
        switch: false,
        retry_after_ms: None,
        parts: text("the a"),
    };
    let expired_with = Event::ReplyAttemptExpired { reply: R1, attempt: 1, spent: None, parts: text("the a") };
    for (event, literal) in [(claimed_on(2), begun), (failed_with, failed), (expired_with, expired)] {
        assert_eq!(serde_json::to_string(&event).unwrap(), literal);
        assert_eq!(serde_json::from_str::<Event>(&literal).unwrap(), event);
    }
}
