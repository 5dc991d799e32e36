//! What a run came to, in a few lines.

use std::collections::BTreeMap;
use std::fmt;

use super::checker::{self, Finding, Rule, WaitCounts};
use super::history::{History, Skipped, Told, Verdict};

/// The most findings of one kind that are shown.
const SHOWN: usize = 5;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How often each kind of fault was there.
    pub injected: BTreeMap<String, usize>,
    /// Which could not be had, by kind, and why.
    pub skipped: Vec<Skipped>,
    /// What was not kept.
    pub findings: Vec<Finding>,
    acked: usize,
    refused: usize,
    replies: BTreeMap<String, usize>,
    attempts: usize,
    switched: usize,
    /// Attempts whose spending the provider counted, and those in which it is an estimate.
    spent: [usize; 2],
    events: usize,
    deltas: usize,
    connections: u32,
    probes: usize,
    log: usize,
    /// The longest wait for an acknowledgement, and that during a rolling restart, in milliseconds.
    waited: (u64, Option<u64>),
    /// The longest time until a client was live again, and that during a rolling restart, in milliseconds.
    missed: (u64, Option<u64>),
    /// How many of these could be judged, in all and during a rolling restart.
    judged: [WaitCounts; 2],
    stretch: f64,
}

impl Report {
    pub(super) fn new(seed: u64, history: &History, findings: Vec<Finding>) -> Self {
        let mut report = Self {
            seed,
            injected: history.injected.clone(),
            skipped: history.skipped.clone(),
            findings,
            acked: 0,
            refused: 0,
            replies: BTreeMap::new(),
            attempts: 0,
            switched: 0,
            spent: [0, 0],
            events: 0,
            deltas: 0,
            connections: 0,
            probes: history.probes.len(),
            log: history.log.len(),
            waited: (0, None),
            missed: (0, None),
            judged: checker::judged(history),
            stretch: mean(&history.stretches),
        };
        report.count_commands(history);
        report.count_replies(history);
        for ledger in &history.ledgers {
            let told: Vec<&Told> = ledger.told.values().flatten().collect();
            report.events += told.iter().filter(|told| matches!(told, Told::Event { .. })).count();
            report.deltas += told.iter().filter(|told| matches!(told, Told::Delta { .. })).count();
            let numbers = told.iter().filter_map(|told| match told {
                Told::Subscribed { connection, .. } => Some(*connection),
                _ => None,
            });
            report.connections += numbers.max().unwrap_or_default();
        }
        report
    }

    fn count_replies(&mut self, history: &History) {
        for event in history.log.iter().map(|row| &row.event) {
            let kind = event["type"].as_str().unwrap_or_default();
            if matches!(kind, "ReplyCompleted" | "ReplyStopped" | "ReplyFailed") {
                *self.replies.entry(kind.to_owned()).or_default() += 1;
            }
            self.attempts += usize::from(kind == "ReplyAttemptStarted");
            self.switched += usize::from(event["switch"] == true);
            if event["spent"].is_object() {
                self.spent[usize::from(event["spent"]["estimated"] == true)] += 1;
            }
        }
    }

    fn count_commands(&mut self, history: &History) {
        for sent in history.ledgers.iter().flat_map(|ledger| &ledger.commands) {
            let acked = |verdict: &Verdict| matches!(verdict, Verdict::Acked { .. });
            let Some(answer) = sent.answers.iter().find(|answer| acked(&answer.verdict)) else {
                self.refused += 1;
                continue;
            };
            self.acked += 1;
            lengthen(&mut self.waited, history, sent.at, answer.at);
        }
        for absence in history.ledgers.iter().flat_map(|ledger| &ledger.absences) {
            lengthen(&mut self.missed, history, absence.from, absence.until);
        }
    }

    /// How many findings there are of these promises.
    fn broken(&self, rules: &[Rule]) -> usize {
        self.findings.iter().filter(|finding| rules.contains(&finding.rule)).count()
    }

    fn tell_waits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waited, missed, judged: [all, restart], .. } = self;
        writeln!(f, "  longest waits      {} ms for an answer, {} ms until live again", waited.0, missed.0)?;
        writeln!(f, "                     {all}")?;
        if waited.1.is_some() || missed.1.is_some() {
            let (waited, missed) = (waited.1.unwrap_or_default(), missed.1.unwrap_or_default());
            writeln!(f, "  rolling restart    {waited} ms for an answer, {missed} ms until live again")?;
            writeln!(f, "                     {restart}")?;
        }
        Ok(())
    }

    fn tell_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_rule: BTreeMap<Rule, Vec<&Finding>> = BTreeMap::new();
        for finding in &self.findings {
            by_rule.entry(finding.rule).or_default().push(finding);
        }
        for (rule, findings) in by_rule {
            for finding in findings.iter().take(SHOWN) {
                writeln!(f, "  ! {finding}")?;
            }
            if findings.len() > SHOWN {
                writeln!(f, "  ! {rule:?}: {} more", findings.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.injected.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let replies: Vec<String> = self.replies.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let Self { seed, acked, refused, events, deltas, connections, probes, log, .. } = self;
        writeln!(f, "seed {seed}")?;
        writeln!(f, "  faults injected    {} ({})", self.injected.values().sum::<usize>(), faults.join(", "))?;
        writeln!(f, "  faults skipped     {}", self.skipped.len())?;
        for Skipped { kind, reason, .. } in &self.skipped {
            writeln!(f, "                     {kind}: {reason}")?;
        }
        writeln!(f, "  machine            times are stretched {:.1} times by what else it does", self.stretch)?;
        writeln!(f, "  commands acked     {acked}, refused {refused}")?;
        self.tell_waits(f)?;
        writeln!(f, "  replies ended      {} ({})", self.replies.values().sum::<usize>(), replies.join(", "))?;
        let [counted, estimated] = self.spent;
        writeln!(
            f,
            "  attempts           {} ({} then asked another model), what they spent counted {counted}, estimated {estimated}",
            self.attempts, self.switched
        )?;
        writeln!(
            f,
            "  events             {log} in the log, {events} seen by clients over {connections} connections, {deltas} pieces of text"
        )?;
        writeln!(f, "  strangers' doors   {probes}")?;
        let (lost, doubled) = (self.broken(&checker::LOST), self.broken(&checker::DOUBLED));
        writeln!(f, "  lost {lost}, doubled {doubled}, findings {}", self.findings.len())?;
        self.tell_findings(f)
    }
}

/// A wait of so long, in all and during a rolling restart, if it began in one.
fn lengthen(longest: &mut (u64, Option<u64>), history: &History, from: u64, until: u64) {
    longest.0 = longest.0.max(until - from);
    if checker::restarts(history, from) {
        longest.1 = longest.1.max(Some(until - from));
    }
}

fn mean(stretches: &[(u64, f64)]) -> f64 {
    let count = u32::try_from(stretches.len()).unwrap_or(u32::MAX);
    if count == 0 { 1.0 } else { stretches.iter().map(|(_, stretch)| stretch).sum::<f64>() / f64::from(count) }
}
