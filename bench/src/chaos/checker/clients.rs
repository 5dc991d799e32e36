//! What clients were told: each event once and in order, text without a hole, the same as everyone else, and only theirs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Findings, Rule, name, text};
use crate::chaos::history::{History, Ledger, Logged, Told};

/// The codes that tell a stranger nothing.
const SAYS_NOTHING: [&str; 3] = ["not_found", "unavailable", "too_many_requests"];

type Log<'a> = BTreeMap<&'a str, Vec<&'a Logged>>;

pub(super) fn check(history: &History, findings: &mut Findings) {
    let mut log: Log<'_> = BTreeMap::new();
    for row in &history.log {
        log.entry(&row.conversation).or_default().push(row);
    }
    for ledger in &history.ledgers {
        for (conversation, told) in &ledger.told {
            let rows = log.get(conversation.as_str()).map_or(&[][..], Vec::as_slice);
            Listener::new(ledger, conversation, rows).listen(told, findings);
        }
        private(ledger, &log, findings);
    }
    agree(history, findings);
    for probe in &history.probes {
        let silent = probe.code.as_deref().is_some_and(|code| SAYS_NOTHING.contains(&code));
        findings.check(silent, Rule::Private, || {
            format!("a stranger's {} of {} was answered with {:?}", probe.what, probe.conversation, probe.code)
        });
    }
}

/// A client as it listens to a conversation.
struct Listener<'a> {
    client: &'a str,
    conversation: &'a str,
    log: &'a [&'a Logged],
    /// The connection of the last subscription.
    connection: Option<u32>,
    /// The sequence of the last event told; none before it is followed.
    at: Option<u64>,
    /// The attempt and text of each reply.
    texts: BTreeMap<&'a str, (u64, String)>,
    /// The attempts that events told of.
    begun: BTreeMap<&'a str, u64>,
    /// The replies of which text was told since it was last subscribed to.
    joined: BTreeSet<&'a str>,
    ended: BTreeSet<&'a str>,
    /// Whether it was told everything from the first event on.
    from_start: bool,
}

