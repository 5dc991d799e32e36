//! A reply that is asked of a route: more attempts than of one model, and still so many.

use super::super::{Command, Event, MAX_ALTERNATIVES, MAX_ATTEMPTS, MAX_RETRY_AFTER_MS};
use super::given::*;

/// The attempt begins, asking one of so many models.
fn claimed_of(attempt: u32, models: u32) -> Event {
    let (worker, model) = ("w1".to_owned(), Some(model()));
    Event::ReplyAttemptStarted {
        reply: R1,
        attempt,
        worker,
        lease_ms: LEASE_MS,
        model,
        alternatives: Some(models),
        continues: false,
    }
}

/// `R1` at this attempt, the ones before it lost.
fn at(attempt: u32, models: u32) -> Vec<Event> {
    let before = (1..attempt).flat_map(|k| [claimed_of(k, models), expired(R1, k)]);
    a_question().into_iter().chain(before).chain([claimed_of(attempt, models)]).collect()
}

fn fail_and(attempt: u32, switch: bool, retry_after_ms: Option<u64>) -> Command {
    let (error, parts) = (overload(), text("the ans"));
    Command::FailReply {
        reply: R1,
        attempt,
        error,
        retry: true,
        switch,
        retry_after_ms,
        parts,
        continuable: false,
        spent: None,
    }
}

fn failed_and(attempt: u32, switch: bool, retry_after_ms: Option<u64>) -> Event {
    let (error, parts) = (overload(), Vec::new());
    Event::ReplyAttemptFailed { reply: R1, attempt, error, spent: None, switch, retry_after_ms, parts }
}

#[test]
fn a_failed_attempt_says_whether_the_next_asks_another_model() {
    given(at(1, 2)).when(worker(fail_and(1, true, None))).then_expect_events(vec![failed_and(1, true, None)]);
    given(at(1, 2)).when(worker(fail_and(1, false, None))).then_expect_events(vec![failed_and(1, false, None)]);
}

#[test]
fn a_route_adds_as_many_attempts_as_it_has_models() {
    for (models, counted) in [(1, 1), (2, 2), (MAX_ALTERNATIVES, MAX_ALTERNATIVES), (u32::MAX, MAX_ALTERNATIVES)] {
        let last = MAX_ATTEMPTS + counted;
        given(at(last - 1, models)).when(worker(fail_and(last - 1, true, None))).then_expect_events(vec![failed_and(
            last - 1,
            true,
            None,
        )]);
        given(at(last, models)).when(worker(fail_and(last, true, None))).then_expect_events(vec![failed(R1, last)]);
        let events = given(at(last, models)).when(worker(expire(R1, last))).inspect_result().unwrap();
        assert!(matches!(events[..], [Event::ReplyAttemptExpired { .. }, Event::ReplyFailed { .. }]), "{events:?}");
    }
}

#[test]
fn a_provider_holds_a_reply_up_for_so_long() {
    for (asked, kept) in [(1_500, 1_500), (u64::MAX, MAX_RETRY_AFTER_MS)] {
        given(a_running_reply()).when(worker(fail_and(1, false, Some(asked)))).then_expect_events(vec![failed_and(
            1,
            false,
            Some(kept),
        )]);
    }
}

#[test]
fn a_stop_wins_over_a_switch() {
    given([at(1, 2), vec![stop_requested(R1)]].concat())
        .when(worker(fail_and(1, true, None)))
        .then_expect_events(vec![stopped(R1, 1, "the ans")]);
}

/// As [`super::log`]: these literals stay.
#[test]
fn routes_are_written_and_read_as_ever() {
    let begun = format!(
        r#"{{"type":"ReplyAttemptStarted","reply":"{R1}","attempt":2,"worker":"w1","lease_ms":15000,"model":"mock/m1","alternatives":2}}"#
    );
    let switched = format!(
        r#"{{"type":"ReplyAttemptFailed","reply":"{R1}","attempt":1,"error":{{"code":"overload","message":"The provider has too much to do."}},"switch":true,"retry_after_ms":1500}}"#
    );
    for (event, literal) in [(claimed_of(2, 2), begun), (failed_and(1, true, Some(1_500)), switched)] {
        assert_eq!(serde_json::to_string(&event).unwrap(), literal);
        assert_eq!(serde_json::from_str::<Event>(&literal).unwrap(), event);
    }
}
