//! Whether a run kept what BestChat promises. Pure: a [`History`] in, findings out. It knows nothing of how the run was made
//! and shares no code with what it checks, so that the two cannot be wrong in the same way.

mod attempts;
mod bus;
mod clients;
mod commands;
mod faults;
#[cfg(test)]
mod good;
mod happened;
mod log;
mod reach;
mod replies;
mod spending;
#[cfg(test)]
mod tests;
mod views;
mod waits;

use std::fmt;

use serde_json::Value;

pub(super) use waits::{PATIENCE, RECOVERY, WaitCounts, judged, restarts};

use super::history::History;

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The run was one: people were answered, replies ended, clients were told, strangers were turned away.
    SomethingHappened,
    /// What was acknowledged is in the log, where the acknowledgement said.
    AckedIsRecorded,
    /// Every command is answered in the end, and soon while nothing is broken; so is everyone live again who was not.
    Answered,
    /// No one waits long while every process is restarted, one after the other.
    RestartUnnoticed,
    /// What has happened is not refused any more.
    HappenedIsNotRefused,
    /// A command is refused only for what people do at once, or for now.
    RefusalIsKnown,
    /// What is recorded of a command is what was asked, by whoever asked it.
    RecordedAsAsked,
    /// A command happens at most once, and what happened was asked for.
    CommandHappensOnce,
    /// Positions are without a gap and end at the shard's head.
    PositionsWithoutGap,
    /// Sequences are without a gap, in the order of positions.
    SequencesWithoutGap,
    /// A stream's message n is the event at position n, up to the head; it holds the newest of them without a gap.
    StreamIsLog,
    /// Only the current attempt of a reply counts.
    Fence,
    /// Every reply ends, once.
    EveryReplyEnds,
    /// A stop wins over every other end.
    StopWins,
    /// The text of a reply is what one call of the provider said.
    TextIsOneAnswer,
    /// The provider is asked once an attempt.
    OneCallAnAttempt,
    /// Every attempt that began has one end.
    AttemptEndsOnce,
    /// An attempt asks what its route has for it.
    RouteIsFollowed,
    /// An attempt that a provider took up says what it spent, once; one that was refused spent nothing.
    SpentOnce,
    /// What was spent is what the provider counted; where it did not count, it is called an estimate, and is within what was sent
    /// and said.
    SpentIsCounted,
    /// A client is told each event once, in order, and all of them.
    EventsOnceInOrder,
    /// Text comes without a hole, and is the text of the reply in the end.
    TextWithoutHole,
    /// Clients of a conversation were told the same.
    ClientsAgree,
    /// A view is the fold of the log.
    ViewIsFold,
    /// What workers keep of what was spent adds up the log, and nothing is open or set aside in the end.
    LedgerIsSum,
    /// No one sees what is not theirs.
    Private,
    /// Nothing was parked.
    NothingParked,
    /// Processes end when they are told to, and only then.
    ProcessesStay,
    /// All comes to rest after the last fault.
    Settles,
    /// What was to be broken was broken.
    FaultsBite,
}

/// The promises of which one that is not kept means that something was lost.
pub const LOST: [Rule; 9] = [
    Rule::AckedIsRecorded,
    Rule::RecordedAsAsked,
    Rule::PositionsWithoutGap,
    Rule::SequencesWithoutGap,
    Rule::StreamIsLog,
    Rule::EventsOnceInOrder,
    Rule::TextWithoutHole,
    Rule::ViewIsFold,
    Rule::LedgerIsSum,
];

/// Those of which one that is not kept means that something was done twice.
pub const DOUBLED: [Rule; 6] = [
    Rule::CommandHappensOnce,
    Rule::Fence,
    Rule::TextIsOneAnswer,
    Rule::OneCallAnAttempt,
    Rule::AttemptEndsOnce,
    Rule::SpentOnce,
];

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The promise.
    pub rule: Rule,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// Findings as they are made.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn check(&mut self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Finding { rule, what: what() });
        }
    }

    /// A table's rows are those that follow from the log, each once, in whatever order.
    fn same<T: PartialEq + fmt::Debug>(&mut self, table: &str, rows: &[T], log: &[T], rule: Rule) {
        let lacks = log.iter().find(|row| !rows.contains(row));
        let invents = rows.iter().find(|row| !log.contains(row));
        self.check(rows.len() == log.len() && lacks.is_none() && invents.is_none(), rule, || {
            let (found, due) = (rows.len(), log.len());
            format!("{table}: {found} rows, and {due} by the log; it lacks {lacks:?} and invents {invents:?}")
        });
    }
}

/// Every promise that was not kept.
pub fn check(history: &History) -> Vec<Finding> {
    let mut findings = Findings::default();
    happened::check(history, &mut findings);
    log::check(history, &mut findings);
    bus::check(history, &mut findings);
    commands::check(history, &mut findings);
    waits::check(history, &mut findings);
    replies::check(history, &mut findings);
    attempts::check(history, &mut findings);
    clients::check(history, &mut findings);
    reach::check(history, &mut findings);
    views::check(history, &mut findings);
    spending::check(history, &mut findings);
    faults::check(history, &mut findings);
    let told = [(Rule::ProcessesStay, &history.crashes), (Rule::Settles, &history.unsettled)];
    for (rule, what) in told.into_iter().flat_map(|(rule, all)| all.iter().map(move |what| (rule, what))) {
        findings.check(false, rule, || what.clone());
    }
    findings.0
}

/// The text of a message's parts.
fn text(parts: &Value) -> String {
    parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect()
}

fn name(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
