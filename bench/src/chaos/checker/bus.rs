//! A stream is its shard's log.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Findings, Rule};
use crate::chaos::history::{History, Stream};

pub(super) fn check(history: &History, findings: &mut Findings) {
    let events: BTreeMap<(usize, u64), Uuid> =
        history.log.iter().map(|row| ((usize::from(row.shard), row.pos), row.event_id)).collect();
    let none = Stream::default();
    for (shard, head) in history.heads.iter().enumerate() {
        let stream = history.streams.get(shard).unwrap_or(&none);
        findings.check(stream.last == Some(*head), Rule::StreamIsLog, || {
            format!("the stream of shard {shard} ends at {:?}, and the log at {head}", stream.last)
        });
        for (sequence, event, pos) in &stream.messages {
            let same = sequence == pos && events.get(&(shard, *sequence)) == Some(event);
            findings.check(same, Rule::StreamIsLog, || {
                format!("the stream of shard {shard} holds at {sequence} the event {event} of position {pos}")
            });
        }
        // What it holds it holds without a gap.
        let pairs = stream.messages.iter().zip(stream.messages.iter().skip(1));
        for ((one, ..), (next, ..)) in pairs {
            findings.check(*next == one + 1, Rule::StreamIsLog, || {
                format!("the stream of shard {shard} holds {next} after {one}")
            });
        }
    }
}
