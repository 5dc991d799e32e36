//! How long after its ack a command shows in a view, while others keep the log growing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use super::super::stack::{NO_PROVIDER, SHARDS, Stack, http, servers};
use super::super::{Plan, say};
use crate::load::Chat;
use crate::load::chat::message;
use crate::measure::{Latencies, number};
use crate::report::Row;
use crate::{Error, login};

/// How many commands a second others ask, all together.
const RATE: u32 = 500;
/// Over how many sockets.
const TALKERS: u32 = 20;
/// How long they do so before it counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn measure(plan: Plan) -> Result<Vec<Row>, Error> {
    say("  lag under load");
    let fleet = servers(SHARDS, NO_PROVIDER, "").await?;
    let stack = Stack::start(&fleet).await?;
    let until = Instant::now() + WARM_UP + plan.run() * 3;
    let mut talking = JoinSet::new();
    for nth in 0..TALKERS {
        talking.spawn(talk(stack.api.address, nth, until));
    }
    sleep(WARM_UP).await;
    let seen = look(stack.api.address, until).await?;
    let mut said = 0;
    while let Some(one) = talking.join_next().await {
        said += one.map_err(Error::other)??;
    }
    let note = format!(
        "both views must have it ({said} commands of others meanwhile, {RATE} a second asked for); asked over HTTP with \
         min_position"
    );
    let name = format!("Ack → shown by the views, {RATE} commands/s");
    Ok(vec![
        Row::new(format!("{name}, p50"), seen.p50_ms(), "ms").note(note),
        Row::new(format!("{name}, p99"), seen.p99_ms(), "ms"),
    ])
}

/// Says something at a fixed pace; gives how often.
async fn talk(address: SocketAddr, nth: u32, until: Instant) -> Result<u64, Error> {
    let mut chat = Chat::login(address, &format!("talker{nth}"), 0).await?;
    let conversation = chat.start().await?;
    let mut pace = interval(Duration::from_secs(1) * TALKERS / RATE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut said = 0;
    while Instant::now() < until {
        pace.tick().await;
        chat.command(conversation, &message("On and on.", false)).await?;
        said += 1;
    }
    Ok(said)
}

/// Asks for something now and then, and then for the views that must show it.
async fn look(address: SocketAddr, until: Instant) -> Result<Latencies, Error> {
    let (client, token) = (http()?, login::token("ann")?);
    let mut chat = Chat::login(address, "ann", 0).await?;
    let mut seen = Latencies::new()?;
    while Instant::now() < until {
        let conversation = Uuid::new_v4();
        let position = chat.start_at(conversation).await?;
        let acked = Instant::now();
        for page in ["", "/messages"] {
            let url = format!("http://{address}/api/conversations/{conversation}{page}?min_position={position}");
            let answer = client.get(url).bearer_auth(&token).send().await.map_err(Error::other)?;
            if !answer.status().is_success() {
                return Err(Error(format!("a view answers {} after {:?}", answer.status(), acked.elapsed())));
            }
        }
        seen.record(acked.elapsed());
        sleep(LOOK_EVERY).await;
    }
    if number(seen.count()) < 1.0 { Err(Error("nothing was seen".to_owned())) } else { Ok(seen) }
}
