//! The commands that a writer knows the results of, and where the log tells of older ones.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use domain::{CommandId, Shard};
use lru::LruCache;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::Accepted;
use crate::log::unsigned;
use crate::{Error, Position};

/// How many results are kept at hand; older ones are looked up.
const KEPT: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// A command's first result.
#[derive(Clone, Debug)]
pub(super) struct First {
    pub(super) digest: String,
    pub(super) accepted: Accepted,
    /// Whether it made nothing happen: the log does not hold it then, unless a rival carried it out.
    pub(super) eventless: bool,
}

pub(super) struct Recent {
    results: LruCache<CommandId, First>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { results: LruCache::new(KEPT) }
    }

    pub(super) fn get(&mut self, id: CommandId) -> Option<&First> {
        self.results.get(&id)
    }

    pub(super) fn insert(&mut self, id: CommandId, first: First) {
        self.results.put(id, first);
    }

    pub(super) fn remove(&mut self, id: CommandId) {
        self.results.pop(&id);
    }

    /// Looks commands up in the log and remembers those that are there, which it returns.
    pub(super) async fn look_up(
        &mut self,
        pool: &PgPool,
        shard: Shard,
        ids: &[CommandId],
    ) -> Result<HashMap<CommandId, First>, Error> {
        let found = read(pool, shard, ids).await?;
        for (id, first) in &found {
            self.results.put(*id, first.clone());
        }
        Ok(found)
    }
}

/// A command's events follow each other in its aggregate and all name it in their metadata; the last one is its result.
async fn read(pool: &PgPool, shard: Shard, ids: &[CommandId]) -> Result<HashMap<CommandId, First>, Error> {
    let rows = sqlx::query(
        "select first.command_id, first.metadata->>'digest' as digest, last.sequence, last.pos
         from unnest($2::uuid[]) as asked(id)
         join events first on first.shard = $1 and first.command_id = asked.id
         join lateral (
             select e.sequence, e.pos from events e
             where e.aggregate_type = first.aggregate_type and e.aggregate_id = first.aggregate_id
               and e.sequence >= first.sequence and e.sequence < first.sequence + 64
               and e.metadata->>'command' = first.command_id::text
             order by e.sequence desc limit 1
         ) last on true",
    )
    .bind(i32::from(shard))
    .bind(ids.iter().map(|id| id.0).collect::<Vec<Uuid>>())
    .fetch_all(pool)
    .await?;
    let mut found = HashMap::new();
    for row in rows {
        let position = Position { shard, pos: unsigned(row.try_get("pos")?) };
        let accepted = Accepted { sequence: unsigned(row.try_get("sequence")?), position };
        let digest = row.try_get::<Option<String>, _>("digest")?.unwrap_or_default();
        found.insert(CommandId(row.try_get("command_id")?), First { digest, accepted, eventless: false });
    }
    Ok(found)
}
