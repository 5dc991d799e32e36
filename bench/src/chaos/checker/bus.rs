//! A stream is its shard's log.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Rule};
use crate::chaos::history::{History, Logged, Stream};

/// How many of the newest events a stream holds at least: one that was made anew began with so many.
const HELD: u64 = 10_000;

pub(super) fn check(history: &History, findings: &mut Findings) {
    let none = Stream::default();
    for (shard, head) in (0_u16..).zip(&history.heads) {
        let stream = history.streams.get(usize::from(shard)).unwrap_or(&none);
        findings.check(stream.last == Some(*head), Rule::StreamIsLog, || {
            format!("the stream of shard {shard} ends at {:?}, and the log at {head}", stream.last)
        });
        let log: BTreeMap<u64, &Logged> =
            history.log.iter().filter(|row| row.shard == shard).map(|row| (row.pos, row)).collect();
        for (sequence, event) in &stream.messages {
            findings.check(log.get(sequence) == Some(&event), Rule::StreamIsLog, || {
                format!("the stream of shard {shard} holds at {sequence} another event than the log: {event:?}")
            });
        }
        // From its first event on it holds all of them.
        let held: BTreeSet<u64> = stream.messages.iter().map(|(sequence, _)| *sequence).collect();
        let first = held.first().copied().unwrap_or(u64::MAX).min(head.saturating_sub(HELD) + 1);
        let lacks: Vec<u64> = log.range(first..).map(|(pos, _)| *pos).filter(|pos| !held.contains(pos)).collect();
        findings.check(lacks.is_empty(), Rule::StreamIsLog, || {
            let first = lacks.first().copied().unwrap_or_default();
            format!("the stream of shard {shard} lacks {} events, the first of them {first}", lacks.len())
        });
    }
}
