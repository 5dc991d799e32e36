//! A question and its answer: straight to a model that takes no time, through BestChat, and through the `LiteLLM` proxy.

mod asking;

use std::time::Duration;

use super::stack::{SHARDS, Stack, servers};
use super::{Found, Plan, say};
use crate::Error;
use crate::fleet::Fleet;
use crate::load::{Client, Done, closed_loop};
use crate::measure::{cpu, median, number};
use crate::peer::litellm::{self, LiteLlm};
use crate::provider::{Provider, Script};
use crate::report::{Line, Plot, Row, Target};
use asking::{Asking, Straight};

/// How many tokens an answer has.
const TOKENS: usize = 64;
/// How many ask at once.
const ASKERS: [usize; 3] = [1, 50, 200];
/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// How much longer the proxy is watched where many ask: its answers take seconds then.
const PROXY_FACTOR: u32 = 4;

/// What one way gave.
#[derive(Default)]
struct Way {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    cpu_ms: Vec<f64>,
}

/// Everything that answers.
struct Stage {
    provider: Provider,
    fleet: Fleet,
    stack: Stack,
    proxy: Result<LiteLlm, Error>,
}

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    let provider = Provider::start(Script::new(TOKENS, Duration::ZERO)).await?;
    let fleet = servers(SHARDS, &provider.base_url(), "reply_concurrency = 256").await?;
    let stack = Stack::start(&fleet).await?;
    let proxy = LiteLlm::start(&provider.base_url(), fleet.folder()).await;
    let stage = Stage { provider, fleet, stack, proxy };
    let mut lines = [const { Vec::new() }; 3];
    for askers in ASKERS {
        say(&format!("  first token with {askers} askers"));
        let [straight, ours, theirs] = stage.run(askers, plan).await?;
        for (line, way) in lines.iter_mut().zip([&straight, &ours, &theirs]) {
            line.push((number(askers as u64), way.rate()));
        }
        if askers == 1 {
            first_token(found, &straight, &ours, &theirs);
        }
        throughput(found, askers, &straight, &ours, &theirs);
    }
    if let Err(error) = &stage.proxy {
        found.rows.push(Row::skipped("LiteLLM", error));
    }
    found.plots.push(plot(lines));
    stack_stays(&stage.fleet, stage.stack).await?;
    Ok(())
}

impl Stage {
    /// Straight, through us and through the proxy, in turn.
    async fn run(&self, askers: usize, plan: Plan) -> Result<[Way; 3], Error> {
        let [mut straight, mut ours, mut theirs] = [(); 3].map(|()| Way::default());
        let mut direct = open_straight(self.provider.address(), "none", askers).await?;
        let mut through = Vec::new();
        for nth in 0..askers {
            through.push(Asking::login(self.stack.api.address, nth).await?);
        }
        let mut proxied = match &self.proxy {
            Ok(proxy) => open_straight(proxy.address, litellm::KEY, askers).await?,
            Err(_) => Vec::new(),
        };
        for _ in 0..if askers == 1 { plan.rounds() } else { plan.pick(1, 3) } {
            direct = straight.run(direct, plan.run(), || Ok(Duration::ZERO)).await?;
            through = ours.run(through, plan.run(), || self.stack.cpu(&self.fleet)).await?;
            if let Ok(proxy) = &self.proxy {
                let time = if askers == 1 { plan.run() } else { plan.run() * PROXY_FACTOR };
                proxied = theirs.run(proxied, time, || cpu(proxy.process.pid())).await?;
            }
        }
        Ok([straight, ours, theirs])
    }
}

fn plot([straight, ours, theirs]: [Vec<(f64, f64)>; 3]) -> Plot {
    let line = |name: &str, points| Line { name: name.to_owned(), points };
    Plot {
        file: "replies",
        title: "Replies a second, through a model that takes no time",
        across: "people asking at once",
        up: "replies/s",
        lines: vec![line("straight to the provider", straight), line("BestChat", ours), line("LiteLLM", theirs)],
    }
}

