//! Bad histories of attempts, and good ones that are less usual.

use serde_json::{Value, json};

use super::check;
use crate::chaos::checker::good::{call, completed, expired, good, row, spending, started};
use crate::chaos::checker::tests::{breaks, rewrite};
use crate::chaos::checker::{Findings, Rule};
use crate::chaos::history::{Call, History, Outage, Tokens};

/// The first attempt is lost, the second completes: its events are at 5 to 8 of the good history.
const LOST: u64 = 6;
const WHOLE: u64 = 8;

/// An attempt at the reply ends without an answer.
fn failed(attempt: u64, code: &str, switch: bool) -> Value {
    let error = json!({ "code": code, "message": "" });
    json!({ "type": "ReplyAttemptFailed", "reply": "r", "attempt": attempt, "error": error, "switch": switch })
}

/// What is wrong with these attempts at a reply of a route, and these calls.
fn found(events: Vec<Value>, calls: Vec<Call>) -> Vec<Rule> {
    let asked = json!({ "type": "ReplyRequested", "reply": "r", "parent": "m" });
    let message = json!({ "type": "MessageSubmitted", "message": "m", "parts": [{ "type": "text", "text": "why?" }] });
    let rows = [message, asked].into_iter().chain(events);
    let log = (1..).zip(rows).map(|(pos, event)| row(pos, pos.into(), "worker:reply", event)).collect();
    let history = History { log, calls, route: good().route, ..History::default() };
    let mut findings = Findings::default();
    check(&history, &mut findings);
    findings.0.into_iter().map(|finding| finding.rule).collect()
}

fn refused(model: &str) -> Call {
    Call { refused: true, ..call(model, "", false) }
}

#[test]
fn an_attempt_must_end_once() {
    let ends = |history: &mut History, pos, event| rewrite(history, pos, &event);
    // Another attempt began beside it.
    breaks(Rule::AttemptEndsOnce, &["attempt 1 of r has these ends: []"], |history| {
        ends(history, LOST, json!({ "type": "Nothing" }));
    });
    breaks(Rule::AttemptEndsOnce, &["attempt 1 of r has these ends"], |history| {
        ends(history, 7, spending(completed("r", 1, "two words"), None));
    });
    // A person's stop of a reply that waits ends no attempt, nor does the failure that comes with the last expiry.
    let mut stopped =
        row(9, 20, "user:ann", json!({ "type": "ReplyStopped", "reply": "r", "attempt": 1, "parts": [] }));
    for (actor, command, ends) in [("user:ann", 20, 0), ("worker:reply", 20, 1), ("worker:reaper", 12, 0)] {
        let mut history = good();
        history.log.retain(|row| row.pos <= LOST);
        if command == 12 {
            stopped.event = json!({ "type": "ReplyFailed", "reply": "r", "attempt": 1, "parts": [] });
        }
        (stopped.actor, stopped.command) = (actor.to_owned(), uuid::Uuid::from_u128(command));
        history.log.push(stopped.clone());
        let mut findings = Findings::default();
        check(&history, &mut findings);
        let found = findings.0.iter().filter(|finding| finding.rule == Rule::AttemptEndsOnce).count();
        assert_eq!(found, ends, "{actor}");
    }
}

#[test]
fn what_was_spent_must_be_told_once() {
    use Rule::SpentOnce as Once;
    // Then a call is nobody's, too.
    let silent = |of: &str, change: fn(&mut History)| {
        let unsaid = format!("{of} does not say what it spent");
        breaks(Once, &[unsaid.as_str(), "x took \"why?\" up 3 times, and 2"], change);
    };
    silent("attempt 1 of r", |history| rewrite(history, LOST, &expired("r", 1)));
    silent("attempt 2 of r", |history| rewrite(history, WHOLE, &completed("r", 2, "two words")));
    // A stopped reply said something, and was paid for.
    silent("attempt 1 of s", |history| history.log[11].event["spent"] = Value::Null);
    // Its attempt had said so when it expired.
    breaks(Once, &["attempt 1 of r says 2 times what it spent", "up 3 times, and 2"], |history| {
        let failed = json!({ "type": "ReplyFailed", "reply": "r", "attempt": 1, "parts": [] });
        rewrite(history, 7, &spending(failed, None));
    });
    // Nobody could read what the lost attempt had asked.
    let found = |what: &str| {
        let mut history = good();
        history.outages = vec![Outage { what: what.to_owned(), from: 50, until: 55 }];
        rewrite(&mut history, LOST, &expired("r", 1));
        let mut findings = Findings::default();
        check(&history, &mut findings);
        findings.0.len()
    };
    assert_eq!(found("link of worker 0 to Postgres: held"), 0);
    assert!(found("kill -9: worker 0") > 0);
}

#[test]
fn a_refusal_must_cost_nothing_and_a_call_that_was_taken_up_something() {
    let whole = || spending(completed("r", 2, "b"), None);
    let attempts = |end: Value| vec![started("r", 1, "a/x"), end, started("r", 2, "a/x"), whole()];
    let said = || call("x", "b", true);
    assert_eq!(found(attempts(failed(1, "overload", false)), vec![refused("x"), said()]), []);
    assert_eq!(
        found(attempts(spending(failed(1, "rate", false), None)), vec![refused("x"), said()]),
        [Rule::SpentOnce]
    );
    // It hung: the provider has read the prompt.
    let hung = || vec![call("x", "never said", false), said()];
    assert_eq!(found(attempts(spending(failed(1, "timeout", false), None)), hung()), []);
    assert_eq!(found(attempts(failed(1, "timeout", false)), hung()), [Rule::SpentOnce]);
}

