//! Bad histories of waits.

use super::{WaitCounts, judged};
use crate::chaos::checker::good::{CONVERSATION, good};
use crate::chaos::checker::tests::breaks;
use crate::chaos::checker::{Rule, check};
use crate::chaos::history::{Absence, History, Outage, ROLLING_RESTART};

fn outage(what: &str, from: u64, until: u64) -> Outage {
    Outage { what: what.to_owned(), from, until }
}

/// Bob misses what happens for so long.
fn absent(from: u64, until: u64, outages: Vec<Outage>) -> impl FnOnce(&mut History) {
    move |history| {
        history.ledgers[1].absences.push(Absence { conversation: CONVERSATION.to_owned(), from, until });
        history.outages = outages;
    }
}

#[test]
fn what_a_fault_excuses_ends_before_the_next_one() {
    breaks(Rule::Answered, &["7020 ms of it"], |history| {
        history.ledgers[0].commands[4].answers[0].at = 60_000;
        history.outages = vec![outage("kill -9: worker 0", 100, 48_000)];
    });
}

#[test]
fn a_client_must_soon_be_live_again() {
    breaks(Rule::Answered, &["59000 ms of it"], absent(1_000, 60_000, Vec::new()));
    breaks(
        Rule::RestartUnnoticed,
        &["to be live in c: 3000 ms"],
        absent(1_000, 4_000, vec![outage(ROLLING_RESTART, 50, 20_000)]),
    );
    let restart = vec![outage(ROLLING_RESTART, 50, 20_000)];
    for good_one in [absent(1_000, 6_000, Vec::new()), absent(1_000, 2_500, restart)] {
        let mut history = good();
        good_one(&mut history);
        let findings = check(&history);
        assert!(findings.is_empty(), "{findings:#?}");
    }
}

#[test]
fn what_was_not_judged_is_counted() {
    let mut history = good();
    // Three of the five commands were sent by then, the others while every process was restarted.
    history.outages = vec![outage("Postgres killed", 0, 50), outage(ROLLING_RESTART, 55, 20_000)];
    absent(60_000, 61_000, history.outages.clone())(&mut history);
    history.stretches = vec![(60_500, 4.0)];
    let restart = WaitCounts { judged: 2, excused: 0, too_busy: 0 };
    assert_eq!(judged(&history), [WaitCounts { judged: 2, excused: 3, too_busy: 1 }, restart]);
}