impl<'a> Listener<'a> {
    fn new(ledger: &'a Ledger, conversation: &'a str, log: &'a [&'a Logged]) -> Self {
        Self {
            client: &ledger.client,
            conversation,
            log,
            connection: None,
            at: None,
            texts: BTreeMap::new(),
            begun: BTreeMap::new(),
            joined: BTreeSet::new(),
            ended: BTreeSet::new(),
            from_start: true,
        }
    }

    fn listen(mut self, told: &'a [Told], findings: &mut Findings) {
        for told in told {
            match told {
                Told::Subscribed { connection, after, sequence, snapshot } => {
                    let again = self.connection.replace(*connection) == Some(*connection);
                    match snapshot {
                        None => self.taken_up(again, *after, *sequence, findings),
                        Some(snapshot) => self.snapshot(*sequence, snapshot, findings),
                    }
                    self.joined.clear();
                    self.at = Some(*sequence);
                }
                Told::Event { sequence, position, event, .. } => self.event(*sequence, position, event, findings),
                Told::Live { sequence } => {
                    let at = self.at;
                    self.expect(at == Some(*sequence), Rule::EventsOnceInOrder, findings, || {
                        format!("live at {sequence}")
                    });
                }
                Told::Delta { reply, attempt, offset, text } => self.delta(reply, *attempt, *offset, text, findings),
            }
        }
        let last = self.log.last().map_or(0, |row| row.sequence);
        let heard = self.at == Some(last);
        self.expect(heard, Rule::EventsOnceInOrder, findings, || format!("the log ends at {last}"));
    }

    /// The client's own state was taken up: as it was when it asked, which on the same connection may be a while ago.
    fn taken_up(&self, again: bool, after: Option<u64>, sequence: u64, findings: &mut Findings) {
        let at = self.at.unwrap_or_default();
        let holds = after == Some(sequence) && (sequence == at || (again && sequence < at));
        self.expect(holds, Rule::EventsOnceInOrder, findings, || format!("{after:?} was taken up at {sequence}"));
    }

    /// A snapshot holds the messages that had begun by then; it may be a moment ahead.
    fn snapshot(&mut self, sequence: u64, snapshot: &'a Value, findings: &mut Findings) {
        self.from_start = false;
        let messages = || snapshot["messages"].as_array().into_iter().flatten();
        let place = |message: &'a Value| Some((message["sequence"].as_u64()?, message["id"].as_str()?));
        let shown: BTreeMap<u64, &str> = messages().filter_map(place).collect();
        let begun = self.log.iter().filter_map(|row| match row.event["type"].as_str()? {
            "MessageSubmitted" => Some((row.sequence, row.event["message"].as_str()?)),
            "ReplyRequested" => Some((row.sequence, row.event["reply"].as_str()?)),
            _ => None,
        });
        let begun: BTreeMap<u64, &str> = begun.collect();
        let first = if snapshot["more"] == true { shown.keys().next().copied().unwrap_or(0) } else { 0 };
        let invented = shown.iter().find(|(at, id)| begun.get(*at) != Some(*id));
        let lost = begun.range(first..=sequence).find(|(at, _)| !shown.contains_key(at));
        self.expect(invented.is_none() && lost.is_none(), Rule::EventsOnceInOrder, findings, || {
            format!("the snapshot at {sequence} invents {invented:?} and lacks {lost:?}")
        });
        self.wording(sequence, messages(), findings);
    }

    /// A message that had been said by then, or a reply that had ended, is shown with its words.
    fn wording(&self, sequence: u64, shown: impl Iterator<Item = &'a Value>, findings: &mut Findings) {
        let mut log: BTreeMap<&str, (&str, String)> = BTreeMap::new();
        for row in self.log.iter().take_while(|row| row.sequence <= sequence) {
            let (id, status) = match row.event["type"].as_str() {
                Some("MessageSubmitted") => ("message", "submitted"),
                Some("ReplyCompleted") => ("reply", "completed"),
                Some("ReplyStopped") => ("reply", "stopped"),
                Some("ReplyFailed") => ("reply", "failed"),
                _ => continue,
            };
            log.insert(name(&row.event[id]), (status, text(&row.event["parts"])));
        }
        for message in shown {
            let Some(due) = log.get(name(&message["id"])) else { continue };
            let found = (name(&message["status"]), text(&message["parts"]));
            self.expect(found == *due, Rule::EventsOnceInOrder, findings, || {
                format!("the snapshot at {sequence} shows {} as {found:?}, the log as {due:?}", message["id"])
            });
        }
    }

    fn event(&mut self, sequence: u64, position: &str, event: &'a Value, findings: &mut Findings) {
        let at = self.at.unwrap_or_default();
        self.expect(sequence == at + 1, Rule::EventsOnceInOrder, findings, || {
            format!("event {sequence} is {}", if sequence <= at { "doubled" } else { "after one that was lost" })
        });
        self.at = Some(sequence);
        let row = usize::try_from(sequence).ok().and_then(|sequence| self.log.get(sequence.checked_sub(1)?));
        let same = row.is_some_and(|row| row.event == *event && row.position() == position);
        self.expect(same, Rule::EventsOnceInOrder, findings, || format!("event {sequence} is not the one of the log"));
        let Some(reply) = event["reply"].as_str() else { return };
        match event["type"].as_str() {
            Some("ReplyAttemptStarted") => {
                self.begun.insert(reply, event["attempt"].as_u64().unwrap_or_default());
            }
            Some("ReplyCompleted" | "ReplyStopped" | "ReplyFailed") => self.end(reply, event, findings),
            _ => {}
        }
    }

    fn end(&mut self, reply: &'a str, event: &Value, findings: &mut Findings) {
        self.ended.insert(reply);
        let (attempt, told) = self.texts.remove(reply).unwrap_or_default();
        if event["attempt"].as_u64() != Some(attempt) {
            return;
        }
        let whole = text(&event["parts"]);
        // What ends a reply for a lost worker knows less than clients may have seen.
        let joins = whole.starts_with(&told) || (event["type"] != "ReplyCompleted" && told.starts_with(&whole));
        self.expect(joins, Rule::TextWithoutHole, findings, || {
            format!("attempt {attempt} of {reply} was told as {told:?} and ended as {whole:?}")
        });
    }

    fn delta(&mut self, reply: &'a str, attempt: u64, offset: usize, piece: &str, findings: &mut Findings) {
        if self.ended.contains(reply) {
            return;
        }
        let known = self.begun.get(reply).copied().unwrap_or_default();
        self.expect(!self.from_start || attempt <= known, Rule::TextWithoutHole, findings, || {
            format!("text of attempt {attempt} of {reply} before the event that begins it")
        });
        let (current, mut text) = self.texts.remove(reply).unwrap_or_default();
        self.expect(attempt >= current, Rule::TextWithoutHole, findings, || {
            format!("text of attempt {attempt} of {reply} after that of {current}")
        });
        let first = self.joined.insert(reply);
        if attempt != current {
            text.clear();
        }
        // The first piece after a subscription may repeat; from there on each joins the one before.
        let joins = offset == text.len() || (first && offset < text.len());
        self.expect(joins, Rule::TextWithoutHole, findings, || {
            format!("text of attempt {attempt} of {reply} from {offset} on after {} bytes", text.len())
        });
        let common = piece.len().min(text.len().saturating_sub(offset));
        let same =
            text.get(offset.min(text.len())..).is_some_and(|had| had.starts_with(piece.get(..common).unwrap_or("?")));
        self.expect(offset > text.len() || same, Rule::TextWithoutHole, findings, || {
            format!("other text of attempt {attempt} of {reply} from {offset} on")
        });
        text.push_str(piece.get(common..).unwrap_or_default());
        self.texts.insert(reply, (attempt, text));
    }

    fn expect(&self, holds: bool, rule: Rule, findings: &mut Findings, what: impl FnOnce() -> String) {
        findings
            .check(holds, rule, || format!("{} at {:?} of {}: {}", self.client, self.at, self.conversation, what()));
    }
}

/// Two clients of a conversation were told the same at each sequence.
fn agree(history: &History, findings: &mut Findings) {
    let mut told: BTreeMap<(&str, u64), (&str, &Value)> = BTreeMap::new();
    for ledger in &history.ledgers {
        for (conversation, all) in &ledger.told {
            for one in all {
                let Told::Event { sequence, event, .. } = one else { continue };
                let (other, first) = *told.entry((conversation, *sequence)).or_insert((&ledger.client, event));
                findings.check(first == event, Rule::ClientsAgree, || {
                    format!("{} and {other} were told different events {sequence} of {conversation}", ledger.client)
                });
            }
        }
    }
}

/// Whoever was told of a conversation was a participant.
fn private(ledger: &Ledger, log: &Log<'_>, findings: &mut Findings) {
    for conversation in ledger.told.keys().chain(&ledger.listed) {
        let rows = log.get(conversation.as_str()).map_or(&[][..], Vec::as_slice);
        let belongs = rows.iter().any(|row| match row.event["type"].as_str() {
            Some("ConversationStarted") => row.event["owner"] == *ledger.user,
            Some("ParticipantAdded") => row.event["user"] == *ledger.user,
            _ => false,
        });
        findings.check(belongs, Rule::Private, || format!("{} was told of {conversation}", ledger.client));
    }
}