/// The processes must have lived through it.
async fn stack_stays(fleet: &Fleet, mut stack: Stack) -> Result<(), Error> {
    for process in [&mut stack.api.process, &mut stack.worker, &mut stack.projector] {
        if process.exit()?.is_some() {
            return Err(Error(format!("{} ended: {}", process.name(), process.log())));
        }
    }
    let parked: i64 = sqlx::query_scalar("select count(*) from dead_letters").fetch_one(&fleet.pool).await?;
    if parked == 0 { Ok(()) } else { Err(Error(format!("{parked} events could not be taken in"))) }
}

async fn open_straight(address: std::net::SocketAddr, key: &str, count: usize) -> Result<Vec<Straight>, Error> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(Straight::open(address, key).await?);
    }
    Ok(clients)
}

fn first_token(found: &mut Found, straight: &Way, ours: &Way, theirs: &Way) {
    let note = format!(
        "from the question's frame to the first text on the asker's socket; the answer of {TOKENS} tokens is written at once; straight p50 {:.3} ms, p99 {:.3} ms; ours holds two durable \
         commits (the question, the claim of the attempt) that the others do not make",
        straight.p50(),
        straight.p99()
    );
    let added = ours.p50() - straight.p50();
    found.rows.push(Row::new("First token, added p50, one asker", added, "ms").target(Target::AtMost(1.0)).note(note));
    let p99 = ours.p99() - straight.p99();
    found.rows.push(Row::new("First token, added p99, one asker", p99, "ms").target(Target::AtMost(3.0)));
    found.rows.push(
        Row::new("First token, added p50, beside LiteLLM", added, "ms")
            .over(theirs.p50() - straight.p50(), "LiteLLM, added")
            .target(Target::AtMost(0.1)),
    );
}

fn throughput(found: &mut Found, askers: usize, straight: &Way, ours: &Way, theirs: &Way) {
    let note = format!(
        "first token p50/p99: straight {:.1}/{:.1} ms, ours {:.1}/{:.1} ms, LiteLLM {:.1}/{:.1} ms; straight {:.0} replies/s",
        straight.p50(),
        straight.p99(),
        ours.p50(),
        ours.p99(),
        theirs.p50(),
        theirs.p99(),
        straight.rate()
    );
    found.rows.push(
        Row::new(format!("Replies, {askers} askers"), ours.rate(), "replies/s")
            .over(theirs.rate(), "LiteLLM")
            .note(note),
    );
    let cpu = Row::new(format!("CPU per reply, {askers} askers"), ours.cpu_ms(), "ms").over(theirs.cpu_ms(), "LiteLLM");
    let all =
        "ours counts edge, worker, projector, Postgres and NATS; the proxy's is the proxy alone, which stores nothing";
    found.rows.push(cpu.note(if askers == 1 { all } else { "" }));
}

impl Way {
    async fn run<C: Client>(
        &mut self,
        clients: Vec<C>,
        time: Duration,
        cpu: impl Fn() -> Result<Duration, Error>,
    ) -> Result<Vec<C>, Error> {
        let before = cpu()?;
        let (clients, done) = closed_loop(clients, WARM_UP, time).await?;
        let used = cpu()?.saturating_sub(before);
        self.add(&done, used, time);
        Ok(clients)
    }

    fn add(&mut self, done: &Done, used: Duration, time: Duration) {
        self.rate.push(done.rate);
        self.p50.push(done.latencies.p50_ms());
        self.p99.push(done.latencies.p99_ms());
        // The warm-up's replies cost as much and are not counted: they have their share of the time.
        let share = time.as_secs_f64() / (time + WARM_UP).as_secs_f64();
        self.cpu_ms.push(used.as_secs_f64() * 1e3 * share / number(done.steps));
    }

    fn rate(&self) -> f64 {
        median(self.rate.clone())
    }

    fn p50(&self) -> f64 {
        median(self.p50.clone())
    }

    fn p99(&self) -> f64 {
        median(self.p99.clone())
    }

    fn cpu_ms(&self) -> f64 {
        median(self.cpu_ms.clone())
    }
}
