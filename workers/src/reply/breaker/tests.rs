//! When breakers open and close, and who is let through.

use std::time::Duration;

use domain::conversation::Finish;
use nats::breaker::{Change, Key, MAX_AGE, Open, Trouble};
use proptest::prelude::*;
use tokio::time::Instant;

use super::state::{
    ACCOUNT_COOL_DOWN, Answer, FAILURES, FIRST_COOL_DOWN, MAX_COOL_DOWN, PROBE_LEASE, Shut, State, WINDOW, opened,
    probing,
};
use super::{LONG_WAIT, Verdict};
use crate::provider::{Chunk, Deadline, Error, ErrorKind};

fn key(credential: &str) -> Key {
    Key::of(credential, &"a/b".parse().unwrap())
}

fn fail(state: &mut State, trouble: Trouble, now: Instant) -> Option<Open> {
    state.failed(&key("mine"), trouble, None, now)
}

fn hear(state: &mut State, revision: u64, open: Option<Open>, now: Instant) {
    hear_late(state, revision, open, Duration::ZERO, now);
}

fn hear_late(state: &mut State, revision: u64, open: Option<Open>, age: Duration, now: Instant) {
    state.hear(Change { key: key("mine"), revision, age, open }, now);
}

fn shut(trouble: Trouble, rest: Duration) -> Answer {
    Answer::Shut(Shut { trouble, rest })
}

fn cool_down(open: Open) -> Duration {
    Duration::from_millis(open.shut_ms)
}

#[test]
fn failures_one_after_the_other_open_a_breaker() {
    let (mut state, now) = (State::default(), Instant::now());
    for _ in 1..FAILURES {
        assert_eq!(fail(&mut state, Trouble::Overload, now), None);
        assert_eq!(state.failed(&key("yours"), Trouble::Overload, None, now), None, "others count for themselves");
    }
    let open = fail(&mut state, Trouble::Network, now).unwrap();
    assert_eq!((open.trouble, open.times, cool_down(open)), (Trouble::Network, 1, FIRST_COOL_DOWN));
    assert_eq!(fail(&mut state, Trouble::Network, now), None, "it counts anew");
    assert_eq!(state.ask(&key("mine"), now), Answer::Closed, "open it is when it is shared");
}

#[test]
fn an_answer_in_between_and_failures_long_ago_do_not_count() {
    let (mut state, now) = (State::default(), Instant::now());
    for _ in 0..3 * FAILURES {
        assert_eq!(fail(&mut state, Trouble::Timeout, now), None);
        assert!(!state.well(&key("mine")), "there is nothing to close");
    }
    for nth in 0..3 * FAILURES {
        assert_eq!(fail(&mut state, Trouble::Timeout, now + WINDOW * nth), None);
    }
}

#[test]
fn an_account_is_left_alone_at_once_but_never_for_long() {
    for trouble in [Trouble::Auth, Trouble::Quota] {
        let open = fail(&mut State::default(), trouble, Instant::now()).unwrap();
        assert_eq!(cool_down(open), ACCOUNT_COOL_DOWN, "{trouble:?}");
        let again = opened(trouble, Some(Duration::from_hours(1)), 100);
        assert_eq!(cool_down(again), ACCOUNT_COOL_DOWN, "{trouble:?}");
    }
}

#[test]
fn a_cool_down_doubles_and_honours_what_the_provider_asks_for_up_to_a_bound() {
    let after = |times, wait| cool_down(opened(Trouble::Overload, wait, times));
    assert_eq!([1, 2, 3].map(|times| after(times, None)), [1, 2, 4].map(|times| FIRST_COOL_DOWN * times));
    assert_eq!(after(u32::MAX, None), MAX_COOL_DOWN);
    assert_eq!(after(1, Some(FIRST_COOL_DOWN * 3)), FIRST_COOL_DOWN * 3);
    assert_eq!(after(1, Some(Duration::from_secs(1))), FIRST_COOL_DOWN);
    assert_eq!(after(1, Some(Duration::from_hours(24))), MAX_COOL_DOWN);
}

#[test]
fn an_open_breaker_lets_nobody_through_until_one_takes_it_over() {
    let (mut state, now) = (State::default(), Instant::now());
    let open = opened(Trouble::Overload, None, 1);
    hear(&mut state, 7, Some(open), now);
    assert_eq!(state.ask(&key("mine"), now), shut(Trouble::Overload, FIRST_COOL_DOWN));
    let early = now + FIRST_COOL_DOWN / 5;
    assert_eq!(state.ask(&key("mine"), early), shut(Trouble::Overload, FIRST_COOL_DOWN * 4 / 5));
    assert_eq!(state.ask(&key("yours"), early), Answer::Closed, "one credential's breaker is not another's");
    assert_eq!(fail(&mut state, Trouble::Auth, early), None, "who began before says nothing new");

    let then = now + FIRST_COOL_DOWN;
    let Answer::HalfOpen(seen) = state.ask(&key("mine"), then) else { panic!() };
    assert_eq!((seen.open, seen.revision), (open, 7));
    hear(&mut state, 8, Some(probing(open)), then);
    assert_eq!(state.ask(&key("mine"), then), shut(Trouble::Overload, PROBE_LEASE), "one is enough");
    let lost = then + PROBE_LEASE;
    assert!(matches!(state.ask(&key("mine"), lost), Answer::HalfOpen(_)), "a lost probe holds nobody up for ever");
}

#[test]
fn an_answer_closes_it() {
    let (mut state, now) = (State::default(), Instant::now());
    hear(&mut state, 1, Some(opened(Trouble::Overload, None, 1)), now);
    assert!(state.well(&key("mine")));
    assert_eq!(state.ask(&key("mine"), now), Answer::Closed);
    hear(&mut state, 2, Some(opened(Trouble::Overload, None, 1)), now);
    hear(&mut state, 3, None, now);
    assert_eq!(state.ask(&key("mine"), now), Answer::Closed, "also somebody else's");
}

