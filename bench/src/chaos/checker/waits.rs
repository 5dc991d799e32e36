//! How long clients waited: for the answer to a command, and until they were live again.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use super::{Findings, Rule};
use crate::chaos::history::{Absence, History, Ledger, Outage, ROLLING_RESTART, Sent};

/// How long a client may wait while nothing is broken, in milliseconds.
pub(crate) const PATIENCE: u64 = 6_000;
/// How long the system may take to be well again after a fault, in milliseconds.
pub(crate) const RECOVERY: u64 = 5_000;
/// How long a client may wait while every process is restarted in peace, in milliseconds.
const RESTART_PATIENCE: u64 = 2_000;
/// What the machine did so long before counts, too, in milliseconds: a few samples say little.
const AROUND: u64 = 10_000;
/// Where a machine stretches times by more than this, it shows nothing about them: waits are not judged.
const TOO_BUSY: f64 = 3.0;

/// Someone waits, in milliseconds since the run began.
struct Wait<'a> {
    client: &'a str,
    /// The command that is to be answered; none where the client is to be live again.
    sent: Option<&'a Sent>,
    conversation: &'a str,
    from: u64,
    until: u64,
}

/// How many waits were judged, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WaitCounts {
    judged: usize,
    /// They began while something was broken.
    excused: usize,
    /// The machine was too busy.
    too_busy: usize,
}

pub(super) fn check(history: &History, findings: &mut Findings) {
    for ledger in &history.ledgers {
        for sent in ledger.commands.iter().filter(|sent| answered_at(sent).is_none()) {
            findings.check(false, Rule::Answered, || {
                let (kind, id, conversation) = (&sent.command["type"], sent.id, &sent.conversation);
                format!("{}: {kind} {id} in {conversation} was never answered", ledger.client)
            });
        }
    }
    for wait in history.ledgers.iter().flat_map(waits) {
        let Wait { from, until, .. } = wait;
        let patience = stretched(history, RESTART_PATIENCE, from, until);
        let restarting = restarts(history, from);
        findings.check(!restarting || until - from <= patience, Rule::RestartUnnoticed, || {
            format!("{wait}: {} ms from {from} ms on", until - from)
        });
        let waited = unexcused(history, from, until);
        findings.check(waited <= stretched(history, PATIENCE, from, until), Rule::Answered, || {
            format!("{wait}: from {from} ms to {until} ms, {waited} ms of it while nothing was broken")
        });
    }
}

/// How many waits were judged, in all and of those during the rolling restart.
pub(crate) fn judged(history: &History) -> [WaitCounts; 2] {
    let mut counts = [WaitCounts::default(); 2];
    for Wait { from, until, .. } in history.ledgers.iter().flat_map(waits) {
        let restarting = restarts(history, from);
        for count in &mut counts[..=usize::from(restarting)] {
            if stretch(history, from, until) > TOO_BUSY {
                count.too_busy += 1;
            } else if !restarting && unexcused(history, from, from + 1) == 0 {
                count.excused += 1;
            } else {
                count.judged += 1;
            }
        }
    }
    counts
}

fn waits(ledger: &Ledger) -> impl Iterator<Item = Wait<'_>> {
    let client = ledger.client.as_str();
    let commands = ledger.commands.iter().filter_map(move |sent| {
        let (from, until) = (sent.at, answered_at(sent)?);
        Some(Wait { client, sent: Some(sent), conversation: &sent.conversation, from, until })
    });
    let absences = ledger.absences.iter().map(move |Absence { conversation, from, until }| Wait {
        client,
        sent: None,
        conversation,
        from: *from,
        until: *until,
    });
    commands.chain(absences)
}

fn answered_at(sent: &Sent) -> Option<u64> {
    sent.answers.iter().find(|answer| answer.verdict.is_final()).map(|answer| answer.at)
}

/// Whether every process was being restarted then.
pub(crate) fn restarts(history: &History, at: u64) -> bool {
    let restarting = |outage: &Outage| outage.what == ROLLING_RESTART && (outage.from..outage.until).contains(&at);
    history.outages.iter().any(restarting)
}

/// How much of a time lies outside of every outage and the recovery from it.
fn unexcused(history: &History, from: u64, until: u64) -> u64 {
    let recovery = stretched(history, RECOVERY, from, until);
    let mut excuses: Vec<(u64, u64)> =
        history.outages.iter().map(|outage| (outage.from, outage.until.saturating_add(recovery))).collect();
    excuses.sort_unstable();
    let (mut now, mut waited) = (from, 0);
    for (begin, end) in excuses {
        if begin > now {
            waited += begin.min(until).saturating_sub(now);
        }
        now = now.max(end);
        if now >= until {
            return waited;
        }
    }
    waited + until.saturating_sub(now)
}

/// A time in milliseconds, as long as it was on this machine between two moments.
pub(super) fn stretched(history: &History, milliseconds: u64, from: u64, until: u64) -> u64 {
    let stretch = stretch(history, from, until);
    if stretch > TOO_BUSY {
        return u64::MAX;
    }
    u64::try_from(Duration::from_millis(milliseconds).mul_f64(stretch).as_millis()).unwrap_or(u64::MAX)
}

/// By how much longer things took on this machine between two moments, 1 or more.
fn stretch(history: &History, from: u64, until: u64) -> f64 {
    let within = |at: u64| (from.saturating_sub(AROUND)..=until).contains(&at);
    let stretches: Vec<f64> =
        history.stretches.iter().filter(|(at, _)| within(*at)).map(|(_, stretch)| *stretch).collect();
    let count = u32::try_from(stretches.len()).unwrap_or(u32::MAX);
    if count == 0 { 1.0 } else { (stretches.iter().sum::<f64>() / f64::from(count)).max(1.0) }
}

impl fmt::Display for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sent {
            Some(sent) => write!(f, "{}: {} {} in {}", self.client, sent.command["type"], sent.id, self.conversation),
            None => write!(f, "{}: to be live in {}", self.client, self.conversation),
        }
    }
}

impl fmt::Display for WaitCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { judged, excused, too_busy } = self;
        write!(f, "{judged} judged; not judged: {excused} while something was broken, {too_busy} on a busy machine")
    }
}
