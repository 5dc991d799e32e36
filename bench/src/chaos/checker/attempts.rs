//! Attempts: each ends once, asks a model as its route has it, and says what it spent: once, what the provider counted where
//! that counted, and something for every call that was taken up.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Findings, Rule, name, text};
use crate::chaos::history::{Call, History, Logged, Tokens};

/// How often a model of a route may fail before the next one is asked, if there is one.
const FAILURES_BEFORE_SWITCH: usize = 2;
/// How long after Postgres was out of reach what a lost attempt spent may be unknown, in milliseconds: nobody could read what it
/// had asked.
const AROUND: u64 = 20_000;

/// An attempt as the log tells it.
struct Attempt<'a> {
    model: &'a str,
    question: &'a str,
    ends: Vec<&'a Logged>,
    /// What events say that it spent.
    spent: Vec<&'a Value>,
}

/// A conversation and a reply in it.
type Key<'a> = (&'a str, &'a str);

pub(super) fn check(history: &History, findings: &mut Findings) {
    let replies = replies(history);
    for ((_, reply), attempts) in &replies {
        for (number, attempt) in (1..).zip(attempts) {
            let of = format!("attempt {number} of {reply}");
            ends_once(&of, attempt, findings);
            spent(&of, attempt, history, findings);
        }
        route(reply, attempts, &history.route, findings);
    }
    let attempts: Vec<&Attempt<'_>> = replies.values().flatten().collect();
    calls(&attempts, history, findings);
    counted(&attempts, &history.calls, findings);
    estimated(&attempts, &history.calls, findings);
}

/// Every attempt of every reply, in order.
fn replies(history: &History) -> BTreeMap<Key<'_>, Vec<Attempt<'_>>> {
    let mut said: BTreeMap<Key<'_>, &str> = BTreeMap::new();
    let mut questions: BTreeMap<Key<'_>, &str> = BTreeMap::new();
    let mut replies: BTreeMap<Key<'_>, Vec<Attempt<'_>>> = BTreeMap::new();
    for row in &history.log {
        let (event, conversation) = (&row.event, row.conversation.as_str());
        let key = (conversation, name(&event["reply"]));
        match name(&event["type"]) {
            "MessageSubmitted" => {
                said.insert((conversation, name(&event["message"])), name(&event["parts"][0]["text"]));
            }
            "ReplyRequested" => {
                let question = said.get(&(conversation, name(&event["parent"]))).copied().unwrap_or_default();
                questions.insert(key, question);
            }
            "ReplyAttemptStarted" => {
                let (model, question) = (name(&event["model"]), questions.get(&key).copied().unwrap_or_default());
                let attempt = Attempt { model, question, ends: Vec::new(), spent: Vec::new() };
                replies.entry(key).or_default().push(attempt);
            }
            kind => {
                let place = event["attempt"].as_u64().and_then(|attempt| usize::try_from(attempt.checked_sub(1)?).ok());
                let attempt = place.and_then(|place| replies.get_mut(&key)?.get_mut(place));
                let Some(attempt) = attempt else { continue };
                if is_end(kind, row, attempt) {
                    attempt.ends.push(row);
                }
                attempt.spent.extend(event.get("spent").filter(|spent| !spent.is_null()));
            }
        }
    }
    replies
}

/// Whether this ends the attempt, and not only the reply, whose last attempt had ended before.
fn is_end(kind: &str, row: &Logged, attempt: &Attempt<'_>) -> bool {
    let last = attempt.ends.last();
    match kind {
        "ReplyAttemptFailed" | "ReplyAttemptExpired" | "ReplyCompleted" => true,
        // The last attempt's expiry comes with the failure of the reply.
        "ReplyFailed" => last.is_none_or(|end| end.command != row.command),
        // Of a reply that waits, by whoever stopped it.
        "ReplyStopped" => last.is_none() || !row.actor.starts_with("user:"),
        _ => false,
    }
}

