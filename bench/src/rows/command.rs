//! From a client's WebSocket frame to its ack, one client, beside the two things that no such way can do without: a
//! durable insert and a request over NATS.

use std::time::{Duration, Instant};

use futures::StreamExt;
use nats::Inbox;
use serde_json::json;
use uuid::Uuid;

use super::stack::{NO_PROVIDER, SHARDS, Stack, servers};
use super::{Found, Plan};
use crate::Error;
use crate::load::chat::message;
use crate::load::{Chat, Client, closed_loop};
use crate::measure::{Latencies, median};
use crate::peer::pgbench::Pgbench;
use crate::report::{Row, Target};

/// How many commands a conversation gets before the next begins.
const CONVERSATION: usize = 20;
/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_millis(500);
/// The subject on which the bare request goes.
const ECHO: &str = "internal.bench.echo";

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    let fleet = servers(SHARDS, NO_PROVIDER, "").await?;
    let stack = Stack::start(&fleet).await?;
    let mut pgbench = Pgbench::find(&fleet.postgres, &fleet.pool).await?;
    let mut clients = vec![Talker::login(stack.api.address, 0).await?];
    let echo = Echo::start(&fleet.nats.core_url()).await?;
    let [mut ours, mut ours_p99, mut insert, mut request] = [const { Vec::new() }; 4];
    for _ in 0..plan.rounds() {
        let (back, done) = closed_loop(clients, WARM_UP, plan.run()).await?;
        clients = back;
        ours.push(done.latencies.p50_ms());
        ours_p99.push(done.latencies.p99_ms());
        insert.push(pgbench.run(1, plan.run()).await?.latencies.p50_ms());
        request.push(echo.run(plan.run()).await?.p50_ms());
    }
    let (insert, request) = (median(insert), median(request));
    let note = format!(
        "edge, worker and projector are processes of their own; pgbench p50 {insert:.3} ms + NATS request/reply p50 {request:.3} ms"
    );
    let p50 = Row::new("Command p50, one client, frame → ack", median(ours), "ms")
        .over(insert + request, "pgbench c=1 + NATS request/reply")
        .target(Target::AtMost(2.0))
        .note(note);
    let p99 = Row::new("Command p99, one client, frame → ack", median(ours_p99), "ms");
    found.rows.extend([p50, p99]);
    Ok(())
}

/// A client that says one thing after the other, in one conversation after the other.
pub(super) struct Talker {
    chat: Chat,
    conversation: Uuid,
    said: usize,
}

impl Talker {
    pub(super) async fn login(address: std::net::SocketAddr, nth: usize) -> Result<Self, Error> {
        let chat = Chat::login(address, &format!("talker{nth}"), nth).await?;
        Ok(Self { chat, conversation: Uuid::nil(), said: 0 })
    }
}

impl Client for Talker {
    async fn step(&mut self) -> Result<Duration, Error> {
        let command = if self.said.is_multiple_of(CONVERSATION) {
            self.conversation = Uuid::new_v4();
            json!({ "type": "StartConversation" })
        } else {
            message("How do the tides follow the moon, and why are there two of them a day?", false)
        };
        self.said += 1;
        let begun = Instant::now();
        self.chat.command(self.conversation, &command).await?;
        Ok(begun.elapsed())
    }
}

/// A request and its reply over NATS, with nothing behind it.
struct Echo {
    asker: nats::Client,
}

impl Echo {
    async fn start(url: &str) -> Result<Self, Error> {
        let answerer = nats::connect(url, "bench answers", Inbox::Core).await.map_err(Error::other)?;
        let asker = nats::connect(url, "bench asks", Inbox::Core).await.map_err(Error::other)?;
        let mut requests = answerer.subscribe(ECHO).await.map_err(Error::other)?;
        answerer.flush().await.map_err(Error::other)?;
        tokio::spawn(async move {
            while let Some(message) = requests.next().await {
                if let Some(reply) = message.reply {
                    let _ = answerer.publish(reply, message.payload).await;
                }
            }
        });
        Ok(Self { asker })
    }

    async fn run(&self, time: Duration) -> Result<Latencies, Error> {
        let mut latencies = Latencies::new()?;
        let (from, body) = (Instant::now() + WARM_UP, bytes::Bytes::from(vec![b'x'; 300]));
        while Instant::now() < from + time {
            let begun = Instant::now();
            self.asker.request(ECHO, body.clone()).await.map_err(Error::other)?;
            if begun >= from {
                latencies.record(begun.elapsed());
            }
        }
        Ok(latencies)
    }
}
