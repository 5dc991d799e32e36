//! What was to be broken was broken: a run in which it was not says nothing about it.

use std::collections::BTreeMap;

use super::{Findings, Rule};
use crate::chaos::history::History;

pub(super) fn check(history: &History, findings: &mut Findings) {
    let kinds: BTreeMap<&str, &str> =
        history.skipped.iter().map(|(kind, reason)| (kind.as_str(), reason.as_str())).collect();
    for (kind, reason) in kinds {
        findings.check(history.injected.contains_key(kind), Rule::FaultsBite, || {
            format!("{kind}: planned, and never there ({reason})")
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::chaos::checker::good::good;
    use crate::chaos::checker::tests::breaks;
    use crate::chaos::checker::{Rule, check};
    use crate::chaos::history::History;

    fn skip(history: &mut History) {
        history.skipped.push(("clock step".to_owned(), "libfaketime is not installed".to_owned()));
    }

    #[test]
    fn every_kind_of_fault_that_was_planned_must_have_been_there() {
        breaks(Rule::FaultsBite, &["clock step: planned, and never there"], skip);
        let mut history = good();
        skip(&mut history);
        history.injected.insert("clock step".to_owned(), 1);
        let findings = check(&history);
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
