//! From a commit to another client's socket, beside what `JetStream` takes to acknowledge one message; and the relay alone.

mod relay;

use std::time::{Duration, Instant, SystemTime};

use async_nats::jetstream::context::Context;
use async_nats::jetstream::stream::{Config, StorageType};
use nats::Inbox;
use uuid::Uuid;

use super::stack::{NO_PROVIDER, SHARDS, Stack, servers};
use super::{Found, Plan};
use crate::Error;
use crate::load::Chat;
use crate::load::chat::message;
use crate::load::seed::since;
use crate::measure::{Latencies, median};
use crate::report::{Row, Target};

/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// As long as an event on the bus.
const BODY_BYTES: usize = 700;

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    found.rows.push(relay::measure(plan).await?);
    let fleet = servers(SHARDS, NO_PROVIDER, "").await?;
    let stack = Stack::start(&fleet).await?;
    let mut pair = Pair::open(stack.api.address).await?;
    let client = nats::connect(&fleet.nats.core_url(), "bench", Inbox::Core).await.map_err(Error::other)?;
    let jetstream = nats::relay::jetstream(&client);
    stream(&jetstream, "BENCH", "evt.bench.ack").await?;
    let [mut commit, mut p99, mut after_ack, mut publish] = [const { Vec::new() }; 4];
    for _ in 0..plan.rounds() {
        let heard = pair.run(plan.run()).await?;
        commit.push(heard.since_commit.p50_ms());
        p99.push(heard.since_commit.p99_ms());
        after_ack.push(heard.since_ack);
        publish.push(publish_acks(&jetstream, plan.run()).await?.p50_ms());
    }
    let note = format!(
        "counted from the time that Postgres records, which is when the transaction began: the flush is in it; against the \
         ack on the asker's own socket the event is {:+.3} ms (median)",
        median(after_ack)
    );
    found.rows.push(
        Row::new("Commit → event on another client's socket, p50", median(commit), "ms")
            .over(median(publish), "JetStream publish-ack p50")
            .target(Target::AtMost(3.0))
            .note(note),
    );
    found.rows.push(Row::new("Commit → event on another client's socket, p99", median(p99), "ms"));
    Ok(())
}

/// A stream like those of events: in a file, kept by the limits.
async fn stream(jetstream: &Context, name: &str, subject: &str) -> Result<(), Error> {
    let config = Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        storage: StorageType::File,
        allow_direct: true,
        ..Config::default()
    };
    jetstream.create_stream(config).await.map_err(Error::other)?;
    Ok(())
}

async fn publish_acks(jetstream: &Context, time: Duration) -> Result<Latencies, Error> {
    let mut latencies = Latencies::new()?;
    let (from, body) = (Instant::now() + WARM_UP, bytes::Bytes::from(vec![b'x'; BODY_BYTES]));
    while Instant::now() < from + time {
        let begun = Instant::now();
        let ack = jetstream.publish("evt.bench.ack", body.clone()).await.map_err(Error::other)?;
        ack.await.map_err(Error::other)?;
        if begun >= from {
            latencies.record(begun.elapsed());
        }
    }
    Ok(latencies)
}

/// One who speaks, and another who listens.
struct Pair {
    asker: Chat,
    listener: Chat,
    conversation: Uuid,
}

struct Heard {
    since_commit: Latencies,
    /// The median of event minus ack, in milliseconds.
    since_ack: f64,
}

impl Pair {
    /// Two sockets of one person, one of which follows the other's conversation.
    async fn open(address: std::net::SocketAddr) -> Result<Self, Error> {
        let (mut asker, mut listener) = (Chat::login(address, "ann", 0).await?, Chat::login(address, "ann", 1).await?);
        let conversation = asker.start().await?;
        listener.follow(conversation).await?;
        Ok(Self { asker, listener, conversation })
    }

    async fn run(&mut self, time: Duration) -> Result<Heard, Error> {
        let mut since_commit = Latencies::new()?;
        let mut since_ack = Vec::new();
        let from = Instant::now() + WARM_UP;
        while Instant::now() < from + time {
            let measured = Instant::now() >= from;
            self.asker.ask(self.conversation, &message("What now?", false)).await?;
            let acked = async {
                self.asker.wait_for("ack").await?;
                Ok::<_, Error>(Instant::now())
            };
            let heard = async {
                loop {
                    let frame = self.listener.next().await?;
                    if let (Some(at), Some(_)) = (frame.at, frame.event.as_ref()) {
                        return Ok::<_, Error>((since(at, SystemTime::now())?, Instant::now()));
                    }
                }
            };
            let (acked, (took, heard)) = tokio::try_join!(acked, heard)?;
            if measured {
                since_commit.record(took);
                let signed = |duration: Duration| duration.as_secs_f64() * 1e3;
                since_ack.push(match heard.checked_duration_since(acked) {
                    Some(later) => signed(later),
                    None => -signed(acked - heard),
                });
            }
        }
        Ok(Heard { since_commit, since_ack: median(since_ack) })
    }
}