fn ends_once(of: &str, attempt: &Attempt<'_>, findings: &mut Findings) {
    findings.check(attempt.ends.len() == 1, Rule::AttemptEndsOnce, || {
        let ends = attempt.ends.iter().map(|row| format!("{} at {}", row.event["type"], row.position()));
        format!("{of} has these ends: {:?}", ends.collect::<Vec<_>>())
    });
}

/// What an attempt says that it spent, against how it ended.
fn spent(of: &str, attempt: &Attempt<'_>, history: &History, findings: &mut Findings) {
    findings.check(attempt.spent.len() <= 1, Rule::SpentOnce, || {
        format!("{of} says {} times what it spent", attempt.spent.len())
    });
    let Some(end) = attempt.ends.first() else { return };
    let (kind, code) = (name(&end.event["type"]), name(&end.event["error"]["code"]));
    let heard = end.event["parts"].as_array().is_some_and(|parts| !parts.is_empty());
    let must = match kind {
        "ReplyCompleted" => true,
        "ReplyAttemptExpired" => !is_excused(end, history),
        _ => heard,
    };
    findings.check(!must || !attempt.spent.is_empty(), Rule::SpentOnce, || {
        format!("{of} does not say what it spent: {kind} at {}", end.position())
    });
    // The provider refused before it had read anything.
    let was_refused = matches!(code, "rate" | "overload") && !heard;
    findings.check(!was_refused || attempt.spent.is_empty(), Rule::SpentOnce, || {
        format!("{of} was refused ({code}) and spent something, at {}", end.position())
    });
}

/// Whether nobody could read what a lost attempt had asked.
fn is_excused(end: &Logged, history: &History) -> bool {
    let around = |from: u64, until: u64| (from..until.saturating_add(AROUND)).contains(&end.at);
    history
        .outages
        .iter()
        .any(|outage| outage.what.to_lowercase().contains("postgres") && around(outage.from, outage.until))
}

