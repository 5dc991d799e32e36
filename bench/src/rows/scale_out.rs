//! More processes over one Postgres and one NATS: what two and four do beside one.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::command::Talker;
use super::stack::{NO_PROVIDER, servers};
use super::{Found, Plan, say};
use crate::Error;
use crate::fleet::{Api, Fleet};
use crate::load::closed_loop;
use crate::measure::median;
use crate::process::Process;
use crate::report::Row;

/// As many as production has: four processes need some each.
const SHARDS: u16 = 16;
/// How many clients, over all edges.
const CLIENTS: usize = 64;
/// How many of each role.
const PROCESSES: [usize; 3] = [1, 2, 4];
/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the shards may take to be shared out.
const SHARE_DEADLINE: Duration = Duration::from_secs(30);
/// The pause between two looks.
const POLL: Duration = Duration::from_millis(50);

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    let fleet = servers(SHARDS, NO_PROVIDER, "").await?;
    let mut rates = [const { Vec::new() }; PROCESSES.len()];
    for round in 1..=plan.pick(2, 5) {
        say(&format!("  scale-out, round {round}"));
        for (processes, rates) in PROCESSES.into_iter().zip(&mut rates) {
            rates.push(run(&fleet, processes, plan.run()).await?);
        }
    }
    let [one, two, four] = rates.map(median);
    let row = |name: &str, rate: f64| Row::new(format!("Commands, {CLIENTS} clients, {name}"), rate, "commands/s");
    let note = format!(
        "an edge and a worker a process, {SHARDS} shards; all share this machine's {} cores with Postgres, NATS and the \
         clients, so more processes can win only where one cannot use them",
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get)
    );
    found.rows.extend([
        row("one process", one).note(note),
        row("two processes", two).over(one, "one process"),
        row("four processes", four).over(one, "one process"),
    ]);
    Ok(())
}

async fn run(fleet: &Fleet, processes: usize, time: Duration) -> Result<f64, Error> {
    let (mut apis, mut workers): (Vec<Api>, Vec<Process>) = (Vec::new(), Vec::new());
    for _ in 0..processes {
        workers.push(fleet.worker("commands").await?);
        apis.push(fleet.api().await?);
    }
    shared(fleet, processes).await?;
    let mut clients = Vec::new();
    for nth in 0..CLIENTS {
        clients.push(Talker::login(apis[nth % processes].address, nth).await?);
    }
    let (_, done) = closed_loop(clients, WARM_UP, time).await?;
    for process in apis.iter_mut().map(|api| &mut api.process).chain(&mut workers) {
        process.stop().await?;
    }
    Ok(done.rate)
}

/// Waits until every process owns its fair share.
async fn shared(fleet: &Fleet, processes: usize) -> Result<(), Error> {
    let least = i64::from(SHARDS) / i64::try_from(processes).map_err(Error::other)?;
    let (sql, begun) = (
        "select count(*) filter (where n >= $1) from (select count(*) as n from leases \
         where role = 'commands' and expires_at > now() group by owner) as owned",
        Instant::now(),
    );
    while begun.elapsed() < SHARE_DEADLINE {
        let sharing: i64 = sqlx::query_scalar(sql).bind(least).fetch_one(&fleet.pool).await?;
        if usize::try_from(sharing) == Ok(processes) {
            return Ok(());
        }
        sleep(POLL).await;
    }
    Err(Error(format!("{processes} processes do not share {SHARDS} shards out")))
}
