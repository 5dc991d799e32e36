//! Sockets: what an idle one costs, and a thousand people chatting.

mod person;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::stack::{NO_PROVIDER, SHARDS, Stack, servers};
use super::{Found, Plan, say};
use crate::Error;
use crate::load::Chat;
use crate::measure::{Latencies, number, open_many_files, resident};
use crate::provider::{Provider, Script};
use crate::report::{Row, Target};
use person::{Person, Seen};

/// How many idle sockets there are at most.
const IDLE: u64 = 10_000;
/// Files that a process needs besides its sockets.
const OTHER_FILES: u64 = 500;
/// How many sockets are opened at once.
const OPENING: usize = 64;
/// How long the edge is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);
/// How many of the idle sockets must still answer.
const ASKED: usize = 200;

/// How many people chat.
const PEOPLE: usize = 1_000;
/// How often each says something.
const EVERY: Duration = Duration::from_secs(10);
/// What the model answers: a second and a half of text.
const SCRIPT: Script = Script { tokens: 75, pace: Duration::from_millis(20), wait: Duration::ZERO };

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    say("  idle sockets");
    found.rows.extend(idle().await?);
    say("  people chatting");
    found.rows.extend(chatting(Duration::from_secs(plan.pick(25, 60))).await?);
    Ok(())
}

async fn idle() -> Result<[Row; 2], Error> {
    let fleet = servers(SHARDS, NO_PROVIDER, "").await?;
    let stack = Stack::start(&fleet).await?;
    let edge = stack.api.process.pid();
    // Before any socket: what the first one brings about once is shared out among all.
    sleep(SETTLE).await;
    let before = resident(edge)?;
    let sockets = IDLE.min(open_many_files().saturating_sub(OTHER_FILES));
    let mut open = open(&stack, 0, usize::try_from(sockets).map_err(Error::other)?).await?;
    sleep(SETTLE).await;
    let used = resident(edge)?.saturating_sub(before);
    let every = (open.len() / ASKED).max(1);
    for chat in open.iter_mut().step_by(every) {
        chat.start().await?;
    }
    let each = number(used) / number(sockets);
    let note = format!(
        "{sockets} sockets of as many people, logged in, following no conversation; what the edge's resident set grew \
         by since it had none; KiB are 1,024 bytes: in kB of 1,000 it is {:.1}",
        each / 1e3
    );
    let row = Row::new("Memory per idle socket", each / 1024.0, "KiB");
    let count = Row::new("Idle sockets on one edge", number(sockets), "sockets");
    Ok([row.target(Target::AtMost(12.0)).note(note), count.target(Target::AtLeast(10_000.0))])
}

async fn open(stack: &Stack, from: usize, count: usize) -> Result<Vec<Chat>, Error> {
    let address = stack.api.address;
    let login = async |nth: usize| Chat::login(address, &format!("person{nth}"), nth).await;
    futures::stream::iter(from..from + count).map(login).buffer_unordered(OPENING).try_collect().await
}

async fn chatting(time: Duration) -> Result<Vec<Row>, Error> {
    let provider = Provider::start(SCRIPT).await?;
    let fleet = servers(SHARDS, &provider.base_url(), "reply_concurrency = 1000").await?;
    let stack = Stack::start(&fleet).await?;
    let address = stack.api.address;
    let enter = async |nth: usize| Person::enter(address, nth).await;
    let entering = futures::stream::iter(0..PEOPLE).map(enter).buffer_unordered(OPENING);
    let people: Vec<Person> = entering.try_collect().await?;
    let cpu = stack.cpu(&fleet)?;
    let begun = Instant::now();
    let mut chatting = JoinSet::new();
    for (nth, person) in (0..).zip(people) {
        // Not all at once, but evenly over the time.
        let first = begun + EVERY * nth / u32::try_from(PEOPLE).map_err(Error::other)?;
        chatting.spawn(person.chat(first, EVERY, begun + time));
    }
    let mut all = Seen::new()?;
    while let Some(seen) = chatting.join_next().await {
        all.add(&seen.map_err(Error::other)??)?;
    }
    let cores = (stack.cpu(&fleet)?.saturating_sub(cpu)).as_secs_f64() / begun.elapsed().as_secs_f64();
    Ok(rows(&all, time, cores))
}

fn rows(all: &Seen, time: Duration, cores: f64) -> Vec<Row> {
    let Seen { said, answered, acks, firsts, .. } = all;
    let note = format!(
        "{PEOPLE} people for {} s, each a message every {} s and an answer of {} tokens in {:.1} s; {said} messages, \
         {answered} answers; latencies count from when a message was due; our processes and servers used {cores:.2} cores",
        time.as_secs(),
        EVERY.as_secs(),
        SCRIPT.tokens,
        SCRIPT.pace.as_secs_f64() * number(SCRIPT.tokens as u64),
    );
    let both = |name: &str, latencies: &Latencies| {
        [
            Row::new(format!("{PEOPLE} people chatting: {name} p50"), latencies.p50_ms(), "ms"),
            Row::new(format!("{PEOPLE} people chatting: {name} p99"), latencies.p99_ms(), "ms"),
        ]
    };
    let [ack50, ack99] = both("ack", acks);
    let [first50, first99] = both("first token", firsts);
    let zero = Target::AtMost(0.0);
    vec![
        ack50.note(note),
        ack99.target(Target::AtMost(200.0)),
        first50,
        first99,
        Row::new(format!("{PEOPLE} people chatting: lost"), number(all.lost), "").target(zero),
        Row::new(format!("{PEOPLE} people chatting: doubled"), number(all.doubled), "").target(zero),
    ]
}
