//! Waiting until all has come to rest: a bounded time, and what has not by then is a finding.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use super::clients::Clients;
use super::system::{SHARDS, System};
use crate::Error;

/// How long it may take: an attempt's lease three times over, and the provider's deadlines.
const DEADLINE: Duration = Duration::from_secs(75);
/// The pause between two looks.
const POLL: Duration = Duration::from_millis(250);

/// Replies that have not ended.
const OPEN: &str = "\
select count(*) filter (where event_type = 'ReplyRequested')
     - count(*) filter (where event_type in ('ReplyCompleted', 'ReplyStopped', 'ReplyFailed')) from events";
/// Views, and tables of workers, that lack something of a shard.
const BEHIND: &str = "\
select count(*) from heads s
cross join (values ('conversation_list'), ('transcript'), ('usage'), ('open_replies')) v (name)
left join checkpoints c on c.projection = v.name and c.shard = s.shard where coalesce(c.pos, 0) < s.head";
/// What is set aside for calls: of an attempt that is over, it is given back when that is next looked for.
const SET_ASIDE: &str = "select count(*) from reservations";

/// Returns when all has come to rest, or in time; gives what has not.
///
/// # Errors
/// When the processes cannot be handled.
pub(super) async fn settle(system: &mut System, clients: &Clients) -> Result<Vec<String>, Error> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        system.look_after()?;
        let restless = match restless(system, clients).await {
            Ok(restless) => restless,
            Err(error) => vec![error.to_string()],
        };
        if restless.is_empty() || Instant::now() > deadline {
            return Ok(restless);
        }
        sleep(POLL).await;
    }
}

async fn restless(system: &System, clients: &Clients) -> Result<Vec<String>, Error> {
    let pool = &system.fleet.pool;
    let mut restless = Vec::new();
    let standings = clients.standings();
    let pending: usize = standings.iter().map(|standing| standing.pending).sum();
    if pending > 0 {
        restless.push(format!("{pending} commands have no answer"));
    }
    let counts =
        [("replies have not ended", OPEN), ("views are behind", BEHIND), ("calls have something set aside", SET_ASIDE)];
    for (what, sql) in counts {
        let count: i64 = sqlx::query_scalar(sql).fetch_one(pool).await?;
        if count > 0 {
            restless.push(format!("{count} {what}"));
        }
    }
    let last = last_sequences(pool).await?;
    let deaf = standings
        .iter()
        .filter(|standing| standing.at.iter().any(|(conversation, at)| last.get(conversation) != Some(at)))
        .count();
    if deaf > 0 {
        restless.push(format!("{deaf} clients were not told everything"));
    }
    if restless.is_empty() {
        restless.extend(streams(system).await?);
    }
    Ok(restless)
}

async fn last_sequences(pool: &PgPool) -> Result<BTreeMap<String, u64>, Error> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select aggregate_id, max(sequence) from events group by 1").fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(id, last)| (id, store::log::unsigned(last))).collect())
}

async fn streams(system: &System) -> Result<Option<String>, Error> {
    let client = super::collect::bus(system).await?;
    let jetstream = nats::relay::jetstream(&client);
    for shard in 0..SHARDS {
        let head = store::log::head(&system.fleet.pool, shard).await.map_err(Error::other)?;
        let last = match jetstream.get_stream(format!("EVT_{shard}")).await {
            Ok(stream) => Some(stream.cached_info().state.last_sequence),
            Err(_) => None,
        };
        if last != Some(head) {
            return Ok(Some(format!("the stream of shard {shard} ends at {last:?}, the log at {head}")));
        }
    }
    Ok(None)
}
