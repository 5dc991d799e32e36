//! From a provider's first byte to the delta on the bus, as an edge hears it; beside passing the same bytes on without looking at
//! them. Alone, where every process has just slept, and among others that are answered meanwhile; and what of it is our own code's.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use nats::live::{Delta, ReplyKey};
use nats::{Inbox, Subscriber};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;
use workers::provider::Chunk;
use workers::provider::offline::Offline;

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
/// How many others are answered meanwhile, and how: as a usual model writes, and long enough that they seldom ask anew.
const OTHERS: usize = 20;
const OTHERS_SCRIPT: Script = Script { tokens: 500, pace: Duration::from_millis(20), wait: Duration::ZERO };

pub(super) async fn measure(plan: Plan, found: &mut Found) -> Result<(), Error> {
    let (provider, theirs) = (Provider::start(SCRIPT).await?, Provider::start(OTHERS_SCRIPT).await?);
    let settings = format!(
        "[[providers]]\nid = \"others\"\nprotocol = \"openai-chat\"\nbase_url = \"{}\"\napi_key = \"none\"\n\
         models = [{{ id = \"m1\", context_window = 1000000 }}]\n",
        theirs.base_url()
    );
    let fleet = servers(SHARDS, &provider.base_url(), &settings).await?;
    let stack = Stack::start(&fleet).await?;
    let (core, edge) = (fleet.nats.core_url(), fleet.nats.edge_url());
    let mut whole = Whole { chat: Chat::login(stack.api.address, "asker", 0).await?, edge: edge.clone() };
    let mut bare = Bare::open(&core, &edge, provider.first_bytes()).await?;
    found.rows.push(own_work(&core, provider.first_bytes(), plan.pick(60, 100)).await?);
    found.rows.extend(compared(plan, &mut whole, &mut bare, &provider, "").await?);
    let mut others = others(stack.api.address).await?;
    let among = format!(" among {OTHERS} others");
    found.rows.extend(compared(plan, &mut whole, &mut bare, &provider, &among).await?);
    match others.try_join_next() {
        Some(ended) => Err(ended.unwrap_or_else(Error::other)),
        None => Ok(()),
    }
}

/// What is done between the reading and the writing: no socket, and no other task's turn.
async fn own_work(core: &str, first: &[u8], replies: usize) -> Result<Row, Error> {
    let event = memchr::memmem::find(first, b"data:").map(|at| &first[at..]).unwrap_or_default();
    let client = nats::connect(core, "bench", Inbox::Core).await.map_err(Error::other)?;
    let [mut rested, mut warm] = [Latencies::new()?, Latencies::new()?];
    for nth in 0..WARM_UP + replies {
        for (wait, latencies) in [(Some(WAIT), &mut rested), (None, &mut warm)] {
            if let Some(wait) = wait {
                sleep(wait).await;
            }
            let took = pass_on(event, &client).await?;
            if nth >= WARM_UP {
                latencies.record(took);
            }
        }
    }
    let row = Row::new("First upstream byte → delta, our own work, p50", warm.p50_ms() * 1e3, "µs");
    Ok(row.note(format!(
        "a new decoder, the first event fed to it, and the delta of its text given to the bus's client, within the benchmark's \
         process, just after the same was done; the same after a sleep of {} ms, when nothing of it is in a cache: {:.0} µs",
        WAIT.as_millis(),
        rested.p50_ms() * 1e3
    )))
}

async fn pass_on(event: &[u8], client: &nats::Client) -> Result<Duration, Error> {
    let key = ReplyKey { shard: 0, conversation: Uuid::nil().into(), reply: Uuid::nil().into() };
    let began = Instant::now();
    let mut answer = Offline::new("openai-chat", "text/event-stream");
    let told = answer.as_mut().and_then(|answer| {
        answer.feed(event);
        answer.next_piece()
    });
    let Some(Ok(Chunk::Text(text))) = told else { return Err(Error(format!("the first piece is {told:?}"))) };
    let delta = Delta { attempt: 1, offset: 0, text, thinking: false };
    nats::live::publish(client, key, &delta).await.map_err(Error::other)?;
    Ok(began.elapsed())
}

async fn compared(
    plan: Plan,
    whole: &mut Whole,
    bare: &mut Bare,
    provider: &Provider,
    among: &str,
) -> Result<[Row; 2], Error> {
    let (replies, [mut ours, mut ours_p99, mut theirs]) = (plan.pick(60, 100), [const { Vec::new() }; 3]);
    for _ in 0..plan.rounds() {
        let told = whole.run(provider, replies).await?;
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
    let added = Row::new(format!("First upstream byte → delta{among}, added p50"), ours - theirs, "µs")
        .target(Target::AtMost(50.0))
        .note(note);
    let row = Row::new(format!("First upstream byte → delta{among}, p50"), ours, "µs");
    Ok([added, row.over(theirs, "read, published, heard")])
}

/// People whose replies run all the time, as long as this is not dropped.
async fn others(api: SocketAddr) -> Result<JoinSet<Error>, Error> {
    let mut asking = JoinSet::new();
    for nth in 0..OTHERS {
        let mut chat = Chat::login(api, &format!("other-{nth}"), nth).await?;
        let conversation = chat.start().await?;
        chat.command(conversation, &json!({ "type": "ConfigureModel", "model": "others/m1" })).await?;
        chat.follow(conversation).await?;
        asking.spawn(async move {
            loop {
                let asked = chat.command(conversation, &message("Hello.", true)).await;
                let answered = chat.wait_for_event(conversation, "ReplyCompleted").await;
                if let Err(error) = asked.and(answered) {
                    return error;
                }
            }
        });
    }
    Ok(asking)
}

/// Someone who asks, and who hears the deltas as an edge does.
struct Whole {
    chat: Chat,
    edge: String,
}

impl Whole {
    async fn run(&mut self, provider: &Provider, replies: usize) -> Result<Latencies, Error> {
        let mut latencies = Latencies::new()?;
        let mut asked = None;
        for nth in 0..WARM_UP + replies {
            let (conversation, deltas) = match &mut asked {
                Some(asked) if !nth.is_multiple_of(QUESTIONS) => asked,
                _ => asked.insert(self.begin().await?),
            };
            let took = self.ask(provider, *conversation, deltas).await?;
            if nth >= WARM_UP {
                latencies.record(took);
            }
        }
        Ok(latencies)
    }

    async fn begin(&mut self) -> Result<(Uuid, Subscriber), Error> {
        let conversation = self.chat.start().await?;
        self.chat.follow(conversation).await?;
        Ok((conversation, listen(&self.edge, format!("live.*.{conversation}.*")).await?))
    }

    async fn ask(
        &mut self,
        provider: &Provider,
        conversation: Uuid,
        deltas: &mut Subscriber,
    ) -> Result<Duration, Error> {
        // The last reply's later text.
        while let Some(Some(_)) = deltas.next().now_or_never() {}
        self.chat.ask(conversation, &message("Hello.", true)).await?;
        let (heard, body) = hear(deltas).await?;
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
        let deltas = listen(edge, subject.to_owned()).await?;
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
async fn listen(edge: &str, subject: String) -> Result<Subscriber, Error> {
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
