//! Many clients that say something again and again, and a ledger of every message that was acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Client, id, token, until};

/// What was acknowledged.
#[derive(Default)]
struct Ledger {
    /// Each message and its sequence.
    acked: Vec<(String, i64)>,
    last_ack: BTreeMap<usize, Instant>,
    /// The longest that one of the clients waited for an answer.
    longest_wait: Duration,
}

/// Clients at work.
pub(crate) struct Load {
    ledger: Arc<Mutex<Ledger>>,
    clients: JoinSet<()>,
    stopping: CancellationToken,
}

impl Load {
    /// Starts so many clients, spread over edges, each in a conversation of its own.
    pub(crate) fn start(addresses: &[&str], clients: usize) -> Self {
        let (ledger, stopping) = (Arc::<Mutex<Ledger>>::default(), CancellationToken::new());
        let mut set = JoinSet::new();
        for nth in 0..clients {
            // Whoever loses one edge goes to the next.
            let addresses = addresses.iter().cycle().skip(nth % addresses.len()).take(addresses.len());
            let mut edges = Edges(addresses.map(ToString::to_string).collect());
            let (ledger, stopping) = (Arc::clone(&ledger), stopping.clone());
            set.spawn(async move { talk(nth, &mut edges, &ledger, &stopping).await });
        }
        Self { ledger, clients: set, stopping }
    }

    pub(crate) fn acked(&self) -> usize {
        self.ledger.lock().unwrap().acked.len()
    }

    /// The longest that one of the clients has waited for an answer since this was last asked.
    pub(crate) fn longest_wait(&self) -> Duration {
        std::mem::take(&mut self.ledger.lock().unwrap().longest_wait)
    }

    /// Returns once so many further messages have been acknowledged.
    pub(crate) async fn until_acked(&self, further: usize) -> Duration {
        let before = self.acked();
        until(&format!("{further} further messages are acknowledged"), async || self.acked() >= before + further).await
    }

    /// Returns once every client has had a message acknowledged after `moment`: how long after it that was.
    pub(crate) async fn until_all_acked_after(&self, moment: Instant) -> Duration {
        let clients = self.clients.len();
        let all =
            |ledger: &Ledger| ledger.last_ack.len() == clients && ledger.last_ack.values().all(|last| *last > moment);
        until("every client is answered again", async || all(&self.ledger.lock().unwrap())).await;
        moment.elapsed()
    }

    /// Lets every client finish what it is at, and compares the ledger with the log.
    pub(crate) async fn assert_nothing_lost(mut self, pool: &PgPool) -> usize {
        self.stopping.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select payload->>'message', sequence from events where event_type = 'MessageSubmitted'
             and payload->'author' is not null and payload->'parts'->0->>'text' like 'load %'",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        let mut acked = std::mem::take(&mut self.ledger.lock().unwrap().acked);
        let mut rows = rows;
        acked.sort();
        rows.sort();
        // Every client ended with an acknowledged message, so that nothing else may be in the log either.
        assert!(acked == rows, "acknowledged {} messages, recorded {}", acked.len(), rows.len());
        assert_gap_free(pool).await;
        println!("{} acknowledged; the longest wait was {:?}", acked.len(), self.ledger.lock().unwrap().longest_wait);
        acked.len()
    }
}

/// The edges that a client knows, the one that it uses first.
struct Edges(VecDeque<String>);

/// Positions are gap-free in each shard, sequences in each conversation, and each head is the last position.
pub(crate) async fn assert_gap_free(pool: &PgPool) {
    let faults: Vec<String> = sqlx::query_scalar(
        "select 'shard ' || s.shard from heads s left join events e using (shard) group by s.shard, s.head
         having count(e.pos) <> s.head or coalesce(max(e.pos), 0) <> s.head
         union all
         select aggregate_id from events group by aggregate_id having count(*) <> max(sequence)",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(faults.is_empty(), "gaps in {faults:?}");
}

async fn talk(nth: usize, edges: &mut Edges, ledger: &Mutex<Ledger>, stopping: &CancellationToken) {
    let (conversation, user) = (id(), format!("load {nth}"));
    let mut client = None;
    let start = json!({ "type": "StartConversation" });
    carry_out(&mut client, edges, &user, &conversation, &start).await;
    while !stopping.is_cancelled() {
        let message = id();
        let command =
            json!({ "type": "SubmitMessage", "text": format!("load {nth}"), "message": message, "answer": false });
        let began = Instant::now();
        let sequence = carry_out(&mut client, edges, &user, &conversation, &command).await;
        let mut ledger = ledger.lock().unwrap();
        ledger.acked.push((message, sequence));
        ledger.last_ack.insert(nth, Instant::now());
        ledger.longest_wait = ledger.longest_wait.max(began.elapsed());
    }
}

/// Sends a command, over new sockets if need be, until it is acknowledged.
async fn carry_out(
    client: &mut Option<Client>,
    edges: &mut Edges,
    user: &str,
    conversation: &str,
    command: &serde_json::Value,
) -> i64 {
    let id = id();
    let frame = json!({ "type": "command", "id": id, "conversation": conversation, "command": command });
    loop {
        if client.is_none() {
            *client = Client::connect(&edges.0[0], &token(user)).await.ok();
            if client.is_none() {
                edges.0.rotate_left(1);
            }
        }
        if let Some(connected) = client {
            match connected.answer_to(&id, &frame).await {
                Ok(Ok(ack)) => {
                    connected.frames.clear();
                    return ack["sequence"].as_i64().unwrap();
                }
                Ok(Err(refused)) => assert!(refused.retryable, "{refused:?}"),
                Err(_) => *client = None,
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
