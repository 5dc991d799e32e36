//! One bad history for each way in which a promise can be broken: the checker accepts the good one and rejects each of these,
//! by the promise that is broken, in the words of the one check that it is for.

mod clients;
mod commands;
mod log;
mod replies;
mod views;

use serde_json::Value;

use super::good::{CONVERSATION, good};
use super::{Finding, Rule, check};
use crate::chaos::history::{History, Logged, Sent, Told};

/// What is found in a changed history.
fn found(change: impl FnOnce(&mut History)) -> Vec<Finding> {
    let mut history = good();
    change(&mut history);
    check(&history)
}

/// These are the findings, in this order: each holds the words of its own.
#[track_caller]
fn are(found: &[Finding], words: &[&str]) {
    let same = found.iter().zip(words).all(|(one, words)| one.to_string().contains(*words));
    assert!(same && found.len() == words.len(), "{found:#?} are not these: {words:#?}");
}

/// The change breaks this promise, as these findings say, and no other of this promise. Others it may break as well.
#[track_caller]
pub(super) fn breaks(rule: Rule, words: &[&str], change: impl FnOnce(&mut History)) {
    let mut found = found(change);
    found.retain(|finding| finding.rule == rule);
    are(&found, words);
}

/// The changed history is as good.
#[track_caller]
pub(super) fn keeps(change: impl FnOnce(&mut History)) {
    are(&found(change), &[]);
}

fn anns(history: &mut History) -> &mut Vec<Sent> {
    &mut history.ledgers[0].commands
}

fn bob_is_told(history: &mut History) -> &mut Vec<Told> {
    history.ledgers[1].told.get_mut(CONVERSATION).unwrap()
}

fn told(history: &mut History) -> impl Iterator<Item = &mut Vec<Told>> {
    history.ledgers.iter_mut().flat_map(|ledger| ledger.told.values_mut())
}

/// The event at a position of the log.
fn at(history: &mut History, pos: usize) -> &mut Logged {
    &mut history.log[pos - 1]
}

/// Rewrites an event everywhere, so that only what it means is wrong.
pub(super) fn rewrite(history: &mut History, pos: u64, event: &Value) {
    at(history, usize::try_from(pos).unwrap()).event = event.clone();
    for told in told(history).flatten() {
        if let Told::Event { sequence, event: told, .. } = told
            && *sequence == pos
        {
            *told = event.clone();
        }
    }
}

#[test]
fn a_good_history_is_accepted() {
    keeps(|_| {});
}

#[test]
fn something_must_have_happened() {
    use Rule::SomethingHappened as Happened;
    let all = [
        "commands acknowledged: 0",
        "replies ended: 0",
        "events told: 0",
        "pieces of text told: 0",
        "strangers turned away: 0",
    ];
    are(&check(&History::default()), &all);
    breaks(Happened, &all[..1], |history| anns(history).clear());
    breaks(Happened, &["replies ended: 1"], |history| {
        history.log.pop();
    });
    breaks(Happened, &all[2..3], |history| {
        told(history).for_each(|told| told.retain(|told| !matches!(told, Told::Event { .. })));
    });
    breaks(Happened, &all[3..4], |history| {
        told(history).for_each(|told| told.retain(|told| !matches!(told, Told::Delta { .. })));
    });
    breaks(Happened, &all[4..], |history| history.probes[0].code = Some("unavailable".to_owned()));
}

#[test]
fn what_was_seen_to_go_wrong_must_be_told() {
    breaks(Rule::NothingParked, &["transcript 0:3"], |history| history.dead_letters.push("transcript 0:3".to_owned()));
    breaks(Rule::ProcessesStay, &["worker 0"], |history| history.crashes.push("worker 0 ended by itself".to_owned()));
    breaks(Rule::Settles, &["have not ended"], |history| {
        history.unsettled.push("1 replies have not ended".to_owned());
    });
}
