//! The relay alone: how fast it brings a log into its stream, beside the same bodies published without any care.

use std::time::{Duration, Instant};

use async_nats::jetstream::context::{Context, PublishAckFuture};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use nats::Inbox;
use store::{Recorded, Role};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::super::Plan;
use super::super::stack::{NO_PROVIDER, servers};
use super::stream;
use crate::Error;
use crate::load::seed::{Story, ids_in, seed};
use crate::measure::{median, number};
use crate::report::Row;

/// As many publications wait for their answer as the relay lets.
const IN_FLIGHT: usize = 1_024;
/// The pause between two looks at the stream.
const POLL: Duration = Duration::from_millis(5);
/// How long the relay may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// Events of a conversation.
const CONVERSATION: usize = 21;

pub(super) async fn measure(plan: Plan) -> Result<Row, Error> {
    let rounds = u16::try_from(plan.rounds()).map_err(Error::other)?;
    // A shard for each round, since a relay that has caught up has nothing more to do.
    let fleet = servers(rounds, NO_PROVIDER, "").await?;
    let client = nats::connect(&fleet.nats.core_url(), "bench", Inbox::Core).await.map_err(Error::other)?;
    let jetstream = nats::relay::jetstream(&client);
    let conversations = plan.pick(500, 2_500);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for shard in 0..rounds {
        let story = |id| Story { id, owner: "ann".to_owned(), events: CONVERSATION, bytes: 100 };
        let stories: Vec<Story> = ids_in(shard, rounds).take(conversations).map(story).collect();
        let events = seed(&fleet.pool, rounds, &stories).await?;
        let pool = store::connect(&fleet.postgres.url(), Role::Worker, 4).map_err(Error::other)?;
        // Made before the relay looks for it: else it would start with the last few thousand events only.
        stream(&jetstream, &format!("EVT_{shard}"), &format!("evt.{shard}.>")).await?;
        let (_kept, committed) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let begun = Instant::now();
        let relaying = tokio::spawn(nats::relay::run(jetstream.clone(), pool, shard, committed, stop.clone()));
        arrived(&jetstream, &format!("EVT_{shard}"), events.len()).await?;
        ours.push(number(events.len() as u64) / begun.elapsed().as_secs_f64());
        stop.cancel();
        relaying.await.map_err(Error::other)?;
        bare.push(publish(&jetstream, shard, &events).await?);
    }
    Ok(Row::new("Relay catching up, log → stream", median(ours), "events/s")
        .over(median(bare), "the same bodies published, pipelined")
        .note("it reads the log, encodes, and expects of each its predecessor; the bare side has the bodies at hand"))
}

async fn arrived(jetstream: &Context, name: &str, last: usize) -> Result<(), Error> {
    let begun = Instant::now();
    while begun.elapsed() < DEADLINE {
        let stream = jetstream.get_stream(name).await.map_err(Error::other)?;
        if stream.cached_info().state.last_sequence >= last as u64 {
            return Ok(());
        }
        sleep(POLL).await;
    }
    Err(Error("the relay does not catch up".to_owned()))
}

async fn publish(jetstream: &Context, round: u16, events: &[Recorded]) -> Result<f64, Error> {
    let subject = format!("evt.bare.{round}");
    stream(jetstream, &format!("BARE_{round}"), &subject).await?;
    let bodies: Vec<bytes::Bytes> = events
        .iter()
        .map(|event| serde_json::to_vec(event).map(Into::into).map_err(Error::other))
        .collect::<Result<_, _>>()?;
    let begun = Instant::now();
    let mut in_flight: FuturesOrdered<<PublishAckFuture as IntoFuture>::IntoFuture> = FuturesOrdered::new();
    for body in bodies {
        if in_flight.len() >= IN_FLIGHT
            && let Some(ack) = in_flight.next().await
        {
            ack.map_err(Error::other)?;
        }
        let ack = jetstream.publish(subject.clone(), body).await.map_err(Error::other)?;
        in_flight.push_back(ack.into_future());
    }
    while let Some(ack) = in_flight.next().await {
        ack.map_err(Error::other)?;
    }
    Ok(number(events.len() as u64) / begun.elapsed().as_secs_f64())
}
