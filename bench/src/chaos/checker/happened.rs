//! Something happened at all: where nobody comes to do anything, nothing can be found to be wrong.

use super::{Findings, Rule};
use crate::chaos::history::{History, Told, Verdict};

pub(super) fn check(history: &History, findings: &mut Findings) {
    let commands = history.ledgers.iter().flat_map(|ledger| &ledger.commands);
    let is_ack = |verdict: &Verdict| matches!(verdict, Verdict::Acked { .. });
    let acked = commands.filter(|sent| sent.answers.iter().any(|answer| is_ack(&answer.verdict))).count();
    let ends = ["ReplyCompleted", "ReplyStopped", "ReplyFailed"];
    let ended = history.log.iter().filter(|row| ends.iter().any(|end| row.event["type"] == *end)).count();
    let told = || history.ledgers.iter().flat_map(|ledger| ledger.told.values().flatten());
    let events = told().filter(|told| matches!(told, Told::Event { .. })).count();
    let pieces = told().filter(|told| matches!(told, Told::Delta { .. })).count();
    let away = history.probes.iter().filter(|probe| probe.code.as_deref() == Some("not_found")).count();
    // The shortest run has many more.
    let clients = history.ledgers.len().max(1);
    for (what, found, least) in [
        ("commands acknowledged", acked, clients),
        ("replies ended", ended, clients),
        ("events told", events, clients),
        ("pieces of text told", pieces, clients),
        ("strangers turned away", away, 1),
    ] {
        findings
            .check(found >= least, Rule::SomethingHappened, || format!("{what}: {found}, at least {least} are due"));
    }
}
