//! A question and its answer: straight to a model that takes no time, through BestChat, and through the `LiteLLM` proxy.

mod asking;

use std::time::Duration;

use super::stack::{COUNTED, SHARDS, Stack, servers};
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

/// What one way gave.
#[derive(Default)]
struct Way {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// For each round, what each process used for a reply.
    cpu_ms: Vec<Vec<f64>>,
}

/// How long one way is watched.
#[derive(Clone, Copy)]
struct Watch {
    warm_up: Duration,
    time: Duration,
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
        let ways = stage.run(askers, plan).await?;
        for (line, way) in lines.iter_mut().zip(&ways) {
            line.push((number(askers as u64), way.rate()));
        }
        if askers == 1 {
            first_token(found, &ways);
        }
        throughput(found, askers, &ways, plan);
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
            direct = straight.run(direct, Watch::usual(plan), async || Ok(Vec::new())).await?;
            through = ours.run(through, Watch::usual(plan), async || self.spent().await).await?;
            if let Ok(proxy) = &self.proxy {
                let used = async || cpu(proxy.process.pid()).map(|used| vec![used]);
                proxied = theirs.run(proxied, Watch::of_proxy(askers, plan), used).await?;
            }
        }
        Ok([straight, ours, theirs])
    }

    /// What everything of ours has spent, once nothing is left to do of what was asked.
    async fn spent(&self) -> Result<Vec<Duration>, Error> {
        self.stack.ready().await?;
        self.stack.cpu_of_each(&self.fleet)
    }
}

impl Watch {
    fn usual(plan: Plan) -> Self {
        Self { warm_up: WARM_UP, time: plan.run() }
    }

    /// Where many ask at once, an answer of the proxy's takes seconds, and at first all come together: the warm-up
    /// lasts until each asker has had one, the time until each has had several.
    fn of_proxy(askers: usize, plan: Plan) -> Self {
        let (warm_up, time) = match askers {
            1 => return Self::usual(plan),
            2..=50 => (2, plan.pick(8, 24)),
            _ => (8, plan.pick(16, 32)),
        };
        Self { warm_up: Duration::from_secs(warm_up), time: Duration::from_secs(time) }
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

fn first_token(found: &mut Found, [straight, ours, theirs]: &[Way; 3]) {
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

fn throughput(found: &mut Found, askers: usize, [straight, ours, theirs]: &[Way; 3], plan: Plan) {
    let (usual, of_proxy) = (Watch::usual(plan), Watch::of_proxy(askers, plan));
    let note = format!(
        "{} rounds of {} s after {} s; LiteLLM's of {} s after {} s, in which each asker had {:.1} answers; straight \
         {:.0} replies/s",
        ours.rate.len(),
        usual.time.as_secs(),
        usual.warm_up.as_secs(),
        of_proxy.time.as_secs(),
        of_proxy.warm_up.as_secs(),
        theirs.rate() * of_proxy.time.as_secs_f64() / number(askers as u64),
        straight.rate()
    );
    let row = Row::new(format!("Replies, {askers} askers"), ours.rate(), "replies/s").over(theirs.rate(), "LiteLLM");
    found.rows.push(row.note(note));
    // One asker's has rows of its own, with what a reply takes straight from the provider taken off.
    if askers > 1 {
        let row = Row::new(format!("First token p50, {askers} askers"), ours.p50(), "ms").over(theirs.p50(), "LiteLLM");
        found.rows.push(row.note(format!(
            "straight {:.1} ms; p99: straight {:.1} ms, ours {:.1} ms, LiteLLM {:.1} ms",
            straight.p50(),
            straight.p99(),
            ours.p99(),
            theirs.p99()
        )));
    }
    found.rows.push(cpu_per_reply(askers, ours, theirs));
}

fn cpu_per_reply(askers: usize, ours: &Way, theirs: &Way) -> Row {
    let parts = COUNTED.iter().enumerate().map(|(nth, who)| format!("{who} {:.2}", ours.cpu_ms_of(nth)));
    let note = format!(
        "ours is of {} ms; the proxy's is the proxy alone, which stores nothing",
        parts.collect::<Vec<_>>().join(", ")
    );
    let row = Row::new(format!("CPU per reply, {askers} askers"), ours.cpu_ms(), "ms");
    row.over(theirs.cpu_ms(), "LiteLLM").note(note)
}

impl Way {
    async fn run<C: Client>(
        &mut self,
        clients: Vec<C>,
        watch: Watch,
        cpu: impl AsyncFn() -> Result<Vec<Duration>, Error>,
    ) -> Result<Vec<C>, Error> {
        let before = cpu().await?;
        let (clients, done) = closed_loop(clients, watch.warm_up, watch.time).await?;
        self.add(&done, &before, &cpu().await?);
        Ok(clients)
    }

    fn add(&mut self, done: &Done, before: &[Duration], after: &[Duration]) {
        self.rate.push(done.rate);
        self.p50.push(done.latencies.p50_ms());
        self.p99.push(done.latencies.p99_ms());
        // Replies that do not count cost as much as those that do.
        let used = before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before));
        self.cpu_ms.push(used.map(|used| used.as_secs_f64() * 1e3 / number(done.all)).collect());
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

    /// What all processes used for a reply.
    fn cpu_ms(&self) -> f64 {
        median(self.cpu_ms.iter().map(|each| each.iter().sum()).collect())
    }

    /// What one of them used.
    fn cpu_ms_of(&self, nth: usize) -> f64 {
        median(self.cpu_ms.iter().filter_map(|each| each.get(nth).copied()).collect())
    }
}
