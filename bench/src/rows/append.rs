//! The append alone: commands decided and made durable in this process, beside pgbench inserting single rows and beside
//! unmodified postgres-es.

mod ours;
mod theirs;

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::stack::{NO_PROVIDER, database, servers};
use super::{Found, Plan, say};
use crate::Error;
use crate::fleet::Fleet;
use crate::load::Done;
use crate::measure::{median, number};
use crate::peer::pgbench::{Pgbench, Run};
use crate::report::{Line, Plot, Row, Target};
use ours::Ours;
use theirs::Theirs;

/// How many events a conversation gets before the next begins: on both sides, since postgres-es reads them all for each
/// command.
const CONVERSATION: usize = 20;
/// The same where loading shall not count.
const LONG_CONVERSATION: usize = 1_000;
/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// How many write at once.
const WRITERS: [usize; 3] = [1, 16, 64];

/// What was found with so many writers.
struct Side {
    rates: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    let fleet = servers(1, NO_PROVIDER, "").await?;
    let mut pgbench = Pgbench::find(&fleet.postgres, &fleet.pool).await?;
    let ours = Ours::over(&fleet, "bestchat", 1).await?;
    let theirs = Theirs::over(&fleet).await?;
    let mut lines = [const { Vec::new() }; 3];
    for writers in WRITERS {
        say(&format!("  append with {writers} writers"));
        let [mut we, mut bench, mut they] = [(); 3].map(|()| Side::new());
        for _ in 0..plan.rounds() {
            we.add(&ours.run(writers, CONVERSATION, WARM_UP, plan.run()).await?);
            bench.add_run(&pgbench.run(writers, plan.run()).await?);
            they.add(&theirs.run(writers, WARM_UP, plan.run()).await?);
        }
        rows(found, writers, &we, &bench, &they);
        for (line, side) in lines.iter_mut().zip([&we, &bench, &they]) {
            line.push((number(writers as u64), side.rate()));
        }
    }
    found.rows.extend(variants(&fleet, &ours, &mut pgbench, plan).await?);
    found.rows.push(beside_a_held_transaction(&fleet, &ours, plan).await?);
    found.plots.push(plot(lines));
    Ok(())
}

/// What the main rows hold besides the append: loading, and batches that are smaller because there are more shards.
async fn variants(fleet: &Fleet, ours: &Ours, pgbench: &mut Pgbench, plan: Plan) -> Result<[Row; 2], Error> {
    let spread = Ours::over(fleet, "spread", 4).await?;
    let [mut warm, mut inserts, mut four] = [const { Vec::new() }; 3];
    for _ in 0..plan.pick(2, 4) {
        warm.push(ours.run(64, LONG_CONVERSATION, WARM_UP, plan.run()).await?.rate);
        inserts.push(pgbench.run(64, plan.run()).await?.rate);
        four.push(spread.run(64, CONVERSATION, WARM_UP, plan.run()).await?.rate);
    }
    let (inserts, whose) = (median(inserts), "pgbench, 64 clients");
    let warm = Row::new("Append, 64 writers, long conversations", median(warm), "events/s").over(inserts, whose);
    let four = Row::new("Append, 64 writers over 4 shards", median(four), "events/s").over(inserts, whose);
    Ok([
        warm.note(format!("conversations of {LONG_CONVERSATION} events: next to nothing is loaded")),
        four.note("one process owns all four; smaller batches than with one shard"),
    ])
}

fn plot([ours, bench, theirs]: [Vec<(f64, f64)>; 3]) -> Plot {
    let line = |name: &str, points| Line { name: name.to_owned(), points };
    Plot {
        file: "append",
        title: "Durable events a second",
        across: "writers",
        up: "events/s",
        lines: vec![line("BestChat", ours), line("pgbench insert", bench), line("postgres-es", theirs)],
    }
}

