//! What clients asked, what they were answered, and what the log says of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use super::waits::stretched;
use super::{Findings, Rule, name, text};
use crate::chaos::history::{History, Ledger, Logged, Sent, Verdict};

/// How long an edge asks for a command, and its answer may be on its way, in milliseconds.
const UNDER_WAY: u64 = 12_000;
/// Why what people do at once may be refused: where they say something, somebody else's reply may not have ended.
const AT_ONCE: [&str; 2] = ["reply_in_progress", "too_many_replies"];
/// Why something may be refused for now.
const FOR_NOW: [&str; 2] = ["unavailable", "too_many_requests"];

pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut by_command: BTreeMap<Uuid, Vec<&Logged>> = BTreeMap::new();
    for row in &history.log {
        by_command.entry(row.command).or_default().push(row);
    }
    let known: BTreeSet<Uuid> = sent(history).map(|(_, sent)| sent.recorded_as).collect();
    for (command, rows) in &by_command {
        once(*command, rows, findings);
        let of_person = rows.iter().any(|row| row.actor.starts_with("user:"));
        findings.check(!of_person || known.contains(command), Rule::CommandHappensOnce, || {
            format!("nobody asked for {} at {}", rows[0].event["type"], rows[0].position())
        });
    }
    said_once(history, findings);
    let mut by_conversation: BTreeMap<&str, Vec<&Logged>> = BTreeMap::new();
    for row in &history.log {
        by_conversation.entry(&row.conversation).or_default().push(row);
    }
    for (ledger, sent) in sent(history) {
        let client = ledger.client.as_str();
        let rows = by_command.get(&sent.recorded_as).map_or(&[][..], Vec::as_slice);
        let conversation = by_conversation.get(sent.conversation.as_str()).map_or(&[][..], Vec::as_slice);
        acked(client, sent, rows, conversation, findings);
        as_asked((ledger, sent), rows, conversation, findings);
        refusable(client, sent, findings);
        refused(history, client, sent, rows, findings);
    }
}

fn sent(history: &History) -> impl Iterator<Item = (&Ledger, &Sent)> {
    history.ledgers.iter().flat_map(|ledger| ledger.commands.iter().map(move |sent| (ledger, sent)))
}

/// A command's events were appended together, under its id, once.
fn once(command: Uuid, rows: &[&Logged], findings: &mut Findings) {
    let first = rows[0];
    let together = rows.iter().zip(0..).all(|(row, nth): (_, u64)| {
        row.conversation == first.conversation && row.pos == first.pos + nth && row.sequence == first.sequence + nth
    });
    let named = rows.iter().filter(|row| row.command_id.is_some()).count() == 1 && first.command_id == Some(command);
    findings.check(together && named, Rule::CommandHappensOnce, || {
        let places: Vec<String> = rows.iter().map(|row| row.position()).collect();
        format!("the command {command} of {} has events at {}", first.conversation, places.join(", "))
    });
}

/// No two messages of people are the same: each client words each message differently.
fn said_once(history: &History, findings: &mut Findings) {
    let mut said: BTreeMap<&str, String> = BTreeMap::new();
    for row in history.log.iter().filter(|row| row.event["type"] == "MessageSubmitted") {
        let text = row.event["parts"][0]["text"].as_str().unwrap_or_default();
        let before = said.insert(text, row.position());
        findings.check(before.is_none(), Rule::CommandHappensOnce, || {
            format!("{text:?} was said at {} and at {}", before.unwrap_or_default(), row.position())
        });
    }
}

fn acked(client: &str, sent: &Sent, rows: &[&Logged], conversation: &[&Logged], findings: &mut Findings) {
    let kind = &sent.command["type"];
    for answer in &sent.answers {
        let Verdict::Acked { sequence, position } = &answer.verdict else { continue };
        let is_recorded = rows.last().is_some_and(|last| {
            (last.sequence, last.position(), &last.conversation) == (*sequence, position.clone(), &sent.conversation)
        });
        // Sent again after its shard has changed hands, a command that had found nothing to do may find something.
        let was_nothing = || {
            rows.first().is_none_or(|first| place(position).is_some_and(|place| place < (first.shard, first.pos)))
                && found_nothing_to_do(sent, *sequence, position, conversation)
        };
        let holds = is_recorded || was_nothing();
        findings.check(holds, Rule::AckedIsRecorded, || {
            let found = rows.last().map(|row| format!("{} at {}", row.sequence, row.position()));
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            let (id, conversation) = (sent.id, &sent.conversation);
            format!("{client}: {kind} {id} in {conversation} was acknowledged as {sequence} at {position}; the log has {found}")
        });
    }
}

/// Whether a command without events rightly found nothing to do: at the position that it was given the conversation stood
/// at that sequence, and what was wanted had come true.
fn found_nothing_to_do(sent: &Sent, sequence: u64, position: &str, conversation: &[&Logged]) -> bool {
    let Some((shard, pos)) = place(position) else { return false };
    let by_then: Vec<&&Logged> = conversation.iter().take_while(|row| row.shard == shard && row.pos <= pos).collect();
    let came_true = |row: &&&Logged| match sent.command["type"].as_str() {
        Some("StopReply") => {
            let stops = ["ReplyStopRequested", "ReplyStopped", "ReplyCompleted", "ReplyFailed"];
            row.event["reply"] == sent.command["reply"] && stops.iter().any(|kind| row.event["type"] == *kind)
        }
        Some("AddParticipant") => row.event["type"] == "ParticipantAdded" && row.event["user"] == sent.command["user"],
        // Its leaf was shown already; that it is there is all that is looked at.
        Some("SelectBranch") => ["message", "reply"].iter().any(|id| row.event[*id] == sent.command["message"]),
        _ => false,
    };
    by_then.last().is_some_and(|last| last.sequence == sequence) && by_then.iter().any(came_true)
}

