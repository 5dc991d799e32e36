//! What grows with a conversation's length, and with the number of conversations.

mod steps;

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::stack::{SHARDS, Stack, http, servers};
use super::{Found, Plan, say};
use crate::load::seed::{Story, seed};
use crate::measure::{Latencies, number};
use crate::provider::{Provider, Script};
use crate::report::{Line, Plot, Row, Target};
use crate::{Error, login};
use steps::{Found as Steps, walk};

/// How many events a conversation has, and how many such conversations there are: a short one must not have become a long
/// one by the time that all its commands are measured.
const LENGTHS: [(usize, usize); 4] = [(10, 160), (100, 40), (1_000, 8), (10_000, 2)];
/// How long each message is, in bytes.
const BYTES: usize = 200;
/// How many events a conversation of 200,000 tokens has, at four bytes a token, and how long each message is, in
/// bytes: 400 pages, and 2,000 messages as people chat.
const LONG: [(usize, usize); 2] = [(801, 2_000), (4_001, 400)];
/// A person with many conversations, and one with few.
const MANY: usize = 10_000;
const FEW: usize = 10;
/// How often a list is asked for.
const LISTS: usize = 200;

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    let provider = Provider::start(Script::new(4, Duration::ZERO)).await?;
    let fleet = servers(SHARDS, &provider.base_url(), "").await?;
    let story = |owner: &str, events, bytes| Story { id: Uuid::new_v4(), owner: owner.to_owned(), events, bytes };
    let classes: Vec<Vec<Story>> =
        LENGTHS.iter().map(|(events, count)| (0..*count).map(|_| story("ann", *events, BYTES)).collect()).collect();
    let long = LONG.map(|(events, bytes)| story("ann", events, bytes));
    let many = (0..MANY).map(|_| story("many", 1, BYTES));
    let few = (0..FEW).map(|_| story("few", 1, BYTES));
    let all: Vec<Story> = classes.iter().flatten().chain(&long).cloned().chain(many).chain(few).collect();
    seed(&fleet.pool, SHARDS, &all).await?;
    say("  waiting for the views");
    let stack = Stack::start(&fleet).await?;
    say("  walking through the lengths");
    let ids = |stories: &[Story]| stories.iter().map(|story| story.id).collect::<Vec<Uuid>>();
    let mut all: Vec<Vec<Uuid>> = classes.iter().map(|stories| ids(stories)).collect();
    all.extend(long.iter().map(|story| vec![story.id]));
    let mut steps = walk(stack.api.address, &provider, &all, plan).await?;
    let long = steps.split_off(LENGTHS.len());
    lengths(found, &steps);
    found.rows.extend(LONG.iter().zip(&long).flat_map(|((_, bytes), steps)| of_long(*bytes, steps)));
    found.rows.push(lists(stack.api.address).await?);
    Ok(())
}

fn lengths(found: &mut Found, steps: &[Steps]) {
    let mut lines = [const { Vec::new() }; 3];
    for ((events, count), steps) in LENGTHS.iter().zip(steps) {
        let note = format!(
            "{} commands in {count} such conversations, in turn with the other lengths; first command there, nothing \
             in memory: {:.2} ms; open p50 {:.2} ms; log → request body p50 {:.2} ms",
            steps.command.count(),
            steps.cold.p50_ms(),
            steps.open.p50_ms(),
            steps.prompt.p50_ms()
        );
        found.rows.push(Row::new(format!("Command p50 at {events} events"), steps.command.p50_ms(), "ms").note(note));
        let points = [steps.command.p50_ms(), steps.open.p50_ms(), steps.prompt.p50_ms()];
        for (line, point) in lines.iter_mut().zip(points) {
            line.push((number(*events as u64), point));
        }
    }
    if let [shortest, .., longest] = steps {
        let (short, long) = (shortest.command.p50_ms(), longest.command.p50_ms());
        let row = Row::new("Command p50 at 10,000 events ÷ at 10", long, "ms").over(short, "at 10 events");
        found.rows.push(row.target(Target::AtMost(1.2)));
    }
    let [command, open, prompt] = lines;
    let line = |name: &str, points| Line { name: name.to_owned(), points };
    let lines =
        vec![line("command, frame → ack", command), line("opening it", open), line("log → request body", prompt)];
    let (across, up) = ("events in the conversation", "ms, median");
    found.plots.push(Plot { file: "growth", title: "What grows with a conversation", across, up, lines });
}

fn of_long(bytes: usize, long: &Steps) -> [Row; 2] {
    let note = format!(
        "{} of them; from the time at which Postgres recorded the claim (its transaction's begin) until the provider \
         has read the whole body: the flush, the way back and the transfer are in it",
        long.prompt.count()
    );
    let name = format!("200,000 tokens in messages of {bytes} bytes");
    [
        Row::new(format!("Prompt of {name}, log → request body, p50"), long.prompt.p50_ms(), "ms")
            .target(Target::AtMost(20.0))
            .note(note),
        Row::new(format!("Opening {name}, p50"), long.open.p50_ms(), "ms").target(Target::AtMost(100.0)),
    ]
}

async fn lists(address: std::net::SocketAddr) -> Result<Row, Error> {
    let client = http()?;
    let (many, few) = (login::token("many")?, login::token("few")?);
    let (mut of_many, mut of_few) = (Latencies::new()?, Latencies::new()?);
    let url = format!("http://{address}/api/conversations?limit=50");
    for nth in 0..LISTS + 10 {
        for (token, latencies) in [(&many, &mut of_many), (&few, &mut of_few)] {
            let begun = Instant::now();
            let answer = client.get(&url).bearer_auth(token).send().await.map_err(Error::other)?;
            let bytes = answer.error_for_status().map_err(Error::other)?.bytes().await.map_err(Error::other)?;
            if nth >= 10 && !bytes.is_empty() {
                latencies.record(begun.elapsed());
            }
        }
    }
    let note = format!(
        "50 of {MANY} conversations beside all {FEW}: a page five times as long; p99 {:.2} ms",
        of_many.p99_ms()
    );
    Ok(Row::new("List of 10,000 conversations, first page, p50", of_many.p50_ms(), "ms")
        .over(of_few.p50_ms(), "list of 10")
        .note(note))
}