#[test]
fn what_is_known_here_is_not_undone_by_older_news() {
    let (mut state, now) = (State::default(), Instant::now());
    let open = opened(Trouble::Overload, None, 1);
    hear(&mut state, 5, Some(probing(open)), now);
    hear(&mut state, 4, Some(open), now);
    hear(&mut state, 3, None, now);
    assert_eq!(state.ask(&key("mine"), now), shut(Trouble::Overload, PROBE_LEASE));
}

#[test]
fn what_was_heard_late_holds_for_less_and_what_is_forgotten_elsewhere_not_at_all() {
    let (mut state, now) = (State::default(), Instant::now());
    let open = opened(Trouble::Overload, None, 1);
    hear_late(&mut state, 1, Some(open), FIRST_COOL_DOWN / 5, now);
    assert_eq!(state.ask(&key("mine"), now), shut(Trouble::Overload, FIRST_COOL_DOWN * 4 / 5));
    assert_eq!(state.ask(&key("mine"), now + MAX_AGE), Answer::Closed);
    for _ in 1..FAILURES {
        assert_eq!(fail(&mut state, Trouble::Overload, now + MAX_AGE), None);
    }
    assert!(fail(&mut state, Trouble::Overload, now + MAX_AGE).is_some(), "it counts again");
}

#[test]
fn only_what_the_beginning_says_of_the_provider_counts() {
    let failed = |kind, wait| Verdict::of(&Err(Error { retry_after: wait, ..Error::new(kind, "") }));
    let (short, long) = (Some(LONG_WAIT), Some(LONG_WAIT * 2));
    for (kind, wait, verdict) in [
        (ErrorKind::Auth, None, Verdict::Unwell(Trouble::Auth, None)),
        (ErrorKind::Quota, None, Verdict::Unwell(Trouble::Quota, None)),
        (ErrorKind::Rate, None, Verdict::Answering),
        (ErrorKind::Rate, short, Verdict::Answering),
        (ErrorKind::Rate, long, Verdict::Unwell(Trouble::Rate, long)),
        (ErrorKind::Overload, short, Verdict::Unwell(Trouble::Overload, short)),
        (ErrorKind::Network, None, Verdict::Unwell(Trouble::Network, None)),
        (ErrorKind::Timeout(Deadline::FirstToken), None, Verdict::Unwell(Trouble::Timeout, None)),
        (ErrorKind::Invalid, None, Verdict::Answering),
        (ErrorKind::UnknownModel, None, Verdict::Answering),
        (ErrorKind::ContextTooLong, None, Verdict::Answering),
        (ErrorKind::ContentFilter, None, Verdict::Answering),
        (ErrorKind::Interrupted, None, Verdict::Unknown),
        (ErrorKind::Protocol, None, Verdict::Unknown),
    ] {
        assert_eq!(failed(kind, wait), verdict, "{kind:?}");
    }
    assert_eq!(Verdict::of(&Ok(Chunk::Text("a".to_owned()))), Verdict::Well);
    let finished = Chunk::Finished { finish: Finish::Stop, usage: domain::conversation::Usage::default() };
    assert_eq!(Verdict::of(&Ok(finished)), Verdict::Well);
}

#[test]
fn a_refusal_says_what_was_wrong_and_when_it_is_over() {
    let model = "a/b".parse().unwrap();
    let refusal = Shut { trouble: Trouble::Overload, rest: Duration::from_millis(4_001) }.into_error(&model);
    assert_eq!(refusal.message, "a/b has been failing; it is asked again in 5 s.");
    assert_eq!((refusal.kind, refusal.retry_after), (ErrorKind::Overload, Some(Duration::from_millis(4_001))));
}

/// What may happen around a breaker.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Call(Option<Trouble>),
    Hear(Option<u32>),
}

fn step() -> impl Strategy<Value = Step> {
    let trouble =
        prop::sample::select(vec![Trouble::Auth, Trouble::Rate, Trouble::Overload, Trouble::Network, Trouble::Timeout]);
    prop_oneof![
        (0_u64..100_000).prop_map(Step::Wait),
        prop::option::of(trouble).prop_map(Step::Call),
        prop::option::weighted(0.7, 1_u32..40).prop_map(Step::Hear),
    ]
}

proptest! {
    /// Whatever happens, nobody is kept away for longer than the bound, and one call is let through then.
    #[test]
    fn nobody_is_kept_away_for_long(steps in prop::collection::vec(step(), 1..60)) {
        let (mut state, mut now, mut revision) = (State::default(), Instant::now(), 0);
        for step in steps {
            revision += 1;
            match step {
                Step::Wait(ms) => now += Duration::from_millis(ms),
                Step::Call(None) => _ = state.well(&key("mine")),
                Step::Call(Some(trouble)) => {
                    let was = state.ask(&key("mine"), now);
                    if let Some(open) = fail(&mut state, trouble, now) {
                        prop_assert_eq!(was, Answer::Closed);
                        hear(&mut state, revision, Some(open), now);
                    }
                }
                Step::Hear(times) => {
                    let open = times.map(|times| opened(Trouble::Overload, None, times));
                    hear(&mut state, revision, open, now);
                }
            }
            if let Answer::Shut(Shut { rest, .. }) = state.ask(&key("mine"), now) {
                prop_assert!(rest <= MAX_COOL_DOWN);
                prop_assert!(matches!(state.ask(&key("mine"), now + rest), Answer::HalfOpen(_)));
            }
            prop_assert_eq!(state.ask(&key("yours"), now), Answer::Closed);
        }
    }
}