/// The shard and the place in it.
fn place(position: &str) -> Option<(u16, u64)> {
    let (shard, pos) = position.split_once(':')?;
    Some((shard.parse().ok()?, pos.parse().ok()?))
}

/// What is recorded is what was asked, by whoever asked it.
fn as_asked((ledger, sent): (&Ledger, &Sent), rows: &[&Logged], conversation: &[&Logged], findings: &mut Findings) {
    let Some(first) = rows.first() else { return };
    let (asked, event) = (&sent.command, &first.event);
    let is = |kind: &str| event["type"] == kind;
    let says = |field: &str| event[field] == asked[field];
    let answers = |row: &&Logged| row.event["type"] == "ReplyRequested" && row.event["parent"] == event["message"];
    let holds = match name(&asked["type"]) {
        "StartConversation" => is("ConversationStarted") && event["owner"] == *ledger.user && says("title"),
        "AddParticipant" => is("ParticipantAdded") && says("user"),
        "RenameConversation" => is("ConversationRenamed") && says("title"),
        "SubmitMessage" | "EditMessage" => {
            let is_said = event["author"] == *ledger.user && text(&event["parts"]) == name(&asked["text"]);
            // Where no parent is named, the message goes to where the conversation stood, or beside the one that it edits.
            let is_there = says("edit_of") && asked.get("parent").is_none_or(|parent| event["parent"] == *parent);
            let is_answered = rows.get(1).is_some_and(answers);
            is("MessageSubmitted") && is_said && is_there && is_answered == (asked["answer"] != false)
        }
        "RegenerateReply" => is("ReplyRequested") && says("regenerate_of"),
        "StopReply" => (is("ReplyStopRequested") || is("ReplyStopped")) && says("reply"),
        "SelectBranch" => is("BranchSelected") && leads_to(conversation, &event["leaf"], &asked["message"]),
        _ => false,
    };
    let actor = format!("user:{}", ledger.user);
    let holds = holds && rows.iter().all(|row| row.actor == actor);
    findings.check(holds, Rule::RecordedAsAsked, || {
        let recorded: Vec<String> = rows.iter().map(|row| format!("{} by {}", row.event, row.actor)).collect();
        let (client, at) = (&ledger.client, first.position());
        format!("{client} asked for {asked}; from {at} on there is {}", recorded.join(", "))
    });
}

/// Whether a leaf is that message or one below it.
fn leads_to(conversation: &[&Logged], leaf: &Value, message: &Value) -> bool {
    let parent = |of: &Value| {
        let makes = |event: &Value| event["type"] == "MessageSubmitted" && event["message"] == *of;
        let asks = |event: &Value| event["type"] == "ReplyRequested" && event["reply"] == *of;
        conversation
            .iter()
            .map(|row| &row.event)
            .find(|event| makes(event) || asks(event))
            .map(|event| &event["parent"])
    };
    // In a tree there is no way longer than all that there is.
    std::iter::successors(Some(leaf), |at| parent(at)).take(conversation.len() + 1).any(|at| at == message)
}

/// It was refused for a reason that people who do honest things at once, or faults, can bring about.
fn refusable(client: &str, sent: &Sent, findings: &mut Findings) {
    let kind = name(&sent.command["type"]);
    let asks_for_reply =
        matches!(kind, "SubmitMessage" | "EditMessage" | "RegenerateReply") && sent.command["answer"] != false;
    // Nobody else is at the beginning of a conversation.
    let begins = sent.command.get("parent").is_some_and(Value::is_null);
    for answer in &sent.answers {
        let Verdict::Refused { code, retryable } = &answer.verdict else { continue };
        let holds = if *retryable {
            FOR_NOW.contains(&code.as_str())
        } else {
            asks_for_reply && AT_ONCE.contains(&code.as_str()) && !(begins && code == "reply_in_progress")
        };
        findings.check(holds, Rule::RefusalIsKnown, || {
            format!("{client}: {kind} {} was refused as {code} (retryable: {retryable})", sent.id)
        });
    }
}

/// No refusal was given after the command had happened. Refusals are not recorded: a copy of the command that was still on
/// its way may be carried out after one, so only one that comes late says something.
fn refused(history: &History, client: &str, sent: &Sent, rows: &[&Logged], findings: &mut Findings) {
    let Some(first) = rows.first() else { return };
    for answer in &sent.answers {
        let is_refusal = matches!(answer.verdict, Verdict::Refused { retryable: false, .. });
        let late = answer.at > first.at.saturating_add(stretched(history, UNDER_WAY, first.at, answer.at));
        findings.check(!(is_refusal && late), Rule::HappenedIsNotRefused, || {
            let (at, answered) = (first.at, answer.at);
            format!(
                "{client}: {} happened at {} ({at} ms), and was refused at {answered} ms",
                sent.id,
                first.position()
            )
        });
    }
}
