//! What was to be broken was broken: a run in which it was not says nothing about it.

use std::collections::BTreeMap;

use super::{Findings, Rule};
use crate::chaos::history::History;

pub(super) fn check(history: &History, findings: &mut Findings) {
    let kinds: BTreeMap<&str, &str> = history
        .skipped
        .iter()
        .filter(|skipped| skipped.possible)
        .map(|skipped| (skipped.kind.as_str(), skipped.reason.as_str()))
        .collect();
    for (kind, reason) in kinds {
        findings.check(history.injected.contains_key(kind), Rule::FaultsBite, || {
            format!("{kind}: planned, and never there ({reason})")
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::chaos::checker::Rule;
    use crate::chaos::checker::tests::{breaks, keeps};
    use crate::chaos::history::{History, Skipped};

    fn skip(possible: bool) -> impl FnOnce(&mut History) {
        let (kind, reason) = ("clock step".to_owned(), "there was no such process just then".to_owned());
        move |history| history.skipped.push(Skipped { kind, reason, possible })
    }

    #[test]
    fn every_kind_of_fault_that_was_planned_and_can_be_had_must_have_been_there() {
        breaks(Rule::FaultsBite, &["clock step: planned, and never there"], skip(true));
        keeps(skip(false));
        keeps(|history| {
            skip(true)(history);
            history.injected.insert("clock step".to_owned(), 1);
        });
    }
}