#[test]
fn what_was_counted_must_be_what_was_spent() {
    use Rule::SpentIsCounted as Counted;
    let whole = || completed("r", 2, "two words");
    let words = ["at 0:8 Some(Tokens { input: 30, output: 3 }) was spent"];
    breaks(Counted, &words, |history| rewrite(history, WHOLE, &spending(whole(), Some((30, 3)))));
    breaks(Counted, &["at 0:8 None was spent"], |history| rewrite(history, WHOLE, &spending(whole(), None)));
    // The provider counted nothing, so it was an estimate.
    breaks(Counted, &["and the provider counted None"], |history| history.calls[1].counted = None);
    breaks(Counted, &["and the provider counted Some(Tokens { input: 31"], |history| {
        history.calls[1].counted = Some(Tokens { input: 31, output: 2 });
    });
    // One answer, paid for twice.
    breaks(Rule::SpentOnce, &["at 0:12 a call is paid for again"], |history| {
        rewrite(history, 12, &spending(completed("s", 1, "two words"), Some((30, 2))));
    });
}

#[test]
fn an_estimate_must_be_within_what_was_sent_and_said() {
    use Rule::SpentIsCounted as Counted;
    let estimate = |input: u64, output: u64, reasoning: u64| {
        let mut lost = expired("r", 1);
        let usage = json!({ "input": input, "output": output, "reasoning": reasoning });
        lost["spent"] = json!({ "usage": usage, "estimated": true });
        lost
    };
    // The provider was sent 30 bytes, and meant to say 13 at most.
    let mut history = good();
    rewrite(&mut history, LOST, &estimate(30, 10, 3));
    let mut findings = Findings::default();
    check(&history, &mut findings);
    assert!(findings.0.is_empty(), "{findings:?}");
    for (input, output, reasoning) in [(31, 10, 3), (30, 14, 0), (30, 10, 4)] {
        breaks(Counted, &["is the estimate for \"why?\""], |history| {
            rewrite(history, LOST, &estimate(input, output, reasoning));
        });
    }
}

#[test]
fn a_route_must_be_followed() {
    use Rule::RouteIsFollowed as Route;
    let answer = |attempt: u64, model: &str| {
        let mut whole = spending(completed("r", attempt, "b"), None);
        whole["model"] = json!(model);
        whole
    };
    let calls = |refusals: &[&str], model: &str| {
        refusals.iter().map(|model| refused(model)).chain([call(model, "b", true)]).collect::<Vec<_>>()
    };
    let twice = |first: bool, second: bool, then: &str| {
        let model = then.rsplit('/').next().unwrap_or_default();
        let events = vec![
            started("r", 1, "a/x"),
            failed(1, "rate", first),
            started("r", 2, if first { "b/y" } else { "a/x" }),
            failed(2, "rate", second),
            started("r", 3, then),
            answer(3, then),
        ];
        found(events, calls(&["x", if first { "y" } else { "x" }], model))
    };
    assert_eq!(twice(false, true, "b/y"), []);
    assert_eq!(twice(true, false, "b/y"), [], "the last one is asked again");
    // It has failed twice, and another one was not asked yet.
    assert_eq!(twice(false, false, "a/x"), [Route]);
    // It goes on with the one that shall not be asked again; it switches where nobody is left; it leaves without saying so.
    assert_eq!(twice(false, true, "a/x"), [Route]);
    assert_eq!(twice(true, true, "a/x"), [Route]);
    assert_eq!(twice(true, false, "a/x"), [Route]);
    // A model that is not in it.
    let stranger = ["attempt 1 of r asks \"c/z\" after []", "attempt 2 of r asks \"a/x\" after [\"c/z\"]"];
    breaks(Route, &stranger, |history| rewrite(history, 5, &started("r", 1, "c/z")));
    // A lost worker says nothing about the model; and another one answered than was asked.
    breaks(Route, &["attempt 2 of r asks \"b/y\"", "\"b/y\" was asked, and \"x\" said it"], |history| {
        rewrite(history, 7, &started("r", 2, "b/y"));
    });
    breaks(Route, &["\"a/x\" was asked, and \"y\" said it"], |history| history.calls[1].model = "y".to_owned());
    let one = |model: &str| vec![started("r", 1, "a/x"), answer(1, model)];
    assert_eq!(found(one("b/y"), calls(&[], "x")), [Route]);
}

#[test]
fn each_model_must_be_asked_once_an_attempt() {
    breaks(Rule::OneCallAnAttempt, &["y was asked \"why?\" 1 times for 0 attempts"], |history| {
        history.calls[0].model = "y".to_owned();
    });
    // The same call twice.
    breaks(Rule::OneCallAnAttempt, &["x was asked \"why?\" 4 times for 3 attempts"], |history| {
        let again = history.calls[1].clone();
        history.calls.push(again);
    });
    let lost = vec![started("r", 1, "a/x"), spending(expired("r", 1), None)];
    let twice = vec![call("x", "lost", false), call("x", "lost too", false)];
    assert!(found(lost, twice).contains(&Rule::OneCallAnAttempt));
}
