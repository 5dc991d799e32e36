//! What must hold of every log, however it came about.

use std::collections::{BTreeMap, HashMap};

use domain::{CommandId, Shard};
use sqlx::PgPool;
use store::writer::Accepted;
use store::{Recorded, log};

/// The whole of a shard, read as a reader does, page by page. Positions are gap-free and end at the head; every
/// aggregate's sequences are gap-free; a command's events lie together.
pub(crate) async fn shard(pool: &PgPool, shard: Shard) -> Vec<Recorded> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let page = log::read(pool, shard, events.len() as u64, 997).await.unwrap();
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    let mut sequences: HashMap<(&str, &str), u64> = HashMap::new();
    for (event, pos) in events.iter().zip(1..) {
        assert_eq!((event.shard, event.pos), (shard, pos), "positions are gap-free");
        let sequence = sequences.entry((&event.aggregate_type, &event.aggregate_id)).or_default();
        *sequence += 1;
        assert_eq!(event.sequence, *sequence, "the sequences of {} are gap-free and in order", event.aggregate_id);
    }
    assert_eq!(log::head(pool, shard).await.unwrap(), events.len() as u64, "the head is the last position");
    events
}

/// Every acknowledged command is in the shard exactly once, where its acknowledgement says.
pub(crate) fn ledger(events: &[Recorded], acknowledged: &BTreeMap<CommandId, Accepted>) {
    let mut found: BTreeMap<CommandId, &Recorded> = BTreeMap::new();
    for event in events {
        if let Some(id) = event.command_id {
            assert!(found.insert(id, event).is_none(), "the command is there once");
        }
    }
    for (id, accepted) in acknowledged {
        assert!(found.contains_key(id), "an acknowledged command is in the log");
        let last = events.iter().rfind(|event| event.metadata().is_some_and(|it| it.command == *id)).unwrap();
        assert_eq!((last.position(), last.sequence), (accepted.position, accepted.sequence));
    }
}