/// An attempt asks a model of the route, stays with it until it says that the next one shall not, and goes on to one that was not
/// asked yet.
fn route(reply: &str, attempts: &[Attempt<'_>], route: &[String], findings: &mut Findings) {
    let mut asked: Vec<&str> = Vec::new();
    let mut before: Option<(&Attempt<'_>, usize)> = None;
    for (number, attempt) in (1..).zip(attempts) {
        let model = attempt.model;
        let holds = match before {
            _ if !route.iter().any(|one| one == model) => false,
            Some((last, _)) if switches(last) => {
                !asked.contains(&model) || route.iter().all(|one| asked.contains(&one.as_str()))
            }
            Some((last, _)) => last.model == model,
            None => true,
        };
        findings.check(holds, Rule::RouteIsFollowed, || {
            format!("attempt {number} of {reply} asks {model:?} after {asked:?}, of {route:?}")
        });
        asked.push(model);
        let failures = before.filter(|(last, _)| last.model == model).map_or(0, |(_, failures)| failures);
        let failures = failures + usize::from(failed(attempt));
        let others = route.iter().any(|one| !asked.contains(&one.as_str()));
        let due = failed(attempt) && failures >= FAILURES_BEFORE_SWITCH && others;
        let holds = if switches(attempt) { others } else { !due };
        findings.check(holds, Rule::RouteIsFollowed, || {
            format!(
                "attempt {number} of {reply} switches: {}; {failures} failures of {model:?}, of {route:?}",
                switches(attempt)
            )
        });
        before = Some((attempt, failures));
    }
}

fn failed(attempt: &Attempt<'_>) -> bool {
    attempt.ends.first().is_some_and(|end| end.event["type"] == "ReplyAttemptFailed")
}

fn switches(attempt: &Attempt<'_>) -> bool {
    attempt.ends.first().is_some_and(|end| end.event["switch"] == true)
}

/// The provider was asked no more often than attempts began, of each model; and each call that it took up is somebody's who says
/// what was spent.
fn calls(attempts: &[&Attempt<'_>], history: &History, findings: &mut Findings) {
    let mut told: BTreeMap<(&str, &str), [usize; 4]> = BTreeMap::new();
    for call in &history.calls {
        let counts = told.entry((call.question.as_str(), call.model.as_str())).or_default();
        counts[0] += 1;
        counts[1] += usize::from(!call.refused);
    }
    for attempt in attempts {
        let model = attempt.model.rsplit('/').next().unwrap_or_default();
        let Some(counts) = told.get_mut(&(attempt.question, model)) else { continue };
        counts[2] += 1;
        let excused = attempt.ends.first().is_some_and(|end| is_excused(end, history));
        counts[3] += usize::from(!attempt.spent.is_empty() || excused);
    }
    for ((question, model), [calls, taken_up, attempts, spent]) in told {
        findings.check(calls <= attempts, Rule::OneCallAnAttempt, || {
            format!("{model} was asked {question:?} {calls} times for {attempts} attempts")
        });
        findings.check(taken_up <= spent, Rule::SpentOnce, || {
            format!("{model} took {question:?} up {taken_up} times, and {spent} attempts say what they spent")
        });
    }
}

/// A completed attempt spent what the provider counted for its answer, whose bill nobody else pays; where it did not count, the
/// attempt says that it estimates.
fn counted(attempts: &[&Attempt<'_>], calls: &[Call], findings: &mut Findings) {
    let mut paid: BTreeSet<(&str, String)> = BTreeSet::new();
    for attempt in attempts {
        let Some(end) = attempt.ends.iter().find(|end| end.event["type"] == "ReplyCompleted") else { continue };
        let said = text(&end.event["parts"]);
        let Some(call) = calls.iter().find(|call| call.whole && call.question == attempt.question && call.text == said)
        else {
            continue;
        };
        let at = end.position();
        let asked =
            attempt.model.rsplit('/').next() == Some(call.model.as_str()) && end.event["model"] == attempt.model;
        findings.check(asked, Rule::RouteIsFollowed, || {
            format!(
                "at {at} {} answers, {:?} was asked, and {:?} said it",
                end.event["model"], attempt.model, call.model
            )
        });
        findings.check(paid.insert((call.question.as_str(), said)), Rule::SpentOnce, || {
            format!("at {at} a call is paid for again")
        });
        let Some(spent) = attempt.spent.first() else { continue };
        let told = (spent["estimated"] != true).then(|| Tokens {
            input: spent["usage"]["input"].as_u64().unwrap_or_default(),
            output: spent["usage"]["output"].as_u64().unwrap_or_default(),
        });
        findings.check(told == call.counted, Rule::SpentIsCounted, || {
            format!("at {at} {told:?} was spent, and the provider counted {:?}", call.counted)
        });
    }
}

/// What nobody counted is estimated, within what there was to count: no token is smaller than a byte of the largest request for
/// this question, or of the longest answer to it.
fn estimated(attempts: &[&Attempt<'_>], calls: &[Call], findings: &mut Findings) {
    let mut bytes: BTreeMap<(&str, &str), Tokens> = BTreeMap::new();
    for call in calls {
        let most = bytes.entry((call.question.as_str(), call.model.as_str())).or_default();
        most.input = most.input.max(call.bytes);
        most.output = most.output.max(call.text.len() as u64);
    }
    for attempt in attempts {
        let model = attempt.model.rsplit('/').next().unwrap_or_default();
        // Its call may not have left its worker.
        let Some(most) = bytes.get(&(attempt.question, model)) else { continue };
        for spent in attempt.spent.iter().filter(|spent| spent["estimated"] == true) {
            let count = |kinds: &[&str]| kinds.iter().filter_map(|kind| spent["usage"][*kind].as_u64()).sum();
            let told = Tokens {
                input: count(&["input", "cached_input", "cache_write"]),
                output: count(&["output", "reasoning"]),
            };
            findings.check(told.input <= most.input && told.output <= most.output, Rule::SpentIsCounted, || {
                format!("{told:?} is the estimate for {:?}, of {most:?} in bytes", attempt.question)
            });
        }
    }
}
