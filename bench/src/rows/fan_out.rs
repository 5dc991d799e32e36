//! Many sockets at conversations whose replies are just being written, beside the Express + Socket.IO server doing the
//! same. A token is counted where a socket has received it.

mod crowd;

use std::time::Duration;

use sqlx::Executor;

use super::stack::{SHARDS, Stack, database, servers};
use super::{Found, Plan, say};
use crate::Error;
use crate::fleet::Fleet;
use crate::measure::{cpu, cpu_of, median, number};
use crate::peer::socketio::SocketIoServer;
use crate::provider::{Provider, Script};
use crate::report::{Row, Target};
use crowd::{Crowd, Delivered};

/// The times from one token to the next: as a usual model writes, which is as long as a worker gathers text, so that only an
/// edge with many sockets puts several into a frame; and as a fast one does.
const PACES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(5)];
/// How long an answer takes, in a quick run and otherwise.
const ANSWER: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];
/// How many conversations are written in at once.
const CONVERSATIONS: usize = 5;
/// How many sockets follow each of them: what either side can serve, and more than it can.
const FOLLOWERS: [usize; 2] = [60, 400];

/// What one side did.
#[derive(Default)]
struct Side {
    /// Tokens delivered a second, all sockets together.
    rate: Vec<f64>,
    /// Processor time of everything for a delivered token, in microseconds.
    cpu: Vec<f64>,
    /// The same of the process that holds the sockets.
    edge_cpu: Vec<f64>,
    /// Tokens in a frame.
    gathered: Vec<f64>,
    /// For how long a token waited beyond what the first one did, in milliseconds, on average.
    waited: Vec<f64>,
}

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    for pace in PACES {
        at_pace(pace, plan, found).await?;
    }
    Ok(())
}

async fn at_pace(pace: Duration, plan: Plan, found: &mut Found) -> Result<(), Error> {
    let [quick, whole] = ANSWER.map(|answer| usize::try_from(answer.as_micros() / pace.as_micros()));
    let tokens = plan.pick(quick, whole).map_err(Error::other)?;
    let provider = Provider::start(Script::new(tokens, pace)).await?;
    let fleet = servers(SHARDS, &provider.base_url(), "").await?;
    let stack = Stack::start(&fleet).await?;
    fleet.pool.execute("create database peer").await?;
    let database = database(&fleet, "peer");
    let peer = SocketIoServer::start(&database, &provider.base_url(), fleet.folder()).await;
    for followers in FOLLOWERS {
        let sockets = followers * CONVERSATIONS;
        say(&format!("  fan-out to {sockets} sockets, a token every {} ms", pace.as_millis()));
        let (mut ours, mut theirs) = (Side::default(), Side::default());
        // A crowd's first answer does not count: on both sides caches are cold, on theirs the code is not compiled yet.
        let (mut here, _) = Crowd::ours(stack.api.address, CONVERSATIONS, followers).await?.hear_out(pace).await?;
        let mut there = match &peer {
            Ok(peer) => Some(Crowd::theirs(peer.address, CONVERSATIONS, followers).await?.hear_out(pace).await?.0),
            Err(_) => None,
        };
        for _ in 0..plan.pick(2, 5) {
            let (all, edge) = (|| stack.cpu(&fleet), || cpu(stack.api.process.pid()));
            here = ours.run(here, pace, all, edge).await?;
            if let (Some(crowd), Ok(peer)) = (there.take(), &peer) {
                let all = || cpu_of(&[peer.process.pid(), fleet.postgres.pid()]);
                there = Some(theirs.run(crowd, pace, all, || cpu(peer.process.pid())).await?);
            }
        }
        found.rows.extend(rows(&fleet, sockets, pace, &ours, &theirs));
    }
    if let Err(error) = &peer {
        found.rows.push(Row::skipped("Express + Socket.IO", error));
    }
    Ok(())
}

fn rows(fleet: &Fleet, sockets: usize, pace: Duration, ours: &Side, theirs: &Side) -> [Row; 3] {
    let rate = 1.0 / pace.as_secs_f64();
    let note = format!(
        "{CONVERSATIONS} conversations, a token every {} ms, {} shards: {:.0} tokens/s are there to be delivered; \
         tokens in a frame: ours {:.2}, theirs {:.2}; later than its socket's first, a token came by {:.0} ms here and {:.0} ms \
         there, on average; the load generator shares the processors",
        pace.as_millis(),
        fleet.options().shards,
        number(sockets as u64) * rate,
        median(ours.gathered.clone()),
        median(theirs.gathered.clone()),
        median(ours.waited.clone()),
        median(theirs.waited.clone()),
    );
    let per_second = |cpu: &[f64]| 1e6 / median(cpu.to_vec());
    let what = format!("to {sockets} sockets at {rate:.0} tokens/s");
    let delivered = Row::new(format!("Fan-out {what}, delivered"), median(ours.rate.clone()), "tokens/s")
        .over(median(theirs.rate.clone()), "Express + Socket.IO")
        .note(note);
    // Elsewhere both deliver all that there is.
    let overloads = sockets == CONVERSATIONS * FOLLOWERS[1] && pace == PACES[1];
    [
        if overloads { delivered.target(Target::AtLeast(3.0)) } else { delivered },
        Row::new(format!("Fan-out {what}, by processor time"), per_second(&ours.cpu), "tokens/CPU-s")
            .over(per_second(&theirs.cpu), "Express + Socket.IO")
            .target(Target::AtLeast(3.0))
            .note("ours counts edge, worker, projector, Postgres and NATS; theirs the Node process and Postgres"),
        Row::new(format!("CPU per delivered token {what}, edge alone"), median(ours.edge_cpu.clone()), "µs")
            .over(median(theirs.edge_cpu.clone()), "Node process"),
    ]
}

impl Side {
    async fn run(
        &mut self,
        crowd: Crowd,
        pace: Duration,
        all: impl Fn() -> Result<Duration, Error>,
        edge: impl Fn() -> Result<Duration, Error>,
    ) -> Result<Crowd, Error> {
        let before = (all()?, edge()?);
        let (crowd, Delivered { tokens, frames, waited, took }) = crowd.hear_out(pace).await?;
        let used = (all()?.saturating_sub(before.0), edge()?.saturating_sub(before.1));
        let each = |used: Duration| used.as_secs_f64() * 1e6 / number(tokens);
        self.rate.push(number(tokens) / took.as_secs_f64());
        self.cpu.push(each(used.0));
        self.edge_cpu.push(each(used.1));
        self.gathered.push(number(tokens) / number(frames.max(1)));
        self.waited.push(waited.as_secs_f64() * 1e3 / number(tokens));
        Ok(crowd)
    }
}
