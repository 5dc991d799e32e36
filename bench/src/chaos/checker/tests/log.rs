//! Bad logs, and bad streams of them.

use serde_json::json;
use uuid::Uuid;

use super::{at, breaks, keeps};
use crate::chaos::checker::good::row;
use crate::chaos::checker::{Findings, Rule, bus};
use crate::chaos::history::{History, Stream};

#[test]
fn positions_must_have_no_gap() {
    use Rule::PositionsWithoutGap as Positions;
    breaks(Positions, &["shard 0: 6 follows 4"], |history| {
        history.log.remove(4);
    });
    // Two events at one position.
    breaks(Positions, &["shard 0: 5 follows 5"], |history| {
        let again = at(history, 5).clone();
        history.log.insert(5, again);
    });
    breaks(Positions, &["ends at 12, and its head is 13"], |history| history.heads[0] = 13);
    breaks(Positions, &["ends at 11, and its head is 12"], |history| {
        history.log.pop();
    });
    breaks(Positions, &["there is no shard 7"], |history| {
        let mut stray = row(13, 9, "worker:reply", json!({ "type": "Nothing" }));
        stray.shard = 7;
        history.log.push(stray);
    });
}

#[test]
fn sequences_must_have_no_gap() {
    use Rule::SequencesWithoutGap as Sequences;
    breaks(Sequences, &["c at 0:12: 13 follows 11"], |history| at(history, 12).sequence = 13);
    // A conversation that goes on in another shard.
    breaks(Sequences, &["c at 1:1: 13 follows 12 of shard 0"], |history| {
        let mut moved = row(1, 9, "worker:reply", json!({ "type": "Nothing" }));
        (moved.shard, moved.sequence) = (1, 13);
        history.log.push(moved);
        history.heads.push(1);
    });
}

#[test]
fn a_stream_must_be_its_shards_log() {
    use Rule::StreamIsLog as Bus;
    breaks(Bus, &["ends at Some(11), and the log at 12"], |history| history.streams[0].last = Some(11));
    breaks(Bus, &["ends at Some(13), and the log at 12"], |history| history.streams[0].last = Some(13));
    breaks(Bus, &["ends at None", "lacks 12 events, the first of them 1"], |history| history.streams.clear());
    breaks(Bus, &["lacks 12 events, the first of them 1"], |history| history.streams[0].messages.clear());
    breaks(Bus, &["lacks 1 events, the first of them 1"], |history| {
        history.streams[0].messages.remove(0);
    });
    breaks(Bus, &["lacks 1 events, the first of them 5"], |history| {
        history.streams[0].messages.remove(4);
    });
    breaks(Bus, &["lacks 1 events, the first of them 12"], |history| {
        history.streams[0].messages.pop();
    });
    breaks(Bus, &["holds at 5 another"], |history| history.streams[0].messages[4].1.event_id = Uuid::from_u128(5));
    breaks(Bus, &["holds at 5 another"], |history| history.streams[0].messages[4].1.pos = 4);
    breaks(Bus, &["holds at 3 another"], |history| {
        history.streams[0].messages[2].1.event["parts"][0]["text"] = json!("what nobody said");
    });
    // What the log does not have.
    breaks(Bus, &["holds at 13 another"], |history| {
        history.streams[0].messages.push((13, row(13, 9, "worker:reply", json!({ "type": "Nothing" }))));
    });
    keeps(|history| {
        history.heads.push(0);
        history.streams.push(Stream { last: Some(0), messages: Vec::new() });
    });
}

#[test]
fn a_stream_that_was_made_anew_may_lack_what_is_old() {
    let head = 10_002;
    let log: Vec<_> = (1..=head).map(|pos| row(pos, pos.into(), "worker:reply", json!({}))).collect();
    let found = |held: &dyn Fn(u64) -> bool| {
        let messages = log.iter().filter(|row| held(row.pos)).map(|row| (row.pos, row.clone())).collect();
        let streams = vec![Stream { last: Some(head), messages }];
        let history = History { heads: vec![head], log: log.clone(), streams, ..History::default() };
        let mut findings = Findings::default();
        bus::check(&history, &mut findings);
        findings.0
    };
    super::are(&found(&|pos| pos > 2), &[]);
    super::are(&found(&|pos| pos > 3), &["lacks 1 events, the first of them 3"]);
    super::are(&found(&|pos| pos != 2), &["lacks 1 events, the first of them 2"]);
}