fn rows(found: &mut Found, writers: usize, we: &Side, bench: &Side, they: &Side) {
    let row = Row::new(format!("Append, {writers} writers"), we.rate(), "events/s")
        .over(bench.rate(), format!("pgbench, {writers} clients"));
    found.rows.push(match writers {
        64 => row.target(Target::AtLeast(2.5)).note(
            "one shard; a command makes one event; conversations of 20 events, each loaded anew; both sides with fsync and \
             synchronous_commit on",
        ),
        16 => row.target(Target::AtLeast(1.0)),
        _ => row,
    });
    if writers == 1 {
        let p50 = Row::new("Append p50, one writer", we.p50(), "ms").over(bench.p50(), "pgbench p50, one client");
        found.rows.push(p50.target(Target::AtMost(1.3)));
    }
    let latencies = format!(
        "p50/p99: ours {:.2}/{:.2} ms, pgbench {:.2}/{:.2} ms, postgres-es {:.2}/{:.2} ms",
        we.p50(),
        we.p99(),
        bench.p50(),
        bench.p99(),
        they.p50(),
        they.p99()
    );
    let p99 = Row::new(format!("Append p99, {writers} writers"), we.p99(), "ms");
    found.rows.push(p99.over(bench.p99(), format!("pgbench p99, {writers} clients")).note(latencies));
    let note = "its own table, its own commit, as many connections as writers";
    found.rows.push(
        Row::new(format!("Append, {writers} writers, beside postgres-es"), we.rate(), "events/s")
            .over(they.rate(), "postgres-es 0.5")
            .note(if writers == 1 { note } else { "" }),
    );
}

/// For how long a transaction has been open when the whole run measures beside it.
const HELD_FOR: Duration = Duration::from_mins(10);

/// A transaction that has written something and stays open stalls readers that page by transaction id; ours go by
/// position.
async fn beside_a_held_transaction(fleet: &Fleet, ours: &Ours, plan: Plan) -> Result<Row, Error> {
    let mut held = PgConnection::connect(&database(fleet, "postgres")).await?;
    let (mut free, mut stalled) = (Vec::new(), Vec::new());
    let run = async || Ok::<f64, Error>(ours.run(16, CONVERSATION, WARM_UP, plan.run()).await?.rate);
    // Half of it before and half after: a table that grows does not make a difference then.
    let half = plan.pick(1, 3);
    for _ in 0..half {
        free.push(run().await?);
    }
    let mut transaction = held.begin().await?;
    sqlx::query("select pg_current_xact_id()::text").execute(&mut *transaction).await?;
    let open_for = plan.pick(Duration::ZERO, HELD_FOR);
    tokio::time::sleep(open_for).await;
    for _ in 0..plan.rounds() {
        stalled.push(run().await?);
        ours.is_readable_to_the_end().await?;
    }
    transaction.rollback().await?;
    for _ in 0..half {
        free.push(run().await?);
    }
    let note = format!(
        "a transaction with an id of its own is open in another database, for {} minutes before the first run; without \
         it: as often before as after; what was acknowledged could be read at once",
        open_for.as_secs() / 60
    );
    Ok(Row::new("Append, 16 writers, an idle write transaction open", median(stalled), "events/s")
        .over(median(free), "without it")
        .note(note))
}

impl Side {
    fn new() -> Self {
        Self { rates: Vec::new(), p50: Vec::new(), p99: Vec::new() }
    }

    fn add(&mut self, done: &Done) {
        self.rates.push(done.rate);
        self.p50.push(done.latencies.p50_ms());
        self.p99.push(done.latencies.p99_ms());
    }

    fn add_run(&mut self, run: &Run) {
        self.rates.push(run.rate);
        self.p50.push(run.latencies.p50_ms());
        self.p99.push(run.latencies.p99_ms());
    }

    fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    fn p50(&self) -> f64 {
        median(self.p50.clone())
    }

    fn p99(&self) -> f64 {
        median(self.p99.clone())
    }
}
