//! From a provider's first byte to the delta on the bus, as an edge hears it; beside passing the same bytes on without looking at
//! them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use nats::live::Delta;
use nats::{Inbox, Subscriber};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::stack::{SHARDS, Stack, servers};
use super::{Found, Plan};
use crate::Error;
use crate::load::Chat;
use crate::load::chat::message;
use crate::load::socket::PATIENCE;
use crate::measure::{Latencies, median};
use crate::provider::{Provider, Script, TOKEN};
use crate::report::{Row, Target};

/// How long the provider takes until it begins: until nothing else is to be done for the reply any more.
const WAIT: Duration = Duration::from_millis(100);
/// One token, and another that is told with it or later.
const SCRIPT: Script = Script { tokens: 2, pace: Duration::from_millis(5), wait: WAIT };
/// How many replies pass before they count.
const WARM_UP: usize = 5;
/// How many questions a conversation gets before the next begins.
const QUESTIONS: usize = 10;

pub(super) async fn measure(plan: Plan) -> Result<Found, Error> {
    let provider = Provider::start(SCRIPT).await?;
    let fleet = servers(SHARDS, &provider.base_url(), "").await?;
    let stack = Stack::start(&fleet).await?;
    let (core, edge) = (fleet.nats.core_url(), fleet.nats.edge_url());
    let mut whole = Whole::open(stack.api.address, &edge).await?;
    let mut bare = Bare::open(&core, &edge, provider.first_bytes()).await?;
    let (replies, [mut ours, mut ours_p99, mut theirs]) = (plan.pick(60, 300), [const { Vec::new() }; 3]);
    for _ in 0..plan.rounds() {
        let told = whole.run(&provider, replies).await?;
        ours.push(told.p50_ms() * 1e3);
        ours_p99.push(told.p99_ms() * 1e3);
        theirs.push(bare.run(replies).await?.p50_ms() * 1e3);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let note = format!(
        "the whole worker, as a process of its own: HTTP, framing, reading, live text, NATS, and an edge's subscription; head and \
         first token in one write, on a connection that stands; p50 {ours:.0} µs, p99 {:.0} µs. Beside: the same bytes read from a \
         socket, and a delta published, by one task",
        median(ours_p99)
    );
    let added =
        Row::new("First upstream byte → delta, added p50", ours - theirs, "µs").target(Target::AtMost(50.0)).note(note);
    let row = Row::new("First upstream byte → delta, p50", ours, "µs").over(theirs, "read, published, heard");
    Ok(Found { rows: vec![added, row], plots: Vec::new() })
}

/// Someone who asks, and someone who hears the deltas.
struct Whole {
    chat: Chat,
    deltas: Subscriber,
}

impl Whole {
    async fn open(api: SocketAddr, edge: &str) -> Result<Self, Error> {
        Ok(Self { chat: Chat::login(api, "asker", 0).await?, deltas: listen(edge, "live.>").await? })
    }

    async fn run(&mut self, provider: &Provider, replies: usize) -> Result<Latencies, Error> {
        let mut latencies = Latencies::new()?;
        let mut conversation = Uuid::nil();
        for nth in 0..WARM_UP + replies {
            if nth.is_multiple_of(QUESTIONS) {
                conversation = self.chat.start().await?;
                self.chat.follow(conversation).await?;
            }
            let took = self.ask(provider, conversation).await?;
            if nth >= WARM_UP {
                latencies.record(took);
            }
        }
        Ok(latencies)
    }

    async fn ask(&mut self, provider: &Provider, conversation: Uuid) -> Result<Duration, Error> {
        // The last reply's later text.
        while let Some(Some(_)) = self.deltas.next().now_or_never() {}
        self.chat.ask(conversation, &message("Hello.", true)).await?;
        let (heard, body) = hear(&mut self.deltas).await?;
        let began = provider.take_began().ok_or_else(|| Error("a delta came before its token".to_owned()))?;
        let delta: Delta = serde_json::from_slice(&body).map_err(Error::other)?;
        if (delta.offset, delta.text.as_str()) != (0, TOKEN) {
            return Err(Error(format!("the first delta is {delta:?}")));
        }
        self.chat.wait_for_event(conversation, "ReplyCompleted").await?;
        Ok(heard.saturating_duration_since(began))
    }
}

/// A task that reads from a socket and publishes.
struct Bare {
    provider: TcpStream,
    first: Vec<u8>,
    deltas: Subscriber,
}

impl Bare {
    async fn open(core: &str, edge: &str, first: &[u8]) -> Result<Self, Error> {
        let subject = "live.0.bench.bare";
        let deltas = listen(edge, subject).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut reading = TcpStream::connect(listener.local_addr()?).await?;
        let (provider, _) = listener.accept().await?;
        provider.set_nodelay(true)?;
        let client = nats::connect(core, "bench", Inbox::Core).await.map_err(Error::other)?;
        let delta = Delta { attempt: 1, offset: 0, text: TOKEN.to_owned(), thinking: false };
        let body = Bytes::from(serde_json::to_vec(&delta).map_err(Error::other)?);
        let length = first.len();
        tokio::spawn(async move {
            let mut bytes = vec![0; length];
            // Ends when the other side is dropped.
            while reading.read_exact(&mut bytes).await.is_ok() {
                if client.publish(subject, body.clone()).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { provider, first: first.to_vec(), deltas })
    }

    async fn run(&mut self, replies: usize) -> Result<Latencies, Error> {
        let mut latencies = Latencies::new()?;
        for nth in 0..WARM_UP + replies {
            // As long as a provider takes: a machine that has just been busy is quicker.
            sleep(WAIT).await;
            let began = Instant::now();
            self.provider.write_all(&self.first).await?;
            let (heard, _) = hear(&mut self.deltas).await?;
            if nth >= WARM_UP {
                latencies.record(heard.saturating_duration_since(began));
            }
        }
        Ok(latencies)
    }
}

/// A subscription as an edge has it, which the server knows of.
async fn listen(edge: &str, subject: &'static str) -> Result<Subscriber, Error> {
    let client = nats::connect(edge, "bench", Inbox::Edge).await.map_err(Error::other)?;
    let deltas = client.subscribe(subject).await.map_err(Error::other)?;
    client.flush().await.map_err(Error::other)?;
    Ok(deltas)
}

/// The next message, and when it came.
async fn hear(deltas: &mut Subscriber) -> Result<(Instant, Bytes), Error> {
    let message = timeout(PATIENCE, deltas.next()).await.map_err(|_| Error("no delta comes".to_owned()))?;
    let heard = Instant::now();
    message.map(|message| (heard, message.payload)).ok_or_else(|| Error("the bus has ended".to_owned()))
}
