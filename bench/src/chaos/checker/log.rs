//! Positions and sequences have no gap.

use std::collections::BTreeMap;

use super::{Findings, Rule};
use crate::chaos::history::History;

pub(super) fn check(history: &History, findings: &mut Findings) {
    positions(history, findings);
    sequences(history, findings);
}

fn positions(history: &History, findings: &mut Findings) {
    let mut last = vec![0; history.heads.len()];
    for row in &history.log {
        let Some(last) = last.get_mut(usize::from(row.shard)) else {
            findings.check(false, Rule::PositionsWithoutGap, || format!("there is no shard {}", row.shard));
            continue;
        };
        findings.check(row.pos == *last + 1, Rule::PositionsWithoutGap, || {
            format!("shard {}: {} follows {last}", row.shard, row.pos)
        });
        *last = row.pos;
    }
    for (shard, (last, head)) in last.iter().zip(&history.heads).enumerate() {
        findings.check(last == head, Rule::PositionsWithoutGap, || {
            format!("shard {shard} ends at {last}, and its head is {head}")
        });
    }
}

fn sequences(history: &History, findings: &mut Findings) {
    let mut last: BTreeMap<&str, (u16, u64)> = BTreeMap::new();
    for row in &history.log {
        let (shard, last) = last.entry(&row.conversation).or_insert((row.shard, 0));
        findings.check(row.sequence == *last + 1 && row.shard == *shard, Rule::SequencesWithoutGap, || {
            format!("{} at {}: {} follows {last} of shard {shard}", row.conversation, row.position(), row.sequence)
        });
        *last = row.sequence;
    }
}
