//! Replies: one attempt at a time counts, a stop wins, every reply ends once, with the words of one answer.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Findings, Rule, name, text};
use crate::chaos::history::{History, Logged};

/// The attempts that a reply gets; and one more for each model of its route.
const MAX_ATTEMPTS: u64 = 3;

/// A reply as the log tells it.
#[derive(Debug, Default)]
struct Reply {
    attempt: u64,
    /// The attempts that it gets.
    most: u64,
    running: bool,
    stopping: bool,
    ended: bool,
    /// The command that expired the last attempt.
    expired_by: Option<Uuid>,
    question: String,
}

pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut replies: BTreeMap<(&str, &str), Reply> = BTreeMap::new();
    let mut said: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let answers = Answers::of(history);
    for row in &history.log {
        let conversation = row.conversation.as_str();
        if row.event["type"] == "MessageSubmitted" {
            said.insert((conversation, name(&row.event["message"])), name(&row.event["parts"][0]["text"]));
        }
        let Some(id) = row.event["reply"].as_str() else { continue };
        if row.event["type"] == "ReplyRequested" {
            let question = said.get(&(conversation, name(&row.event["parent"]))).copied().unwrap_or_default();
            let most = MAX_ATTEMPTS + history.route.len() as u64;
            let reply = Reply { question: question.to_owned(), most, ..Reply::default() };
            let before = replies.insert((conversation, id), reply);
            findings.check(before.is_none(), Rule::EveryReplyEnds, || format!("{id} is asked for twice"));
            continue;
        }
        let Some(reply) = replies.get_mut(&(conversation, id)) else {
            findings
                .check(false, Rule::Fence, || format!("{} at {}: no such reply", row.event["type"], row.position()));
            continue;
        };
        take(reply, row, &answers, findings);
    }
    for ((conversation, id), reply) in replies {
        findings.check(reply.ended, Rule::EveryReplyEnds, || {
            format!("the reply {id} in {conversation} has not ended: {reply:?}")
        });
    }
}

fn take(reply: &mut Reply, row: &Logged, answers: &Answers<'_>, findings: &mut Findings) {
    let kind = name(&row.event["type"]);
    let attempt = row.event["attempt"].as_u64();
    let at = || format!("{kind} {attempt:?} at {}: {reply:?}", row.position());
    findings.check(!reply.ended, Rule::EveryReplyEnds, || format!("after its end: {}", at()));
    let current = attempt == Some(reply.attempt);
    let holds = match kind {
        "ReplyAttemptStarted" => !reply.running && attempt == Some(reply.attempt + 1) && reply.attempt < reply.most,
        "ReplyAttemptFailed" | "ReplyAttemptExpired" | "ReplyCompleted" => reply.running && current,
        "ReplyStopRequested" => reply.running && !reply.stopping,
        // Of a reply that waits, by whoever stopped it.
        "ReplyStopped" if !reply.running => current && row.actor.starts_with("user:"),
        // Of one that runs, by what ends it, since somebody wants it stopped.
        "ReplyStopped" => current && reply.stopping,
        // The last attempt's expiry comes with the failure of the reply.
        "ReplyFailed" => current && (reply.running || reply.expired_by == Some(row.command)),
        _ => true,
    };
    findings.check(holds, Rule::Fence, at);
    let overrules = matches!(kind, "ReplyCompleted" | "ReplyFailed" | "ReplyAttemptFailed" | "ReplyAttemptExpired");
    findings.check(!(reply.stopping && overrules), Rule::StopWins, at);
    match kind {
        "ReplyAttemptStarted" => (reply.attempt, reply.running) = (reply.attempt + 1, true),
        "ReplyAttemptFailed" => reply.running = false,
        "ReplyAttemptExpired" => (reply.running, reply.expired_by) = (false, Some(row.command)),
        "ReplyStopRequested" => reply.stopping = true,
        "ReplyCompleted" | "ReplyStopped" | "ReplyFailed" => {
            reply.ended = true;
            answers.check(reply, row, findings);
        }
        _ => {}
    }
}

/// What the provider said to each question.
struct Answers<'a> {
    whole: BTreeMap<&'a str, BTreeSet<&'a str>>,
    begun: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Answers<'a> {
    fn of(history: &'a History) -> Self {
        let (mut whole, mut begun): (BTreeMap<_, BTreeSet<_>>, BTreeMap<_, Vec<_>>) = Default::default();
        for call in &history.calls {
            begun.entry(call.question.as_str()).or_default().push(call.text.as_str());
            if call.whole {
                whole.entry(call.question.as_str()).or_default().insert(call.text.as_str());
            }
        }
        Self { whole, begun }
    }

    /// A completed reply is one whole answer, another the beginning of one.
    fn check(&self, reply: &Reply, row: &Logged, findings: &mut Findings) {
        let (text, question) = (text(&row.event["parts"]), reply.question.as_str());
        let holds = if row.event["type"] == "ReplyCompleted" {
            self.whole.get(question).is_some_and(|whole| whole.contains(text.as_str()))
        } else {
            text.is_empty() || self.begun.get(question).is_some_and(|all| all.iter().any(|one| one.starts_with(&text)))
        };
        findings.check(holds, Rule::TextIsOneAnswer, || {
            format!("the provider did not say, at {}, {text:?} to {question:?}", row.position())
        });
    }
}
